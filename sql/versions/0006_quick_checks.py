"""The same checks of form, said as PostgreSQL is quick at: a bounded repetition costs it 7 to 8 us a row."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# Table, column, what no character of it may be, and how many there are.
CHECKS = (
    ("users", "login", "[[:space:][:cntrl:]]", (1, 64)),
    ("users", "source", "[[:cntrl:]]", (1, 200)),
    ("extensions", "number", "[^0-9]", (2, 15)),
    ("extensions", "label", "[^a-z0-9]", (1, 20)),
    ("extensions", "endpoint_id", "[^a-z0-9-]", (1, 100)),
    ("extensions", "md5", "[^0-9a-f]", (32, 32)),
    ("extensions", "sha256", "[^0-9a-f]", (64, 64)),
)


def upgrade() -> None:
    for table, column, unfit, (least, most) in CHECKS:
        rule = f"{column} !~ '{unfit}' AND length({column}) BETWEEN {least} AND {most}"
        op.get_bind().exec_driver_sql(
            f"ALTER TABLE provisioner.{table} DROP CONSTRAINT {table}_{column}_form, "
            f"ADD CONSTRAINT {table}_{column}_form CHECK ({rule})"
        )


def downgrade() -> None:
    raise NotImplementedError("there is no way back; restore a backup")
