"""A database in memory, and nodes that do as they are told, for workers that run in a test's own loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import cast

from provisioner.errors import StoreUnavailable
from provisioner.plan import NodeOrder, merge_orders
from provisioner.store import Due, Store
from provisioner.sync.metrics import Metrics
from provisioner.sync.session import Means
from tests.unit.ami.fake import FakeNode, answer, says

NOTHING_STORED = answer("stored_contacts_none")


def obedient() -> FakeNode:
    """A node that caches everything and has no phones."""
    return FakeNode(
        {
            "Ping": answer("ping"),
            "SorceryMemoryCacheExpireObject": answer("expire_expired"),
            "SorceryMemoryCacheExpire": answer("expire_all"),
            "DBGetTree": NOTHING_STORED,
            "Getvar": says("Response: Success", "Variable: x", "Value: "),
        }
    )


@dataclass
class Outbox:
    """As much of a store as workers need; a position is how many rows there were."""

    rows: list[tuple[NodeOrder, datetime]] = field(default_factory=list)
    noted: int = 0
    notes: int = 0
    whole: bool = False
    errors: list[str | None] = field(default_factory=list)
    fails: bool = False
    slow: float = 0.0

    def commit(self, *orders: NodeOrder) -> None:
        self.rows += [(order, datetime.now(UTC)) for order in orders]

    def know(self, nodes: list[str]) -> None:
        self._answer()

    def due(self, node: str, since: str | None = None) -> Due:
        self._answer()
        new = self.rows[self.noted if since is None else int(since) :]
        orders = merge_orders(order for order, _ in new)
        counts = {one.endpoint_id: 0 for one in orders}
        for order, _ in new:
            counts[order.endpoint_id] += 1
        oldest = min((at for _, at in new), default=None)
        return Due(node, str(len(self.rows)), orders, counts, self.whole, len(new), oldest)

    def told(self, due: Due) -> None:
        self._answer()
        self.notes += 1
        self.noted = max(self.noted, int(due.position))
        self.whole = self.whole and not due.whole

    def note_error(self, node: str, error: str | None) -> None:
        self.errors.append(error)

    def answers(self) -> bool:
        return not self.fails

    def expire_contacts(self, keep: Mapping[str, int], node: str, known: frozenset[str]) -> int:
        return 0

    def means(self, poll: float = 60.0) -> Means:
        """What a worker gets: without a poll it depends on being woken."""
        return Means(cast(Store, self), Metrics(), None, 3, poll)

    def _answer(self) -> None:
        time.sleep(self.slow)
        if self.fails:
            raise StoreUnavailable("PostgreSQL at nowhere does not answer.")


async def until(so: Callable[[], object], what: str, seconds: float = 60.0) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + seconds
    while not so():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        await asyncio.sleep(0.005)


def expired(fake: FakeNode) -> list[str]:
    """The endpoints that the node was told to forget, each pass of a round."""
    return [told["Object"] for told in fake.received if told["Action"] == "SorceryMemoryCacheExpireObject"]
