"""What became of a change on the nodes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Reached(StrEnum):
    """How far a change came with a node, in words for a report."""

    NOT_TOLD = "not told"
    NOT_PROVEN = "told, but not proven"
    NOT_IN_FORCE = "told, but not in force"
    NOT_NOTED = "told and proven, but that could not be noted"
    LEFT = "left to provisioner sync"
    DONE = "told and proven"


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a change on one node.

    ``error`` is one sentence where it is not done; the node is told again then. ``orders`` is how many
    endpoints it was told about by this command itself, ``evicted`` how many phones were cut off by it,
    ``seconds`` the time to the proof.
    """

    node: str
    reached: Reached
    orders: int = 0
    evicted: int = 0
    seconds: float = 0.0
    error: str | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing went wrong: the node holds what was written, or the daemon was left to tell it."""
        return self.reached in (Reached.DONE, Reached.LEFT)


Faults = dict[str, tuple[Reached, str | None]]
"""By node: how far it came, and why not further."""
