"""The ordinary user of a long file, checked in a few microseconds; any other goes the whole way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from provisioner.records import fields as rules
from provisioner.records.entry import Entry, Part, entry_of
from provisioner.records.login import parse_login
from provisioner.records.models import Kind
from provisioner.records.spec import between, validate_user

_PERSON: Final = frozenset({"login", "name", "email", "active", "webrtc"})
_PART: Final = frozenset({"number", "kind", "label", "lines", "secret"})


def check_entry(
    person: Mapping[str, object],
    extensions: Sequence[Mapping[str, object]],
    *,
    line: int,
    complete: bool = True,
    lines: Sequence[int | None] = (),
) -> Entry:
    """What ``entry_of(validate_user(...))`` makes of it, secrets unchecked, at a third of the cost.

    Raises InvalidRecord with every problem at once.
    """
    entry = _ordinary(person, extensions, line, complete, lines)
    if entry is None:
        spec = validate_user(check_secrets=False, **person, extensions=list(extensions))
        entry = entry_of(spec, line, complete=complete, lines=tuple(lines))
    return entry


def _ordinary(
    person: Mapping[str, object],
    extensions: Sequence[Mapping[str, object]],
    line: int,
    complete: bool,
    lines: Sequence[int | None],
) -> Entry | None:
    """The entry, or None where anything about it is wrong or not as usual."""
    if not person.keys() <= _PERSON:
        return None
    try:
        login = person["login"]
        if not isinstance(login, str):
            return None
        if len(extensions) == 1:
            parts: tuple[Part, ...] = (_part(extensions[0], 0, lines[0] if lines else None),)
        else:
            parts = tuple(
                _part(fields, index, lines[index] if index < len(lines) else None)
                for index, fields in enumerate(extensions or ({},))
            )
        entry = Entry(
            parse_login(login),
            rules.parse_name(person["name"]),
            (rules.parse_email(person["email"]) or "") if "email" in person else None,
            rules.parse_active(person["active"]) if "active" in person else None,
            parts,
            complete,
            line,
            rules.parse_webrtc(person["webrtc"]) if "webrtc" in person else None,
        )
    except (ValueError, KeyError):
        return None
    alone = len(parts) == 1 and parts[0].kind is Kind.PRIMARY and parts[0].label is None
    return entry if alone or not any(between(parts)) else None


def _part(fields: Mapping[str, object], index: int, line: int | None) -> Part:
    if not fields.keys() <= _PART:
        raise ValueError
    said = fields.get("kind")
    if said is not None:
        kind = rules.parse_kind(said)
    elif index == 0:
        kind = Kind.PRIMARY
    else:
        kind = Kind.ALIAS if fields.get("label") else Kind.ADDITIONAL
    return Part(
        rules.parse_number(fields.get("number")),
        kind,
        rules.parse_label(fields.get("label")),
        rules.parse_lines(fields["lines"]) if "lines" in fields else None,
        rules.parse_secret(fields.get("secret")),
        line,
    )
