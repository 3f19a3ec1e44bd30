"""What holds for every test: how they are shared between processes, and hypothesis' patience."""

from pathlib import Path

import hypothesis
import pytest

ACCEPTANCE = Path(__file__).parent / "acceptance"

# The machine is busy with the other half of the tests: how long an example takes says nothing.
hypothesis.settings.register_profile(
    "busy", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("busy")


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests on a real Asterisk share their labs, so one process runs all of them, beside all others."""
    for item in items:
        if ACCEPTANCE in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("acceptance"))
