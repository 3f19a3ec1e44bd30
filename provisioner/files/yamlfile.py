"""YAML: a list of users, or a mapping ``users: [...]``, read event by event.

Scalars stay texts, so that the number ``0070`` and the name ``No`` are what they look like. Anchors, aliases
and tags are refused: a list of users needs none, and a few lines of them can stand for gigabytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TextIO

import yaml

from provisioner.files import tree
from provisioner.files.format import unknown
from provisioner.files.raw import Fault, Raw

_NOTHING: Final = frozenset({"", "~", "null", "Null", "NULL"})
_DEEPEST: Final = 3
"""Levels in a user: its extensions, one of them, its fields."""


def users(text: TextIO) -> Iterator[Raw | Fault]:
    """The users of a file; reading ends at the first line that is no YAML, which is a Fault then."""
    reader = _Reader(text)
    try:
        yield from reader.users()
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        line = mark.line + 1 if mark is not None else reader.line
        yield Fault(line, "file", f"is not YAML from here on: {exc.problem or exc.context}")
    except yaml.reader.ReaderError as exc:
        code = f"U+{exc.character:04X}" if isinstance(exc.character, int) else ascii(exc.character)
        yield Fault(reader.line, "file", f"is not YAML from here on: {code} may not stand in it")
    except RecursionError:
        yield Fault(reader.line, "file", "is not read from here on: it is nested too deeply")


class _Reader:
    """The events of a file, taken one after the other."""

    def __init__(self, text: TextIO) -> None:
        loader = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
        self._events: Iterator[yaml.Event] = iter(yaml.parse(text, Loader=loader))
        self._faults: list[Fault] = []
        self._lines: list[int | None] = []
        self.line = 1
        """Of the last user begun."""

    def users(self) -> Iterator[Raw | Fault]:
        found = False
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                root = next(self._events)
                found = found or not _is_nothing(root)
                yield from self._document(root)
        if not found:
            yield Fault(1, "file", "is empty; expected a list of users (- login: ...)")

    def _document(self, root: yaml.Event) -> Iterator[Raw | Fault]:
        if isinstance(root, yaml.SequenceStartEvent):
            yield from self._marks(root)
            yield from self._list()
        elif isinstance(root, yaml.MappingStartEvent):
            yield from self._marks(root)
            yield from self._mapping()
        elif not _is_nothing(root):
            yield Fault(_line(root), "file", "is not a list of users (- login: ...)")

    def _mapping(self) -> Iterator[Raw | Fault]:
        for key in self._until(yaml.MappingEndEvent):
            name = key.value if isinstance(key, yaml.ScalarEvent) else None
            if name is None:
                self._node(key, 0)
            value = next(self._events)
            if name == "users" and isinstance(value, yaml.SequenceStartEvent):
                yield from self._marks(value)
                yield from self._list()
                continue
            if name == "users":
                if not _is_nothing(value):
                    yield Fault(_line(value), "users", "is not a list of users (- login: ...)")
            else:
                shown = tree.shown(name) if name is not None else "key"
                yield Fault(_line(key), shown, unknown(str(name), ["users"]))
            self._node(value, 0)

    def _list(self) -> Iterator[Raw | Fault]:
        for event in self._until(yaml.SequenceEndEvent):
            self.line = _line(event)
            self._faults, self._lines = [], []
            value = self._node(event, 0)
            if self._faults:
                yield from self._faults
            else:
                lines = tuple(None if line == self.line else line for line in self._lines)
                yield from tree.user(value, self.line, lines if any(lines) else ())

    def _node(self, event: yaml.Event, depth: int) -> object:
        """What begins with this event; what is wrong with its form is noted, and it is read to its end."""
        if isinstance(event, yaml.ScalarEvent):
            if event.anchor is not None or event.tag is not None:
                self._faults += self._marks(event)
            return None if event.implicit[0] and event.value in _NOTHING else event.value
        self._faults += self._marks(event)
        if depth > _DEEPEST and isinstance(event, yaml.CollectionStartEvent):
            self._faults.append(Fault(_line(event), "file", "is nested too deeply for a user"))
            self._skip()
        elif isinstance(event, yaml.SequenceStartEvent):
            return self._items(depth)
        elif isinstance(event, yaml.MappingStartEvent):
            return self._fields(depth)
        return None

    def _items(self, depth: int) -> list[object]:
        values = []
        for event in self._until(yaml.SequenceEndEvent):
            if depth == 1:
                self._lines.append(_line(event))
            values.append(self._node(event, depth + 1))
        return values

    def _fields(self, depth: int) -> dict[str, object]:
        values: dict[str, object] = {}
        for event in self._until(yaml.MappingEndEvent):
            key = event.value if isinstance(event, yaml.ScalarEvent) else str(self._node(event, depth + 1))
            if key in values:
                self._faults.append(Fault(_line(event), tree.shown(key), "is given twice; leave one"))
            if key == "extensions":
                self._lines = []
            values[key] = self._node(next(self._events), depth + 1)
        return values

    def _skip(self) -> None:
        depth = 1
        while depth:
            event = next(self._events)
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)

    def _until(self, end: type[yaml.Event]) -> Iterator[yaml.Event]:
        """The events that begin what stands in a list or mapping; the caller takes the rest of each."""
        for event in self._events:
            if isinstance(event, end):
                return
            yield event

    def _marks(self, event: yaml.Event) -> Iterator[Fault]:
        if isinstance(event, yaml.AliasEvent):
            yield Fault(_line(event), "file", "has an alias (*), which is not read; write the value out")
        elif isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            yield Fault(_line(event), "file", "has an anchor (&), which is not read; quote a text like this")
        if getattr(event, "tag", None) is not None:
            yield Fault(_line(event), "file", "has a tag (!), which is not read; quote a text like this")


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark is not None else 1


def _is_nothing(event: yaml.Event) -> bool:
    return isinstance(event, yaml.ScalarEvent) and bool(event.implicit[0]) and event.value in _NOTHING
