"""A hundred thousand rows change in one statement: the node is told of all, and SIP does not feel it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg
import pytest

from provisioner.ami import Fleet
from provisioner.lab import Lab
from provisioner.lab.latencies import Latencies
from provisioner.lab.sip import Prober, storm
from provisioner.lab.waiting import wait_for
from provisioner.realtime import ENDPOINTS
from provisioner.secret import Secret
from provisioner.settings import NodeSettings, load
from provisioner.store import Embedded
from tests import warm
from tests.acceptance.sync.daemon import Daemon
from tests.acceptance.truth import app_of

pytestmark = pytest.mark.acceptance

ROWS = 100_000
CACHED = 2_000
PHONES = 200
RATE = 50
FIRST = 2_000_000
SECRET = Secret("Wq7#kLz!vT29xQ")

_COLUMNS = (
    "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
)
_NUMBERS = f"generate_series({FIRST}, {FIRST} - 1 + %(count)s) number WHERE id = %(model)s"
_OWN = {
    **dict.fromkeys(('"id"', '"auth"', '"aors"', '"username"'), "number::text"),
    '"password_digest"': f"'MD5:' || md5(number || ':' || realm || ':{SECRET.reveal()}')",
}
"""What is not copied; a column that a table lacks is not asked for."""


@pytest.fixture
def lab(engine: None) -> Iterator[Lab]:
    # Qualified, the first registration of each phone would make Asterisk read all endpoints.
    with Lab(asterisk={"qualify_frequency": 0}, run=warm.run) as made:
        yield made


@pytest.fixture
def node(lab: Lab) -> NodeSettings:
    (found,) = load(lab.config).nodes
    return found


@pytest.fixture
def ids(lab: Lab) -> list[str]:
    """So many endpoints, each a copy of a user's with its own digest, made behind the triggers' back."""
    added = json.loads(lab.must("user", "add", "model", "--name", "Anna Kowalska", "--json"))
    model = added["extensions"][0]["number"]
    ids = [str(FIRST + index) for index in range(ROWS)]
    with _connect(lab) as connection:
        connection.execute("SET session_replication_role = replica")
        for table, count in (("ps_auths", CACHED), ("ps_aors", CACHED), ("ps_endpoints", ROWS)):
            found = connection.execute(_COLUMNS, (table,)).fetchall()
            names = [f'"{name}"' for (name,) in found]
            values = [_OWN.get(name, name) for name in names]
            copies = f"SELECT {', '.join(values)} FROM {table}, {_NUMBERS}"
            insert = f"INSERT INTO {table} ({', '.join(names)}) {copies}"
            connection.execute(insert.encode(), {"model": model, "count": count})
            connection.execute(f"ANALYZE {table}".encode())
    return ids


@pytest.fixture
def daemon(lab: Lab, ids: list[str]) -> Iterator[Daemon]:
    running = Daemon(lab.config, lab.home / "daemon.log")
    try:
        wait_for("the node to have been told once", lambda: _is_told(lab), 20)
        yield running
    finally:
        running.stop()


def _connect(lab: Lab) -> psycopg.Connection:
    url = Embedded(lab.home).ensure_running().set(drivername="postgresql")
    return psycopg.connect(url.render_as_string(hide_password=False))


def _is_told(lab: Lab) -> bool:
    with closing(app_of(lab)) as app:
        return all(not state.whole and not state.changes for state in app.store.states())


def test_registrations_are_answered_while_a_hundred_thousand_rows_change_at_once(
    lab: Lab, node: NodeSettings, ids: list[str], daemon: Daemon
) -> None:
    before = _languages(node, ids[:CACHED])

    def change() -> None:
        with _connect(lab) as connection:
            done = connection.execute("UPDATE ps_endpoints SET language = 'pl' WHERE language = 'en'")
            assert done.rowcount > ROWS
        wait_for("the node to have been told", lambda: _is_told(lab), 60)

    seen = asyncio.run(_beside(lab, ids[:PHONES], change))
    assert set(before) == {"en"}
    assert set(_languages(node, ids[:CACHED])) == {"pl"}
    assert (seen.lost, set(seen.statuses)) == (0, {200}), seen
    assert seen.p99 < 1, seen


async def _beside(lab: Lab, ids: list[str], work: Callable[[], None]) -> Latencies:
    """What phones of these users saw that registered all the while."""
    over = asyncio.Event()
    async with Prober() as prober:
        phones = [prober.phone(id, SECRET, lab.sip) for id in ids]
        storming = asyncio.create_task(storm(phones, RATE, 90, until=over))
        await asyncio.to_thread(work)
        over.set()
        return await storming


def _languages(node: NodeSettings, ids: list[str]) -> list[object]:
    """What the node holds of each, cached or read anew."""
    held = Fleet((node,)).read_back(ids)[node.name]
    assert held.error is None
    return [found.held[ENDPOINTS]["language"] if found else None for found in held.endpoints.values()]
