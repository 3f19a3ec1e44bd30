"""A soak: changes and phones all the while, a fault every 20 seconds, and everything whole in the end.

``make soak`` runs it for 15 minutes; the tests for one.
"""

from __future__ import annotations

import random
import sys
import time
from dataclasses import dataclass, field
from statistics import mean

from provisioner.lab.latencies import quantile
from tests.acceptance.sync.faults import FAULTS
from tests.acceptance.sync.world import NODES, World

OF_THE_DAEMON = {"daemon_killed", "taken_over", "clock_stepped"}
"""Faults that a soak leaves out: one daemon lives from beginning to end, so that its memory can be judged."""
EVERY = 20.0
LASTS = 3.0
ENDS_WITHIN = 10.0


@dataclass
class Soaked:
    """What came of it. ``recoveries`` are seconds from a fault's end until no node was behind, by fault;
    ``memory`` is what the daemon held before each fault, in bytes."""

    seconds: float = 0.0
    recoveries: list[tuple[str, float]] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    changes: int = 0
    served: int = 0
    unserved: int = 0
    p99: float = 0.0
    differences: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)

    @property
    def growth(self) -> float:
        """How much more the daemon held in the last third than in the first, as a share."""
        third = max(1, len(self.memory) // 3)
        return mean(self.memory[-third:]) / mean(self.memory[:third]) - 1


def soak(world: World, seconds: float, seed: int = 1) -> Soaked:
    """Soak a world. Raises LabError where a node is still behind ten seconds after a fault."""
    chance, found = random.Random(seed), Soaked()
    began = time.monotonic()
    names = [name for name in FAULTS if name not in OF_THE_DAEMON]
    chance.shuffle(names)
    world.answers()
    while (at := time.monotonic()) < began + seconds:
        fault = names[len(found.recoveries) % len(names)]
        found.memory.append(world.daemon.memory())
        with FAULTS[fault](world):
            time.sleep(LASTS)
        found.recoveries.append((fault, world.recovers(ENDS_WITHIN)))
        _say(found, began)
        time.sleep(max(0.0, min(at + EVERY, began + seconds) - time.monotonic()))
    found.memory.append(world.daemon.memory())
    world.recovers(ENDS_WITHIN)
    found.seconds = time.monotonic() - began
    found.differences = world.differences()
    answers = world.answers()
    found.changes = sum(count for kind, count in world.changes.items() if ":" not in kind)
    found.served = sum(answers.statuses[name][200] for name in NODES)
    found.unserved = sum(sum(answers.statuses[name].values()) for name in NODES) - found.served
    found.p99 = quantile(sorted(answers.seconds), 0.99)
    found.leaks = world.leaks()
    return found


def _say(found: Soaked, began: float) -> None:
    fault, seconds = found.recoveries[-1]
    print(
        f"{time.monotonic() - began:6.0f} s  {fault:32} told again after {seconds:4.1f} s, "
        f"{found.memory[-1] / 1e6:.0f} MB",
        flush=True,
    )


def main() -> int:
    """Soak for the seconds given (900 if none are), and print what came of it; 1 where anything is wrong."""
    seconds = float(sys.argv[1]) if sys.argv[1:] else 900.0
    with World() as world:
        found = soak(world, seconds)
        print(f"{found.changes} changes in {found.seconds:.0f} s: {dict(world.changes)}")
    others = f"{found.unserved} not; p99 {found.p99 * 1000:.0f} ms"
    print(f"registrations: {found.served} answered with 200, {others}")
    print(f"memory: {found.growth:+.1%} from the first third to the last")
    print(f"differences between nodes and database: {found.differences or 'none'}")
    print(f"logs with a secret in them: {found.leaks or 'none'}")
    return 1 if found.differences or found.leaks or found.growth > 0.2 else 0


if __name__ == "__main__":
    raise SystemExit(main())
