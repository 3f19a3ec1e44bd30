"""The fleet against scripted nodes: what is sent in which order, and what becomes of a node that fails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest

from provisioner.ami import Delivery, Fleet, expiry
from provisioner.ami.expiry import FEW, LOOKS, SAMPLE
from provisioner.plan import NodeOrder
from tests.unit.ami.fake import FakeNode, Headers, Pause, Step, answer, hangs_up, silent

ALL = frozenset({"endpoint", "auth", "aor"})


def slow_ping(headers: Headers) -> Sequence[Step]:
    """So that no chance of this machine makes a cache look large beside it."""
    return [Pause(0.05), *answer("ping")(headers)]


def node_with_caches() -> FakeNode:
    """A node that says of every object that it was cached, and of every cache that it is small."""
    return FakeNode(
        {
            "SorceryMemoryCacheExpireObject": answer("expire_expired"),
            "SorceryMemoryCacheExpire": answer("expire_all"),
            "SorceryMemoryCacheStale": answer("mark_stale"),
            "Ping": slow_ping,
        }
    )


def test_exactly_the_objects_named_are_expired_and_twice() -> None:
    with FakeNode({"SorceryMemoryCacheExpireObject": answer("expire_expired")}).running() as fake:
        (result,) = Fleet((fake.node(),)).deliver({"pbx1": [NodeOrder("7001", frozenset({"auth"}))]})
    assert result.ok
    assert result.details == Delivery(orders=1, expired=1)
    sent = [(headers["Cache"], headers["Object"]) for headers in fake.received[1:]]
    assert sent == [("res_pjsip/auth", "7001")] * 2


def test_a_node_without_caches_is_told_once_and_says_so() -> None:
    with FakeNode({"SorceryMemoryCacheExpireObject": answer("expire_no_cache")}).running() as fake:
        (result,) = Fleet((fake.node(),)).deliver({"pbx1": [NodeOrder("7001", ALL)]})
    assert result.details == Delivery(orders=1, no_cache=ALL)
    assert len(fake.actions()) == 3


MANY = 3 * FEW


def test_of_very_many_objects_of_which_few_are_cached_the_whole_cache_is_expired() -> None:
    orders = [NodeOrder(str(number), frozenset({"auth"})) for number in range(MANY)]
    orders.append(NodeOrder("1", frozenset({"aor"})))
    with node_with_caches().running() as fake:
        (result,) = Fleet((fake.node(),)).deliver({"pbx1": orders})
    sent = Counter((headers["Action"], headers.get("Cache")) for headers in fake.received[1:])
    assert sent["SorceryMemoryCacheExpire", "res_pjsip/auth"] == 2
    assert sent["SorceryMemoryCacheExpireObject", "res_pjsip/auth"] == LOOKS * SAMPLE
    assert sent["SorceryMemoryCacheExpireObject", "res_pjsip/aor"] == 2
    assert result.details == Delivery(MANY, expired=1, whole=frozenset({"auth"}))


def slow_mark(headers: Headers) -> Sequence[Step]:
    return [Pause(0.3), *answer("mark_stale")(headers)]


@pytest.mark.parametrize("stale", ["a full cache", "no such action"])
def test_beside_very_many_cached_objects_all_go_by_name(stale: str) -> None:
    ids = [str(number) for number in range(MANY)]
    orders = [NodeOrder(id, frozenset({"auth"})) for id in ids]
    with node_with_caches().running() as fake:
        if stale == "a full cache":
            fake.answers["SorceryMemoryCacheStale"] = slow_mark
        else:
            del fake.answers["SorceryMemoryCacheStale"]
        (result,) = Fleet((fake.node(action_timeout=20),)).deliver({"pbx1": orders})
    assert "SorceryMemoryCacheExpire" not in fake.actions()
    assert {headers["Object"] for headers in fake.received if "Object" in headers} == set(ids)
    assert result.details == Delivery(MANY, expired=MANY)


def test_what_is_expired_long_after_the_commit_is_expired_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "SETTLED_SECONDS", 0.0)
    with node_with_caches().running() as fake:
        Fleet((fake.node(),)).deliver({"pbx1": [NodeOrder("7001", ALL)]})
    assert len(fake.actions()) == 3


def test_where_there_is_no_cache_the_rest_of_very_many_objects_is_left_out() -> None:
    orders = [NodeOrder(str(number), frozenset({"auth"})) for number in range(MANY)]
    with FakeNode({"SorceryMemoryCacheExpireObject": answer("expire_no_cache")}).running() as fake:
        (result,) = Fleet((fake.node(),)).deliver({"pbx1": orders})
    assert len(fake.actions()) == LOOKS * SAMPLE
    assert result.details == Delivery(MANY, no_cache=frozenset({"auth"}))


def test_a_whole_cache_that_is_not_there_is_told_once() -> None:
    with FakeNode({"SorceryMemoryCacheExpire": answer("expire_all_no_cache")}).running() as fake:
        (result,) = Fleet((fake.node(),)).deliver({}, whole={"pbx1"})
    assert len(fake.actions()) == 3
    assert result.details == Delivery(no_cache=ALL)


def test_an_id_that_no_message_can_hold_is_left_out_and_holds_up_nothing() -> None:
    orders = [NodeOrder(id, frozenset({"auth"})) for id in ("7001", "7\r\n2", "7" * 1000)]
    with FakeNode({"SorceryMemoryCacheExpireObject": answer("expire_no_cache")}).running() as fake:
        (result,) = Fleet((fake.node(),), sweep_seconds=0).deliver({"pbx1": orders})
    assert result.error is None
    assert {headers["Object"] for headers in fake.received if "Object" in headers} == {"7001"}


def test_a_node_without_orders_is_not_contacted() -> None:
    fake = FakeNode(port=1)
    (result,) = Fleet((fake.node(),)).deliver({"pbx1": []})
    assert result.ok
    assert result.details == Delivery()


def test_one_node_that_fails_hides_no_other() -> None:
    good = FakeNode({"SorceryMemoryCacheExpireObject": answer("expire_expired")})
    lost = FakeNode({"SorceryMemoryCacheExpireObject": hangs_up})
    mute = FakeNode({"SorceryMemoryCacheExpireObject": silent})
    order = [NodeOrder("7001", ALL)]
    with good.running(), lost.running(), mute.running():
        nodes = (
            lost.node(name="lost"),
            mute.node(name="mute", action_timeout=0.2),
            FakeNode(port=1).node(name="down"),
            good.node(name="good"),
        )
        results = Fleet(nodes).deliver({node.name: order for node in nodes})
    assert [(result.node, result.ok) for result in results] == [
        ("lost", False),
        ("mute", False),
        ("down", False),
        ("good", True),
    ]
    assert all(result.error and result.error.startswith(f"node {result.node}: ") for result in results[:3])


def test_what_a_look_put_into_the_caches_is_forgotten_on_the_nodes_that_are_named() -> None:
    with FakeNode({"SorceryMemoryCacheExpireObject": answer("expire_expired")}).running() as fake:
        nodes = (fake.node(), FakeNode(port=1).node(name="other"))
        results = Fleet(nodes).forget({"pbx1": ["7001"]})
    assert [(one.node, one.ok) for one in results] == [("pbx1", True), ("other", True)]
    sent = [(headers["Cache"], headers["Object"]) for headers in fake.received[1:]]
    assert sent == [(f"res_pjsip/{type}", "7001") for type in ("endpoint", "auth", "aor")]


@pytest.mark.parametrize(
    ("ids", "answers", "did"),
    [
        (["7001"], ("expire_expired", "expire_all"), "expired 3 of 3 objects from the caches"),
        (
            ["7001"],
            ("expire_not_cached", "expire_all"),
            "expired 0 of 3 objects from the caches; 3 not cached",
        ),
        (None, ("expire_expired", "expire_all"), "expired all cached objects of type endpoint, auth and aor"),
        (
            ["7001"],
            ("expire_no_cache", "expire_all_no_cache"),
            "reloaded res_pjsip.so, because this node has no",
        ),
        (None, ("expire_no_cache", "expire_all_no_cache"), "reloaded res_pjsip.so, because this node has no"),
        ([], ("expire_expired", "expire_all"), "nothing to do"),
        (
            [str(number) for number in range(MANY)],
            ("expire_expired", "expire_all"),
            "expired all cached objects of type endpoint, auth and aor, as so many were named",
        ),
    ],
)
def test_a_reload_says_what_it_did(ids: list[str] | None, answers: tuple[str, str], did: str) -> None:
    one, everything = answers
    node = FakeNode(
        {
            "SorceryMemoryCacheExpireObject": answer(one),
            "SorceryMemoryCacheExpire": answer(everything),
            "SorceryMemoryCacheStale": answer("mark_stale"),
            "Ping": slow_ping,
            "Reload": answer("reload"),
        }
    )
    with node.running() as fake:
        (result,) = Fleet((fake.node(),)).reload(ids)
    assert result.ok
    assert result.did.startswith(did)
    assert ("Reload" in fake.actions()) is did.startswith("reloaded")
