"""Runs the migrations on the connection that ``provisioner db upgrade`` hands over, in its transaction.

They are started by provisioner/store/migrate.py and by nothing else: it takes the lock under which two
upgrades at once are safe. ``config.attributes`` holds ``connection`` and ``asterisk_schema``.
"""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table="alembic_version",
    version_table_schema="provisioner",
)
with context.begin_transaction():
    context.run_migrations()
