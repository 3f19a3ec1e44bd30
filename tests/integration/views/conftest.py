"""For views of the columns in use: Asterisk's role, and rows to look at."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.rows import dict_row
from sqlalchemy import URL

from provisioner.store import Store
from tests.integration.conftest import address
from tests.integration.people import rows
from tests.integration.views.looking import ROLE, SECRET, Sql, write


@pytest.fixture
def asterisk(database: URL, store: Store) -> Iterator[Sql]:
    """A connection of Asterisk's role, which prepares nothing, as Asterisk does not either."""
    store.grant_asterisk(ROLE, SECRET)
    theirs = database.set(username=ROLE, password=SECRET.reveal())
    with psycopg.connect(
        address(theirs), autocommit=True, row_factory=dict_row, prepare_threshold=None
    ) as connection:
        connection.execute("SET statement_timeout = '10s'")
        yield connection


@pytest.fixture
def filled(store: Store) -> Store:
    write(store, rows("7001", "7002"))
    return store
