"""The walk along the chain: settings, database, files, nodes, one endpoint read back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from provisioner.conf.modules import needs_websocket, preload
from provisioner.errors import ProvisionerError
from provisioner.plan import OBJECTS, count
from provisioner.service import configuration, database
from provisioner.service.app import App
from provisioner.service.finding import Finding
from provisioner.service.proof import difference

if TYPE_CHECKING:
    from provisioner.ami import NodeCheck
    from provisioner.settings import NodeSettings

CACHES = frozenset(OBJECTS.values())


def examine(app: App, node: str | None = None, directory: Path | None = None) -> Iterator[Finding]:
    """Every link of the chain in its order, each as soon as it is known; what failed is found, not raised."""
    yield Finding("settings", True, str(app.settings.source or "defaults, no file"))
    nodes = app.nodes(node)
    try:
        yield from database.check(app)
    except ProvisionerError as exc:
        yield Finding("database", False, str(exc), "start it, or set database.url; then run the doctor again")
        return
    if directory is not None:
        yield from _files(app, directory, node)
    yield from _browsers(app)
    if not nodes:
        yield Finding("nodes", False, "the settings have none", "add a table [nodes.NAME] for each Asterisk")
        return
    yield _daemon(app)
    drivers = [f"{module}.so" for module in preload(app.settings.asterisk)]
    checked = app.fleet(nodes).check(drivers)
    for found in checked:
        yield from _node(app, found)
    up = [node for node, found in zip(nodes, checked, strict=True) if found.ok]
    yield from _trunks(app, up)


def _files(app: App, directory: Path, node: str | None) -> Iterator[Finding]:
    try:
        differing = configuration.diff(app, directory, node)
    except ProvisionerError as exc:
        yield Finding("files", False, str(exc), "give --conf the folder of the node's files, and --node")
        return
    for one in differing:
        mend = (
            f"look with `provisioner conf diff {directory}`, write with `conf render`, then restart Asterisk"
        )
        yield Finding("files", False, f"{directory / one.name} is {one.state.value}", mend)
    if not differing:
        yield Finding("files", True, f"{directory} holds what the settings say")


def _browsers(app: App) -> Iterator[Finding]:
    """Users who can register from a browser only, where no browser can reach Asterisk."""
    if needs_websocket(app.settings.asterisk):
        return
    with app.reading() as tx:
        logins = [user.login for user in tx.list_users(active=True) if user.webrtc]
    if logins:
        more = f" and {len(logins) - 1:,} more" if logins[1:] else ""
        mend = (
            "add wss to asterisk.transports and render the files, or `provisioner user set LOGIN --no-webrtc`"
        )
        found = f"{logins[0]}{more} cannot register: webrtc, and asterisk.transports has no wss"
        yield Finding("browsers", False, found, mend)


def _daemon(app: App) -> Finding:
    """Who tells the nodes of changes that are not ours; none of these is a fault."""
    if not app.store.watched():
        said = "only changes by provisioner are noticed; `provisioner db upgrade --triggers` has all noticed"
    elif app.store.daemon_runs():
        said = "provisioner sync runs: nodes are told of every change at once"
    else:
        said = "provisioner sync does not run: nodes hear of changes by others with the next command of ours"
    return Finding("sync", True, said)


def _node(app: App, found: NodeCheck) -> Iterator[Finding]:
    name = f"node {found.node}"
    if found.error is not None:
        yield Finding(name, False, found.error, "start Asterisk, or correct the node's settings")
        return
    yield Finding(name, True, f"Asterisk {found.version} answers, up since {found.started}")
    for right in found.missing_rights:
        mend = f"give its user the class {right.ami_class} in manager.conf (`provisioner conf render` does)"
        yield Finding(f"{name}, rights", False, str(right.problem), mend)
    yield from _caches(app, name, found)
    for module, loaded in found.modules.items():
        if not loaded:
            mend = "load it in modules.conf, as `provisioner conf render` does, and restart Asterisk"
            yield Finding(f"{name}, driver", False, f"{module} is not loaded", mend)
    yield from _read_back(app, found.node)
    pending = next((one for one in app.store.states() if one.node == found.node and one.changes), None)
    if pending:
        since = f", since {pending.oldest:%Y-%m-%d %H:%M:%S %Z}" if pending.oldest else ""
        why = f" ({pending.error})" if pending.error else ""
        said = f"{count(pending.changes, 'change')} not told yet{since}{why}"
        yield Finding(f"{name}, queue", False, said, "run `provisioner reload`, or start `provisioner sync`")


def _trunks(app: App, nodes: Sequence[NodeSettings]) -> Iterator[Finding]:
    """Whether each node reaches the others, which have phones that its calls are for."""
    every = app.settings.nodes
    for found in app.fleet(nodes).status({node.trunk for node in every}) if every[1:] else ():
        if found.error is not None:
            continue
        reached = {contact.aor for contact in found.contacts if contact.status == "Reachable"}
        silent = [one.name for one in every if one.name != found.node and one.trunk not in reached]
        name = f"node {found.node}, other nodes"
        if silent:
            mend = (
                "start them; render all nodes' files and restart; set nodes.NAME.sip_host where it is another"
            )
            yield Finding(name, False, f"no answer by SIP from {', '.join(silent)}", mend)
        else:
            yield Finding(name, True, "it reaches all of them by SIP")


def _caches(app: App, name: str, found: NodeCheck) -> Iterator[Finding]:
    wanted = CACHES if app.settings.asterisk.caches else frozenset()
    has, should = (", ".join(sorted(types)) or "nothing" for types in (found.caches, wanted))
    if has == should:
        yield Finding(f"{name}, caches", True, f"caches {has}, as configured")
        return
    mend = "render sorcery.conf and modules.conf, then restart Asterisk"
    yield Finding(f"{name}, caches", False, f"caches {has}; the settings say {should}", mend)


def _read_back(app: App, node: str) -> Iterator[Finding]:
    """One endpoint, expired first: the node has to fetch it through its driver."""
    with app.reading() as tx:
        ids = [id for user in tx.list_users(active=True) for id in user.endpoint_ids][:1]
        rows = tx.rows(ids)
    if not ids:
        yield Finding(f"node {node}, read back", True, "no active user yet, so nothing to read back")
        return
    fleet = app.fleet(app.nodes(node))
    error = next((one.error for one in fleet.reload(ids) if one.error), None)
    held = fleet.read_back(ids)[node]
    error = error or held.error or difference(rows, ids[0], held.endpoints.get(ids[0]))
    if error:
        mend = "check the driver's file (res_pgsql.conf or odbc.ini), the role's password and the node's log"
        yield Finding(f"node {node}, read back", False, error, mend)
    else:
        yield Finding(f"node {node}, read back", True, f"it reads endpoint {ids[0]} as the database has it")
