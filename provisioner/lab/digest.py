"""What a phone answers to a challenge: SIP digest (RFC 2617 and 7616; SHA-256 by RFC 8760).

It computes from the secret by itself, so that a phone of the lab also finds a wrong digest of ours.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from provisioner.secret import Secret

_PARAMETER: Final = re.compile(r'(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))')
_HASHES: Final[Mapping[str, Callable[[bytes], str]]] = {
    "MD5": lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest(),
    "SHA-256": lambda data: hashlib.sha256(data).hexdigest(),
}


@dataclass(frozen=True, slots=True)
class Challenge:
    """One WWW-Authenticate or Proxy-Authenticate; ``stale``: only the nonce of the answer was old."""

    realm: str
    nonce: str
    algorithm: str = "MD5"
    qop: bool = False
    opaque: str | None = None
    stale: bool = False

    def answer(
        self, username: str, secret: Secret, method: str, uri: str, *, client_nonce: str | None = None
    ) -> str:
        """The value of the header Authorization; ``client_nonce`` is made up where none is given."""
        client = client_nonce or secrets.token_hex(8)
        person = self._hash(f"{username}:{self.realm}:{secret.reveal()}")
        nonce = f"{self.nonce}:00000001:{client}:auth" if self.qop else self.nonce
        response = self._hash(f"{person}:{nonce}:{self._hash(f'{method}:{uri}')}")
        parts = [f'Digest username="{username}", realm="{self.realm}", nonce="{self.nonce}", uri="{uri}"']
        parts.append(f'response="{response}", algorithm={self.algorithm}')
        if self.opaque is not None:
            parts.append(f'opaque="{self.opaque}"')
        if self.qop:
            parts.append(f'qop=auth, nc=00000001, cnonce="{client}"')
        return ", ".join(parts)

    def _hash(self, text: str) -> str:
        return _HASHES[self.algorithm](text.encode())


def read_challenge(headers: Iterable[str]) -> Challenge | None:
    """The first of these header values that we can answer, as RFC 8760 has it; None where there is none."""
    for header in headers:
        scheme, _, rest = header.strip().partition(" ")
        asked = {name.lower(): quoted or token for name, quoted, token in _PARAMETER.findall(rest)}
        algorithm = asked.get("algorithm", "MD5").upper()
        offered = [word.strip() for word in asked.get("qop", "").split(",") if word.strip()]
        fits = not offered or "auth" in offered
        if (
            scheme.lower() == "digest"
            and algorithm in _HASHES
            and fits
            and {"realm", "nonce"} <= asked.keys()
        ):
            return Challenge(
                realm=asked["realm"],
                nonce=asked["nonce"],
                algorithm=algorithm,
                qop=bool(offered),
                opaque=asked.get("opaque"),
                stale=asked.get("stale", "").lower() == "true",
            )
    return None
