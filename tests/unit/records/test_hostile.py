"""Hostile input in every field: refused with one clear, printable sentence, or kept unchanged."""

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.errors import InvalidRecord
from provisioner.records import validate_user

PRINTABLE = [
    "a;b", "a^b", "a^3Bb", 'a"b', "a'b", "a\\b", "a\\", "${EXTEN}", "${SHELL(id)}", "_", "a_b", "%", "a%b",
    "'; DROP TABLE ps_auths;--", "{message}", "%s%n", "$(id)", "`id`", "שלום", "مرحبا", "😀",
    "👨\u200d👩\u200d👧", "🏴\U000e0067\U000e007f", "Иван", "Zażółć gęślą jaźń", "-h", "--name", "e\u0301",
    "<b>", "a,b", "a|b", "a&b", "0", "null",
]  # fmt: skip

UNPRINTABLE = [
    "a\rb", "a\nb", "a\r\nAction: Command", "a\0b", "x" * 10_000, "\u202eevil", "a\u2066b", "\ud800",
    "a\udfffb", "\ufeffa", "a\u2028b", "\x1b[31mred", "a\x7fb", "a\x85b", "\u3164", " ", "", "\uffff",
    "\ue000", "a\u00adb",
]  # fmt: skip

HOSTILE = [*PRINTABLE, *UNPRINTABLE]

FIELDS = ("login", "name", "email", "number", "lines", "label", "kind", "active", "secret")


def typed(field: str, value: object) -> dict[str, Any]:
    """A good user, but for one value."""
    user: dict[str, Any] = {"login": "ivan", "name": "Ivan", "email": None, "active": True}
    extension: dict[str, Any] = {"number": "7001", "lines": 1}
    alias: dict[str, Any] = {"label": "support"}
    if field in user:
        user[field] = value
    elif field == "label":
        alias["label"] = value
    else:
        extension[field] = value
    return {**user, "extensions": [extension, alias]}


def outcome(field: str, value: object) -> tuple[object, str]:
    """What became of the value: (kept, "") or (None, the refusal)."""
    try:
        spec = validate_user(**typed(field, value))
    except InvalidRecord as exc:
        for problem in exc.problems:
            assert problem.field.split(".")[-1] == field
            assert problem.message.isprintable()
            assert len(problem.message) < 500
        return None, str(exc)
    if field in ("login", "name", "email", "active"):
        return getattr(spec, field), ""
    held = getattr(spec.extensions[1 if field == "label" else 0], field)
    return (held.reveal() if field == "secret" else held), ""


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: ascii(value)[:30])
def test_a_hostile_value_is_refused_clearly_or_kept_unchanged(field: str, value: str) -> None:
    kept, refusal = outcome(field, value)
    blank_means_none = value == "" and field in ("email", "number", "label")
    assert (
        refusal
        or blank_means_none
        or str(kept) in (value, unicodedata.normalize("NFC", value))
        or (field in ("active", "lines") and value == "0")
    )


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: ascii(value)[:30])
def test_a_name_keeps_every_printable_text_and_nothing_else(value: str) -> None:
    kept, _ = outcome("name", value)
    assert kept == (value if value in PRINTABLE else None)


@pytest.mark.parametrize("field", ["number", "lines", "kind"])
@pytest.mark.parametrize(
    "value", [v for v in HOSTILE if v not in ("", "0")], ids=lambda value: ascii(value)[:30]
)
def test_what_becomes_an_id_or_a_count_never_takes_a_hostile_value(field: str, value: str) -> None:
    assert outcome(field, value)[1]


@given(st.sampled_from(FIELDS), st.text(max_size=120))
def test_any_text_in_any_field_is_refused_clearly_or_kept(field: str, value: str) -> None:
    kept, refusal = outcome(field, value)
    if field == "name" and kept is not None:
        assert kept == value.strip()
    elif field == "login" and kept is not None:
        assert kept == unicodedata.normalize("NFC", value)
    elif field == "secret" and kept is not None:
        assert kept == value
    assert bool(refusal) == (kept is None) or (kept is None and value == "")


@given(
    st.dictionaries(
        st.text(max_size=10), st.one_of(st.none(), st.integers(), st.text(max_size=20), st.lists(st.none()))
    )
)
def test_fields_that_nobody_knows_are_refused_by_name(fields: dict[str, Any]) -> None:
    unknown = {k: v for k, v in fields.items() if k not in ("login", "name", "check_secrets")}
    with pytest.raises(InvalidRecord) as caught:
        validate_user(**unknown)
    assert {"login", "name"} <= {problem.field for problem in caught.value.problems}
