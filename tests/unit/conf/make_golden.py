"""Writes the golden files anew: ``python tests/unit/conf/make_golden.py``. Then read the diff."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from provisioner.conf import DatabaseAccess, render, write
from provisioner.secret import Secret
from provisioner.settings import load

ACCESS: Final = {
    "smallest": DatabaseAccess(
        "127.0.0.1", 15432, "provisioner", "asterisk", Secret("a'quote and a;semicolon")
    ),
    "largest": DatabaseAccess(
        "db.example.org",
        5432,
        "prov",
        "ast",
        Secret("pass"),
        "telephony",
        "verify-full",
        "/etc/asterisk/db-ca.pem",
    ),
}

if __name__ == "__main__":
    for name, access in ACCESS.items():
        folder = Path(__file__).parent / "golden" / name
        settings = load(folder / "provisioner.toml", {})
        print(name, write(folder, render(settings, settings.nodes[0], access), force=True))
