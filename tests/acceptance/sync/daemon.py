"""``provisioner sync`` as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from provisioner.errors import LabError
from provisioner.lab.waiting import free_port, wait_for


class Daemon:
    """``provisioner sync`` as a child process; ``log`` is what it and those before it said."""

    def __init__(self, config: Path, log: Path, environment: Mapping[str, str] | None = None) -> None:
        self.port = free_port()
        clean = {key: value for key, value in os.environ.items() if not key.startswith("PROVISIONER_")}
        own = {"PROVISIONER_HOME": str(config.parent), "PROVISIONER_SYNC_PORT": str(self.port)}
        with log.open("ab") as sink:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "provisioner.cli", "--config", str(config), "sync"],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                env={**clean, **own, "PYTHONFAULTHANDLER": "1", **(environment or {})},
            )

    def wait_until_up(self, seconds: float = 60) -> None:
        """Until it answers, as a machine that stalls starts nothing; else its log says where it hangs."""
        try:
            wait_for("the daemon to answer", self.health, seconds)
        except LabError:
            self.process.send_signal(signal.SIGABRT)
            self.process.wait(10)
            raise

    def wait_until_leading(self) -> None:
        """Until it is up, and tells the nodes."""
        self.wait_until_up()
        wait_for("the daemon to lead", self.leads, 15)

    def health(self) -> dict[str, Any]:
        """What its health endpoint says; empty where it does not answer."""
        url = f"http://127.0.0.1:{self.port}/health"
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                found = json.load(answer)
        except urllib.error.HTTPError as refused:
            with refused:
                found = json.load(refused)
        except (OSError, ValueError):
            return {}
        return dict(found)

    def metrics(self) -> str:
        """Its metrics, in Prometheus' text format."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as answer:
            return str(answer.read().decode())

    def leads(self) -> bool:
        """Whether it is the one that tells the nodes."""
        return self.health().get("state") == "leading"

    def memory(self) -> int:
        """Bytes of memory that it holds."""
        status = Path(f"/proc/{self.process.pid}/status").read_text("ascii")
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> int:
        """End it as systemd would; returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
