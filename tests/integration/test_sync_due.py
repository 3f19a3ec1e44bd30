"""Reading on: what is due since a position that nobody has noted yet."""

from __future__ import annotations

import psycopg
import pytest
from sqlalchemy import URL

from provisioner.store import Store
from tests.integration.conftest import address
from tests.integration.daemons import Sql, change, endpoints
from tests.integration.positions import ids

pytestmark = pytest.mark.integration


@pytest.fixture
def node(store: Store, sql: Sql) -> str:
    """A node that knows all of a few endpoints."""
    endpoints(sql, ["7001", "7002", "7003"])
    store.know(["pbx1"])
    store.told(store.due("pbx1"))
    return "pbx1"


def test_each_read_brings_what_came_after_the_last_and_nothing_is_noted_by_reading(
    store: Store, sql: Sql, node: str
) -> None:
    change(sql, "7001")
    first = store.due(node)
    change(sql, "7002")
    second = store.due(node, first.position)
    assert (ids(first), ids(second), second.changes) == (["7001"], ["7002"], 1)
    assert store.due(node, second.position).empty
    assert ids(store.due(node)) == ["7001", "7002"]
    store.told(second)
    assert store.due(node).empty


def test_what_began_before_a_read_and_commits_after_it_comes_with_the_next(
    store: Store, sql: Sql, node: str, database: URL
) -> None:
    with psycopg.connect(address(database)) as late:
        change(late, "7001")
        change(sql, "7002")
        first = store.due(node)
        assert ids(first) == ["7002"]
        late.commit()
    assert ids(store.due(node, first.position)) == ["7001"]


def test_a_position_that_lies_ahead_of_the_database_counts_as_none(store: Store, sql: Sql, node: str) -> None:
    change(sql, "7001")
    assert ids(store.due(node, "4000000000:4000000000:")) == ["7001"]
