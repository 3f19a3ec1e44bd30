"""The unit file for systemd, made for the program and the settings that run here."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path
from typing import Final

from provisioner.resources import resource_dir

_PACKED: Final = "ExecStart=/usr/local/bin/provisioner --config /etc/provisioner/provisioner.toml sync\n"
_HIDDEN: Final = tuple(map(Path, ("/home", "/root", "/run/user")))
"""What `ProtectHome=yes` hides."""


def text(config: Path | None) -> str:
    """``provisioner-sync.service`` with an ExecStart of this program and of this settings file.

    Without one the daemon looks where it always does, in its data folder and under /etc.
    """
    program = _program()
    chosen = ["--config", str(config.absolute())] if config else []
    words = " ".join(_quoted(word) for word in (*program, *chosen, "sync"))
    unit = (resource_dir("systemd") / "provisioner-sync.service").read_text(encoding="utf-8")
    unit = unit.replace(_PACKED, f"ExecStart={words}\n")
    used = [Path(program[0]), *([config.absolute()] if config else [])]
    if any(path.is_relative_to(folder) for path in used for folder in _HIDDEN):
        unit = unit.replace("ProtectHome=yes\n", "ProtectHome=read-only\n")
    return unit


def _program() -> tuple[str, ...]:
    """How to start the program that runs: the script beside this Python, or the package."""
    script = Path(sysconfig.get_path("scripts"), "provisioner")
    return (str(script),) if script.is_file() else (sys.executable, "-m", "provisioner.cli")


def _quoted(word: str) -> str:
    """As systemd.service(5) reads it: nothing in it is a variable, a specifier, or the end of the word."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return escaped if escaped == word and not set(word) & set(" '\t;") else f'"{escaped}"'
