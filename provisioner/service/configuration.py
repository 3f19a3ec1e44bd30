"""The use cases of configuration files: render them into a folder, or show what that would change."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from provisioner.conf import DatabaseAccess, FileDiff, diff_dir, render, write
from provisioner.errors import SettingsError
from provisioner.service.app import App
from provisioner.settings import NodeSettings, SslMode


def files(app: App, node: str | None) -> dict[str, str]:
    """The text of every file of a node, by name; secrets included."""
    return render(app.settings, one_node(app, node), access(app))


def render_to(app: App, directory: Path, node: str | None, force: bool) -> dict[str, str]:
    """Write the files; returns what was done with each: written, unchanged or removed."""
    done = write(directory, files(app, node), force=force)
    states = {"written": done.written, "unchanged": done.unchanged, "removed": done.removed}
    return dict(sorted((name, state) for state, names in states.items() for name in names))


def diff(app: App, directory: Path, node: str | None) -> list[FileDiff]:
    """What ``render_to`` would change, with secrets masked."""
    return diff_dir(directory, files(app, node))


def diff_data(found: list[FileDiff]) -> list[dict[str, Any]]:
    """The same for JSON."""
    return [{"file": one.name, "state": one.state.value, "diff": one.text} for one in found]


def one_node(app: App, name: str | None) -> NodeSettings:
    """The node named, or the only one there is; raises SettingsError otherwise."""
    if name is not None:
        return app.settings.node(name)
    if len(app.settings.nodes) == 1:
        return app.settings.nodes[0]
    where = app.settings.source or "the settings"
    if not app.settings.nodes:
        raise SettingsError(f"{where}: no node yet; add a table [nodes.NAME] as in examples/provisioner.toml")
    names = ", ".join(node.name for node in app.settings.nodes)
    raise SettingsError(f"{where}: several nodes ({names}); say which with --node")


def access(app: App) -> DatabaseAccess:
    """How Asterisk logs into the database: as its own role, at the address a node sees."""
    database, seen = app.settings.database, app.store.address()
    return DatabaseAccess(
        host=database.asterisk_host or seen.host,
        port=database.asterisk_port or seen.port,
        dbname=seen.dbname or database.asterisk_role,
        user=database.asterisk_role,
        password=app.asterisk_password(),
        schema=database.asterisk_schema,
        sslmode=cast("SslMode", seen.sslmode or "prefer"),
        sslrootcert=str(database.asterisk_sslrootcert) if database.asterisk_sslrootcert else seen.sslrootcert,
    )
