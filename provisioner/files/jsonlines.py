"""JSON lines: one user a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, TextIO

from provisioner.files import tree
from provisioner.files.raw import Fault, Raw


class _Twice(ValueError):
    """A key that an object has twice."""


def users(text: TextIO) -> Iterator[Raw | Fault]:
    """The users of a file; a line that is no JSON object is a Fault, and reading goes on after it."""
    decode = json.JSONDecoder(object_pairs_hook=_mapping, parse_constant=_refuse).decode
    for line, written in enumerate(text, start=1):
        if line == 1:
            written = written.removeprefix("\ufeff")
        if not written.strip():
            continue
        try:
            value = decode(written)
        except _Twice as exc:
            yield Fault(line, str(exc), "is given twice; leave one")
        except json.JSONDecodeError as exc:
            yield Fault(line, "line", f"is not JSON: {exc.msg.lower()} (column {exc.colno})")
        except (ValueError, RecursionError):
            yield Fault(line, "line", "is not JSON that a user can be written in")
        else:
            yield from tree.user(value, line)


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise _Twice(tree.shown(next(name for name in names if names.count(name) > 1)))
    return found


def _refuse(constant: str) -> None:
    raise ValueError(constant)
