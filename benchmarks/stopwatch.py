"""Runs a command and writes how long it took and how much memory it held: ``stopwatch.py REPORT COMMAND...``.

A small process of its own, because Linux counts what a process held before it became another program: the
child of a large one would look as large as that (``setmax_mm_hiwater_rss`` in the kernel's fs/exec.c).
"""

import os
import sys
import time


def main() -> None:
    """Ends as the command ends; REPORT gets wall seconds, seconds of processor, and the peak in bytes."""
    report, *command = sys.argv[1:]
    began = time.perf_counter()
    pid = os.posix_spawnp(command[0], command, os.environ)
    _, status, used = os.wait4(pid, 0)
    seconds = time.perf_counter() - began
    with open(report, "w", encoding="ascii") as file:  # noqa: PTH123  (pathlib would treble our own memory)
        file.write(f"{seconds} {used.ru_utime + used.ru_stime} {used.ru_maxrss * 1024}")
    code = os.waitstatus_to_exitcode(status)
    sys.exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()
