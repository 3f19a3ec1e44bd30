"""What a node is told now, what waits, and how far it has been told. Pure: no clock, no input or output.

Times are seconds of any clock that never goes back. An object that changes is told at once; where it changes
again within the next second, all those changes are told together when that second is over.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Final

from provisioner.plan import NodeOrder, merge_orders
from provisioner.store import Due

AGAIN_AFTER: Final = 1.0
"""Seconds from telling an object to telling it again."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What a node is told in one round: ``changes`` rows of the outbox, the oldest committed at ``since``."""

    orders: tuple[NodeOrder, ...]
    whole: bool = False
    changes: int = 0
    since: float | None = None


@dataclass(frozen=True, slots=True)
class _Waiting:
    """An order that was read, first in read number ``first``; ``rows`` of the outbox stand behind it."""

    order: NodeOrder
    first: int
    rows: int


@dataclass(frozen=True, slots=True)
class _Read:
    number: int
    due: Due
    since: float | None


class Backlog:
    """What was read for one node and not noted as told yet.

    Each read brings only rows that none before it saw. Rounds may overlap; an object is never in two at once.
    """

    def __init__(self) -> None:
        self._reads: list[_Read] = []
        self._count = 0
        self._position: str | None = None
        self._waiting: dict[str, _Waiting] = {}
        self._moving: dict[str, int] = {}
        self._told: dict[str, float] = {}  # in the order of their times
        self._whole: int | None = None
        self._whole_moving: int | None = None
        self._noting = 0

    def __bool__(self) -> bool:
        """Whether anything of it is still to be carried out."""
        return bool(self._waiting or self._moving) or not (self._whole is self._whole_moving is None)

    @property
    def changes(self) -> int:
        """Rows of the outbox that were read and not noted as told."""
        return sum(read.due.changes for read in self._reads)

    @property
    def since(self) -> float | None:
        """When the oldest of them was committed; None where there is none."""
        return min((read.since for read in self._reads if read.since is not None), default=None)

    @property
    def position(self) -> str | None:
        """The snapshot of the last read, from which the next one goes on."""
        return self._position

    def add(self, due: Due, since: float | None) -> None:
        """Take in what was read; ``since`` is when the oldest of it was committed."""
        self._count += 1
        self._position = due.position
        self._reads.append(_Read(self._count, due, since))
        if due.whole and self._whole is None:
            self._whole = self._count
        for order in due.orders:
            id, rows = order.endpoint_id, due.counts.get(order.endpoint_id, 1)
            there = self._waiting.get(id)
            if there is None:
                self._waiting[id] = _Waiting(order, self._count, rows)
            else:
                (both,) = merge_orders((there.order, order))
                self._waiting[id] = _Waiting(both, there.first, there.rows + rows)

    def take(self, now: float) -> Batch | None:
        """What is to be told now; on its way until :meth:`finish`. None where there is nothing."""
        self._forget_told(now)
        whole = self._whole is not None and self._whole_moving is None
        # Whole caches are expired once, so it is as well that nothing waits for its second.
        ready = [
            waiting
            for id, waiting in self._waiting.items()
            if id not in self._moving and (whole or id not in self._told)
        ]
        if not ready and not whole:
            return None
        firsts = {waiting.first for waiting in ready}
        if whole:
            assert self._whole is not None
            firsts.add(self._whole)
            self._whole, self._whole_moving = None, self._whole
        for waiting in ready:
            id = waiting.order.endpoint_id
            del self._waiting[id]
            self._moving[id] = waiting.first
            self._told.pop(id, None)
            self._told[id] = now
        oldest = [read.since for read in self._reads if read.number in firsts and read.since is not None]
        orders = tuple(sorted((waiting.order for waiting in ready), key=lambda order: order.endpoint_id))
        return Batch(orders, whole, sum(waiting.rows for waiting in ready), min(oldest, default=None))

    def finish(self, batch: Batch) -> None:
        """The batch was carried out."""
        for order in batch.orders:
            del self._moving[order.endpoint_id]
        if batch.whole:
            self._whole_moving = None

    def next_at(self) -> float | None:
        """When the first object that waits for its second may go; None where none waits for that."""
        # Those told first come first.
        waiting = self._waiting.keys() - self._moving.keys()
        return next((told + AGAIN_AFTER for id, told in self._told.items() if id in waiting), None)

    def reached(self) -> Due | None:
        """How far all of it is carried out, to be noted with ``Store.told``; None where that is nowhere new.

        Its ``changes`` are all rows up to there. Ask again only after :meth:`note`.
        """
        whole = (number for number in (self._whole, self._whole_moving) if number is not None)
        waiting = (one.first for one in self._waiting.values())
        undone = min([*waiting, *self._moving.values(), *whole], default=self._count + 1)
        done = list(takewhile(lambda read: read.number < undone, self._reads))
        if not done:
            return None
        self._noting = done[-1].number
        whole_ones = any(read.due.whole for read in done)
        return replace(done[-1].due, whole=whole_ones, changes=sum(read.due.changes for read in done))

    def note(self) -> None:
        """That was noted: what was read up to there is no part of the backlog any more."""
        self._reads = [read for read in self._reads if read.number > self._noting]

    def _forget_told(self, now: float) -> None:
        for id in list(takewhile(lambda id: self._told[id] + AGAIN_AFTER <= now, self._told)):
            del self._told[id]
