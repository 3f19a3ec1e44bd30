"""A worker with a scripted node and a database in memory: what it tells, and how it lives with faults."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from provisioner.ami import expiry
from provisioner.errors import StoreUnavailable
from provisioner.plan import NodeOrder
from provisioner.sync import session
from provisioner.sync.worker import Worker
from tests.unit.ami.fake import Drop, FakeNode, Headers, Pause, Step, answer, hangs_up, says, silent
from tests.unit.sync.parts import Outbox, expired, obedient, until


def order(id: str, keep: int | None = None) -> NodeOrder:
    return NodeOrder(id, frozenset({"endpoint"}), keep)


@asynccontextmanager
async def working(worker: Worker) -> AsyncIterator[Worker]:
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def run(
    fake: FakeNode,
    outbox: Outbox,
    work: Callable[[Worker], Awaitable[None]],
    poll: float = 60.0,
    **node: object,
) -> None:
    async def main() -> None:
        patient = {"connect_timeout": 30, "action_timeout": 30, **node}
        async with working(Worker(fake.node(**patient), outbox.means(poll))) as worker:
            await work(worker)

    asyncio.run(main())


def test_what_is_due_is_told_and_noted_and_the_connection_is_kept() -> None:
    outbox = Outbox()

    async def work(worker: Worker) -> None:
        await until(lambda: outbox.notes == 1, "a first note")
        for number in range(5):
            outbox.commit(order(f"700{number}"))
            worker.wake()
            await until(lambda: outbox.noted == len(outbox.rows), "a note")

    with obedient().running() as fake:
        run(fake, outbox, work)
    assert set(expired(fake)) == {f"700{number}" for number in range(5)}
    assert fake.connections == 1


def test_a_change_is_told_beside_a_round_that_is_still_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second pass of a round comes a while after the first; nobody waits for it."""
    monkeypatch.setattr(expiry, "SETTLE_SECONDS", 0.5)
    outbox = Outbox()

    async def work(worker: Worker) -> None:
        await until(lambda: outbox.notes == 1, "a first note")
        outbox.commit(order("7001"))
        worker.wake()
        await until(lambda: "7001" in expired(fake), "the first pass")
        outbox.commit(order("7002"))
        worker.wake()
        await until(lambda: outbox.noted == 2, "both to be noted")

    with obedient().running() as fake:
        run(fake, outbox, work)
    assert expired(fake)[:4] == ["7001", "7002", "7001", "7002"]


def test_an_object_that_changes_all_the_time_is_told_about_once_a_second() -> None:
    outbox = Outbox()

    async def work(worker: Worker) -> None:
        await until(lambda: outbox.notes == 1, "a first note")
        for _ in range(60):
            outbox.commit(order("7001"))
            worker.wake()
            await asyncio.sleep(0.01)
        outbox.commit(order("7002"))
        worker.wake()
        await until(lambda: outbox.noted == 61, "all to be noted")

    started = time.monotonic()
    with obedient().running() as fake:
        run(fake, outbox, work)
    rounds = expired(fake).count("7001") / 2
    assert 2 <= rounds <= time.monotonic() - started + 1
    assert expired(fake).count("7002") == 2


def test_whole_caches_are_expired_once() -> None:
    outbox = Outbox(whole=True)
    outbox.commit(order("7001", keep=0))

    async def work(worker: Worker) -> None:
        await until(lambda: not outbox.whole, "the note")
        worker.wake()
        await asyncio.sleep(0.1)

    with obedient().running() as fake:
        run(fake, outbox, work)
    assert fake.actions().count("SorceryMemoryCacheExpire") == 3 * 2
    assert expired(fake) == []


def test_a_few_objects_do_not_wait_for_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "SETTLE_SECONDS", 2.0)
    outbox = Outbox()
    outbox.commit(*(order(str(number)) for number in range(20000, 20900)))

    async def work(worker: Worker) -> None:
        await until(lambda: "20000" in expired(fake), "the large round")
        outbox.commit(order("8000"))
        worker.wake()
        await until(lambda: outbox.noted == 901, "all to be noted")

    with obedient().running() as fake:
        run(fake, outbox, work)
    assert expired(fake).index("8000") < 1000, "before the second pass of the others"


def test_without_a_word_from_the_database_it_is_looked_at_now_and_then() -> None:
    outbox = Outbox()

    async def work(worker: Worker) -> None:
        await until(lambda: outbox.notes == 1, "a first note")
        outbox.commit(order("7001"))
        await until(lambda: outbox.noted == 1, "the poll")

    with obedient().running() as fake:
        run(fake, outbox, work, poll=0.2)


def test_an_id_that_no_message_can_hold_is_passed_over_and_holds_up_nothing() -> None:
    outbox = Outbox()
    outbox.commit(order("a\r\nAction: Originate"), order("x" * 1100), order("7001"))

    async def work(worker: Worker) -> None:
        await until(lambda: outbox.noted == 3, "all to be noted")
        assert worker.standing()["error"] is None

    with obedient().running() as fake:
        run(fake, outbox, work)
    assert set(expired(fake)) == {"7001"}


