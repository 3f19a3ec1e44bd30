"""The listener hears of changes at once, leads alone, and notices when its connection is lost."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
import pytest
from sqlalchemy import URL

from provisioner.errors import StoreUnavailable
from provisioner.store import Embedded, Store
from provisioner.store.listen import Listener
from tests.integration.conftest import address

Sql = psycopg.Connection[Any]
LONG = 60.0


def run(use: Callable[[Listener], Awaitable[None]], store: Store) -> None:
    """Use a listener that is connected."""

    async def work() -> None:
        listener = store.listener()
        await listener.connect()
        try:
            await use(listener)
        finally:
            await listener.close()

    asyncio.run(work())


def change(sql: Sql, id: str) -> None:
    sql.execute("INSERT INTO ps_aors (id) VALUES (%s)", [id])


def test_it_hears_of_a_change_at_once_and_of_nothing_else(store: Store, sql: Sql) -> None:
    store.know(["pbx1"])

    async def use(listener: Listener) -> None:
        assert await listener.hear(0.05) is False
        sql.execute("NOTIFY another; UPDATE ps_contacts SET expiration_time = 1")
        assert await listener.hear(0.05) is False
        heard = asyncio.create_task(listener.hear(LONG))
        await asyncio.sleep(0)
        change(sql, "7001")
        assert await heard is True
        assert await listener.hear(0) is False

    run(use, store)


def test_it_hears_of_what_happened_while_it_did_not_listen(store: Store, sql: Sql) -> None:
    store.know(["pbx1"])

    async def use(listener: Listener) -> None:
        for id in range(50):
            change(sql, str(id))
        assert await listener.lead()
        change(sql, "more")
        assert await listener.hear(LONG) is True
        while await listener.hear(0.05):
            pass  # several may have come apart

    run(use, store)


def test_who_stops_waiting_can_listen_again(store: Store, sql: Sql) -> None:
    store.know(["pbx1"])

    async def use(listener: Listener) -> None:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(listener.hear(LONG), 0.05)
        change(sql, "7001")
        assert await listener.hear(LONG) is True

    run(use, store)


def test_only_one_leads_and_the_next_when_it_hangs_up(store: Store, database: URL, sql: Sql) -> None:
    async def use(first: Listener) -> None:
        second = store.listener()
        await second.connect()
        try:
            assert not store.daemon_runs()
            assert [await first.lead(), await first.lead(), await second.lead()] == [True, True, False]
            assert store.daemon_runs()
            await first.close()
            while not await second.lead():
                await asyncio.sleep(0.01)
            await second.close()
            while store.daemon_runs():
                await asyncio.sleep(0.01)
        finally:
            await second.close()

    run(use, store)


def test_the_daemon_of_another_database_is_none_of_ours(store: Store, server: URL) -> None:
    async def use(listener: Listener) -> None:
        assert await listener.lead()
        with Store(server.set(database="migrated")) as other:
            assert (store.daemon_runs(), other.daemon_runs()) == (True, False)

    run(use, store)


def end_all(sql: Sql) -> None:
    sql.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'provisioner sync' AND datname = current_database()"
    )


def test_a_connection_that_is_lost_raises_and_can_be_made_again(store: Store, sql: Sql) -> None:
    store.know(["pbx1"])

    async def use(listener: Listener) -> None:
        assert await listener.lead()
        heard = asyncio.create_task(listener.hear(LONG))
        await asyncio.sleep(0)
        end_all(sql)
        with pytest.raises(StoreUnavailable):
            await heard
        with pytest.raises(StoreUnavailable):
            await listener.hear(LONG)
        await listener.connect()
        assert await listener.lead()
        end_all(sql)
        with pytest.raises(StoreUnavailable):
            await listener.hear(LONG)
        await listener.connect()
        assert await listener.lead(), "the lead was lost with the connection"
        change(sql, "7001")
        assert await listener.hear(LONG) is True

    run(use, store)


def test_before_it_is_connected_and_after_it_hung_up_it_says_so(store: Store) -> None:
    async def use(listener: Listener) -> None:
        await listener.close()
        await listener.close()
        with pytest.raises(StoreUnavailable, match="is not connected"):
            await listener.hear(0)
        with pytest.raises(StoreUnavailable, match="is not connected"):
            await listener.lead()

    run(use, store)


async def _connect(listener: Listener) -> None:
    await listener.connect()


def test_a_server_that_cannot_be_reached_is_named_without_its_password(database: URL) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    for url, says in (
        (database.set(port=port), "does not answer"),
        (database.set(password="not-the-real-one"), "refuses the login"),
        (database.set(database="none"), "does not exist"),
    ):
        with Store(url) as store, pytest.raises(StoreUnavailable, match=says) as caught:
            asyncio.run(_connect(store.listener()))
        for secret in (url.password, database.password):
            assert str(secret) not in f"{caught.value} {caught.value.__cause__}"


def test_a_server_that_is_silent_is_given_up(database: URL) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        with Store(database.set(port=silent.getsockname()[1])) as store, pytest.raises(StoreUnavailable):
            asyncio.run(_connect(store.listener()))
        assert time.monotonic() - started < 60


def test_both_sides_look_often_whether_the_other_is_still_there(store: Store, sql: Sql) -> None:
    """Within four seconds: one without a word, and three looks a second apart."""

    async def use(listener: Listener) -> None:
        connection = listener._connection
        assert connection is not None
        wanted = {"tcp_keepalives_idle": "1", "tcp_keepalives_interval": "1", "tcp_keepalives_count": "3"}
        for name, value in {**wanted, "tcp_user_timeout": "3000", "idle_session_timeout": "0"}.items():
            cursor = await connection.execute(f"SHOW {name}".encode())
            assert await cursor.fetchone() == (value,), name
        ours = socket.socket(fileno=connection.pgconn.socket)
        try:
            assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
            found = [ours.getsockopt(socket.IPPROTO_TCP, option) for option in options]
            assert found == [1, 1, 3, 3000]
        finally:
            ours.detach()

    run(use, store)


def test_options_of_the_url_hold_for_it_too(database: URL) -> None:
    url = database.update_query_dict({"options": "-c work_mem=5MB"})

    async def use(listener: Listener) -> None:
        connection = listener._connection
        assert connection is not None
        cursor = await connection.execute("SHOW work_mem")
        assert await cursor.fetchone() == ("5MB",)

    with Store(url) as store:
        run(use, store)


def test_a_server_that_restarts_is_heard_again(tmp_path_factory: pytest.TempPathFactory) -> None:
    server = Embedded(tmp_path_factory.mktemp("restarted"))
    try:
        with Store(server.ensure_running()) as store:
            store.upgrade()
            store.know(["pbx1"])

            async def use(listener: Listener) -> None:
                assert await listener.lead()
                heard = asyncio.create_task(listener.hear(LONG))
                await asyncio.to_thread(server.stop)
                with pytest.raises(StoreUnavailable):
                    await heard
                with pytest.raises(StoreUnavailable):
                    await listener.connect()
                url = await asyncio.to_thread(server.ensure_running)
                await listener.connect()
                assert await listener.lead()
                with psycopg.connect(address(url), autocommit=True) as sql:
                    change(sql, "7001")
                assert await listener.hear(LONG) is True

            run(use, store)
    finally:
        server.stop()
