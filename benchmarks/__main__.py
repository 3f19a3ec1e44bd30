"""``make bench``: every bench in one run, as one table of ratios.

``python -m benchmarks apply reload --sizes 1000,10000`` runs only these, with so many users.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from typing import Final

from benchmarks.machine import machine
from benchmarks.measure import Rate, Row, Run

BENCHES: Final = ("startup", "ami_status", "user_add")
OF_SIZES: Final = {
    "apply": (1_000, 10_000, 100_000),
    "reload": (1_000, 10_000, 100_000),
    "effect": (10_000, 50_000),
    "burst": (100_000,),
    "storm": (1_000, 10_000),
}
"""Those that run for several numbers of users, and for which unless told."""


def main() -> None:
    """Print the machine and the table, row by row as they come; how far it is goes to stderr."""
    names, sizes = _asked()
    print(f"{machine()}\n")
    print(f"{'what':<52}{'ours':>9}{'MB':>6}  {'beside':<30}{'it':>9}{'MB':>6}{'ratio':>8}{'target':>8}")
    for row in _rows(names, sizes):
        print(_line(row), flush=True)


def _rows(names: Sequence[str], sizes: Sequence[int] | None) -> Iterator[Row]:
    for name in names:
        run = import_module(f"benchmarks.{name}").run
        found: Iterable[Row]
        for found in map(run, sizes or OF_SIZES[name]) if name in OF_SIZES else [run()]:
            yield from found


def _asked() -> tuple[Sequence[str], Sequence[int] | None]:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    every = (*BENCHES, *OF_SIZES)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(every)}; else all of them")
    parser.add_argument("--sizes", type=_sizes, help="numbers of users, such as 1000,10000")
    asked = parser.parse_args()
    unknown = set(asked.names) - set(every)
    if unknown:
        parser.error(f"there is no bench {', '.join(sorted(unknown))}; there are {', '.join(every)}")
    return asked.names or every, asked.sizes


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _line(row: Row) -> str:
    target = "" if row.target is None else f"{row.target:g}"
    ours, its = (f"{_shown(figure):>9}{_memory(figure):>6}" for figure in (row.ours, row.its))
    return f"{row.name:<52}{ours}  {row.rival:<30}{its}{_ratio(row):>8}{target:>8}"


def _ratio(row: Row) -> str:
    return f"{row.ratio:.2f}" if row.ratio >= 0.1 else f"{row.ratio:.2g}"


def _shown(figure: Run | Rate) -> str:
    if isinstance(figure, Rate):
        return f"{figure.per_second:,.0f}/s"
    return f"{figure.seconds * 1000:.0f} ms" if figure.seconds < 10 else f"{figure.seconds:.1f} s"


def _memory(figure: Run | Rate) -> str:
    peak = figure.peak_bytes if isinstance(figure, Run) else None
    return "" if peak is None else f"{peak / 1e6:.0f}"


if __name__ == "__main__":
    main()
