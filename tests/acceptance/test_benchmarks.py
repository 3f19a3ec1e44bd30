"""The benches' rivals are working Asterisks, and a change is measured until phones have felt it."""

import re

from benchmarks import burst, effect, storm
from benchmarks.people import changed, people
from benchmarks.pjsip_conf import FileAsterisk


def test_a_reload_is_over_when_the_last_endpoint_is_as_its_file_says(engine: None) -> None:
    before = people(101)
    after = changed(before)
    with FileAsterisk() as asterisk:
        assert asterisk.load(before, before[-1]).seconds > 0
        assert asterisk.load(after, after[-1]).seconds > 0
        shown = asterisk.rx(f"pjsip show aor {after[-1].number}")
    assert re.search(rf"max_contacts +: {after[-1].lines}\n", shown)
    assert before[-1].lines != after[-1].lines


def test_a_change_is_felt_with_caches_without_them_and_after_a_reload(engine: None) -> None:
    rows = list(effect.run(100, changes=3, commands=1))
    names = [row.name for row in rows]
    assert names[:3] == [f"secret changed, 100 users, 100 cached: {which}" for which in ("p50", "p99", "p99")]
    assert {row.rival for row in rows} == {"pjsip.conf anew and Reload", "the limit", "no caches"}
    assert all(row.ours.figure > 0 and row.its.figure > 0 for row in rows)


def test_a_storm_is_answered_warm_and_cold_with_and_without_caches_and_while_users_are_applied(
    engine: None,
) -> None:
    kinds = [kind for kind in storm.KINDS if kind == storm.KINDS[0] or kind.contacts == "realtime"]
    rows = list(storm.run(20, rounds=1, least=40, applied=20, kinds=kinds))
    assert [(row.name, row.rival) for row in rows] == [
        ("REGISTER warm, pgsql, astdb, 20 phones", "the same in pjsip.conf"),
        ("REGISTER cold, pgsql, astdb, 20 phones", "the same in pjsip.conf"),
        ("REGISTER while 20 users are applied", "the same without the apply"),
        ("p99 of a REGISTER while 20 users are applied", "the same without the apply"),
        ("longest REGISTER while 20 users are applied", "the same without the apply"),
        ("REGISTER warm, pgsql, realtime, 20 phones", "the same in pjsip.conf"),
        ("REGISTER cold, pgsql, realtime, 20 phones", "the same in pjsip.conf"),
        ("REGISTER warm, pgsql, realtime, 20 phones", "no caches"),
        ("REGISTER warm, odbc, realtime, 20 phones", "the same in pjsip.conf"),
        ("REGISTER cold, odbc, realtime, 20 phones", "the same in pjsip.conf"),
        ("REGISTER warm, odbc, realtime, 20 phones", "no caches"),
    ]
    assert all(row.ours.figure > 0 and row.its.figure > 0 for row in rows)


def test_a_burst_is_told_while_phones_register(engine: None) -> None:
    # Whom the apply has read back is cached too: all of so few.
    rows = list(burst.run(100, cached=(20,), seconds=0.5))
    assert [(row.name, row.rival) for row in rows] == [
        ("REGISTER while 100 rows change, 100 cached: p99", "the limit"),
        ("REGISTER while 100 rows change, 100 cached: p99", "before"),
        ("REGISTER while 100 rows change, 100 cached: longest", "before"),
        ("100 rows change, 100 cached: told", "the statement itself"),
    ]
    assert all(row.ours.figure > 0 and row.its.figure > 0 for row in rows)
