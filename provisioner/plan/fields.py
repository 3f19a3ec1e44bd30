"""In which fields two records of one user differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from operator import attrgetter
from typing import Final, NamedTuple

from provisioner.plan.plan import CHANGED
from provisioner.records import Extension, User

Shown = str | int | bool | None
"""What is shown of a field."""

_PERSON: Final = ("login", "name", "email", "active", "webrtc", "source")
_VALUES: Final = attrgetter(*_PERSON)
_NOBODY: Final = (None,) * len(_PERSON)


class Difference(NamedTuple):
    """One field before and after; of a secret never more than that it changed.

    ``field`` is ``name``, ``7001.lines`` and the like; ``7001`` alone is an extension that is added (``old``
    is None) or taken away (``new`` is None), and in words what it was or will be: ``additional, 2 lines``.
    """

    field: str
    old: Shown
    new: Shown

    @property
    def is_secret(self) -> bool:
        """Whether it is that of a secret, which has no values to show."""
        return self.field.endswith(".secret")

    @property
    def is_extension(self) -> bool:
        """Whether it is a whole extension, added or taken away."""
        return self.field[0].isdigit() and "." not in self.field


def differences(before: User | None, after: User | None) -> list[Difference]:
    """Every field that differs, the person's first, then by endpoint id; None is no user."""
    return [*of_person(before, after), *_of_extensions(_by_id(before), _by_id(after))]


def of_person(before: User | None, after: User | None) -> list[Difference]:
    """The same without the extensions."""
    values = zip(
        _PERSON, _VALUES(before) if before else _NOBODY, _VALUES(after) if after else _NOBODY, strict=True
    )
    return [Difference(field, old, new) for field, old, new in values if old != new]


def in_words(part: Extension) -> str:
    """What an extension is: ``primary, 2 lines``."""
    return f"{part.kind.value}, {count(part.lines, 'line')}"


def count(number: int, thing: str, things: str | None = None) -> str:
    """``1 line``, ``1,200 lines``."""
    return f"1 {thing}" if number == 1 else f"{number:,} {things or thing + 's'}"


def _of_extensions(before: Mapping[str, Extension], after: Mapping[str, Extension]) -> Iterator[Difference]:
    for id in sorted(before.keys() | after.keys()):
        old, new = before.get(id), after.get(id)
        if old is None or new is None:
            yield Difference(id, in_words(old) if old else None, in_words(new) if new else None)
            continue
        if old.kind is not new.kind:
            yield Difference(f"{id}.kind", old.kind.value, new.kind.value)
        if old.lines != new.lines:
            yield Difference(f"{id}.lines", old.lines, new.lines)
        if old.credentials != new.credentials:
            yield Difference(f"{id}.secret", CHANGED, CHANGED)


def _by_id(user: User | None) -> dict[str, Extension]:
    return {} if user is None else {part.endpoint_id: part for part in user.extensions}
