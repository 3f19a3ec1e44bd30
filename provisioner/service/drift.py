"""What nobody asked for: differences between records and rows, and between rows and what nodes hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from provisioner.plan import OBJECTS, Action, Change, NodeOrder, count, diff, orders
from provisioner.plan.plan import CHANGED, Plan
from provisioner.realtime import SECRET_COLUMNS, TABLES, Compiler, Value, decode_value
from provisioner.records.text import show
from provisioner.secret import Secret
from provisioner.service.bulk import batches
from provisioner.service.progress import Progress, silent

if TYPE_CHECKING:
    from provisioner.service.app import App
    from provisioner.settings import NodeSettings
    from provisioner.store import StoredUser, Transaction


class Kind(StrEnum):
    """What is the matter."""

    MISSING = "missing"
    """A row that should be there is not."""
    LEFT = "left over"
    """A row of a disabled or deleted user is there."""
    DIFFERS = "differs"
    """A column holds something else than the record says."""
    FOREIGN = "foreign"
    """Rows with an id like ours that no extension ever had; named, and never touched."""
    STALE = "stale"
    """A node holds in its cache what the rows do not say any more."""
    REFUSED = "refused"
    """A node cannot load what has its rows."""
    REMAINS = "remains"
    """A node still has an endpoint without rows."""
    CONTACTS = "contacts"
    """A node still has phones of an endpoint without rows."""
    UNREACHED = "unreached"
    """A node could not be asked."""


_UNMENDED: Final = frozenset({Kind.FOREIGN, Kind.REFUSED, Kind.UNREACHED})
"""What a fix cannot mend by itself; an endpoint is no longer refused where its rows were the reason."""


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference: ``found`` where ``wanted`` should be. Values are as the database holds them.

    ``node`` is None for one in the database. ``object`` is ``endpoint``, ``auth`` or ``aor``; values of
    secret columns are ``"changed"``. ``said`` are words where there are no two values.
    """

    kind: Kind
    endpoint_id: str = ""
    login: str | None = None
    node: str | None = None
    object: str | None = None
    field: str | None = None
    found: Value = None
    wanted: Value = None
    said: str = ""

    @property
    def mendable(self) -> bool:
        """Whether a fix does something about it."""
        return self.kind not in _UNMENDED

    @property
    def key(self) -> tuple[str, ...]:
        """The database first, then node by node; by endpoint id there."""
        return self.node or "", self.endpoint_id, self.kind, self.object or "", self.field or ""

    def __str__(self) -> str:
        where = f"node {self.node}" if self.node else "database"
        whose = f" ({self.login})" if self.login else ""
        return f"{where}: {self.endpoint_id}{whose}{' ' if self.endpoint_id else ''}{self._what()}"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "node": self.node,
            "kind": str(self.kind),
            "endpoint_id": self.endpoint_id or None,
            "login": self.login,
            "object": self.object,
            "field": self.field,
            "found": self.found,
            "wanted": self.wanted,
            "said": self.said or None,
            "mendable": self.mendable,
        }

    def _what(self) -> str:
        thing = f"{self.object}.{self.field}" if self.field else self.object
        match self.kind:
            case Kind.MISSING:
                return f"{thing}: no row"
            case Kind.LEFT:
                return f"{thing}: a row of nobody who is to have one"
            case Kind.FOREIGN:
                return f"{thing}: a row that is not ours, left alone"
            case Kind.DIFFERS | Kind.STALE:
                says = "record" if self.kind is Kind.DIFFERS else "row"
                if self.field in SECRET_COLUMNS:
                    return f"{thing}: another secret than the {says}'s"
                return f"{thing}: {_shown(self.found)}, and the {says} says {_shown(self.wanted)}"
            case _:
                return self.said


@dataclass(frozen=True, slots=True)
class Report:
    """All that was found, sorted, and what a fix would have to do about it.

    ``users`` (by id) have rows that are not as their records say; ``strays`` are rows of extensions that are
    deleted. ``orders`` are for every node, once the rows are mended; ``of_node`` for one alone. ``endpoints``
    is how many there should be, ``nodes`` who was asked.
    """

    drifts: tuple[Drift, ...] = ()
    users: tuple[int, ...] = ()
    strays: tuple[str, ...] = ()
    orders: tuple[NodeOrder, ...] = ()
    of_node: Mapping[str, tuple[NodeOrder, ...]] = field(default_factory=dict)
    endpoints: int = 0
    nodes: tuple[str, ...] = ()

    @property
    def mendable(self) -> bool:
        """Whether a fix would do anything."""
        return bool(self.users or self.strays or any(self.of_node.values()))

    @property
    def wrong(self) -> tuple[Drift, ...]:
        """What should not be so; foreign rows are somebody else's."""
        return tuple(one for one in self.drifts if one.kind is not Kind.FOREIGN)

    @property
    def unmended(self) -> tuple[Drift, ...]:
        """What a fix leaves as it is, unless mended rows were the reason."""
        mended = {one.endpoint_id for one in self.drifts if one.mendable and one.node is None}
        return tuple(one for one in self.wrong if not one.mendable and one.endpoint_id not in mended)

    @property
    def cut_off(self) -> tuple[str, ...]:
        """The endpoints whose phones a fix cuts off."""
        every = (order for orders in (self.orders, *self.of_node.values()) for order in orders)
        return tuple(sorted({order.endpoint_id for order in every if order.keep_contacts == 0}))


