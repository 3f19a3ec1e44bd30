"""How long `provisioner --help` takes, beside what Python and click alone take."""

from __future__ import annotations

import sys

from benchmarks.measure import Row, command_seconds

ROUNDS = 15


def run() -> list[Row]:
    """Medians over interleaved rounds: the limit is an empty click command in the same Python."""
    python = sys.executable
    bare = "import click; click.command()(lambda: None)(['--help'])"
    limit, ours = command_seconds(
        [python, "-c", bare], [python, "-m", "provisioner.cli", "--help"], rounds=ROUNDS
    )
    return [Row("provisioner --help", ours, "an empty click command --help", limit)]
