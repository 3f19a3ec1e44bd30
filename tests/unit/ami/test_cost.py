"""Which way of expiring costs a node least, by the figures that were measured."""

from __future__ import annotations

import pytest

from provisioner.ami.cost import LONGEST_STALL, QUICK, cached, pace, stall, whole_pays

HASHED = 0.00004
"""Seconds by name where sorcery.conf sets maximum_objects."""


@pytest.mark.parametrize(
    ("type", "names", "each", "objects", "whole"),
    [
        # 100,000 new users, nobody of whom a node caches: 4 s by name, or nothing at all.
        ("endpoint", 100_000, HASHED, 0, True),
        ("aor", 100_000, HASHED, 2_000, True),
        # As many changed, all of them cached: SIP would wait for seconds.
        ("endpoint", 100_000, HASHED, 100_000, False),
        ("auth", 100_000, HASHED, 100_000, False),
        ("aor", 100_000, HASHED, 100_000, False),
        ("aor", 100_000, HASHED, 20_000, False),
        # Few names beside more that others use: what is expired with them has to be read again.
        ("auth", 2_000, HASHED, 5_000, False),
        ("auth", 2_000, HASHED, 100, True),
        # In 53 lists beside 100,000 a name takes long; of AORs SIP would wait for ten seconds all the same.
        ("endpoint", 100_000, 0.0015, 100_000, True),
        ("aor", 100_000, 0.0015, 100_000, False),
        ("endpoint", 30_000, 0.0015, 100_000, False),
    ],
)
def test_the_whole_cache_goes_where_sip_does_not_feel_it_and_names_would_cost_more(
    type: str, names: int, each: float, objects: int, whole: bool
) -> None:
    assert whole_pays(type, names, each, objects) is whole


@pytest.mark.parametrize(("type", "objects"), [("endpoint", 14_000), ("auth", 33_000), ("aor", 8_500)])
def test_sip_waits_for_no_more_than_so_many_objects(type: str, objects: int) -> None:
    assert stall(type, objects) < LONGEST_STALL < stall(type, 12 * objects // 10)


@pytest.mark.parametrize(("milliseconds", "objects"), [(0.6, 5_000), (7, 20_000), (20, 50_000), (0.1, 0)])
def test_the_time_of_marking_all_tells_how_many_there_are(milliseconds: float, objects: int) -> None:
    found = cached(milliseconds / 1000, answered=0.0002)
    assert objects / 4 <= found <= 1.4 * objects


def test_names_that_keep_the_cache_locked_are_sent_in_small_parts_with_rests() -> None:
    assert pace(HASHED) == (500, 0.0)
    count, rest = pace(0.0005)
    assert count * 0.0005 == pytest.approx(rest)
    assert rest < LONGEST_STALL
    assert pace(QUICK * 1.01)[0] < 500
    assert pace(1.0)[0] == 1
