"""For commands that are stopped, killed and run side by side."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.commands import Machine, Sql


@pytest.fixture
def sql(machine: Machine) -> Iterator[Sql]:
    """A connection of a DBA to the database of the machine; every statement for itself."""
    with machine.connect() as connection:
        yield connection
