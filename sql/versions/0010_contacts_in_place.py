"""A phone that registers again changes its contact in place, where contacts are in the database.

Each REGISTER moves ``expiration_time``. While that column stood in an index, PostgreSQL wrote a new entry
into all three of them for it; without, and with room left on the page, it writes into none (a heap-only
tuple, PostgreSQL's README.HOT). Nobody misses the index: Asterisk looks for expired contacts of any
``qualify_frequency``, and the index began with that.
"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# Only of tables that we made.
STATEMENT = """
    DO $$
    DECLARE
        ours record;
    BEGIN
        FOR ours IN
            SELECT its.oid::regclass AS contacts,
                format('%I.ps_contacts_qualifyfreq_exptime', nspname) AS index
            FROM provisioner.made_tables
            JOIN pg_namespace AS its_schema ON nspname = schema_name
            JOIN pg_class AS its ON relnamespace = its_schema.oid AND relname = table_name
            WHERE table_name = 'ps_contacts' AND relkind = 'r'
        LOOP
            EXECUTE format('DROP INDEX IF EXISTS %s', ours.index);
            EXECUTE format('ALTER TABLE %s SET (fillfactor = 50)', ours.contacts);
        END LOOP;
    END
    $$
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(STATEMENT, execution_options={"no_parameters": True})


def downgrade() -> None:
    raise NotImplementedError("there is no way back; restore a backup")
