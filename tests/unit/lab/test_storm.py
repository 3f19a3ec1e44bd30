"""A storm's rate is the server's: neither its start nor a lost request's retransmission at its end counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioner.errors import LabError
from provisioner.lab.storm import Storm, read_times


def test_the_rate_is_that_of_the_answers_between_the_first_and_the_last_percent() -> None:
    steady = [(index / 1000, 0.002) for index in range(1000)]
    late = Storm.of([*steady[:-1], (60.0, 59.0)], 1000)
    assert late.per_second == pytest.approx(1000, rel=0.01)
    assert late.latencies.worst == 59.0


def test_what_was_not_answered_is_lost_and_no_part_of_the_rate() -> None:
    found = Storm.of([(index / 100, 0.01) for index in range(100)], 130)
    assert (found.latencies.answered, found.latencies.lost) == (100, 30)
    assert found.per_second == pytest.approx(100, rel=0.02)
    assert found.longest == 32
    assert str(found) == "101/s, p50 10 ms, p99 10 ms, worst 10 ms, 30 of 130 lost"


def test_a_storm_without_any_answer_is_an_error() -> None:
    with pytest.raises(LabError, match="of 7 registrations none was answered with 200"):
        Storm.of([], 7)


def test_one_answer_is_a_storm_too() -> None:
    assert Storm.of([(5.0, 0.1)], 1).latencies.answered == 1


def test_times_are_read_from_sipps_table(tmp_path: Path) -> None:
    table = tmp_path / "register_1_rtt.csv"
    table.write_text("Date_ms;response_time_ms;rtd_no\n1500.000;2.5;1\n2125.000;14;1\n")
    assert read_times(table) == [(1.5, 0.0025), (2.125, 0.014)]
