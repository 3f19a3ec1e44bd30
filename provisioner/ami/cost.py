"""What expiring costs a node, as measured, and which way costs it least.

Measured on 22.10.1 with 200 registrations a second beside it, one of two cores.

**By name**, 0.03 to 0.05 ms an object all told, 6 µs of them the node's, where sorcery.conf sets
``maximum_objects``: Asterisk makes as many hash lists of it. SIP does not feel that: registrations had a p99
of 14 to 29 ms during 100,000 names (5 s), 7 to 29 ms without, and pauses only made it last longer. Otherwise
Asterisk looks in 53 lists: 0.15 ms beside 20,000 cached objects, 0.55 beside 50,000, 1.5 beside 100,000. It
locks the cache for that long, and SIP hardly gets in between: beside 20,000 the p99 was 23 to 60 ms, beside
50,000 it was 0.1 to 1 s, and 0.1 to 0.3 s with rests in between.

**The whole cache** is locked until its last object is gone, and SIP waits: 6 µs an endpoint, 2.5 µs an
auth. AORs cost more than in proportion, 0.14 s for 20,000 and 2.3 s for 50,000: each has a lock of its own,
known by name in 101 lists, from which it is taken one by one. What else was cached is then read again at its
next use.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

LONGEST_STALL: Final = 0.1
"""Seconds that SIP may wait for a whole cache where the objects could go by name."""
LONG: Final = 60.0
"""Seconds by name from which a stall of up to LONG_STALL is the smaller evil."""
LONG_STALL: Final = 1.0
QUICK: Final = 0.0001
"""Seconds that a name may take on a node that needs no rest between them."""
_TOGETHER: Final = 500
_BREATH: Final = 0.02
_READ_AGAIN: Final = 0.0002
_LOCKED: Final[Mapping[str, float]] = {"endpoint": 7e-6, "auth": 3e-6, "aor": 3e-6}
_LOCKED_SQUARED: Final[Mapping[str, float]] = {"aor": 1e-9}
_MARKED: Final = 3e-7


def cached(marked: float, answered: float) -> int:
    """How many objects a cache holds, of which all were marked within ``marked`` seconds.

    ``answered`` is what any answer of that node takes. 0.3 µs an object: 0.6 ms for 5,000, 7 ms for 20,000,
    20 ms for 50,000.
    """
    return max(0, round((marked - answered) / _MARKED))


def stall(type: str, objects: int) -> float:
    """Seconds that SIP waits while a whole cache of so many objects is expired."""
    return objects * _LOCKED[type] + objects**2 * _LOCKED_SQUARED.get(type, 0.0)


def whole_pays(type: str, names: int, seconds_each: float, objects: int) -> bool:
    """Whether to expire the whole cache, of so many ``objects``, instead of so many ``names`` in it.

    ``seconds_each`` is what a name takes on this node.
    """
    by_name, locked = names * seconds_each, stall(type, objects)
    longest = LONG_STALL if by_name > LONG else LONGEST_STALL
    return locked <= longest and locked + objects * _READ_AGAIN < by_name


def pace(seconds_each: float) -> tuple[int, float]:
    """How many names to send together, and how many seconds to rest before: as long as the last ones took."""
    if seconds_each <= QUICK:
        return _TOGETHER, 0.0
    return max(1, round(_BREATH / seconds_each)), _BREATH
