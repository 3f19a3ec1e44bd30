"""How several nodes on one database pass calls on to each other: a SIP trunk from each to each."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from provisioner.conf.access import DatabaseAccess
from provisioner.errors import ConfError
from provisioner.secret import Secret
from provisioner.settings import AsteriskSettings, NodeSettings, Settings

_SALT: Final = b"provisioner: calls between nodes"


@dataclass(frozen=True, slots=True)
class Trunk:
    """The way to another node: ``name`` is that of its endpoint, AOR and auth in our pjsip.conf."""

    node: str
    name: str
    uri: str
    transport: str


def trunks(settings: Settings, node: NodeSettings) -> tuple[Trunk, ...]:
    """The ways from ``node`` to all others; raises ConfError where no transport can carry them."""
    others = [other for other in settings.nodes if other.name != node.name]
    if not others:
        return ()
    transport = _transport(settings.asterisk)
    return tuple(
        Trunk(other.name, other.trunk, _uri(settings, other, transport), transport) for other in others
    )


def trunk_secret(access: DatabaseAccess) -> Secret:
    """The secret that nodes show each other, made of the one that all of them have: of the database.

    By scrypt, because who records a call between nodes can try passwords on it.
    """
    password = access.password.reveal().encode("utf-8", "surrogateescape")
    return Secret(hashlib.scrypt(password, salt=_SALT, n=1 << 14, r=8, p=1, dklen=24).hex())


def _transport(asterisk: AsteriskSettings) -> str:
    wanted = ("tls",) if asterisk.media_encryption == "sdes" else ("udp", "tcp", "tls")
    for transport in wanted:
        if transport in asterisk.transports:
            return transport
    raise ConfError("asterisk.transports: several nodes pass calls on over udp, tcp or tls; add one of them")


def _uri(settings: Settings, node: NodeSettings, transport: str) -> str:
    asterisk = node.laid_over(settings.asterisk)
    bound = None if ip_address(asterisk.bind_address).is_unspecified else asterisk.bind_address
    host = node.sip_host or bound or node.host
    port = asterisk.tls_port if transport == "tls" else asterisk.sip_port
    over = "" if transport == "udp" else f";transport={transport}"
    return f"sip:{f'[{host}]' if ':' in host else host}:{port}{over}"
