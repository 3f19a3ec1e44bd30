"""What an administrator types, checked: every error at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from provisioner.errors import InvalidRecord, Problem
from provisioner.records import fields as rules
from provisioner.records.login import parse_login
from provisioner.records.models import Kind, endpoint_id
from provisioner.records.secrets import secret_fault
from provisioner.records.text import show
from provisioner.secret import Secret

if TYPE_CHECKING:
    from provisioner.records.entry import Part


def _login(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{show(value)} is not a text; expected a login")
    return parse_login(value)


class _Checked(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


Spec = TypeVar("Spec", bound=_Checked)
T = TypeVar("T")


class ExtensionSpec(_Checked):
    """One extension as asked for.

    Without a number it gets the next free one (an alias: the primary number), without a secret a new one.
    """

    number: Annotated[str | None, BeforeValidator(rules.parse_number)] = None
    lines: Annotated[int, BeforeValidator(rules.parse_lines)] = 1
    secret: Annotated[Secret | None, BeforeValidator(rules.parse_secret)] = None
    kind: Annotated[Kind, BeforeValidator(rules.parse_kind)] = Kind.PRIMARY
    label: Annotated[str | None, BeforeValidator(rules.parse_label)] = None


class PersonSpec(_Checked):
    """A user as asked for, less the extensions."""

    login: Annotated[str, BeforeValidator(_login)]
    name: Annotated[str, BeforeValidator(rules.parse_name)]
    email: Annotated[str | None, BeforeValidator(rules.parse_email)] = None
    active: Annotated[bool, BeforeValidator(rules.parse_active)] = True
    webrtc: Annotated[bool, BeforeValidator(rules.parse_webrtc)] = False


class UserSpec(PersonSpec):
    """A user as asked for; made by :func:`validate_user`, which also holds the rules between extensions."""

    extensions: tuple[ExtensionSpec, ...] = (ExtensionSpec(),)


def validate_user(*, check_secrets: bool = True, **fields: Any) -> UserSpec:
    """The user that was typed: ``login``, ``name``, ``email``, ``active``, ``webrtc``, ``extensions``.

    ``extensions`` is a list of mappings with ``number``, ``lines``, ``secret``, ``kind``, ``label``; without
    any, the user gets one primary extension. Where ``kind`` is left out, the first is primary, one with
    a label an alias, any other additional.

    Raises InvalidRecord with every problem at once. A problem of an only extension is named like
    ``lines``, one of several like ``extensions[1].lines``. ``check_secrets=False`` leaves out
    :func:`check_secret` (some ms each) for callers that know the secret is the one in use.
    """
    given = fields.pop("extensions", None)
    person, problems = _parse(PersonSpec, fields, "")
    if isinstance(given, Sequence) and not isinstance(given, str):
        raw = list(given) or [{}]
    else:
        raw = [{}]
        if given is not None:
            problems.append(Problem("extensions", f"{show(given)} is not a list of extensions"))
    parsed: list[ExtensionSpec | None] = []
    for index, part in enumerate(raw):
        spec, found = _parse(ExtensionSpec, _with_kind(part, index), _place(index, len(raw)))
        parsed.append(spec)
        problems += found
    problems += between(parsed)
    if check_secrets:
        problems += _secrets(raw, fields)
    if problems or person is None:
        raise InvalidRecord(problems)
    # Only what was said, so that the rest still counts as not said.
    said = {field: getattr(person, field) for field in person.model_fields_set}
    return UserSpec(**said, extensions=tuple(part for part in parsed if part is not None))


def _parse(model: type[Spec], value: object, place: str) -> tuple[Spec | None, list[Problem]]:
    try:
        return model.model_validate(value), []
    except ValidationError as exc:
        return None, [
            Problem(_at(place, *(str(part) for part in error["loc"])), _message(error, model))
            for error in exc.errors(include_url=False, include_input=False)
        ]


def _message(error: ErrorDetails, model: type[BaseModel]) -> str:
    if error["type"] == "missing":
        return "is missing"
    if error["type"] == "extra_forbidden":
        known = [*model.model_fields, *(["extensions"] if model is PersonSpec else [])]
        return f"is no field of it; expected {', '.join(known)}"
    cause = error.get("ctx", {}).get("error")
    return str(cause) if isinstance(cause, ValueError) else "is not a mapping of field to value"


def _with_kind(part: object, index: int) -> object:
    if not isinstance(part, Mapping) or part.get("kind") is not None:
        return part
    other = Kind.ALIAS if part.get("label") else Kind.ADDITIONAL
    return {**part, "kind": Kind.PRIMARY if index == 0 else other}


def _place(index: int, count: int) -> str:
    return "" if count == 1 else f"extensions[{index}]"


def _at(place: str, *fields: str) -> str:
    return ".".join(part for part in (place, *fields) if part) or "extensions"


def between(parts: Sequence[ExtensionSpec | Part | None]) -> Iterator[Problem]:
    """What is wrong between the extensions of one user; those that are wrong by themselves are left out."""
    numbers = [part.number for part in parts if part is not None and part.kind is not Kind.ALIAS]
    primary = parts[0].number if parts[0] is not None else None
    seen: dict[str, int] = {}
    for index, part in enumerate(parts):
        if part is None:
            continue
        place = _place(index, len(parts))
        yield from (Problem(_at(place, field), message) for field, message in _kind_faults(part, index))
        if part.kind is Kind.ALIAS and part.number and part.number not in numbers and None not in parts:
            known = ", ".join(number for number in numbers if number) or "none given"
            yield Problem(
                _at(place, "number"),
                f"{part.number} is no number of this user; expected one of its own ({known})",
            )
        number = part.number or (primary if part.kind is Kind.ALIAS else None)
        if (part.label is None) if part.kind is Kind.ALIAS else (number is None):
            continue
        id = endpoint_id(number or "", part.label)
        first = seen.setdefault(id, index)
        if first != index:
            field = "label" if part.kind is Kind.ALIAS else "number"
            yield Problem(
                _at(place, field), f"{id.lstrip('-')} is given twice, in extensions[{first}] already"
            )


def _kind_faults(part: ExtensionSpec | Part, index: int) -> Iterator[tuple[str, str]]:
    if index == 0 and part.kind is not Kind.PRIMARY:
        yield "kind", f"the first extension must be primary, and is {part.kind}"
    if index > 0 and part.kind is Kind.PRIMARY:
        yield "kind", "only the first extension can be primary; expected additional or alias"
    if part.kind is Kind.ALIAS and part.label is None:
        yield "label", "is missing; an alias needs 1 to 20 of a-z and 0-9, such as support"
    if part.kind is not Kind.ALIAS and part.label is not None:
        yield "label", f"only an alias has a label, and this is {part.kind}"


def _secrets(parts: Sequence[object], person: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with chosen secrets, also with those of extensions that have other faults."""
    known = [text for text in (person.get("login"), person.get("name")) if isinstance(text, str)]
    for index, part in enumerate(parts):
        fields = dict(part) if isinstance(part, Mapping | ExtensionSpec) else {}
        secret = _read(rules.parse_secret, fields.get("secret"))
        if secret is None:
            continue
        words = [str(fields[field]) for field in ("number", "label") if fields.get(field)]
        fault = secret_fault(secret, _read(rules.parse_lines, fields.get("lines")) or 1, [*known, *words])
        if fault:
            yield Problem(_at(_place(index, len(parts)), "secret"), fault)


def _read(rule: Callable[[object], T], value: object) -> T | None:
    try:
        return rule(value)
    except ValueError:
        return None
