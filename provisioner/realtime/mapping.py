"""The one table that says which column is written with what, and why.

A new field of a user is one line here. The options are those that ``config show help res_pjsip
endpoint|auth|aor`` of Asterisk 22.10 describes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

from provisioner.realtime.callerid import callerid
from provisioner.realtime.encode import encode_value
from provisioner.realtime.limits import check_codecs, check_width
from provisioner.realtime.rows import AORS, AUTHS, ENDPOINTS, Value
from provisioner.records import Extension, User


class Options(Protocol):
    """What of the settings the rows depend on; ``settings.AsteriskSettings`` is one. Times in seconds."""

    @property
    def context(self) -> str: ...
    @property
    def codecs(self) -> Sequence[str]: ...
    @property
    def language(self) -> str: ...
    @property
    def full_aor(self) -> str: ...
    @property
    def sip_secret_storage(self) -> str: ...
    @property
    def media_encryption(self) -> str: ...
    @property
    def qualify_frequency(self) -> int: ...
    @property
    def min_expiration(self) -> int: ...
    @property
    def default_expiration(self) -> int: ...
    @property
    def max_expiration(self) -> int: ...


class Storage(Enum):
    """How an auth row holds what a secret is checked with."""

    DIGEST = "password_digest"
    """MD5 and SHA-256, since Asterisk 20.12 / 21.7 / 22.2."""
    MD5 = "md5_cred"
    """MD5 alone, for a database without the column password_digest."""
    PLAIN = "password"
    """The secret itself, where ``sip_secret_storage = "plain"``."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a value is computed from."""

    user: User
    extension: Extension
    id: str
    """The endpoint id."""
    storage: Storage


@dataclass(frozen=True, slots=True)
class Constant:
    """A column that is the same for every extension under the same settings."""

    table: str
    column: str
    value: Callable[[Options], Value]
    why: str
    essential: bool = False


@dataclass(frozen=True, slots=True)
class Personal:
    """A column that depends on the extension; ``value`` also gets the column's width (None: no limit).

    A text it returns is final: encoded, and checked to fit.
    """

    table: str
    column: str
    value: Callable[[Subject, int | None], Value]
    why: str
    essential: bool = False


def _text(
    table: str, column: str, text: Callable[[Subject], str | None]
) -> Callable[[Subject, int | None], Value]:
    def value(subject: Subject, width: int | None) -> Value:
        found = text(subject)
        return None if found is None else check_width(table, column, encode_value(found), width)

    return value


def _personal(
    table: str, column: str, text: Callable[[Subject], str | None], why: str, essential: bool = False
) -> Personal:
    return Personal(table, column, _text(table, column, text), why, essential)


def _lines(subject: Subject, width: int | None) -> int:
    return subject.extension.lines


def _callerid(subject: Subject, width: int | None) -> str:
    return callerid(subject.user.name, subject.extension.number, width)


def _auth_type(subject: Subject) -> str:
    return "md5" if subject.storage is Storage.MD5 else "userpass"


def _digests(subject: Subject) -> str | None:
    held = subject.extension.credentials
    return f"MD5:{held.md5},SHA-256:{held.sha256}" if subject.storage is Storage.DIGEST else None


def _md5(subject: Subject) -> str | None:
    return subject.extension.credentials.md5 if subject.storage is Storage.MD5 else None


def _plain(subject: Subject) -> str | None:
    plain = subject.extension.credentials.plain
    return plain.reveal() if plain is not None and subject.storage is Storage.PLAIN else None


def _encryption(options: Options) -> str | None:
    return None if options.media_encryption == "no" else options.media_encryption


def _dtls(options: Options, word: str) -> str | None:
    return word if options.media_encryption == "dtls" else None