@dataclass(slots=True)
class Found:
    """What is gathered on the way to a report."""

    drifts: list[Drift] = field(default_factory=list)
    users: list[int] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)
    orders: list[NodeOrder] = field(default_factory=list)
    of_node: dict[str, list[NodeOrder]] = field(default_factory=dict)
    logins: dict[str, str] = field(default_factory=dict)
    """Every extension that somebody has, disabled or not."""
    endpoints: int = 0


def drift(app: App, nodes: Sequence[NodeSettings] = (), progress: Progress = silent) -> Report:
    """Compare all rows with their records, and these nodes with the rows; changes nothing.

    A node that does not answer is found, not raised. Raises StoreError.
    """
    found = Found()
    with app.reading() as tx:
        compiler = Compiler(app.settings.asterisk, tx.columns())
        done = 0
        for users in batches(tx.users_for(None)):
            _compare(tx, compiler, users, found)
            done += len(users)
            progress("compared", done, None)
        progress("compared", done, done)
        _strays(tx, found)
    if nodes:
        from provisioner.service.drift_nodes import ask

        ask(app, nodes, found, progress)
    return Report(
        drifts=tuple(sorted(found.drifts, key=lambda one: one.key)),
        users=tuple(found.users),
        strays=tuple(sorted(found.strays)),
        orders=tuple(found.orders),
        of_node={name: tuple(its) for name, its in found.of_node.items()},
        endpoints=found.endpoints,
        nodes=tuple(node.name for node in nodes),
    )


def row_plan(tx: Transaction, compiler: Compiler, users: Sequence[StoredUser]) -> Plan:
    """What would make the rows of these users what their records say."""
    ids = [id for stored in users for id in stored.user.endpoint_ids]
    return diff(compiler.rows(stored.user for stored in users), tx.rows(ids))


def owners_of(users: Iterable[StoredUser]) -> dict[str, StoredUser]:
    """Endpoint id to its user."""
    return {id: stored for stored in users for id in stored.user.endpoint_ids}


def _compare(tx: Transaction, compiler: Compiler, users: Sequence[StoredUser], found: Found) -> None:
    for stored in users:
        found.logins.update(dict.fromkeys(stored.user.endpoint_ids, stored.user.login))
        found.endpoints += len(stored.user.extensions) if stored.user.active else 0
    plan = row_plan(tx, compiler, users)
    if not plan:
        return
    # Somebody may have changed a user between the reading of its record and that of its rows.
    owners = owners_of(users)
    again = tx.users_by_id({owners[change.id].id for change in plan}).values()
    now = [stored for stored in again if stored.deleted_at is None]
    plan, owners = row_plan(tx, compiler, now), owners_of(now)
    found.users += sorted({owners[change.id].id for change in plan})
    found.orders += orders(plan)
    for change in plan:
        found.drifts += of_change(change, owners[change.id].user.login)


def _strays(tx: Transaction, found: Found) -> None:
    """Rows that no extension has: once ours, or with an id like ours."""
    foreign = tx.foreign_rows()
    for table in TABLES:
        for id, was_ours in foreign.get(table, {}).items():
            kind = Kind.LEFT if was_ours else Kind.FOREIGN
            found.drifts.append(Drift(kind, id, object=OBJECTS[table]))
            if was_ours:
                found.strays.append(id)
    found.strays = list(dict.fromkeys(found.strays))
    found.orders += [NodeOrder(id, frozenset(OBJECTS.values()), 0) for id in found.strays]


def of_change(change: Change, login: str | None, node: str | None = None) -> Iterator[Drift]:
    """A change of a row that should be made, as what was found; of a cached object with its ``node``."""
    if change.action is not Action.UPDATE:
        kind = Kind.MISSING if change.action is Action.CREATE else Kind.LEFT
        yield Drift(kind, change.id, login, node, change.object)
        return
    kind = Kind.DIFFERS if node is None else Kind.STALE
    for column, (old, new) in change.fields.items():
        hidden = column in SECRET_COLUMNS
        old, new = (CHANGED if hidden or isinstance(value, Secret) else value for value in (old, new))
        yield Drift(kind, change.id, login, node, change.object, column, old, new)


def lines(report: Report, *, full: bool, limit: int = 50) -> Iterator[str]:
    """A line for each difference; of many the first, and how many more of each kind there are."""
    drifts = report.drifts
    yield from map(str, drifts if full or len(drifts) <= limit else drifts[:limit])
    rest = () if full else drifts[limit:]
    for kind, more in groupby(sorted(rest, key=lambda one: one.kind), key=lambda one: one.kind):
        yield f"... and {len(list(more)):,} more: {kind} (--full shows all)"


def totals(report: Report) -> str:
    """One line: how many differences of which kind, or that there are none, and what a fix would cut off."""
    asked = f", asked of {', '.join(report.nodes)}" if report.nodes else ""
    compared = f"{count(report.endpoints, 'endpoint')} compared{asked}"
    if not report.drifts:
        return f"no drift: {compared}"
    kinds = Counter(one.kind for one in report.drifts)
    said = ", ".join(f"{kinds[kind]:,} {kind}" for kind in Kind if kinds[kind])
    cut_off = count(len(report.cut_off), "endpoint")
    effect = f"; --fix cuts off the phones of {cut_off}" if report.cut_off else ""
    return f"{count(len(report.drifts), 'difference')} ({said}); {compared}{effect}"


def _shown(value: Value) -> str:
    if value is None or value == "":
        return "nothing"
    return show(decode_value(value)) if isinstance(value, str) else str(value)
