"""Writes sql/schema.sql: what the migrations make of an empty database.

``python -m provisioner.store.schema > sql/schema.sql``
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from sqlalchemy import URL

from provisioner.errors import EmbeddedError
from provisioner.store.embedded import Embedded
from provisioner.store.programs import find_programs
from provisioner.store.store import Store

HEADER: Final = """\
-- What the migrations in versions/ make of an empty database, for reading, or for creating it by hand.
-- Generated: python -m provisioner.store.schema > sql/schema.sql
-- Create an empty database and run this file in it as the role that database.url names.

-- They stand here in the order of their names, and some use others.
SET check_function_bodies = false;
"""
# Of the version of pg_dump and of the session, not of the schema.
_NOISE: Final = re.compile(r"^(--.*|\\(un)?restrict .*|SET .*|SELECT pg_catalog\.set_config.*)$")


def dump(url: URL) -> str:
    """The schema of a migrated database as SQL, always the same text for the same schema.

    Needs the programs of the embedded server. Raises EmbeddedError.
    """
    schema = _pg_dump(url, "--schema-only")
    marks = _pg_dump(
        url,
        "--data-only",
        "--inserts",
        "--table=provisioner.alembic_version",
        "--table=provisioner.made_tables",
    )
    # The day on which this file was made says nothing.
    marks = re.sub(r", '\d{4}-\d\d-\d\d [^']*'\);", ", now());", marks)
    return f"{HEADER}\n{_tidy(schema)}\n\n{_tidy(marks)}\n"


def main() -> None:
    """Print the schema, from a server of its own that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="provisioner-schema-") as home:
        embedded = Embedded(Path(home))
        try:
            url = embedded.ensure_running()
            with Store(url) as store:
                store.upgrade()
            sys.stdout.write(dump(url))
        finally:
            embedded.stop()


def _pg_dump(url: URL, *options: str) -> str:
    where = [
        f"--host={url.host}",
        f"--port={url.port}",
        f"--username={url.username}",
        f"--dbname={url.database}",
    ]
    with tempfile.TemporaryDirectory() as folder:
        passwords = Path(folder) / "pgpass"
        passwords.touch(0o600)
        passwords.write_text(f"*:*:*:*:{url.password}\n")
        done = subprocess.run(
            [find_programs()["pg_dump"], "--no-owner", "--no-privileges", "--no-password", *options, *where],
            env={"PATH": os.environ.get("PATH", os.defpath), "PGPASSFILE": str(passwords), "LC_ALL": "C"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    if done.returncode != 0:
        raise EmbeddedError(f"pg_dump failed: {done.stderr.strip()}")
    return done.stdout


def _tidy(text: str) -> str:
    kept = "\n".join(line for line in text.splitlines() if not _NOISE.match(line))
    return re.sub(r"\n{3,}", "\n\n", kept).strip()


if __name__ == "__main__":
    main()
