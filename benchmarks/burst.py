"""A burst: one statement changes every row, and phones register all the while.

Ours is a node with caches and ``provisioner sync`` beside it. The limit is what a phone's user would begin to
notice; the same node is the rival, from before the burst.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from typing import Final

import psycopg

from benchmarks.effect_office import Office
from benchmarks.measure import Row, Run, say
from provisioner.lab.sip import Prober, Registrant, storm
from provisioner.store import Embedded, Store

CACHED: Final = (2_000, 20_000)
"""How many phones the node knows: of few it drops its whole caches, of many one name after the other."""
RATE: Final = 100
"""Registrations a second."""
QUIET: Final = 10.0
"""Seconds without a burst."""
PATIENCE: Final = 120.0
"""Seconds after which a burst is given up."""

_LIMIT: Final = Run(0.2)


def run(size: int, cached: Sequence[int] = CACHED, seconds: float = QUIET) -> Iterator[Row]:
    """The rows of so many users."""
    say(f"{size:,} users: all of their endpoints change in one statement")
    yield from asyncio.run(_run(size, cached, seconds))


async def _run(size: int, cached: Sequence[int], seconds: float) -> list[Row]:
    rows: list[Row] = []
    with Office(size) as office, office.daemon():
        async with Prober() as prober:
            everybody = [prober.phone(desk.endpoint_id, desk.secret, office.lab.sip) for desk in office.desks]
            for some in cached:
                phones = everybody[:some]
                await office.warm(phones)
                rows += await _beside(office, phones, seconds)
    return rows


async def _beside(office: Office, phones: Sequence[Registrant], seconds: float) -> tuple[Row, ...]:
    """One burst with these phones known to the node and registering."""
    known = office.cached()
    quiet = await storm(phones, RATE, seconds)
    over = asyncio.Event()
    storming = asyncio.create_task(storm(phones, RATE, 2 * PATIENCE, until=over))
    try:
        update, told = await _burst(office)
    finally:
        over.set()
        seen = await storming
    say(f"{known:,} cached: changed in {update}, told after {told}; before: {quiet}; meanwhile: {seen}")
    if quiet.lost or seen.lost or {*quiet.statuses, *seen.statuses} != {200}:
        raise RuntimeError(f"registrations were not let in: before {quiet}, meanwhile {seen}")
    rows = f"{len(office.desks):,} rows change, {known:,} cached"
    return (
        Row(f"REGISTER while {rows}: p99", Run(seen.p99), "the limit", _LIMIT, 1),
        Row(f"REGISTER while {rows}: p99", Run(seen.p99), "before", Run(quiet.p99)),
        Row(f"REGISTER while {rows}: longest", Run(seen.worst), "before", Run(quiet.worst)),
        Row(f"{rows}: told", told, "the statement itself", update),
    )


async def _burst(office: Office) -> tuple[Run, Run]:
    """One UPDATE of every endpoint: how long it took, and from its commit until the node was told."""
    async with await psycopg.AsyncConnection.connect(office.url) as connection:
        row = await (await connection.execute("SELECT pg_current_xact_id()::text")).fetchone()
        began = time.perf_counter()
        await connection.execute("UPDATE ps_endpoints SET accountcode = coalesce(accountcode, '') || 'x'")
        await connection.commit()
    changed = time.perf_counter()
    assert row
    xid = str(row[0])
    with Store(Embedded(office.lab.home).ensure_running()) as store:
        async with asyncio.timeout(PATIENCE):
            while not await asyncio.to_thread(store.is_told, xid, list(office.lab.nodes)):
                await asyncio.sleep(0.05)
    return Run(changed - began), Run(time.perf_counter() - changed)
