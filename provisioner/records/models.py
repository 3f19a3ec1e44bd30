"""The record of a user as the rest of the product sees it: complete, valid, frozen."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from provisioner.secret import Secret


class Kind(StrEnum):
    """What an extension is to its user."""

    PRIMARY = "primary"
    """The first number; every user has exactly one."""
    ADDITIONAL = "additional"
    """One more number of its own."""
    ALIAS = "alias"
    """Another SIP account on one of the user's numbers, told apart by a label (``7001-support``)."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What is kept of a SIP secret: enough to check a registration, not enough to read the secret.

    A digest lets whoever has it register, so it is kept out of every repr like the secret itself.
    """

    md5: str = field(repr=False)
    """32 lower-case hex digits: MD5 of ``username:realm:secret``."""
    sha256: str = field(repr=False)
    """64 lower-case hex digits: SHA-256 of the same."""
    realm: str
    plain: Secret | None = None
    """The secret itself, only where ``sip_secret_storage = "plain"``."""
    chosen_length: int | None = None
    """Characters of a chosen secret, which limit the lines; None for a generated one, which is random."""


@dataclass(frozen=True, slots=True)
class IssuedSecret:
    """A secret as it was given to an extension: shown once, kept nowhere in plaintext."""

    endpoint_id: str
    secret: Secret
    generated: bool


@dataclass(frozen=True, slots=True)
class Extension:
    """One SIP account of a user."""

    number: str
    """2 to 15 digits."""
    kind: Kind
    lines: int
    """How many incoming calls it takes at once, and how many phones may register: 1 to 99."""
    credentials: Credentials
    label: str | None = None
    """Of an alias only: 1 to 20 of ``a-z0-9``."""

    @property
    def endpoint_id(self) -> str:
        """Its id in Asterisk, the same in ps_endpoints, ps_auths and ps_aors; also the SIP username."""
        return endpoint_id(self.number, self.label)


@dataclass(frozen=True, slots=True)
class User:
    """A person's record."""

    login: str
    name: str
    email: str | None
    active: bool
    extensions: tuple[Extension, ...]
    """The first is the primary one."""
    source: str | None = None
    """Which files speak for the user: the name of their source; None: made by hand."""
    webrtc: bool = False
    """Whether the phones are browsers: SIP over WebSocket, sound over DTLS and ICE."""

    @property
    def primary(self) -> Extension:
        """The user's main extension."""
        return self.extensions[0]

    @property
    def endpoint_ids(self) -> tuple[str, ...]:
        """The Asterisk ids of all extensions, in their order."""
        return tuple(extension.endpoint_id for extension in self.extensions)


def endpoint_id(number: str, label: str | None = None) -> str:
    """The Asterisk id of an extension: ``7001``, or ``7001-support`` for an alias."""
    return number if label is None else f"{number}-{label}"
