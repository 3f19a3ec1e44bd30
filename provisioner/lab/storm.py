"""Phones that all register at once, as fast as the server answers.

SIPp plays them: so many registrations are open at any time, and the end of one is the start of the next, so
the server sets the pace.
"""

from __future__ import annotations

import csv
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from provisioner.errors import LabError
from provisioner.lab.containers import Containers
from provisioner.lab.latencies import Answer, Latencies
from provisioner.lab.sipp import REFUSALS, REGISTER, played
from provisioner.secret import Secret

AT_ONCE: Final = 50
"""Registrations that are open at any time, unless told."""
PATIENCE: Final = 32
"""Seconds that a phone waits for an answer, and asks again meanwhile (RFC 3261, Timer F)."""
_SCENARIO: Final = """\
<?xml version="1.0" encoding="UTF-8"?>
<scenario name="storm">
{first}
{refusals}
  <recv response="401" auth="true"/>
{second}
  <label id="wait"/>
{refusals}
  <recv response="401" optional="true" next="again">
    <action>
      <ereg regexp="1 REGISTER" search_in="hdr" header="CSeq:" assign_to="late"/>
    </action>
  </recv>
  <recv response="200" rtd="1" next="done"/>
  <label id="again"/>
  <nop next="wait" test="late"/>
  <label id="done"/>
</scenario>
"""
_EDGE: Final = 0.01
"""Of the first and the last answers so large a share is left out of the rate: one request that is lost is
only sent again half a second later, and holds the end of a storm up for as long."""


@dataclass(frozen=True, slots=True)
class Storm:
    """How it went: registrations answered with 200 a second, and how long each took."""

    per_second: float
    latencies: Latencies

    @classmethod
    def of(cls, answers: Sequence[tuple[float, float]], registrations: int) -> Self:
        """``answers`` are when each 200 came and how long its registration took, in seconds."""
        if not answers:
            raise LabError(f"of {registrations} registrations none was answered with 200")
        came = sorted(when for when, _ in answers)
        edge = int(_EDGE * len(came))
        kept = came[edge : len(came) - edge]
        lasted = max(kept[-1] - kept[0], 0.001)
        found = [Answer(200, seconds) for _, seconds in answers]
        lost = [Answer(0, 0.0)] * (registrations - len(found))
        return cls(len(kept) / lasted, Latencies.of(found + lost))

    @property
    def longest(self) -> float:
        """Seconds of the longest registration; where one was lost, as long as a phone waits."""
        return float(PATIENCE) if self.latencies.lost else self.latencies.worst

    def __str__(self) -> str:
        seen = self.latencies
        lost = f", {seen.lost} of {seen.lost + seen.answered} lost" if seen.lost else ""
        times = ", ".join(
            f"{name} {seconds * 1000:.0f} ms"
            for name, seconds in (("p50", seen.p50), ("p99", seen.p99), ("worst", seen.worst))
        )
        return f"{self.per_second:,.0f}/s, {times}{lost}"


def storm(
    server: str,
    secrets: Mapping[str, Secret],
    registrations: int,
    *,
    port: int,
    at_once: int = AT_ONCE,
    seconds: float = 300.0,
    containers: Containers | None = None,
) -> Storm:
    """Have these phones register again and again, in turn, until so many registrations are done.

    All of them are at the UDP ``port``: with the same one every time, a contact is refreshed and not another
    one. Whatever is not answered with 401 and then 200 is lost, and so is what is open after ``seconds``.
    Raises LabError where nothing was answered.
    """
    run = uuid.uuid4().hex[:12]
    values = {"run": run, "contact_port": "[local_port]", "expires": 3600}
    scenario = _SCENARIO.format(
        refusals=REFUSALS,
        first=REGISTER.format(sequence=1, authorization="", clock=' start_rtd="1"', **values),
        second=REGISTER.format(sequence=2, authorization="    [field1]\n", clock="", **values),
    )
    options = [
        *("-p", str(port), "-m", str(registrations), "-users", str(at_once)),
        # No BYE for what failed; the OPTIONS that qualify a phone are answered.
        *("-nd", "-aa", "-recv_timeout", str(PATIENCE * 1000), "-timeout", f"{int(seconds)}s"),
        *("-trace_rtt", "-rtt_freq", "1"),
    ]
    with played(run, scenario, secrets, server, options, "*_rtt.csv", seconds + 15, containers) as times:
        return Storm.of(read_times(times), registrations)


def read_times(file: Path) -> list[tuple[float, float]]:
    """When each answer came and how long its registration took, from SIPp's table of response times."""
    with file.open(encoding="ascii", newline="") as rows:
        _, *found = csv.reader(rows, delimiter=";")
    return [(float(came) / 1000, float(took) / 1000) for came, took, *_ in found]
