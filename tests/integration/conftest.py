"""A real PostgreSQL for all tests here: one server, and a fresh database for each test."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import URL

from provisioner.store import Embedded, Store
from tests.integration import upstream

if TYPE_CHECKING:
    from tests.integration.commands import Machine
    from tests.integration.office import Office

_COUNTER = itertools.count(1)


def address(url: URL) -> str:
    """The URL as psycopg takes it, password included."""
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """One server for all."""
    server = Embedded(tmp_path_factory.mktemp("server"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def server(embedded: Embedded) -> URL:
    """Its URL. It has a database ``migrated``, the template of those that tests get."""
    url = embedded.ensure_running()
    with psycopg.connect(address(url), autocommit=True) as connection:
        connection.execute("CREATE DATABASE migrated")
    with Store(url.set(database="migrated")) as store:
        store.upgrade()
    return url


@contextmanager
def databases(server: URL) -> Iterator[Callable[[str], URL]]:
    """Makes databases from a template, which are gone at the end."""
    made: list[str] = []

    def make(template: str) -> URL:
        name = f"test{next(_COUNTER)}"
        with psycopg.connect(address(server), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
        made.append(name)
        return server.set(database=name)

    yield make
    with psycopg.connect(address(server), autocommit=True) as connection:
        for name in made:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@pytest.fixture
def make_database(server: URL) -> Iterator[Callable[[str], URL]]:
    """Makes databases from a template: ``template0`` for an empty one."""
    with databases(server) as make:
        yield make


@pytest.fixture
def database(make_database: Callable[[str], URL]) -> URL:
    """A migrated database of this test alone."""
    return make_database("migrated")


@pytest.fixture
def empty_database(make_database: Callable[[str], URL]) -> URL:
    """A database without any table."""
    return make_database("template0")


@pytest.fixture(params=["asterisk_16", "asterisk_22"])
def adopted(empty_database: URL, request: pytest.FixtureRequest) -> URL:
    """A database that Asterisk's own migrations made, with a trunk of somebody else's."""
    with psycopg.connect(address(empty_database)) as connection:
        connection.execute(getattr(upstream, request.param)().encode())
        connection.execute("INSERT INTO ps_auths (id, password) VALUES ('trunk', 'theirs')")
        connection.execute(
            "INSERT INTO ps_endpoints (id, auth, direct_media) VALUES ('trunk', 'trunk', 'no')"
        )
        connection.execute("INSERT INTO ps_endpoints (id, context) VALUES ('open_one', 'public')")
    return empty_database


@pytest.fixture
def store(database: URL) -> Iterator[Store]:
    with Store(database) as opened:
        yield opened


@pytest.fixture
def sql(database: URL) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A connection of a DBA to the same database; every statement for itself."""
    with psycopg.connect(address(database), autocommit=True) as connection:
        yield connection


@pytest.fixture
def nodes(store: Store) -> Store:
    """A store with two nodes that were told everything."""
    store.know(["pbx1", "pbx2"])
    for node in ("pbx1", "pbx2"):
        store.told(store.due(node))
    return store


@pytest.fixture
def other(database: URL) -> Iterator[Callable[[], psycopg.Connection[Any]]]:
    """Makes connections of other programs; what they do is committed when they say so."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(psycopg.connect(address(database)))


@pytest.fixture
def office(database: URL, tmp_path: Path) -> Iterator[Office]:
    """Users who come from files."""
    from tests.integration.office import Office

    opened = Office(tmp_path, database)
    yield opened
    opened.app.close()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine of this module alone, for commands that are stopped, killed and run side by side."""
    from tests.integration.commands import running_machine

    with running_machine(tmp_path_factory.mktemp("machine")) as made:
        yield made


@pytest.fixture
def machine(home: Machine, tmp_path: Path) -> Machine:
    """The same, as if nothing had happened on it."""
    home.anew()
    home.folder = tmp_path
    return home
