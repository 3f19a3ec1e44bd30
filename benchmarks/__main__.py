"""``make bench``: every bench in one run, as one table of ratios."""

from __future__ import annotations

import os
import platform
from importlib import import_module
from pathlib import Path

from benchmarks.measure import Row

BENCHES = ("startup", "ami_status", "user_add")


def main() -> None:
    print(f"{_machine()}\n")
    print(f"{'what':<28}{'ours':>10}  {'beside':<36}{'it':>10}{'ratio':>8}{'target':>8}")
    for bench in BENCHES:
        for row in import_module(f"benchmarks.{bench}").run():
            print(_line(row), flush=True)


def _line(row: Row) -> str:
    target = "" if row.target is None else f"{row.target:g}"
    ours, its = (f"{seconds * 1000:.0f} ms" for seconds in (row.ours_seconds, row.rival_seconds))
    return f"{row.name:<28}{ours:>10}  {row.rival:<36}{its:>10}{row.ratio:>8.2f}{target:>8}"


def _machine() -> str:
    models = [
        line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")
    ]
    model = models[0].partition(":")[2].strip() if models else platform.machine()
    return f"{os.cpu_count()} x {model}, Linux {platform.release()}, Python {platform.python_version()}"


if __name__ == "__main__":
    main()
