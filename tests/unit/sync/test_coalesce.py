"""What goes to a node now and what waits: every change is told, none twice in a second, none is forgotten."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count, pairwise

from hypothesis import given
from hypothesis import strategies as st

from provisioner.plan import NodeOrder
from provisioner.store import Due
from provisioner.sync.coalesce import AGAIN_AFTER, Backlog, Batch

POSITIONS = map(str, count(1))


def order(id: str, *expire: str, keep: int | None = None) -> NodeOrder:
    return NodeOrder(id, frozenset(expire or ["endpoint"]), keep)


def due(*orders: NodeOrder, whole: bool = False) -> Due:
    ids = [one.endpoint_id for one in orders]
    return Due("pbx1", next(POSITIONS), orders, dict.fromkeys(ids, 1), whole, changes=len(orders))


def read(backlog: Backlog, *orders: NodeOrder, at: float = 0.0, whole: bool = False) -> Due:
    found = due(*orders, whole=whole)
    backlog.add(found, at if orders else None)
    return found


def ids(batch: Batch | None) -> list[str]:
    assert batch is not None
    return [one.endpoint_id for one in batch.orders]


def test_what_changes_is_told_at_once() -> None:
    backlog = Backlog()
    read(backlog, order("7001"), order("7002"), at=4.5)
    batch = backlog.take(5.0)
    assert batch == Batch((order("7001"), order("7002")), changes=2, since=4.5)
    assert backlog.take(5.0) is None


def test_of_a_hundred_changes_in_a_second_the_first_is_told_at_once_and_the_rest_once() -> None:
    backlog, told = Backlog(), []
    for hundredth in range(250):
        now = hundredth / 100
        if hundredth < 100:
            read(backlog, order("7001"), at=now)
        if batch := backlog.take(now):
            told.append((now, batch.changes, batch.since))
            backlog.finish(batch)
    assert told == [(0.0, 1, 0.0), (1.0, 99, 0.01)]


def test_an_object_that_waits_holds_up_no_other() -> None:
    backlog = Backlog()
    read(backlog, order("7001"))
    first = backlog.take(0.0)
    assert first is not None
    backlog.finish(first)
    read(backlog, order("7001"), order("7002"))
    assert ids(backlog.take(0.3)) == ["7002"]
    assert backlog.next_at() == AGAIN_AFTER
    assert ids(backlog.take(AGAIN_AFTER)) == ["7001"]
    assert backlog.next_at() is None


def test_what_waits_is_made_one_order_that_does_all_of_it() -> None:
    backlog = Backlog()
    read(backlog, order("7001", "auth"))
    backlog.take(0.0)
    read(backlog, order("7001", "auth", keep=2))
    read(backlog, order("7001", "aor", keep=0))
    backlog.finish(Batch((order("7001", "auth"),)))
    batch = backlog.take(1.0)
    assert batch is not None
    assert batch.orders == (order("7001", "aor", "auth", keep=0),)


def test_phones_that_were_cut_off_are_not_cut_off_again_by_a_later_change() -> None:
    backlog = Backlog()
    read(backlog, order("7001", "auth", keep=0))
    first = backlog.take(0.0)
    assert first is not None
    backlog.finish(first)
    read(backlog, order("7001", "endpoint"))
    batch = backlog.take(1.0)
    assert batch is not None
    assert batch.orders == (order("7001", "endpoint"),)


def test_an_object_is_never_in_two_rounds_at_once_however_long_the_first_takes() -> None:
    backlog = Backlog()
    read(backlog, order("7001"))
    first = backlog.take(0.0)
    read(backlog, order("7001"))
    assert backlog.take(100.0) is None
    assert backlog.next_at() is None, "it waits for the round, not for a time"
    assert first is not None
    backlog.finish(first)
    assert ids(backlog.take(100.0)) == ["7001"]


def test_whole_caches_are_expired_once_and_nothing_waits_then() -> None:
    backlog = Backlog()
    read(backlog, order("7001"))
    first = backlog.take(0.0)
    assert first is not None
    backlog.finish(first)
    read(backlog, order("7001", keep=0), whole=True)
    batch = backlog.take(0.1)
    assert batch is not None
    assert (batch.whole, ids(batch)) == (True, ["7001"])
    assert backlog.take(0.1) is None
    backlog.finish(batch)
    noted = backlog.reached()
    assert noted is not None
    assert noted.whole


def test_a_position_is_reached_once_everything_read_up_to_it_is_told() -> None:
    backlog = Backlog()
    one = read(backlog, order("7001"))
    first = backlog.take(0.0)
    two = read(backlog, order("7002"))
    second = backlog.take(0.1)
    assert first is not None
    assert second is not None
    backlog.finish(second)
    assert backlog.reached() is None
    assert backlog.changes == 2
    backlog.finish(first)
    reached = backlog.reached()
    assert reached is not None
    assert (reached.position, reached.changes) == (two.position, 2)
    assert one.position != two.position
    backlog.note()
    assert backlog.reached() is None
    assert (backlog.changes, backlog.since) == (0, None)


def test_what_is_read_while_a_position_is_noted_is_not_noted_with_it() -> None:
    backlog = Backlog()
    read(backlog, order("7001"))
    batch = backlog.take(0.0)
    assert batch is not None
    backlog.finish(batch)
    assert backlog.reached() is not None
    later = read(backlog)
    backlog.note()
    reached = backlog.reached()
    assert reached is not None
    assert reached.position == later.position


def test_reading_goes_on_from_the_last_read_told_or_not() -> None:
    assert Backlog().position is None
    backlog = Backlog()
    found = read(backlog, order("7001"))
    assert backlog.position == found.position
    batch = backlog.take(0.0)
    assert batch is not None
    backlog.finish(batch)
    backlog.reached()
    backlog.note()
    assert backlog.position == found.position


def test_two_objects_that_change_all_the_time_do_not_keep_the_position_back() -> None:
    backlog, noted_at = Backlog(), [0.0]
    for tenth in range(300):
        now = tenth / 10
        read(backlog, order("7001"), *([order("7002")] if now >= 0.5 else []), at=now)
        if batch := backlog.take(now):
            backlog.finish(batch)
        if backlog.reached():
            backlog.note()
            noted_at.append(now)
    gaps = [later - sooner for sooner, later in pairwise(noted_at)]
    assert max(gaps) <= 1.01


@dataclass
class Node:
    """A node, everything that it was told, and what there was to tell."""

    backlog: Backlog = field(default_factory=Backlog)
    now: float = 0.0
    rows: list[str] = field(default_factory=list)
    rows_at: dict[str, int] = field(default_factory=dict)
    rounds: list[tuple[Batch, Counter[str]]] = field(default_factory=list)
    knows: Counter[str] = field(default_factory=Counter)
    told_at: dict[str, float] = field(default_factory=dict)

    def read(self, changed: list[str]) -> None:
        """Rows are committed, and read."""
        self.rows += changed
        counts = Counter(changed)
        orders = tuple(map(order, sorted(counts)))
        found = Due("pbx1", next(POSITIONS), orders, counts, changes=len(changed))
        self.rows_at[found.position] = len(self.rows)
        self.backlog.add(found, self.now if changed else None)

    def start(self) -> None:
        batch = self.backlog.take(self.now)
        if batch is None:
            return
        assert not {id for other, _ in self.rounds for id in ids(other)} & set(ids(batch))
        assert all(self.told_at.get(id, -AGAIN_AFTER) + AGAIN_AFTER <= self.now for id in ids(batch))
        self.told_at |= dict.fromkeys(ids(batch), self.now)
        self.rounds.append((batch, Counter(self.rows)))

    def end(self, which: int) -> None:
        if self.rounds:
            batch, rows = self.rounds.pop(which % len(self.rounds))
            self.backlog.finish(batch)
            self.knows |= Counter({id: rows[id] for id in ids(batch)})

    def note(self) -> None:
        if reached := self.backlog.reached():
            assert Counter(self.rows[: self.rows_at[reached.position]]) <= self.knows
            self.backlog.note()


steps = st.one_of(
    st.tuples(st.just(Node.read), st.lists(st.sampled_from("abc"), max_size=4)),
    st.tuples(st.just(Node.end), st.integers(0, 5)),
    st.sampled_from([0.1, 0.4, AGAIN_AFTER]),
)


@given(st.lists(steps, max_size=60))
def test_whatever_happens_nothing_is_noted_before_it_was_told_and_all_is_told_in_the_end(
    happens: list[tuple[Callable[[Node, object], None], object] | float],
) -> None:
    node = Node()
    for what in happens:
        if isinstance(what, float):
            node.now += what
            node.start()
        else:
            what[0](node, what[1])
        node.note()
    for _ in range(2):
        node.now += AGAIN_AFTER
        node.start()
        while node.rounds:
            node.end(0)
        node.note()
    assert node.knows == Counter(node.rows)
    assert not node.backlog
    assert node.backlog.changes == 0
