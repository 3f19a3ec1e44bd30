"""From a commit to its effect: the old secret is refused, and the new one registers.

Ours is a node that caches everything, with ``provisioner sync`` beside it. The rivals are an Asterisk whose
users stand in pjsip.conf, written anew and reloaded over AMI, and one on realtime without caches, where a
change needs nobody and every REGISTER reads the database.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final

from benchmarks.effect_office import Desk, Office
from benchmarks.effect_probe import Change, Effects, check
from benchmarks.measure import Row, Run, say
from benchmarks.people import Person, people
from benchmarks.pjsip_conf import PATIENCE, SECRET, FileAsterisk
from provisioner.errors import ActionTimeout
from provisioner.lab.latencies import quantile
from provisioner.lab.sip import Prober, Registrant
from provisioner.records.secrets import generate_secret
from provisioner.secret import Secret

CHANGES: Final = 300
COMMANDS: Final = 20
"""Changes by ``user secret``, each a process of its own."""
RELOADS: Final = 3
WARM: Final = 1_000
"""How many phones a node knows at first; the second time all of them."""
PAUSE: Final = 0.2
"""Seconds between two changes, half of them by chance: nothing here has a beat of its own."""

_RELOAD: Final = "pjsip.conf anew and Reload"
_GAVE_UP: Final = f"Reload: not done in {PATIENCE} s"
_LIMIT: Final = Run(0.1)
_FACTOR: Final = 1 / 50

How = Callable[[Desk], AbstractAsyncContextManager[Change]]


@dataclass(frozen=True, slots=True)
class _Cached:
    """``some`` and ``all`` of the phones known to the node, and so many cached endpoints each."""

    some: Effects
    some_cached: int
    all: Effects
    all_cached: int
    command: Effects
    whole_command: float
    register: float


def run(size: int, changes: int = CHANGES, commands: int = COMMANDS) -> Iterator[Row]:
    """The rows of one size."""
    say(f"{size:,} users: from commit to effect")
    ours = asyncio.run(_with_caches(size, changes, commands))
    uncached, uncached_register = asyncio.run(_without_caches(size, changes))
    rival, its = _reloaded(size)
    for effects, cached in ((ours.some, ours.some_cached), (ours.all, ours.all_cached)):
        name = f"secret changed, {size:,} users, {cached:,} cached"
        p50, p99 = (Run(effects.quantile(share)) for share in (0.5, 0.99))
        yield Row(f"{name}: p50", p50, rival, its)
        yield Row(f"{name}: p99", p99, rival, its, _FACTOR)
        yield Row(f"{name}: p99", p99, "the limit", _LIMIT, 1)
    yield Row(
        f"user secret, {size:,} users, from its commit: p50", Run(ours.command.quantile(0.5)), rival, its
    )
    yield Row(f"user secret, {size:,} users, whole command: p50", Run(ours.whole_command), rival, its)
    at_once = Run(uncached.quantile(0.5))
    yield Row(f"secret changed, {size:,} users: p50", Run(ours.some.quantile(0.5)), "no caches", at_once)
    yield Row(f"one REGISTER, {size:,} users: p50", Run(ours.register), "no caches", Run(uncached_register))


async def _with_caches(size: int, changes: int, commands: int) -> _Cached:
    with Office(size) as office, office.daemon():
        async with Prober() as prober:
            phones = _phones(office, prober)
            some = phones[: max(WARM, changes)]
            await office.warm(some)
            register = await _cost(office, some, "with caches")
            some_cached = office.cached()
            first = await _changed(office.by_hand, office.desks, some, changes)
            say(f"{some_cached:,} cached: {first}")
            by_command = await _changed(office.by_command, office.desks, some, commands)
            say(f"user secret: {by_command}")
            await office.warm(phones)
            all_cached = office.cached()
            second = await _changed(office.by_hand, office.desks, phones, changes)
            say(f"{all_cached:,} cached: {second}")
            whole_command = statistics.median(office.commands)
            return _Cached(first, some_cached, second, all_cached, by_command, whole_command, register)


async def _without_caches(size: int, changes: int) -> tuple[Effects, float]:
    with Office(size, caches=False) as office:
        async with Prober() as prober:
            phones = _phones(office, prober)
            register = await _cost(office, phones[:WARM], "no caches")
            effects = await _changed(office.by_hand, office.desks, phones, changes)
            say(f"no caches: {effects}")
            return effects, register


def _phones(office: Office, prober: Prober) -> list[Registrant]:
    return [prober.phone(desk.endpoint_id, desk.secret, office.lab.sip) for desk in office.desks]


async def _cost(office: Office, phones: Sequence[Registrant], name: str) -> float:
    """The median of one REGISTER after another, each of a phone that has registered before."""
    for phone in phones:
        await phone.register()
    before = await office.transactions()
    answers = [await phone.register() for phone in phones]
    queries = await office.transactions() - before
    times = sorted(answer.seconds for answer in answers)
    p50, p99 = (quantile(times, share) for share in (0.5, 0.99))
    each = queries / len(phones)
    say(f"{name}: a REGISTER takes p50 {p50 * 1000:.2f}, p99 {p99 * 1000:.2f} ms and {each:.1f} queries")
    return p50


async def _changed(how: How, desks: Sequence[Desk], phones: Sequence[Registrant], changes: int) -> Effects:
    """Another phone each time, as nobody changes a secret twice in a second; all are checked at the end."""
    chance = random.Random(changes)
    effects = Effects()
    chosen = chance.sample(range(len(phones)), min(changes, len(phones)))
    old = [phones[index].secret for index in chosen]
    for index in chosen:
        async with how(desks[index]) as change:
            await effects.add(phones[index], generate_secret(), change)
        await asyncio.sleep(PAUSE * chance.uniform(0.5, 1.5))
    await check([phones[index] for index in chosen], old)
    return effects


def _reloaded(size: int) -> tuple[str, Run]:
    """The rival's name and its median; or that it was given up, and when."""
    everybody = people(size)
    with FileAsterisk() as asterisk:
        try:
            say(f"Reload, the first: {asterisk.load(everybody, everybody[-1])}")
            effects = asyncio.run(_reloads(asterisk, everybody))
        except (ActionTimeout, TimeoutError):
            say(_GAVE_UP)
            return _GAVE_UP, Run(PATIENCE)
    say(f"Reload: {effects}")
    return _RELOAD, Run(effects.quantile(0.5))


async def _reloads(asterisk: FileAsterisk, everybody: Sequence[Person]) -> Effects:
    """Only one, where it takes longer than all others together would."""
    effects = Effects()
    async with Prober() as prober:
        for person in everybody[:RELOADS]:
            phone = prober.phone(person.number, SECRET, asterisk.sip)

            async def change(new: Secret, number: str = person.number) -> float:
                began = time.perf_counter()
                await asyncio.to_thread(asterisk.write, everybody, {number: new})
                await asterisk.reload()
                return began

            await effects.add(phone, generate_secret(), change, PATIENCE)
            if sum(effects.seconds) > PATIENCE / 3:
                break
    return effects
