"""Settings of one node, and the file that its database access goes into."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioner.conf import DatabaseAccess
from provisioner.secret import Secret
from provisioner.settings import NodeSettings, Settings


@pytest.fixture(scope="session")
def settings() -> Settings:
    return Settings(home=Path("/nowhere"), nodes=(NodeSettings(name="pbx1", secret=Secret("ami secret")),))


@pytest.fixture(scope="session")
def access() -> DatabaseAccess:
    return DatabaseAccess("127.0.0.1", 5432, "provisioner", "asterisk", Secret("db secret"))
