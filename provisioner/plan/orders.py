"""What the nodes are told."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=False)
class NodeOrder:
    """What every node has to do about one endpoint id."""

    endpoint_id: str
    expire: frozenset[str]
    """Which of ``endpoint``, ``auth``, ``aor`` to expire from the node's caches."""
    keep_contacts: int | None = None
    """None: leave the registered phones; 0: cut off all; n: keep the newest n."""