@pytest.mark.parametrize("cut", [hangs_up, lambda headers: [b"Response: Succ", Drop()]])
def test_a_connection_cut_amid_a_round_is_made_anew_and_the_round_is_repeated(
    cut: Callable[[Headers], Sequence[Step]],
) -> None:
    outbox = Outbox()

    async def work(worker: Worker) -> None:
        await until(lambda: outbox.notes == 1, "a first note")
        fake.answers["SorceryMemoryCacheExpireObject"] = cut
        outbox.commit(order("7001"), order("7002"))
        worker.wake()
        await until(lambda: worker.standing()["error"], "the error")
        assert outbox.noted == 0
        fake.answers["SorceryMemoryCacheExpireObject"] = answer("expire_expired")
        await until(lambda: outbox.noted == 2, "the note")
        assert worker.standing() == {"up": True, "lag_seconds": 0.0, "changes": 0, "error": None}

    with obedient().running() as fake:
        run(fake, outbox, work)
    assert len(outbox.errors) == 1
    assert "node pbx1: " in str(outbox.errors[0])


def test_a_connection_that_is_cut_while_nothing_is_due_is_noticed_and_made_anew() -> None:
    outbox = Outbox()
    fake = obedient()

    async def work(worker: Worker) -> None:
        await until(lambda: outbox.notes == 1, "a first note")
        stack.__exit__(None, None, None)
        await until(lambda: outbox.errors, "the loss to be noted")

    stack = fake.running()
    stack.__enter__()
    run(fake, outbox, work)
    assert "node pbx1: " in str(outbox.errors[0])


def test_a_node_that_falls_silent_is_noticed_by_a_ping(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "PING", 0.1)
    outbox = Outbox()

    async def work(worker: Worker) -> None:
        await until(lambda: "Ping" in fake.actions(), "a ping")
        fake.answers["Ping"] = silent
        await until(lambda: not worker.up, "the silence to be noticed")
        fake.answers["Ping"] = answer("ping")
        await until(lambda: worker.up and worker.standing()["error"] is None, "the way back")

    with obedient().running() as fake:
        run(fake, outbox, work, action_timeout=0.3)


def test_a_node_that_is_away_is_tried_again_with_growing_waits_and_named_once() -> None:
    outbox = Outbox()
    fake = obedient()
    fake.answers["Login"] = says("Response: Error", "Message: Authentication failed")

    async def work(worker: Worker) -> None:
        await asyncio.sleep(1.5)
        assert 2 <= fake.connections <= 6, "0.1 to 0.2, 0.2 to 0.4, 0.4 to 0.8 s, ..."
        for _ in range(50):
            worker.wake()
        tried = fake.connections
        await asyncio.sleep(0.05)
        assert fake.connections <= tried + 1, "what changes brings no node back"
        fake.answers["Login"] = says("Response: Success", "Message: Authentication accepted")
        await until(lambda: worker.standing()["error"] is None, "the way back")

    with fake.running():
        run(fake, outbox, work)
    assert len(outbox.errors) == 1
    assert "ami-secret" not in str(outbox.errors)


def test_a_database_that_fails_a_worker_is_no_fault_of_the_node() -> None:
    outbox = Outbox()

    async def work(worker: Worker) -> None:
        await until(lambda: outbox.notes == 1, "a first note")
        outbox.fails = True
        worker.wake()
        await until(lambda: worker.standing()["error"], "the error")
        outbox.fails = False
        outbox.commit(order("7001"))
        await until(lambda: outbox.noted == 1, "the way back")

    with obedient().running() as fake:
        run(fake, outbox, work)
    assert outbox.errors == []


def test_a_database_that_is_slow_does_not_stop_the_loop_and_shows() -> None:
    outbox = Outbox(slow=0.5)

    async def work(worker: Worker) -> None:
        await until(lambda: worker.asking_for() > 0, "the question")
        started = time.monotonic()
        await asyncio.sleep(0)
        assert time.monotonic() - started < 0.4
        await until(lambda: worker.asking_for() > 0.3, "the answer to be late")
        await until(lambda: outbox.notes == 1, "the answer")

    with obedient().running() as fake:
        run(fake, outbox, work)


def test_lag_counts_from_the_oldest_change_that_was_not_told() -> None:
    outbox = Outbox()

    def late(headers: Headers) -> Sequence[Step]:
        return [Pause(0.5), *answer("expire_expired")(headers)]

    async def work(worker: Worker) -> None:
        await until(lambda: outbox.notes == 1, "a first note")
        assert worker.standing()["lag_seconds"] == 0.0
        outbox.commit(order("7001"))
        worker.wake()
        await until(lambda: worker.standing()["lag_seconds"] >= 0.3, "the lag to show")
        await until(lambda: outbox.noted == 1, "the note")
        assert worker.standing()["lag_seconds"] == 0.0

    fake = obedient()
    fake.answers["SorceryMemoryCacheExpireObject"] = late
    with fake.running():
        run(fake, outbox, work)


def test_a_database_whose_clock_is_ahead_makes_no_negative_lag() -> None:
    outbox = Outbox(rows=[(order("7001"), datetime.now(UTC) + timedelta(hours=1))])
    shown = []

    async def work(worker: Worker) -> None:
        while outbox.noted == 0:
            shown.append(worker.standing()["lag_seconds"])
            await asyncio.sleep(0.01)

    with obedient().running() as fake:
        run(fake, outbox, work)
    assert min(shown) >= 0


def test_a_worker_that_is_ended_just_when_its_session_fails_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that is lost does both: it fails what the session asks, and ends the lead."""

    async def main() -> None:
        async def lost(_: session.Session) -> None:
            task.cancel()
            raise StoreUnavailable("PostgreSQL at nowhere does not answer.")

        monkeypatch.setattr(session.Session, "_watch_connection", lost)
        task = asyncio.create_task(Worker(fake.node(), Outbox().means()).run())
        await asyncio.wait([task], timeout=5)
        assert task.cancelled()

    with obedient().running() as fake:
        asyncio.run(main())
