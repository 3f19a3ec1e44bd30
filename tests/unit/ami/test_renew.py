"""What is renewed beside the caches, when, and what is said of it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence

import pytest

from provisioner.ami import Client, paced
from provisioner.ami import renew as module
from provisioner.ami.renew import pays, renew
from provisioner.errors import ConnectionLost
from provisioner.plan import NodeOrder
from tests.unit.ami.fake import FakeNode, Headers, Pause, Step, answer, hangs_up

NONE: frozenset[str] = frozenset()
Renew = Callable[..., Awaitable[tuple[str, ...]]]


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine nothing is quick."""
    monkeypatch.setattr(paced, "GRACE_SECONDS", 30)


@pytest.fixture
def fake() -> Iterator[FakeNode]:
    answers = {"Getvar": answer("aor_unqualified"), "Reload": answer("reload")}
    with FakeNode(answers).running() as fake:
        yield fake


def order(what: str, id: str = "7001") -> NodeOrder:
    return NodeOrder(id, NONE, renew=frozenset({what}))


def orders(what: str, count: int) -> list[NodeOrder]:
    return [order(what, str(7001 + index)) for index in range(count)]


def renewing(
    fake: FakeNode,
    work: Callable[[Renew], Awaitable[None]],
    database_answers: Callable[[], bool] = lambda: True,
) -> None:
    """Do this work on one event loop, as a daemon does."""

    async def main() -> None:
        async with Client(fake.node()) as client:
            await work(lambda *given: renew(client, given, database_answers))

    asyncio.run(main())


def renewed(fake: FakeNode, *given: NodeOrder) -> tuple[str, ...]:
    said: list[str] = []

    async def work(renew: Renew) -> None:
        said.extend(await renew(*given))

    renewing(fake, work)
    return tuple(said)


def reloads(fake: FakeNode) -> list[str]:
    return [headers["Module"] for headers in fake.received if headers["Action"] == "Reload"]


def slowly(name: str, seconds: float) -> Callable[[Headers], Sequence[Step]]:
    return lambda headers: [Pause(seconds), *answer(name)(headers)]


async def news(renew: Renew) -> str:
    """What is told when nothing is asked for any more."""
    async with asyncio.timeout(10):
        while not (said := await renew()):
            await asyncio.sleep(0.01)
    return said[0]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


def test_orders_that_ask_for_nothing_are_no_work_for_the_node(fake: FakeNode) -> None:
    assert renewed(fake, NodeOrder("7001", frozenset({"aor"}), 0)) == ()
    assert fake.actions() == []


def test_an_unqualified_new_aor_is_made_known_by_a_reload_on_a_connection_of_its_own(fake: FakeNode) -> None:
    (sentence,) = renewed(fake, order("state"))
    assert re.match(r"reloaded res_pjsip\.so in \d+\.\d\d s, for extension 7001 just made", sentence)
    assert fake.actions() == ["Getvar", "Reload"]
    assert fake.connections == 2


def test_few_qualified_new_aors_need_nothing(fake: FakeNode) -> None:
    fake.answers["Getvar"] = answer("aor_qualified")
    assert renewed(fake, *orders("state", module.FEW_NEW)) == ()
    assert reloads(fake) == []


def test_an_aor_that_is_gone_again_needs_nothing(fake: FakeNode) -> None:
    fake.answers["Getvar"] = answer("look_none")
    assert renewed(fake, order("state")) == ()


def test_many_new_aors_are_one_reload_whatever_they_are(fake: FakeNode) -> None:
    (sentence,) = renewed(fake, *orders("state", 10_000))
    assert "for 10,000 extensions just made, each of which would have the node read all" in sentence
    assert fake.actions() == ["Reload"]


def test_new_aors_that_come_one_by_one_are_many_too(fake: FakeNode) -> None:
    fake.answers["Getvar"] = answer("aor_qualified")

    async def work(renew: Renew) -> None:
        each = orders("state", module.FEW_NEW + 1)
        said = [await renew(one) for one in each]
        assert said[:-1] == [()] * module.FEW_NEW
        assert "for 6 extensions just made" in said[-1][0]
        assert await renew(each[0]) == ()

    renewing(fake, work)


