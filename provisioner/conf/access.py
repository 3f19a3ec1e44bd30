"""How Asterisk reaches the database."""

from __future__ import annotations

from dataclasses import dataclass

from provisioner.secret import Secret
from provisioner.settings import SslMode


@dataclass(frozen=True, slots=True)
class DatabaseAccess:
    """One login to the database, as an Asterisk sees it: its own role, and the schema of the ps_* tables."""

    host: str
    port: int
    dbname: str
    user: str
    password: Secret
    schema: str = "public"
    sslmode: SslMode = "prefer"
    sslrootcert: str | None = None
    """The file of CAs on the node, or ``system``."""
