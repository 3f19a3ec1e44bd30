"""The rules of the other fields; each raises ValueError with one sentence: what it got, what is expected."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from provisioner.records.models import Kind
from provisioner.records.text import is_visible, show, unprintable
from provisioner.secret import Secret

MAX_NAME: Final = 200
MAX_EMAIL: Final = 254
MAX_LINES: Final = 99
MAX_LABEL: Final = 20

_NUMBER = re.compile(r"[0-9]{2,15}")
_LABEL = re.compile(r"[a-z0-9]{1,20}")
_OFFICE_DOMAINS: Final = frozenset({"local", "test"})
_YES: Final = frozenset({"yes", "true", "on", "1"})
_NO: Final = frozenset({"no", "false", "off", "0"})
_COUNTS: Final = {str(count): count for count in range(1, MAX_LINES + 1)}

# What most e-mail addresses are made of; the library takes 30 us for each. Where capitals stand, so does a
# dot: it takes some plain names, such as Postmaster, for the same in any case.
_LOCAL: Final = re.compile(r"[a-z0-9]+(?:[._+-][a-z0-9]+)*|[A-Za-z0-9]+(?:\.[A-Za-z0-9]+)+")
_DOMAIN: Final = re.compile(r"[A-Za-z0-9]+(?:[.-][A-Za-z0-9]+)*")
_MAX_ORDINARY_EMAIL: Final = 64


def parse_name(value: object) -> str:
    """A person's name of 1 to 200 characters in any script, without the spaces around it; else unchanged.

    Line breaks, control characters and characters that reorder the text after them are refused.
    """
    text = _text(value, "a name")
    # What Python prints may stay; what its tables call unprintable may only be newer than they are.
    if 0 < len(text) <= MAX_NAME and text.isprintable() and is_visible(text[0]):
        return text.strip()
    for char in text:
        found = unprintable(char)
        if found:
            raise ValueError(f"{show(text)} holds {found}; a name has printable characters only")
    name = text.strip()
    if not any(is_visible(char) for char in name):
        raise ValueError(f"{show(text)} is empty; a name has 1 to {MAX_NAME} characters")
    if len(name) > MAX_NAME:
        raise ValueError(f"{show(text)} is too long; a name has 1 to {MAX_NAME} characters")
    return name


def parse_email(value: object) -> str | None:
    """An e-mail address, its domain in lower case; None where there is none. No name server is asked."""
    text = _optional_text(value, "an e-mail address")
    if text is None:
        return None
    if len(text) > MAX_EMAIL:
        raise ValueError(f"{show(text)} is too long; an e-mail address has at most {MAX_EMAIL} characters")
    local, _, domain = text.partition("@")
    if len(text) <= _MAX_ORDINARY_EMAIL and _LOCAL.fullmatch(local) and (known := _domain(domain)):
        return f"{local}@{known}"
    return _whole_email(text)


@lru_cache(maxsize=1024)
def _domain(domain: str) -> str | None:
    """An ordinary domain as it is kept; None where it is none."""
    try:
        return _whole_email(f"a@{domain}").partition("@")[2] if _DOMAIN.fullmatch(domain) else None
    except ValueError:
        return None


def _whole_email(text: str) -> str:
    from email_validator import EmailNotValidError, validate_email

    # The library refuses domains that the public mail system does not carry, and offices use them.
    head, _, last = text.rpartition(".")
    office = last.lower() if last.lower() in _OFFICE_DOMAINS else None
    asked = f"{head}.example" if office else text
    try:
        checked = validate_email(asked, check_deliverability=False)
    except (EmailNotValidError, UnicodeError):
        raise ValueError(f"{show(text)} is not an e-mail address; expected somebody@example.com") from None
    return f"{checked.normalized.removesuffix('example')}{office}" if office else checked.normalized


def parse_active(value: object) -> bool:
    """Whether the user may register: yes or no, true or false, on or off, 1 or 0."""
    return _yes_or_no(value)


def parse_webrtc(value: object) -> bool:
    """Whether the user's phones are browsers, in the same words."""
    return _yes_or_no(value)


def _yes_or_no(value: object) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).lower() if isinstance(value, str | int) else ""
    if word in _YES | _NO:
        return word in _YES
    raise ValueError(f"{show(value)} is neither yes nor no")


def parse_number(value: object) -> str | None:
    """An extension number of 2 to 15 digits 0-9; None for the next free one."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if -(10**20) < value < 10**20 else show(value)
    text = _optional_text(value, "a number")
    if text is None:
        return None
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{show(text)} is not an extension number; expected 2 to 15 digits 0-9")
    return text


def parse_lines(value: object) -> int:
    """A line count, 1 to 99, as a number or in digits."""
    if isinstance(value, str) and value in _COUNTS:
        return _COUNTS[value]
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_LINES:
        raise ValueError(f"{show(value)} is not a number of lines; expected 1 to {MAX_LINES}")
    return value


def parse_kind(value: object) -> Kind:
    """One of primary, additional, alias."""
    try:
        return Kind(value)  # type: ignore[arg-type]
    except ValueError:
        raise ValueError(f"{show(value)} is not a kind; expected {', '.join(Kind)}") from None


def parse_label(value: object) -> str | None:
    """The label of an alias: 1 to 20 of a-z and 0-9."""
    text = _optional_text(value, "a label")
    if text is not None and not _LABEL.fullmatch(text):
        raise ValueError(f"{show(text)} is not a label; expected 1 to {MAX_LABEL} of a-z and 0-9")
    return text


def parse_secret(value: object) -> Secret | None:
    """A chosen secret, or None for a made one; an error says nothing of the value."""
    if value is None or isinstance(value, Secret):
        return value
    if isinstance(value, str):
        return Secret(value)
    raise ValueError("is not a text")


def _text(value: object, what: str) -> str:
    if isinstance(value, str):
        return value
    raise ValueError(f"{show(value)} is not a text; expected {what}")


def _optional_text(value: object, what: str) -> str | None:
    return None if value is None or value == "" else _text(value, what)
