"""What the figures were measured on, without naming the machine."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

from provisioner.lab.containers import ASTERISK_IMAGE
from provisioner.store.programs import find_programs


def machine() -> str:
    """Processor, cores, memory, and the versions of all that takes part, on two lines."""
    return (
        f"{os.cpu_count()} x {_processor()}, {_memory_gb():.0f} GB, Linux {_linux()}\n"
        f"Python {platform.python_version()}, PostgreSQL {_postgres()}, {_asterisk()}"
    )


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def _memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _linux() -> str:
    return ".".join(platform.release().split(".")[:2])


def _postgres() -> str:
    return _said(find_programs()["postgres"], "--version").rpartition(" ")[2]


def _asterisk() -> str:
    try:
        inside = ("run", "--rm", "--network", "none", "--entrypoint", "asterisk", ASTERISK_IMAGE, "-V")
        return _said("docker", *inside).replace("~dfsg", "").partition("+")[0]
    except (OSError, subprocess.SubprocessError):
        return "no Asterisk here"


def _said(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()
