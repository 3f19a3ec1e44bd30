"""A registration storm: every phone registers again and again, as fast as the node answers.

Ours is an Asterisk on the rendered configuration, for both drivers and both places of contacts: warm, when
its caches hold everybody, and cold, when they hold nobody. The rival has the very same endpoints in its
pjsip.conf. The limit from below reads the database for every request.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from benchmarks.effect_office import Office
from benchmarks.measure import Rate, Row, Run, say
from benchmarks.people import people, write_csv
from benchmarks.pjsip_conf import FileAsterisk
from benchmarks.storm_rival import sections
from provisioner.lab.containers import Containers
from provisioner.lab.storm import Storm, storm
from provisioner.lab.waiting import free_port
from provisioner.secret import Secret

ROUNDS: Final = 5
LEAST: Final = 5_000
"""Registrations of a warm storm: where there are fewer phones, each comes several times."""
APPLIED: Final = 10_000
"""Users of the apply that goes on during a storm."""
THREADS: Final = 4
"""Asterisk's own, and so the rival's."""

_RIVAL: Final = "the same in pjsip.conf"
_UNCACHED: Final = "no caches"
_QUIET: Final = "the same without the apply"
_WARM_TARGET: Final = 0.85
_COLD_TARGET: Final = 0.3
_CACHES_TARGET: Final = 2.0


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the settings that a storm depends on."""

    driver: str
    contacts: str

    def __str__(self) -> str:
        return f"{self.driver}, {self.contacts}"


KINDS: Final = tuple(
    Kind(driver, contacts) for driver in ("pgsql", "odbc") for contacts in ("astdb", "realtime")
)

_OURS: Final = KINDS[0]
"""What the settings say unless told; the ratios aimed at are its."""


@dataclass(frozen=True, slots=True)
class Node:
    """An Asterisk and its phones; all of them are behind one UDP port, the same in every storm."""

    sip: str
    secrets: Mapping[str, Secret]
    port: int
    rx: Callable[[str], str]

    @classmethod
    def of(cls, office: Office) -> Self:
        """That of an office, started anew: so it knows every AOR, as the rival does."""
        office.lab.asterisk.restart()
        return cls(office.lab.sip, _secrets(office), free_port(), office.lab.asterisk.rx)

    def storm(self, registrations: int) -> Storm:
        """So many registrations, the phones in turn."""
        return storm(self.sip, self.secrets, registrations, port=self.port, containers=Containers())

    def forget(self) -> None:
        """Have its caches hold nobody."""
        for type in ("endpoint", "auth", "aor"):
            self.rx(f"sorcery memory cache expire res_pjsip/{type}")

    def cold(self) -> Storm:
        """One registration of each phone, none of them known."""
        self.forget()
        return self.storm(len(self.secrets))

    def check(self) -> None:
        """Raises RuntimeError unless all of its phones are registered, as 200 has told each."""
        found = re.search(r"Objects found: (\d+)", self.rx("pjsip show contacts"))
        registered = int(found.group(1)) if found else 0
        if registered != len(self.secrets):
            raise RuntimeError(
                f"after its storms {registered:,} phones are registered at {self.sip}, "
                f"and {len(self.secrets):,} were told that they are"
            )


def run(
    size: int,
    rounds: int = ROUNDS,
    least: int = LEAST,
    applied: int = APPLIED,
    kinds: Sequence[Kind] = KINDS,
) -> Iterator[Row]:
    """The rows of so many phones."""
    registrations = max(size, least)
    say(f"{size:,} phones: registration storms of {registrations:,}")
    with ExitStack() as stack:
        rival: Node | None = None
        for kind in kinds:
            with _office(size, kind) as office:
                rival = rival or _rival(stack.enter_context(FileAsterisk()), office)
                yield from _of_kind(rival, kind, office, registrations, rounds, applied)


def _rival(asterisk: FileAsterisk, office: Office) -> Node:
    asterisk.put(sections(office.url))
    asterisk.restart()
    return Node(asterisk.sip, _secrets(office), free_port(), asterisk.rx)


def _secrets(office: Office) -> dict[str, Secret]:
    return {desk.endpoint_id: desk.secret for desk in office.desks}


