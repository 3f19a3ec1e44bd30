"""Files become checked entries, each problem with its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from provisioner.errors import InvalidRecord, Problem
from provisioner.files.format import Format
from provisioner.files.input import Input
from provisioner.files.raw import Fault, Raw
from provisioner.records import Entry, Kind, Part, login_key
from provisioner.records.checked import check_entry
from provisioner.records.text import show

_PLACE: Final = re.compile(r"^extensions\[([0-9]+)\]\.?")
_TWICE: Final = re.compile(r"in extensions\[([0-9]+)\] already$")


def read_entries(input: Input) -> Iterator[Entry | Problem]:
    """The users of a file as they stand in it, each as an Entry or as Problems; reads on whatever is wrong.

    Logins and numbers are unique in a file. The extensions after the primary one come sorted, so that the
    order of rows does not matter. Afterwards ``input.sha256`` is valid. Raises FileError where the file
    cannot be read on.
    """
    check = _Checks(input)
    for item in _items(input):
        if isinstance(item, Fault):
            yield Problem(item.field, item.message, input.at(item.line))
        else:
            yield from check(item)
    input.drain()


def _items(input: Input) -> Iterator[Raw | Fault]:
    match input.format:
        case Format.CSV:
            from provisioner.files import csvfile, table

            with input.text() as text:
                yield from table.users(csvfile.rows(text))
        case Format.JSONL:
            from provisioner.files import jsonlines

            with input.text() as text:
                yield from jsonlines.users(text)
        case Format.YAML:
            from provisioner.files import yamlfile

            with input.text() as text:
                yield from yamlfile.users(text)
        case Format.XLSX:
            from provisioner.files import sheet, table

            yield from table.users(sheet.rows(input.name, input.bytes()))


class _Checks:
    """The rules of one user, and those between the users of a file."""

    def __init__(self, input: Input) -> None:
        self._at = input.at
        self._logins: dict[str, int] = {}
        self._numbers: dict[str, int] = {}

    def __call__(self, raw: Raw) -> Iterator[Entry | Problem]:
        line, person, extensions, complete, lines, _ = raw
        problems: list[Problem] = []
        entry = None
        try:
            entry = check_entry(person, extensions, line=line, complete=complete, lines=lines)
        except InvalidRecord as exc:
            problems += (self._placed(raw, problem) for problem in exc.problems)
        problems += self._twice(raw, entry)
        if problems:
            yield from problems
        elif entry is not None:
            yield _ordered(entry)

    def _twice(self, raw: Raw, entry: Entry | None) -> list[Problem]:
        login = entry.login if entry is not None else raw.person.get("login")
        problems = []
        if isinstance(login, str) and login:
            first = self._logins.setdefault(login_key(login), raw.line)
            if first != raw.line:
                problems.append(
                    Problem(
                        "login", f"{show(login)} is given twice, in line {first} already", self._at(raw.line)
                    )
                )
        for part in entry.extensions if entry is not None else ():
            if part.number is None or part.kind is Kind.ALIAS:
                continue
            line = part.line or raw.line
            first = self._numbers.setdefault(part.number, line)
            if first != line:
                problems.append(
                    Problem(
                        "number", f"{part.number} is given twice, in line {first} already", self._at(line)
                    )
                )
        return problems

    def _placed(self, raw: Raw, problem: Problem) -> Problem:
        """The problem at its line; in a table by its column, elsewhere by its path."""
        field, message = problem.field, problem.message
        found = _PLACE.match(field)
        line = _line(raw, int(found[1])) if found else raw.line
        if raw.table:
            field = _PLACE.sub("", field) or "row"
            message = _TWICE.sub(lambda twice: f"in line {_line(raw, int(twice[1]))} already", message)
        return Problem(field, message, self._at(line))


def _line(raw: Raw, index: int) -> int:
    return (raw.lines[index] if index < len(raw.lines) else None) or raw.line


def _ordered(entry: Entry) -> Entry:
    if len(entry.extensions) < 3:
        return entry
    from dataclasses import replace

    first, *others = entry.extensions
    others.sort(key=_place)
    return replace(entry, extensions=(first, *others))


def _place(part: Part) -> tuple[str, str, int, str]:
    """Where it stands among the others: all that it says, since a number may be left to be given."""
    secret = part.secret.reveal() if part.secret is not None else ""
    return part.number or "", part.label or "", part.lines or 0, secret
