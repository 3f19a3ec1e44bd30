"""The settings there are, their defaults and their bounds."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from provisioner.errors import SettingsError
from provisioner.secret import Secret

_SHOWN = 40
"""Most characters of a wrong name that an error repeats."""


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _address(value: str) -> str:
    try:
        return str(ip_address(value))
    except ValueError:
        raise ValueError("expected an IP address such as 127.0.0.1 or 0.0.0.0") from None


def _not_empty(value: tuple[Any, ...]) -> tuple[Any, ...]:
    if not value:
        raise ValueError("expected at least one")
    return value


def _expand(value: Path) -> Path:
    return value.expanduser()


Address = Annotated[str, AfterValidator(_address)]
FilePath = Annotated[Path, AfterValidator(_expand)]
Port = Annotated[int, Field(ge=1, le=65535)]
# Words that are rendered into Asterisk's files or rows: nothing that could end a line or a value.
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=40)]
Host = Annotated[str, Field(pattern=r"^[A-Za-z0-9.:_\[\]/-]+$", max_length=255)]
SslMode = Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]
DigitString = Annotated[str, Field(pattern=r"^[0-9]{2,15}$")]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class DatabaseSettings(_Model):
    """Where PostgreSQL is; with no ``url`` the embedded server under ``home`` is used.

    ``asterisk_host``, ``asterisk_port`` and ``asterisk_sslrootcert`` say how a node reaches the database
    where that differs from how we do. ``sslmode`` and ``sslrootcert`` are libpq's; what the URL says of them
    wins. ``statement_timeout`` is how many seconds the server may take for one statement.
    """

    url: Secret | None = None
    password_file: FilePath | None = None
    asterisk_role: Word = "asterisk"
    asterisk_password: Secret | None = None
    asterisk_password_file: FilePath | None = None
    asterisk_schema: Word = "public"
    asterisk_host: Host | None = None
    asterisk_port: Port | None = None
    sslmode: SslMode | None = None
    sslrootcert: FilePath | None = None
    asterisk_sslrootcert: FilePath | None = None
    statement_timeout: float = Field(default=60.0, ge=0.1, le=3600)

    @model_validator(mode="after")
    def _tls_needs_a_url(self) -> Self:
        if self.url is None and (self.sslmode or self.sslrootcert):
            raise ValueError("sslmode and sslrootcert need a url: the embedded server has no TLS")
        return self

    def tls(self) -> dict[str, str]:
        """The parameters of libpq that say so; a CA alone means that certificate and name are checked."""
        if self.sslrootcert is None:
            return {"sslmode": self.sslmode} if self.sslmode else {}
        return {"sslmode": self.sslmode or "verify-full", "sslrootcert": str(self.sslrootcert)}


class NumberRange(_Model):
    """Numbers from ``first`` to ``last``, both included and equally long."""

    first: DigitString
    last: DigitString

    @classmethod
    def parse(cls, text: str) -> NumberRange:
        """Read ``7000-7999``; raises ValueError with what was expected."""
        first, dash, last = text.partition("-")
        if not (dash and first.strip().isascii() and first.strip().isdigit() and last.strip().isdigit()):
            raise ValueError(f"expected a range such as 7000-7999, got {text!r}")
        return cls(first=first.strip(), last=last.strip())

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if len(self.first) != len(self.last):
            raise ValueError(f"{self.first} and {self.last} must have the same number of digits")
        if self.first > self.last:
            raise ValueError(f"{self.first} is above {self.last}")
        return self

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"


def _to_range(value: object) -> object:
    return NumberRange.parse(value) if isinstance(value, str) else value


class NumberSettings(_Model):
    """Which numbers are given when none is asked for, and how long a deleted one rests (days)."""

    ranges: Annotated[
        tuple[Annotated[NumberRange, BeforeValidator(_to_range)], ...],
        BeforeValidator(_split),
        AfterValidator(_not_empty),
    ] = (NumberRange(first="7000", last="7999"),)
    rest_days: int = Field(default=30, ge=0, le=36500)


class ApplySettings(_Model):
    """What an apply may do without being asked twice."""

    limit_percent: int = Field(default=30, ge=0, le=100)
    """How much of a source of 10 or more users it deletes or cuts off without ``--force``."""


class HistorySettings(_Model):
    """How many days the history is kept, and with it what an undo needs; 0: for ever."""

    keep_days: int = Field(default=365, ge=0, le=36500)


class SyncSettings(_Model):
    """The daemon that keeps nodes told; times are seconds.

    ``port`` serves metrics and health on 127.0.0.1 (0: not at all). ``poll`` is how often the database is
    looked at unasked. A node that was ``away`` for longer gets its whole caches expired instead of every
    object that changed meanwhile.
    """

    port: int = Field(default=9469, ge=0, le=65535)
    poll: float = Field(default=5.0, ge=0.1, le=3600)
    away: int = Field(default=86400, ge=1, le=31536000)
    log: Literal["json", "text"] = "json"


class AsteriskSettings(_Model):
    """What the rendered configuration and the compiled rows say; the same for every node.

    Times are seconds. Within ``qualify_spread`` of its first registration a phone is asked whether it is
    there, and within as many of the node's start all of them are. ``full_aor`` is what happens to one device
    more than an extension has lines: ``replace`` drops the one that would expire first, ``refuse`` answers
    403. ``ws`` is bound to 127.0.0.1 whatever ``bind_address`` says. ``media_encryption`` is SRTP with keys
    in the SIP messages (``sdes``) or of a handshake beside them (``dtls``); no call goes without.
    """

    transports: Annotated[
        tuple[Literal["udp", "tcp", "tls", "ws", "wss"], ...],
        BeforeValidator(_split),
        AfterValidator(_not_empty),
    ] = ("udp",)
    bind_address: Address = "127.0.0.1"
    sip_port: Port = 5060
    tls_port: Port = 5061
    ws_port: Port = 8088
    wss_port: Port = 8089
    tls_cert: FilePath | None = None
    tls_key: FilePath | None = None
    rtp_first: Port = 10000
    rtp_last: Port = 20000
    context: Word = "users"
    codecs: Annotated[tuple[Word, ...], BeforeValidator(_split), AfterValidator(_not_empty)] = (
        "alaw",
        "ulaw",
        "g722",
    )
    language: Word = "en"
    realm: Word = "asterisk"
    qualify_frequency: int = Field(default=60, ge=0, le=86400)
    qualify_spread: int = Field(default=1, ge=1, le=86400)
    sip_threads: int = Field(default=4, ge=1, le=50)
    contacts: Literal["astdb", "realtime"] = "astdb"
    driver: Literal["pgsql", "odbc"] = "pgsql"
    full_aor: Literal["replace", "refuse"] = "replace"
    caches: bool = True
    cache_lifetime: int = Field(default=3600, ge=1, le=604800)
    contact_sweep: int = Field(default=3, ge=1, le=3600)
    min_expiration: int = Field(default=60, ge=1, le=604800)
    default_expiration: int = Field(default=3600, ge=1, le=604800)
    max_expiration: int = Field(default=7200, ge=1, le=604800)
    sip_secret_storage: Literal["digest", "plain"] = "digest"
    media_encryption: Literal["no", "sdes", "dtls"] = "no"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for transport in ("tls", "wss"):
            if transport in self.transports and not (self.tls_cert and self.tls_key):
                raise ValueError(f"transport {transport} needs tls_cert and tls_key")
        if self.media_encryption == "sdes" and "tls" not in self.transports:
            raise ValueError("media_encryption sdes sends its keys in SIP messages: it needs transport tls")
        if self.rtp_first > self.rtp_last:
            raise ValueError("rtp_first is above rtp_last")
        if not self.min_expiration <= self.default_expiration <= self.max_expiration:
            raise ValueError("min_expiration, default_expiration and max_expiration must rise")
        return self


class NodeSettings(_Model):
    """One Asterisk and its AMI account. Timeouts are seconds.

    With ``tls`` its certificate has to come from ``tls_ca`` (the system's CAs where none is named) and be for
    ``tls_server_name`` (``host`` where none is named); nothing switches that off. ``bind_address`` to
    ``sip_threads`` stand where this node differs from ``[asterisk]``, as nodes on one machine have to.
    """

    name: Word
    host: Host = "127.0.0.1"
    port: Port = 5038
    username: Word = "provisioner"
    secret: Secret | None = None
    secret_file: FilePath | None = None
    tls: bool = False
    tls_ca: FilePath | None = None
    tls_server_name: Host | None = None
    connect_timeout: float = Field(default=5.0, gt=0, le=300)
    action_timeout: float = Field(default=10.0, gt=0, le=600)
    sip_host: Host | None = None
    """Where the other nodes reach its SIP; without it an address that it is bound to, or ``host``."""
    bind_address: Address | None = None
    sip_port: Port | None = None
    tls_port: Port | None = None
    ws_port: Port | None = None
    wss_port: Port | None = None
    rtp_first: Port | None = None
    rtp_last: Port | None = None
    sip_threads: int | None = Field(default=None, ge=1, le=50)

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        if (self.secret is None) == (self.secret_file is None):
            raise ValueError("give either secret or secret_file")
        return self

    @model_validator(mode="after")
    def _never_plain_by_mistake(self) -> Self:
        if not self.tls and (self.tls_ca or self.tls_server_name):
            raise ValueError("tls_ca and tls_server_name mean nothing without tls = true")
        return self

    def read_secret(self) -> Secret:
        """The AMI secret; raises SettingsError where its file cannot be read or is empty."""
        if self.secret is not None:
            return self.secret
        assert self.secret_file is not None
        return read_secret_file(self.secret_file, f"nodes.{self.name}.secret_file")

    @property
    def trunk(self) -> str:
        """What the other nodes call this one as an endpoint; our users' endpoint ids start with a digit."""
        return f"node-{self.name}"

    def laid_over(self, asterisk: AsteriskSettings) -> AsteriskSettings:
        """``[asterisk]`` as it holds on this node; raises ValueError where the two do not go together."""
        here = {key: getattr(self, key) for key in AsteriskSettings.model_fields if hasattr(self, key)}
        own = {key: value for key, value in here.items() if value is not None}
        try:
            return AsteriskSettings.model_validate({**asterisk.model_dump(), **own}) if own else asterisk
        except ValidationError as exc:
            wrong = exc.errors()[0]["msg"].removeprefix("Value error, ")
            raise ValueError(f"nodes.{self.name}: {wrong}") from None


class Settings(_Model):
    """All settings, checked; ``source`` is the file they came from."""

    database: DatabaseSettings = DatabaseSettings()
    numbers: NumberSettings = NumberSettings()
    apply: ApplySettings = ApplySettings()
    history: HistorySettings = HistorySettings()
    asterisk: AsteriskSettings = AsteriskSettings()
    sync: SyncSettings = SyncSettings()
    nodes: tuple[NodeSettings, ...] = ()
    home: Path
    source: Path | None = None

    @field_validator("nodes", mode="before")
    @classmethod
    def _named(cls, value: object) -> object:
        """Tables ``[nodes.NAME]`` become a tuple of nodes that know their names."""
        if not isinstance(value, Mapping):
            return value
        return tuple({"name": name, **node} for name, node in value.items() if isinstance(node, Mapping))

    @model_validator(mode="after")
    def _holds_on_every_node(self) -> Self:
        for node in self.nodes:
            node.laid_over(self.asterisk)
        return self

    def node(self, name: str) -> NodeSettings:
        """The node called ``name``; raises SettingsError that lists those there are."""
        for node in self.nodes:
            if node.name == name:
                return node
        known = ", ".join(node.name for node in self.nodes) or "none"
        asked = f"{name!r}" if len(name) <= _SHOWN else f"{name[:_SHOWN] + '...'!r}"
        raise SettingsError(f"there is no node {asked} in {self.source or 'the settings'}; known: {known}")


def read_secret_file(path: Path, key: str) -> Secret:
    """The first line of a secret's file; raises SettingsError that names file and key."""
    try:
        text = path.read_text(encoding="utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "not UTF-8 text"
        raise SettingsError(f"{key}: cannot read {path}: {reason}") from None
    if not text or "\n" in text:
        raise SettingsError(f"{key}: {path} must hold one line, the secret")
    return Secret(text)
