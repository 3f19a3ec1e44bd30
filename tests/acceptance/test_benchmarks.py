"""The benchmark's rival of realtime is a working Asterisk, waited for until it holds what its file says."""

import re

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