@pytest.mark.parametrize(
    ("new", "seconds", "does"),
    [
        (5, None, False),
        (6, None, True),
        (5, 60.0, False),
        (6, 60.0, True),
        (40, 0.1, False),
        (60, 0.1, True),
        (100, 0.001, False),
        (101, 0.001, True),
    ],
)
def test_a_reload_pays_by_how_many_are_new_and_how_long_it_takes(
    new: int, seconds: float | None, does: bool
) -> None:
    assert pays(new, seconds) is does


def test_qualify_options_are_renewed_where_phones_are_registered(fake: FakeNode) -> None:
    fake.answers["Getvar"] = answer("look_none")
    assert renewed(fake, order("qualify")) == ()
    fake.answers["Getvar"] = answer("look")
    (sentence,) = renewed(fake, order("qualify"))
    assert "for extension 7001 with changed qualify options: a registered phone keeps" in sentence
    assert reloads(fake) == ["res_pjsip.so"]


def test_of_very_many_aors_with_changed_qualify_options_none_is_looked_at(fake: FakeNode) -> None:
    (sentence,) = renewed(fake, *orders("qualify", 10_000))
    assert "for 10,000 extensions with changed qualify options" in sentence
    assert fake.actions() == ["Reload"]


def test_where_reloads_are_slow_qualify_options_are_left_to_the_next_registration(
    fake: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SLOW_SECONDS", 0.0)

    async def work(renew: Renew) -> None:
        await renew(order("state"))
        fake.answers["Getvar"] = answer("look")
        (sentence,) = await renew(order("qualify", "7002"))
        assert sentence.startswith(
            "left extension 7002 with changed qualify options: a registered phone keeps the"
        )

    renewing(fake, work)
    assert len(reloads(fake)) == 1


def test_of_a_reload_that_may_take_minutes_the_operator_chooses_the_time(
    fake: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    (sentence,) = renewed(fake, *orders("state", 20_001))
    assert sentence.startswith("left 20,001 extensions just made")
    assert sentence.endswith("; reload res_pjsip.so at a quiet time, as it may take minutes")
    (sentence,) = renewed(fake, *orders("qualify", 20_001))
    assert sentence.startswith("left 20,001 extensions with changed qualify options")
    assert fake.actions() == []
    monkeypatch.setattr(module, "ENDLESS_SECONDS", 0.0)

    async def work(renew: Renew) -> None:
        await renew(order("state"))
        (sentence,) = await renew(order("state", "7002"))
        assert sentence.startswith("left extension 7002 just made with qualify_frequency 0, where a")

    renewing(fake, work)
    assert len(reloads(fake)) == 1


def test_mailboxes_have_a_module_of_their_own(fake: FakeNode) -> None:
    (sentence,) = renewed(fake, *orders("mwi", 3))
    assert re.match(r"reloaded res_pjsip_mwi\.so in \d+\.\d\d s, for 3 extensions with changed", sentence)
    assert fake.actions() == ["Reload"]


def test_what_is_asked_for_in_the_rest_after_a_reload_is_done_by_one_at_its_end(
    fake: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paced, "REST", 0)

    async def work(renew: Renew) -> None:
        await renew(order("mwi"))
        for id in ("7002", "7003"):
            (sentence,) = await renew(order("mwi", id))
            assert re.match(rf"res_pjsip_mwi\.so is to be reloaded again .*, for extension {id} ", sentence)
        assert len(reloads(fake)) == 1
        assert "for 2 extensions with changed mailboxes" in await news(renew)

    renewing(fake, work)
    assert len(reloads(fake)) == 2


def test_a_long_reload_goes_on_beside_and_is_told_of_later(
    fake: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paced, "GRACE_SECONDS", 0.05)
    fake.answers["Reload"] = slowly("reload", 0.4)

    async def work(renew: Renew) -> None:
        (sentence,) = await renew(order("mwi"))
        assert sentence.startswith(
            "reloading res_pjsip_mwi.so goes on, for extension 7001 with changed mailboxes"
        )
        assert await renew() == ()
        assert re.match(r"reloaded res_pjsip_mwi\.so in \d", await news(renew))

    renewing(fake, work)


def test_a_long_reload_outlives_a_command_that_ends(fake: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paced, "GRACE_SECONDS", 0.01)
    fake.answers["Reload"] = slowly("reload", 1)
    assert renewed(fake, order("mwi"))[0].startswith("reloading res_pjsip_mwi.so goes on")
    asyncio.run(until(lambda: reloads(fake) == ["res_pjsip_mwi.so"]))


def test_nothing_is_reloaded_while_the_database_is_away(
    fake: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paced, "LEAST_REST_SECONDS", 0.05)
    monkeypatch.setattr(paced, "REST", 0)
    away = [True]

    async def work(renew: Renew) -> None:
        (sentence,) = await renew(order("mwi"))
        assert sentence == (
            "res_pjsip_mwi.so is to be reloaded once the database answers again, "
            f"for extension 7001 {module.MAILBOXES}"
        )
        (sentence,) = await renew(order("mwi", "7002"))
        assert sentence.startswith("res_pjsip_mwi.so is to be reloaded again soon, for extension 7002")
        await asyncio.sleep(0.2)
        assert await renew() == ()
        assert reloads(fake) == []
        away.clear()
        assert "for 2 extensions with changed mailboxes" in await news(renew)

    renewing(fake, work, lambda: not away)
    assert reloads(fake) == ["res_pjsip_mwi.so"]


def test_while_somebody_else_reloads_it_is_tried_again(
    fake: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paced, "LEAST_REST_SECONDS", 0.1)
    monkeypatch.setattr(paced, "REST", 0)
    fake.answers["Reload"] = answer("reload_in_progress")

    async def work(renew: Renew) -> None:
        (sentence,) = await renew(order("mwi"))
        assert sentence.startswith("reloading res_pjsip_mwi.so goes on")
        fake.answers["Reload"] = answer("reload")
        await until(lambda: len(reloads(fake)) >= 2)

    renewing(fake, work)


def test_a_reload_without_end_is_told_of(fake: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paced, "PATIENCE_SECONDS", 0.01)
    fake.answers["Reload"] = slowly("reload", 1)
    (sentence,) = renewed(fake, order("mwi"))
    assert re.match(r"reloading res_pjsip_mwi\.so takes over \d+ s, for extension 7001 with", sentence)


@pytest.mark.parametrize(
    ("refusal", "why"),
    [
        ("reload_none", "Reload res_pjsip_mwi.so was refused: No such module"),
        ("denied", "may not use Reload: add system (or config) to its write= line"),
    ],
)
def test_a_reload_that_is_refused_is_a_sentence(fake: FakeNode, refusal: str, why: str) -> None:
    fake.answers["Reload"] = answer(refusal)
    (sentence,) = renewed(fake, order("mwi"))
    assert sentence.startswith("res_pjsip_mwi.so was not reloaded for extension 7001 with changed mailboxes")
    assert why in sentence


def test_a_look_that_is_refused_is_a_sentence(fake: FakeNode) -> None:
    fake.answers["Getvar"] = answer("denied")
    (sentence,) = renewed(fake, order("state"))
    assert sentence.startswith("device states and qualify options were not looked after: node pbx1: the AMI")


def test_a_connection_that_is_lost_is_an_error(fake: FakeNode) -> None:
    fake.answers["Getvar"] = hangs_up
    with pytest.raises(ConnectionLost):
        renewed(fake, order("state"))


def test_an_id_that_no_dialplan_function_takes_is_passed_over(fake: FakeNode) -> None:
    assert renewed(fake, order("state", "7001)")) == ()
    assert fake.actions() == []
