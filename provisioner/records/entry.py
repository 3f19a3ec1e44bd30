"""A user as a file asks for it: what it does not say stays as it is, or is the default of a new user."""

from __future__ import annotations

from dataclasses import dataclass

from provisioner.records.models import Kind
from provisioner.records.spec import UserSpec
from provisioner.secret import Secret


@dataclass(frozen=True, slots=True)
class Part:
    """One extension as a file asks for it; None: the file does not say."""

    number: str | None
    kind: Kind
    label: str | None = None
    lines: int | None = None
    secret: Secret | None = None
    line: int | None = None
    """Where it stands, when that is another line than its user's."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One user of a file, checked by itself; ``line`` is where it stands (from 1)."""

    login: str
    name: str
    email: str | None
    """None: the file does not say; "": no e-mail address."""
    active: bool | None
    extensions: tuple[Part, ...]
    """The first is the primary one."""
    complete: bool
    """Whether ``extensions`` are all that the user is to have; else only those named are spoken of."""
    line: int
    webrtc: bool | None = None


def entry_of(
    spec: UserSpec, line: int, *, complete: bool = True, lines: tuple[int | None, ...] = ()
) -> Entry:
    """What a checked input asks for; ``lines`` are those of its extensions, where they differ."""
    said = spec.model_fields_set
    places = (*lines, *(None,) * (len(spec.extensions) - len(lines)))
    return Entry(
        login=spec.login,
        name=spec.name,
        email=(spec.email or "") if "email" in said else None,
        active=spec.active if "active" in said else None,
        extensions=tuple(
            Part(
                number=part.number,
                kind=part.kind,
                label=part.label,
                lines=part.lines if "lines" in part.model_fields_set else None,
                secret=part.secret,
                line=place,
            )
            for part, place in zip(spec.extensions, places, strict=True)
        ),
        complete=complete,
        line=line,
        webrtc=spec.webrtc if "webrtc" in said else None,
    )
