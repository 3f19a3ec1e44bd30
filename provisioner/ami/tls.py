"""TLS to a node: its certificate is always checked, and one sentence says why it does not hold."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Final

from provisioner.settings import NodeSettings

# X509_V_ERR_* of OpenSSL, x509_vfy.h.
_VALIDITY: Final[Mapping[int, str]] = {9: "is not valid yet", 10: "has expired"}
_UNKNOWN_CA: Final = frozenset({2, 18, 19, 20, 21})
_OTHER_NAME: Final = frozenset({62, 64})
# What OpenSSL makes of an answer that is no TLS, such as the greeting of the plain port.
_PLAIN: Final = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"})


class Unfit(Exception):
    """The CA file of the settings cannot be used; the text says why."""


def context(node: NodeSettings) -> ssl.SSLContext | None:
    """What trusts the CA of the node's settings, or the system's; None for a node without TLS.

    Raises Unfit for a CA file that is missing or holds no certificate.
    """
    if not node.tls:
        return None
    try:
        made = ssl.create_default_context(cafile=node.tls_ca)
    except (OSError, ssl.SSLError) as exc:
        # A file without a certificate has no errno, and OpenSSL's words for it help nobody.
        why = "it holds no certificate" if isinstance(exc, ssl.SSLError) else reason(exc)
        raise Unfit(f"the CA file {node.tls_ca} cannot be used: {why}") from None
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    return made


def name(node: NodeSettings) -> str | None:
    """Who has to stand in the certificate: a host name or an address."""
    return (node.tls_server_name or node.host) if node.tls else None


def explained(exc: ssl.SSLError, node: NodeSettings) -> str:
    """Why the node is not spoken with, and which setting that is about."""
    key = f"nodes.{node.name}"
    if isinstance(exc, ssl.SSLCertVerificationError):
        return _certificate(exc, node, key)
    if exc.reason in _PLAIN:
        return f"what answers speaks no TLS; give the port of tlsbindaddr, or set {key}.tls = false"
    return f"TLS failed: {reason(exc)}"


def _certificate(exc: ssl.SSLCertVerificationError, node: NodeSettings, key: str) -> str:
    code = exc.verify_code
    if code in _OTHER_NAME:
        return f"its certificate is not for {name(node)}; {key}.tls_server_name names another"
    if code in _UNKNOWN_CA:
        known = f"the CA of {node.tls_ca}" if node.tls_ca else "a CA of this system"
        return f"its certificate is not trusted: it does not come from {known}; see {key}.tls_ca"
    if code in _VALIDITY:
        return f"its certificate {_VALIDITY[code]}; give it a new one, or correct the clock of this machine"
    return f"its certificate is not trusted: {exc.verify_message}"


def reason(exc: BaseException) -> str:
    """An error of the network in a few words."""
    if isinstance(exc, ConnectionRefusedError | ConnectionResetError):
        return "connection refused" if isinstance(exc, ConnectionRefusedError) else "connection reset"
    text = getattr(exc, "strerror", None) or str(exc) or type(exc).__name__
    return " ".join(str(text).split())
