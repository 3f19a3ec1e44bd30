"""Users whose phones are browsers."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE provisioner.users ADD COLUMN webrtc boolean NOT NULL DEFAULT false")
    op.execute(
        "COMMENT ON COLUMN provisioner.users.webrtc IS "
        "'Whether the phones are browsers: SIP over WebSocket, sound over DTLS and ICE.'"
    )


def downgrade() -> None:
    raise NotImplementedError("there is no way back; restore a backup")
