"""What fails is said at once, then once a minute, whatever happens in between."""

from __future__ import annotations

from provisioner.sync.outage import SAY_AGAIN, Outage


def test_it_is_said_at_once_and_then_once_a_minute() -> None:
    outage = Outage()
    said = [second for second in range(1000, 1181) if outage.failed("no answer", second)]
    assert said == [1000, 1060, 1120, 1180]
    assert SAY_AGAIN == 60


def test_it_lasts_from_the_first_failure_and_the_last_error_counts() -> None:
    outage = Outage()
    assert outage.lasted(5.0) == 0.0
    outage.failed("no answer", 10.0)
    outage.failed("refused", 12.0)
    assert (outage.lasted(15.0), outage.error) == (5.0, "refused")


def test_what_works_again_and_fails_again_is_said_again() -> None:
    outage = Outage()
    outage.failed("no answer", 10.0)
    outage.over()
    assert (outage.error, outage.lasted(11.0)) == (None, 0.0)
    assert outage.failed("no answer", 11.0)
