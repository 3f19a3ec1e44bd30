"""One minute of the soak that `make soak` does for fifteen."""

import pytest

from tests.acceptance.sync.soak import soak
from tests.acceptance.sync.world import World

pytestmark = pytest.mark.acceptance


def test_a_minute_of_changes_and_faults_on_two_nodes_loses_nothing(engine: None) -> None:
    with World() as world:
        found = soak(world, 60)
    assert found.changes > 100
    assert found.served > 1000
    assert found.differences == []
    assert found.leaks == []
