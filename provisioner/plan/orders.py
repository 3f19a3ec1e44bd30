"""What the nodes are told after a plan was carried out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any, Final

from provisioner.plan.plan import OBJECTS, Action, Change, Plan, revealed
from provisioner.realtime import AORS, AUTHS, ENDPOINTS, SECRET_COLUMNS

_KINDS: Final = frozenset(OBJECTS.values())
RENEWABLE: Final = frozenset({"state", "qualify", "mwi"})
"""What a node keeps beside its caches: see :attr:`NodeOrder.renew`."""
_QUALIFY: Final = frozenset(
    {"qualify_frequency", "qualify_timeout", "authenticate_qualify", "qualify_2xx_only"}
)
_MAILBOXES: Final[Mapping[str, frozenset[str]]] = {
    AUTHS: frozenset(),
    AORS: frozenset({"mailboxes", "voicemail_extension"}),
    ENDPOINTS: frozenset(
        {"mailboxes", "aggregate_mwi", "mwi_from_user", "incoming_mwi_mailbox", "voicemail_extension"}
    ),
}
_MD5: Final = re.compile(r"md5:([0-9a-f]{32})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class NodeOrder:
    """What every node has to do about one endpoint id."""

    endpoint_id: str
    expire: frozenset[str]
    """Which of ``endpoint``, ``auth``, ``aor`` to expire from the node's caches."""
    keep_contacts: int | None = None
    """None: leave the registered phones; 0: cut off all; n: keep the newest n."""
    renew: frozenset[str] = frozenset()
    """What expiring does not reach: ``state`` (the AOR is new, so its device state may be unknown),
    ``qualify`` (its qualify options changed), ``mwi`` (mailboxes changed)."""

    def __post_init__(self) -> None:
        if not self.expire <= _KINDS:
            raise ValueError(f"not an object: {', '.join(sorted(self.expire - _KINDS))}")
        if not self.renew <= RENEWABLE:
            raise ValueError(f"not renewable: {', '.join(sorted(self.renew - RENEWABLE))}")
        if self.keep_contacts is not None and self.keep_contacts < 0:
            raise ValueError("keep_contacts is below 0")

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "endpoint_id": self.endpoint_id,
            "expire": sorted(self.expire),
            "keep_contacts": self.keep_contacts,
            "renew": sorted(self.renew),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> NodeOrder:
        """The inverse of :meth:`as_dict`; raises KeyError or ValueError for anything else."""
        return cls(
            str(data["endpoint_id"]),
            frozenset(data["expire"]),
            data["keep_contacts"],
            frozenset(data["renew"]),
        )


def orders(plan: Plan) -> tuple[NodeOrder, ...]:
    """One order for each endpoint id of a plan, sorted by it.

    Registered phones are cut off when the endpoint is gone, or its secret or its auth is another; when it may
    have fewer contacts, the newest stay. Otherwise they are left alone. The triggers of sql/versions say the
    same of the rows that a statement changed.
    """
    return tuple(_order(id, tuple(changes)) for id, changes in groupby(plan, key=attrgetter("id")))


def merge_orders(given: Iterable[NodeOrder]) -> tuple[NodeOrder, ...]:
    """Orders of the same endpoint id made into one that does what each of them asks; sorted by id."""
    merged: dict[str, NodeOrder] = {}
    for order in given:
        there = merged.get(order.endpoint_id)
        merged[order.endpoint_id] = order if there is None else _both(there, order)
    return tuple(merged[id] for id in sorted(merged))


def _both(one: NodeOrder, other: NodeOrder) -> NodeOrder:
    kept = [keep for keep in (one.keep_contacts, other.keep_contacts) if keep is not None]
    keep = min(kept, default=None)
    return NodeOrder(one.endpoint_id, one.expire | other.expire, keep, one.renew | other.renew)


def _order(id: str, changes: tuple[Change, ...]) -> NodeOrder:
    """The order about one endpoint id, of all its changes."""
    new = any(change.table == ENDPOINTS and change.action is Action.CREATE for change in changes)
    kept = [keep for change in changes if (keep := _keep(change, new)) is not None]
    expire = _KINDS if len(changes) == len(_KINDS) else frozenset(change.object for change in changes)
    renew = frozenset(what for change in changes for what in _renew(change))
    return NodeOrder(id, expire, min(kept, default=None), renew)


def _renew(change: Change) -> Iterator[str]:
    if change.action is Action.CREATE and change.table == AORS:
        yield "state"
    if change.action is not Action.UPDATE:
        # Of one that is deleted too: whoever gets the number next would hear of its messages.
        if change.table != AUTHS and any(change.fields.get("mailboxes", ())):
            yield "mwi"
        return
    if change.table == AORS and change.fields.keys() & _QUALIFY:
        yield "qualify"
    if change.fields.keys() & _MAILBOXES[change.table]:
        yield "mwi"


def _keep(change: Change, new_endpoint: bool) -> int | None:
    if change.action is Action.DELETE:
        return 0
    if change.action is Action.CREATE:
        # An auth that an endpoint lacked: nobody knows what its phones registered with.
        return 0 if change.table == AUTHS and not new_endpoint else None
    if change.table == AORS and "max_contacts" in change.fields:
        return _lowered(change)
    if change.table == AUTHS and change.fields.keys() & (SECRET_COLUMNS | {"username", "realm"}):
        return None if _same_secret(change) else 0
    return 0 if change.table == ENDPOINTS and change.fields.keys() & {"auth", "aors"} else None


def _lowered(change: Change) -> int | None:
    old, new = (int(str(value)) if value is not None else 0 for value in change.fields["max_contacts"])
    return new if new < old else None


def _same_secret(change: Change) -> bool:
    """Whether only the way of keeping it changed: the MD5 digest is known before and after, and equal."""
    if change.fields.keys() & {"username", "realm"}:
        return False
    old, new = (_md5(change, index) for index in (0, 1))
    return old is not None and old == new


def _md5(change: Change, index: int) -> str | None:
    for column in ("password_digest", "md5_cred"):
        value = revealed(change.fields[column][index]) if column in change.fields else None
        text = f"md5:{value}" if column == "md5_cred" else str(value)
        found = _MD5.search(text) if value is not None else None
        if found:
            return found[1].lower()
    return None
