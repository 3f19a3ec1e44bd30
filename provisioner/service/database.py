"""The use cases of the database: upgrade, check, where it is."""

from __future__ import annotations

from collections.abc import Iterator

from provisioner.errors import StoreError
from provisioner.service.app import App
from provisioner.service.finding import Finding


def upgrade(
    app: App, *, asterisk_tables: bool, triggers: bool = False, views: bool = False
) -> tuple[str, ...]:
    """Bring the tables up to date and make the role Asterisk logs in with; returns what was done."""
    app.store.upgrade(asterisk_tables=asterisk_tables, triggers=triggers, views=views)
    role = app.settings.database.asterisk_role
    app.store.grant_asterisk(role, app.asterisk_password())
    noted = "whatever anybody changes" if app.store.watched() else "only what provisioner changes"
    return (
        f"{_place(app)} is up to date",
        f"role {role} reads Asterisk's tables and writes only ps_contacts",
        f"nodes are told {noted} in ps_endpoints, ps_auths and ps_aors",
    )


def check(app: App) -> Iterator[Finding]:
    """What is wrong with tables, rows and the role, or one finding that all is well."""
    found = app.store.check(app.settings.database.asterisk_role)
    for one in found:
        yield Finding(f"database, {one.where}", False, one.what, one.mend)
    if not found:
        yield Finding("database", True, f"{_place(app)} has every table, column and right")


def url(app: App) -> str:
    """A URL for psql without the password; that of the embedded server is found through a passfile."""
    place = app.store.url.set(drivername="postgresql")
    if app.settings.database.url is None:
        place = place.update_query_dict({"passfile": str(app.embedded.write_passfile())})
    # URL.set() takes None for "leave it".
    return place._replace(password=None).render_as_string()


def stop(app: App) -> str:
    """Stop the embedded server; returns what was done. Raises StoreError where a URL is configured."""
    if app.settings.database.url is not None:
        raise StoreError("database.url is set, so there is no embedded server to stop")
    return "stopped" if app.embedded.stop() else "it was not running"


def _place(app: App) -> str:
    seen = app.store.address()
    return f"PostgreSQL at {seen.host}:{seen.port}/{seen.dbname}"