CONSTANTS: Final = (
    Constant(ENDPOINTS, "transport", lambda o: None, "a phone may come over any transport the node offers"),
    Constant(ENDPOINTS, "context", lambda o: o.context, "where the dialplan takes its calls", True),
    Constant(ENDPOINTS, "disallow", lambda o: "all", "only what allow names", True),
    Constant(ENDPOINTS, "allow", lambda o: ",".join(check_codecs(o.codecs)), "in the order preferred", True),
    Constant(ENDPOINTS, "identify_by", lambda o: "username", "never by address: the secret decides"),
    Constant(ENDPOINTS, "direct_media", lambda o: "no", "phones behind NAT cannot reach each other"),
    Constant(ENDPOINTS, "rewrite_contact", lambda o: "yes", "the address it sends from, not a private one"),
    Constant(ENDPOINTS, "force_rport", lambda o: "yes", "answers go back where the request came from"),
    Constant(ENDPOINTS, "rtp_symmetric", lambda o: "yes", "sound goes back where it came from"),
    Constant(ENDPOINTS, "dtmf_mode", lambda o: "auto", "RFC 4733, or in the sound where a phone lacks it"),
    Constant(ENDPOINTS, "language", lambda o: o.language, "of the announcements"),
    # Empty where it is "no": rows of before need no change.
    Constant(ENDPOINTS, "media_encryption", _encryption, "SRTP, or no call", True),
    Constant(
        ENDPOINTS, "dtls_auto_generate_cert", lambda o: _dtls(o, "yes"), "its fingerprint is in the SDP"
    ),
    Constant(
        ENDPOINTS, "dtls_verify", lambda o: _dtls(o, "fingerprint"), "phones have no certificates of a CA"
    ),
    Constant(ENDPOINTS, "dtls_setup", lambda o: _dtls(o, "actpass"), "whoever the phone lets begin"),
    Constant(ENDPOINTS, "webrtc", lambda o: None, "for browsers alone, see WEBRTC"),
    Constant(AUTHS, "supported_algorithms_uas", lambda o: None, "the node's [global] decides for all"),
    Constant(AUTHS, "supported_algorithms_uac", lambda o: None, "the node's [global] decides for all"),
    Constant(AORS, "remove_existing", lambda o: _replaces(o), "what one phone too many does", True),
    Constant(AORS, "remove_unavailable", lambda o: "yes", "a dead phone makes room before a living one"),
    Constant(AORS, "qualify_frequency", lambda o: o.qualify_frequency, "is the phone still there?"),
    Constant(AORS, "minimum_expiration", lambda o: o.min_expiration, "a phone may not refresh more often"),
    Constant(AORS, "default_expiration", lambda o: o.default_expiration, "for a phone that names none"),
    Constant(AORS, "maximum_expiration", lambda o: o.max_expiration, "a phone that vanished is forgotten"),
)

PERSONAL: Final = (
    _personal(ENDPOINTS, "aors", lambda s: s.id, "where its phones register", True),
    # Empty, Asterisk would register anybody without a challenge.
    _personal(ENDPOINTS, "auth", lambda s: s.id, "nobody registers without the secret", True),
    Personal(ENDPOINTS, "callerid", _callerid, "name and number, shown to whom it calls"),
    Personal(ENDPOINTS, "device_state_busy_at", _lines, "queues and lamps show it busy when all lines are"),
    _personal(AUTHS, "auth_type", _auth_type, "upstream's column knows no 'digest'; userpass means it", True),
    _personal(AUTHS, "username", lambda s: s.id, "the SIP username, and part of the digests", True),
    # Of the digests, not of the settings: another realm than they were made for fits no secret.
    _personal(AUTHS, "realm", lambda s: s.extension.credentials.realm, "part of the digests", True),
    _personal(AUTHS, Storage.DIGEST.value, _digests, "both, so that a node may ask for either"),
    _personal(AUTHS, Storage.MD5.value, _md5, "for Asterisk before 20.12 / 21.7 / 22.2"),
    _personal(AUTHS, Storage.PLAIN.value, _plain, "empty unless plain storage is asked for"),
    Personal(AORS, "max_contacts", _lines, "as many phones as lines; 0 would refuse all", True),
)

WEBRTC: Final = (
    # Means AVPF, ICE, rtcp-mux and bundle too; the rest of what it means is written out.
    Constant(ENDPOINTS, "webrtc", lambda o: "yes", "what browsers speak, and nothing else", True),
    Constant(ENDPOINTS, "media_encryption", lambda o: "dtls", "the only one that browsers know", True),
    Constant(ENDPOINTS, "dtls_auto_generate_cert", lambda o: "yes", "its fingerprint is in the SDP"),
    Constant(
        ENDPOINTS, "dtls_verify", lambda o: "fingerprint", "browsers make their certificates themselves"
    ),
    Constant(ENDPOINTS, "dtls_setup", lambda o: "actpass", "whoever the browser lets begin"),
)
"""What is other than in CONSTANTS for the extensions of a user whose phones are browsers."""


def _replaces(options: Options) -> str:
    return "yes" if options.full_aor == "replace" else "no"