def _of_kind(
    rival: Node, kind: Kind, office: Office, registrations: int, rounds: int, applied: int
) -> Iterator[Row]:
    """The rows of one kind; where contacts are in the database, the same without caches takes part."""
    phones = f"{kind}, {len(office.desks):,} phones"
    with ExitStack() as stack:
        ours = Node.of(office)
        works = {
            _RIVAL: lambda: rival.storm(registrations),
            f"warm, {phones}": lambda: ours.storm(registrations),
            f"cold, {phones}": ours.cold,
        }
        known = [rival, ours]
        if kind.contacts == "realtime":
            bare = stack.enter_context(_office(len(office.desks), kind, caches=False))
            uncached = Node.of(bare)
            works[_UNCACHED] = lambda: uncached.storm(len(bare.desks))
            known.append(uncached)
        for node in known:
            node.storm(len(node.secrets))
        storms = _take_turns(works, rounds)
        for node in known:
            node.check()
        for name, target in ((f"warm, {phones}", _WARM_TARGET), (f"cold, {phones}", _COLD_TARGET)):
            yield beside(storms, name, _RIVAL, target if kind == _OURS else None)
        if _UNCACHED in storms:
            aimed = _CACHES_TARGET if kind.driver == _OURS.driver else None
            yield beside(storms, f"warm, {phones}", _UNCACHED, aimed)
    if kind == _OURS:
        quiet = _Median.of(storms[f"warm, {phones}"])
        yield from _during_apply(office, ours, quiet, registrations, applied)


def beside(storms: Mapping[str, Sequence[Storm]], name: str, rival: str, target: float | None) -> Row:
    """Both of the round in the middle by its ratio: a machine's pace wanders, and within a round least."""
    rounds = list(zip(storms[name], storms[rival], strict=True))
    rounds.sort(key=lambda both: both[0].per_second / both[1].per_second)
    ours, its = rounds[len(rounds) // 2]
    return Row(f"REGISTER {name}", Rate(ours.per_second), rival, Rate(its.per_second), target)


def _office(size: int, kind: Kind, **asterisk: Any) -> Office:
    """Rendered for this machine: as many threads as cores, where those are few.

    Nobody is qualified, nor is the rival's: 10,000 phones that are not there while others have their turn
    would be asked again and again, and slow down whoever has it.
    """
    threads = min(THREADS, os.cpu_count() or THREADS)
    return Office(size, driver=kind.driver, contacts=kind.contacts, sip_threads=threads, **asterisk)


@dataclass(frozen=True, slots=True)
class _Median:
    """Of several storms: the rate and the p99, in seconds; the longest registration is that of all storms."""

    per_second: float
    p99: float
    longest: float

    @classmethod
    def of(cls, storms: Sequence[Storm]) -> Self:
        return cls(
            statistics.median(one.per_second for one in storms),
            statistics.median(one.latencies.p99 for one in storms),
            max(one.longest for one in storms),
        )


def _take_turns(works: Mapping[str, Callable[[], Storm]], rounds: int) -> dict[str, list[Storm]]:
    storms: dict[str, list[Storm]] = {name: [] for name in works}
    for turn in range(rounds):
        for name, work in works.items():
            storms[name].append(work())
            say(f"round {turn + 1} of {rounds}: {name}: {storms[name][-1]}")
    return storms


def _during_apply(
    office: Office, node: Node, quiet: _Median, registrations: int, applied: int
) -> Iterator[Row]:
    """Storm after storm while somebody else applies a file of new users to the same database and node."""
    size = len(office.desks)
    new = [replace(person, login=f"new.{person.login}") for person in people(size + applied)[size:]]
    file = write_csv(new, office.lab.home / "new.csv")
    command = [
        sys.executable,
        "-m",
        "provisioner.cli",
        "--config",
        str(office.lab.config),
        "apply",
        str(file),
    ]
    process = subprocess.Popen([*command, "--yes", "--quiet"], env=office.environment, stderr=subprocess.PIPE)
    storms: list[Storm] = []
    while process.poll() is None:
        storms.append(node.storm(registrations))
        say(f"while {applied:,} users are applied: {storms[-1]}")
    said = process.communicate()[1].decode("utf-8", "replace")
    if process.returncode:
        raise RuntimeError(f"apply ended with {process.returncode}: {said[-2000:]}")
    meanwhile = _Median.of(storms)
    name = f"while {applied:,} users are applied"
    yield Row(f"REGISTER {name}", Rate(meanwhile.per_second), _QUIET, Rate(quiet.per_second))
    yield Row(f"p99 of a REGISTER {name}", Run(meanwhile.p99), _QUIET, Run(quiet.p99))
    yield Row(f"longest REGISTER {name}", Run(meanwhile.longest), _QUIET, Run(quiet.longest))
