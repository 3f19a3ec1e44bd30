"""From a file of users to phones that can use it: rows and caches, beside pjsip.conf and a Reload.

Ours is the whole command on a real Asterisk: written, told, and read back. The rival has one file to write
and one action to send, and keeps neither records nor history.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from benchmarks.databases import NUMBERS, Database
from benchmarks.measure import Row, Run, median, say
from benchmarks.people import Person, changed, people, write_csv
from benchmarks.pjsip_conf import PATIENCE, FileAsterisk
from provisioner.errors import ActionTimeout
from provisioner.lab import Lab

ROUNDS: Final = 3

_RELOAD: Final = "pjsip.conf anew and Reload"
_GAVE_UP: Final = f"Reload: not done in {PATIENCE} s"

Pair = tuple[Run, Run]
"""Everybody anew, then 1 % of them changed."""


def run(size: int, rounds: int = ROUNDS) -> Iterator[Row]:
    """The rows of one size.

    A Reload's time grows with the square of the users: where it is not done in time, it is tried once only.
    """
    say(f"{size:,} users: a real Asterisk")
    before = people(size)
    after = changed(before)
    ours: list[Pair] = []
    its: list[Pair] = []
    rival = _RELOAD
    for turn in range(rounds):
        ours.append(_applied(before, after))
        say(f"round {turn + 1} of {rounds}: apply: {ours[-1][0]}; 1 % changed: {ours[-1][1]}")
        if rival == _GAVE_UP:
            continue
        try:
            its.append(_reloaded(before, after))
            say(f"round {turn + 1} of {rounds}: Reload: {its[-1][0]}; 1 % changed: {its[-1][1]}")
        except ActionTimeout:
            rival, its = _GAVE_UP, [(Run(PATIENCE), Run(PATIENCE))]
            say(rival)
    for index, name in enumerate(("first apply, told and read back", "1 % changed, told and read back")):
        mine, theirs = (median([pair[index] for pair in pairs]) for pairs in (ours, its))
        yield Row(f"{name}, {size:,} users", mine, rival, theirs)


def _applied(before: Sequence[Person], after: Sequence[Person]) -> Pair:
    with Lab(numbers=NUMBERS) as lab:
        environment = {"PROVISIONER_HOME": str(lab.home)}
        database = Database("lab", lab.must("db", "url").strip(), lab.config, environment)

        def apply(rows: Sequence[Person]) -> Run:
            file = write_csv(rows, lab.home / "office.csv")
            return database.provisioner("apply", str(file), "--yes", "--quiet")

        return apply(before), apply(after)


def _reloaded(before: Sequence[Person], after: Sequence[Person]) -> Pair:
    last = max(index for index, person in enumerate(after) if person != before[index])
    with FileAsterisk() as asterisk:
        return asterisk.load(before, before[-1]), asterisk.load(after, after[last])
