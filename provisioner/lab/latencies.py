"""What phones were answered, and how long that took."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    """The final status, 0 for none in time, and the seconds until it came.

    Of a registration, 401 means refused: the secret was put to the challenge, and is not the right one.
    """

    status: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Latencies:
    """What a storm saw. Times are seconds of whole registrations, of those that were answered.

    ``late`` is the furthest that one was sent behind its time: where it is large, the prober itself had too
    little of the processor, and its times say less of the server.
    """

    answered: int
    lost: int
    p50: float
    p99: float
    worst: float
    late: float
    statuses: Mapping[int, int]

    @classmethod
    def of(cls, answers: Sequence[Answer], late: float = 0.0) -> Latencies:
        """The sums of these answers."""
        times = sorted(answer.seconds for answer in answers if answer.status)
        return cls(
            answered=len(times),
            lost=len(answers) - len(times),
            p50=quantile(times, 0.50),
            p99=quantile(times, 0.99),
            worst=times[-1] if times else 0.0,
            late=late,
            statuses=Counter(answer.status for answer in answers if answer.status),
        )


def quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest of these (in order) that ``share`` of them do not exceed; 0 of none."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0
