"""When a change is in force: the old secret is shown until it is refused, then the new one registers."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from provisioner.lab.latencies import Answer, quantile
from provisioner.lab.sip import Registrant
from provisioner.secret import Secret

EVERY: Final = 0.002
"""Seconds from one try to the next; each is two requests, and takes about one millisecond."""

Change = Callable[[Secret], Awaitable[float]]
"""Puts a new secret into force; returns when (``perf_counter``) the clock began to run."""


@dataclass
class Effects:
    """What the changes of one run took, in seconds, and every status that the phone got on the way."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    def quantile(self, share: float) -> float:
        return quantile(sorted(self.seconds), share)

    def __str__(self) -> str:
        p50, p99, worst = (self.quantile(share) * 1000 for share in (0.5, 0.99, 1))
        seen = ", ".join(f"{count} x {status or 'no answer'}" for status, count in self.statuses.items())
        return f"{len(self.seconds)} changes: p50 {p50:.1f}, p99 {p99:.1f}, worst {worst:.1f} ms; {seen}"

    async def add(self, phone: Registrant, new: Secret, change: Change, patience: float = 30.0) -> None:
        """Carry out one change while the phone tries; it has the new secret afterwards.

        Raises TimeoutError where it is not in force ``patience`` seconds after it was made.
        """
        registered = await phone.register()
        if registered.status != 200:
            raise RuntimeError(f"{phone.endpoint_id} is not registered to begin with: {registered.status}")
        refused = asyncio.create_task(self._until(401, phone.log_in))
        try:
            began = await change(new)
            async with asyncio.timeout(patience):
                await refused
                phone.secret = new
                await self._until(200, phone.register)
            self.seconds.append(time.perf_counter() - began)
        finally:
            refused.cancel()

    async def _until(self, status: int, ask: Callable[[], Awaitable[Answer]]) -> None:
        while True:
            began = time.perf_counter()
            answer = await ask()
            self.statuses[answer.status] += 1
            if answer.status == status:
                return
            await asyncio.sleep(began + EVERY - time.perf_counter())


async def check(phones: Sequence[Registrant], replaced: Sequence[Secret]) -> None:
    """Raise RuntimeError unless each phone registers, and none does with the secret that was replaced."""
    for phone, old in zip(phones, replaced, strict=True):
        kept = phone.secret
        new_one, phone.secret = await phone.register(), old
        old_one, phone.secret = await phone.log_in(), kept
        if (new_one.status, old_one.status) != (200, 401):
            raise RuntimeError(f"{phone.endpoint_id}: new {new_one.status}, old {old_one.status}")
