"""How long `provisioner --help` takes, beside what Python and click alone take."""

from __future__ import annotations

import sys

from benchmarks.measure import Row, child, take_turns

ROUNDS = 15


def run() -> list[Row]:
    """Medians over interleaved rounds: the limit is an empty click command in the same Python."""
    ours, rival = "provisioner --help", "an empty click command --help"
    bare = "import click; click.command()(lambda: None)(['--help'])"
    runs = take_turns(
        {
            ours: lambda: child([sys.executable, "-m", "provisioner.cli", "--help"]),
            rival: lambda: child([sys.executable, "-c", bare]),
        },
        ROUNDS,
    )
    return [Row(ours, runs[ours], rival, runs[rival])]
