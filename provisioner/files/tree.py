"""Mappings, as YAML and JSON have them, become users."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from provisioner.files.format import EXTENSION, PERSON, unknown
from provisioner.files.raw import Fault, Raw
from provisioner.records.text import show

_PERSON: Final = frozenset(PERSON)
_FLAT: Final = frozenset({"number", "lines", "secret"})
_EXTENSION: Final = frozenset(EXTENSION)
_KNOWN: Final = (*PERSON, "extensions", "number", "lines", "secret")
# What None says nothing about; of the others it is a value, or wrong.
_SILENT: Final = frozenset({"active", "webrtc", *EXTENSION})


def user(value: object, line: int, lines: Sequence[int | None] = ()) -> Iterator[Raw | Fault]:
    """One user, or what is wrong with its form; ``lines`` are those of its extensions."""
    if not isinstance(value, Mapping):
        yield Fault(line, "user", f"{_kind(value)} is not a mapping; expected login, name, ...")
        return
    keys = value.keys()
    faults = [Fault(line, shown(key), unknown(str(key), _KNOWN)) for key in keys if key not in _KNOWN]
    flat = {key: value[key] for key in _FLAT & keys if value[key] is not None}
    extensions = value.get("extensions")
    if extensions is None:
        parts: Sequence[object] = [flat]
    elif not isinstance(extensions, list):
        faults.append(Fault(line, "extensions", f"{_kind(extensions)} is not a list of extensions"))
        parts = []
    else:
        parts = extensions
        faults += [
            Fault(line, key, "stands beside extensions; put it into the first of them")
            for key in _FLAT
            if key in flat
        ]
    checked = []
    for index, part in enumerate(parts):
        place = f"extensions[{index}]"
        at = (lines[index] if index < len(lines) else None) or line
        if not isinstance(part, Mapping):
            faults.append(Fault(at, place, f"{_kind(part)} is not a mapping; expected number, lines, ..."))
            continue
        faults += [
            Fault(at, f"{place}.{shown(key)}", unknown(str(key), EXTENSION))
            for key in part
            if key not in _EXTENSION
        ]
        checked.append({key: said for key, said in part.items() if said is not None and said != ""})
    yield from faults
    if not faults:
        person = {key: value[key] for key in PERSON if key in keys and not _silent(key, value[key])}
        yield Raw(line, person, checked, extensions is not None, lines)


def _silent(key: str, value: object) -> bool:
    return key in _SILENT and (value is None or value == "")


def _kind(value: object) -> str:
    # Not the value itself: a secret may be part of it.
    return {str: "a text", list: "a list", dict: "a mapping", bool: "yes or no"}.get(type(value), "a number")


def shown(key: object) -> str:
    text = str(key)
    return text if text.isprintable() and len(text) <= 40 else show(text)
