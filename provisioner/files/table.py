"""Tables: rows of cells, as CSV files and sheets have them, become users.

One row is one extension. A row whose kind is ``additional`` or ``alias``, or that has a label, belongs to the
user of that login, wherever the two stand. Only a table with a ``kind`` or ``label`` column can say that; its
users are held until its end, because their other rows may come last.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from provisioner.files.format import COLUMNS, EXTENSION, PERSON, unknown
from provisioner.files.raw import Fault, Raw
from provisioner.records import Kind, login_key
from provisioner.records.text import show


class Row(NamedTuple):
    """One row; ``line`` is where it begins."""

    line: int
    cells: Sequence[str]


class Header:
    """The first row: which column says what."""

    def __init__(self, row: Row) -> None:
        names = [name.strip("\ufeff \t\u00a0").lower() for name in row.cells]
        while names and not names[-1]:
            names.pop()
        self.line = row.line
        self.width = len(row.cells)
        self.names = names
        self.place = {name: names.index(name) for name in COLUMNS if name in names}
        self.unnamed = [index for index in range(self.width) if index >= len(names) or not names[index]]
        self.others = "kind" in self.place or "label" in self.place
        """Whether the table can say that a user has more than one extension."""

    def faults(self) -> Iterator[Fault]:
        """What is wrong with it, once for the whole table."""
        for index, name in enumerate(self.names):
            if name and name not in COLUMNS and self.place:
                yield Fault(self.line, _shown(name), unknown(name, COLUMNS))
            elif name in COLUMNS and self.names.index(name) != index:
                yield Fault(self.line, name, "is the name of two columns; leave one")
        if self.missing:
            had = ", ".join(_shown(name) for name in self.names[:20] if name) or "none"
            yield Fault(
                self.line,
                " and ".join(self.missing),
                f"no such column, and each user needs it; the first row names the columns, and has: {had}",
            )

    @property
    def missing(self) -> list[str]:
        """The columns that are needed and not there."""
        return [name for name in PERSON[:2] if name not in self.place]


def users(rows: Iterable[Row | Fault]) -> Iterator[Raw | Fault]:
    """What a table says; its first row is the header."""
    rows = iter(rows)
    for first in rows:
        if isinstance(first, Fault):
            yield first
            return
        break
    else:
        yield Fault(1, "login and name", "the file is empty; its first row names the columns: login,name,...")
        return
    header = Header(first)
    yield from header.faults()
    if not header.missing:
        yield from _joined(header, rows) if header.others else _each(header, rows)


def _each(header: Header, rows: Iterable[Row | Fault]) -> Iterator[Raw | Fault]:
    make = _maker(header)
    for row in _sound(header, rows):
        yield row if isinstance(row, Fault) else make(row)


def _joined(header: Header, rows: Iterable[Row | Fault]) -> Iterator[Raw | Fault]:
    """The users of a table whose rows may belong together, in the order of their primary rows."""
    kind, label, login = header.place.get("kind"), header.place.get("label"), header.place["login"]
    held: deque[Row | Fault] = deque()
    others: defaultdict[str, list[Row]] = defaultdict(list)
    for row in _sound(header, rows):
        if isinstance(row, Row) and (
            (kind is not None and row.cells[kind].strip(" ").lower() not in ("", Kind.PRIMARY))
            or (label is not None and row.cells[label].strip(" "))
        ):
            others[login_key(row.cells[login].strip(" "))].append(row)
        else:
            held.append(row)
    make = _maker(header)
    while held:
        row = held.popleft()
        if isinstance(row, Fault):
            yield row
            continue
        mine = others.pop(login_key(row.cells[login].strip(" ")), []) if others else []
        yield from _differences(header, row, mine)
        yield make(row, mine)
    for orphans in others.values():
        for row in orphans:
            yield Fault(
                row.line,
                "login",
                f"{show(row.cells[login])} has no primary row in this file; each user has one",
            )


def _sound(header: Header, rows: Iterable[Row | Fault]) -> Iterator[Row | Fault]:
    """The rows that are as wide as the header and say something."""
    for row in rows:
        if isinstance(row, Fault):
            yield row
        elif len(row.cells) != header.width:
            if any(row.cells):
                yield Fault(
                    row.line, "row", f"has {_cells(len(row.cells))}, and the header has {header.width}"
                )
        elif header.unnamed and any(row.cells[index].strip(" ") for index in header.unnamed):
            yield Fault(row.line, "row", "has a value in a column without a name")
        elif any(row.cells):
            yield row


def _maker(header: Header) -> Callable[..., Raw]:
    """What turns rows into users; made once, because it runs for each row."""
    said = [(name, header.place[name]) for name in PERSON if name in header.place]
    parts = [(name, header.place[name]) for name in EXTENSION if name in header.place]
    flags = [name for name in ("active", "webrtc") if name in header.place]
    complete = header.others

    def extension(cells: Sequence[str]) -> dict[str, object]:
        # A secret is taken as it stands.
        return {
            name: cells[place] if name == "secret" else cells[place].strip(" ")
            for name, place in parts
            if cells[place]
        }

    def make(row: Row, others: Sequence[Row] = ()) -> Raw:
        line, cells = row
        person: dict[str, object] = {name: cells[place].strip(" ") for name, place in said}
        for name in flags:
            if person[name] == "":
                del person[name]
        extensions = [extension(cells)]
        if not others:
            return Raw(line, person, extensions, complete, (), True)
        extensions += [extension(other.cells) for other in others]
        return Raw(line, person, extensions, complete, (None, *(other.line for other in others)), True)

    return make


def _differences(header: Header, row: Row, others: Sequence[Row]) -> Iterator[Fault]:
    """What the other rows of a user say about the person that the primary one does not."""
    for other in others:
        for name in PERSON[1:]:
            place = header.place.get(name)
            if place is None:
                continue
            given, first = other.cells[place].strip(" "), row.cells[place].strip(" ")
            if given and given != first:
                yield Fault(
                    other.line,
                    name,
                    f"{show(given)} is not what line {row.line} says of this user, {show(first)}; "
                    "leave it empty or make them the same",
                )


def _shown(name: str) -> str:
    return name if name.isprintable() and len(name) <= 40 else show(name)


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"
