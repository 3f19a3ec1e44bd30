"""From a file to a plan: its entries against the records there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from provisioner.errors import Conflict, FileError, InvalidRecord, Problem
from provisioner.files import Format, open_input, read_entries
from provisioner.plan import UserChange, UserPlan, Verb, count
from provisioner.plan.compare import Comparison, Held, lacking
from provisioner.records import Entry, Kind, login_key
from provisioner.records.text import show, unprintable
from provisioner.service.bulk import uncollected
from provisioner.service.numbers import Collision, collisions
from provisioner.service.progress import Progress, counted, silent
from provisioner.service.write import maker

if TYPE_CHECKING:
    from pathlib import Path

    from provisioner.service.app import App
    from provisioner.store import StoredUser, Transaction


MAX_SOURCE: Final = 200
"""Most characters of a source's name."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Whose users a file speaks for, and what it may do.

    ``prune`` deletes the source's users that the file does not have; ``adopt`` takes over users made by hand.
    Raises FileError for what cannot be the name of a source.
    """

    source: str
    prune: bool = False
    adopt: bool = False

    def __post_init__(self) -> None:
        if not 1 <= len(self.source) <= MAX_SOURCE or any(map(unprintable, self.source)):
            raise FileError(
                f"{show(self.source)} cannot be the name of a source, which has 1 to {MAX_SOURCE} printable "
                "characters; name one with --source"
            )


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file read to its end: entries by login key, and what is wrong with the others."""

    name: str
    format: Format
    sha256: str
    entries: Mapping[str, Entry]
    problems: tuple[Problem, ...]
    guessed: str | None
    """The encoding, where it follows from the letters alone."""


def read(
    path: Path | None, format: Format | None = None, encoding: str | None = None, progress: Progress = silent
) -> Wanted:
    """Read users from a file, or from standard input; raises FileError where it cannot be read at all."""
    entries: dict[str, Entry] = {}
    problems: list[Problem] = []
    with uncollected(), open_input(path, format=format, encoding=encoding) as given:
        for item in counted(read_entries(given), progress, "read"):
            if isinstance(item, Entry):
                entries[login_key(item.login)] = item
            else:
                problems.append(item)
        guessed = given.encoding if given.guessed else None
        return Wanted(given.name, given.format, given.sha256, entries, tuple(problems), guessed)


def plan_users(
    app: App, tx: Transaction, wanted: Wanted, rules: Rules, progress: Progress = silent
) -> UserPlan:
    """What has to happen so that the users of a file are what it says.

    Raises InvalidRecord with every problem of the file and of what it meets in the database, in its order.
    """
    planner = _Planner(app, tx, wanted, rules)
    plan = planner.plan(progress)
    problems = [*wanted.problems, *planner.problems]
    problems += map(planner.placed, collisions(app, tx, plan.changes))
    if problems:
        lines = len({problem.where for problem in problems})
        found = f"{count(len(problems), 'problem')} in {count(lines, 'line')} of {wanted.name}"
        raise InvalidRecord(sorted(problems, key=_line), f"{found}; nothing was written")
    return plan


@dataclass
class _Planner:
    app: App
    tx: Transaction
    wanted: Wanted
    rules: Rules
    changes: list[UserChange] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    unnumbered: list[tuple[Entry, Held | None]] = field(default_factory=list)
    unchanged: int = 0

    def plan(self, progress: Progress) -> UserPlan:
        self.comparison = Comparison(self.rules.source, maker(self.app), self.wanted.name, self.rules.adopt)
        self.new = dict(self.wanted.entries)
        self._those_there(progress)
        deleted = self.tx.deleted_for(self.new, self.app.settings.numbers.rest_days)
        for key, entry in self.new.items():
            stored = deleted.get(key)
            own = stored is not None and self.comparison.speaks_for(stored.user)
            self._compare(entry, _held(stored) if own else None)
        self._number()
        count = self.tx.count_of(self.rules.source)
        return UserPlan(tuple(self.changes), self.rules.source, self.unchanged, count)

    def placed(self, collision: Collision) -> Problem:
        """The problem of a number, at its line."""
        entry = self.wanted.entries[collision.change.key]
        lines = {part.number: part.line for part in entry.extensions if part.kind is not Kind.ALIAS}
        return self._problem(lines.get(collision.number) or entry.line, collision.why)

    def _problem(self, line: int, message: str) -> Problem:
        return Problem("number", message, f"{self.wanted.name}:{line}")

    def _those_there(self, progress: Progress) -> None:
        """Compare the users there are; what is left in ``new`` has none."""
        source = self.rules.source if self.rules.prune else None
        found = self.tx.users_for(self.wanted.entries.keys(), source)
        for stored in counted(found, progress, "compared"):
            entry = self.new.pop(login_key(stored.user.login), None)
            if entry is not None:
                self._compare(entry, _held(stored))
            else:
                self.changes.append(UserChange(Verb.DELETE, stored.user, None, stored.id))

    def _compare(self, entry: Entry, held: Held | None, numbers: Iterator[str] | None = None) -> None:
        if numbers is None and lacking(entry, held.user if held else None):
            self.unnumbered.append((entry, held))
            return
        try:
            change = self.comparison.change(entry, held, numbers or iter(()))
        except InvalidRecord as exc:
            self.problems += exc.problems
            return
        if change is None:
            self.unchanged += 1
        else:
            self.changes.append(change)

    def _number(self) -> None:
        """Give those without a number the next free ones, by login: the order of rows makes no difference."""
        self.unnumbered.sort(key=lambda pair: login_key(pair[0].login))
        count = sum(lacking(entry, held.user if held else None) for entry, held in self.unnumbered)
        if not count:
            return
        numbers = self.app.settings.numbers
        entries = self.wanted.entries.values()
        taken = {part.number for entry in entries for part in entry.extensions if part.number}
        try:
            free = self.tx.allocate_numbers(numbers.ranges, count, numbers.rest_days, besides=taken)
        except Conflict as exc:
            first = min(entry.line for entry, _ in self.unnumbered)
            self.problems.append(self._problem(first, str(exc).rstrip(".")))
            return
        given = iter(free)
        for entry, held in self.unnumbered:
            self._compare(entry, held, given)


def _held(stored: StoredUser | None) -> Held | None:
    return None if stored is None else Held(stored.id, stored.user, stored.deleted_at is not None)


def _line(problem: Problem) -> int:
    """Where a problem stands: ``users.csv:12``."""
    line = (problem.where or "").rpartition(":")[2]
    return int(line) if line.isdigit() else 0
