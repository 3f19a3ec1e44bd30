"""A plan in a file, to be looked at by somebody else and applied later, when it still is what would happen.

JSON lines: a header with where the plan comes from and its counts, then one line for each change as
:func:`provisioner.plan.report.data` gives it. There is no secret and no digest in it, so it can only be
compared: what is applied is made anew from the same input.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from types import UnionType
from typing import Any, Final, get_type_hints

from provisioner.errors import PlanError
from provisioner.plan.fields import count as counted
from provisioner.plan.report import Orders, data, head
from provisioner.plan.users import UserPlan, Verb
from provisioner.records import login_key
from provisioner.records.text import show

FORM: Final = 1
"""Of the file, in its header."""

_JSON: Final = json.JSONEncoder(ensure_ascii=False)
_MARK: Final = "provisioner_plan"
_COUNTED: Final = [verb.value for verb in Verb]
_PARTS: Final = {"extensions": "extensions are", "secrets": "new secrets are", "nodes": "what nodes do is"}
_WORD: Final = re.compile(r"[a-z0-9.-]+")


@dataclass(frozen=True, slots=True)
class Origin:
    """What a plan was made from, and how: all that is needed to make it again."""

    file: str
    """Its absolute path."""
    sha256: str
    """Of its content, in hex."""
    format: str
    encoding: str | None
    source: str
    prune: bool
    adopt: bool


_KINDS: Final[Mapping[str, type | UnionType]] = get_type_hints(Origin)


@dataclass(frozen=True, slots=True)
class Saved:
    """A plan that was read from a file; ``changes`` are its lines as they stand, by login."""

    origin: Origin
    changes: dict[str, str]


def dump(plan: UserPlan, origin: Origin, effects: Iterable[Orders]) -> Iterator[str]:
    """The lines of the file, each with its line break, in UTF-8 (letters of every script as themselves)."""
    # The path may hold bytes that are no text, which only escapes can carry.
    yield json.dumps({_MARK: FORM, "origin": asdict(origin), **head(plan)}) + "\n"
    for line in _lines(plan, effects):
        yield line + "\n"


def is_saved(line: str) -> bool:
    """Whether a file with this first line is a saved plan, whole or not."""
    return line.startswith(f'{{"{_MARK}":')


def load(lines: Iterable[str], name: str) -> Saved:
    """What :func:`dump` wrote; ``name`` is the file's, for errors.

    Raises PlanError, with file and line, for anything else, and for a file that was cut off.
    """
    numbered = enumerate(lines, 1)
    first = next(numbered, (1, ""))[1]
    if not is_saved(first):
        raise PlanError(f"{name} is no saved plan; make one with `provisioner plan FILE --out {name}`")
    header = _object(first, f"{name}:1")
    if header[_MARK] != FORM:
        raise PlanError(f"{name} was saved by another version (form {show(header[_MARK])}); plan again")
    origin, expected = _origin(header, f"{name}:1")
    changes: dict[str, str] = {}
    for number, line in numbered:
        change = _object(line, f"{name}:{number}")
        login = change.get("login")
        if not isinstance(login, str) or not isinstance(change.get("fields"), dict):
            raise PlanError(f"{name}:{number} is no change of a user; plan again")
        changes[login_key(login)] = line.rstrip("\n")
    if len(changes) != expected:
        raise PlanError(f"{name} has {len(changes):,} of its {counted(expected, 'change')}; plan again")
    return Saved(origin, changes)


def snapshot(plan: UserPlan, effects: Iterable[Orders]) -> dict[str, str]:
    """A plan to compare a later one with: what the file holds of each change, by login."""
    return {change.key: line for change, line in zip(plan, _lines(plan, effects), strict=True)}


def moved(agreed: Mapping[str, str], plan: UserPlan, effects: Iterable[Orders]) -> list[str]:
    """How the plan made now differs from the one agreed to (a snapshot): a sentence for each difference.

    Where in the input a change stands does not count.
    """
    found: list[str] = []
    left = dict(agreed)
    for change, line in zip(plan, _lines(plan, effects), strict=True):
        then = left.pop(change.key, None)
        if then is None:
            found.append(f"{show(change.user.login)}: now also to {change.verb.value}")
        elif then != line:
            found += _differences(json.loads(then), json.loads(line))
    gone = (json.loads(line) for line in left.values())
    return [*found, *(f"{show(one['login'])}: no longer to {_word(one.get('verb'))}" for one in gone)]


def _lines(plan: UserPlan, effects: Iterable[Orders]) -> Iterator[str]:
    return map(_JSON.encode, data(plan, effects))


def _differences(then: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    """What of one change differs; ``then`` is as somebody may have edited it."""
    who = show(now["login"])
    if then.get("verb") != now["verb"]:
        yield f"{who}: to {now['verb']} instead of to {_word(then.get('verb'))}"
        return
    old, new = then["fields"], now["fields"]
    fields = [field for field in {**new, **old} if old.get(field) != new.get(field)]
    for field in fields:
        yield f"{who}: {_word(field)}: {_said(new.get(field))} instead of {_said(old.get(field))}"
    for part, words in _PARTS.items():
        if not fields and then.get(part) != now[part]:
            yield f"{who}: {words} other than saved"


def _said(field: object) -> str:
    if isinstance(field, dict):
        return f"{show(field.get('old'))} -> {show(field.get('new'))}"
    return "unchanged" if field is None else _word(field)


def _word(value: object) -> str:
    """A word of ours, which needs no quotes; anything else that stands in its place gets them."""
    return value if isinstance(value, str) and _WORD.fullmatch(value) else show(value)


def _origin(header: dict[str, Any], where: str) -> tuple[Origin, int]:
    """Where the plan comes from, and how many changes it has."""
    origin, totals = header.get("origin"), header.get("totals")
    if not isinstance(origin, dict) or not isinstance(totals, dict) or origin.keys() != _KINDS.keys():
        raise PlanError(f"{where} lacks what a plan was made from; plan again")
    counts = [count for count in map(totals.get, _COUNTED) if isinstance(count, int)]
    right = all(isinstance(origin[name], kind) for name, kind in _KINDS.items())
    if not right or len(counts) < len(_COUNTED):
        raise PlanError(f"{where} has other values than a plan has; plan again")
    return Origin(**origin), sum(counts)


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise PlanError(f"{where} is no line of a saved plan; plan again")
    return found
