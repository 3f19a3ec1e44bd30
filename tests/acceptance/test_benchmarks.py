"""The benches' rivals are working Asterisks, and a change is measured until phones have felt it."""

import re

from benchmarks import effect
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
    assert all(row.ours.seconds > 0 and row.its.seconds > 0 for row in rows)
