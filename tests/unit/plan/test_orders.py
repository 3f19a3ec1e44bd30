"""What the nodes are told: which objects to forget, and which phones to cut off."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.plan import NodeOrder, diff, merge_orders, orders
from provisioner.realtime import AORS, AUTHS, ENDPOINTS, Row, Rows
from tests.unit.plan.rows import rows

KINDS = ("endpoint", "auth", "aor")
ALL = frozenset(KINDS)
STATE, QUALIFY, MWI = (frozenset({word}) for word in ("state", "qualify", "mwi"))
OLD = "0" * 32
NEW = "1" * 32
BOTH = f"MD5:{OLD},SHA-256:{NEW}{NEW}"


def phone(
    auth: Row | None = None, aor: Row | None = None, endpoint: Row | None = None, id: str = "7001"
) -> Rows:
    return Rows(
        {
            AUTHS: {
                id: {"username": id, "realm": "asterisk", "password_digest": f"MD5:{OLD}", **(auth or {})}
            },
            AORS: {id: {"max_contacts": 2, "remove_existing": "yes", **(aor or {})}},
            ENDPOINTS: {id: {"auth": id, "aors": id, "callerid": "x", **(endpoint or {})}},
        }
    )


def order(wanted: Rows, actual: Rows) -> NodeOrder:
    (only,) = orders(diff(wanted, actual))
    return only


def test_nothing_changed_is_nothing_to_tell() -> None:
    assert orders(diff(phone(), phone())) == ()


def test_a_new_endpoint_is_forgotten_by_the_caches_and_its_phones_left_alone() -> None:
    assert order(phone(), Rows()) == NodeOrder("7001", ALL, None, STATE)


def test_a_deleted_endpoint_loses_all_its_phones() -> None:
    assert order(Rows(), phone()) == NodeOrder("7001", ALL, 0)


def test_another_secret_cuts_off_the_phones_of_the_old_one() -> None:
    changed = phone(auth={"password_digest": f"MD5:{NEW}"})
    assert order(changed, phone()) == NodeOrder("7001", frozenset({"auth"}), 0)


@pytest.mark.parametrize("column", ["username", "realm"])
def test_another_username_or_realm_cuts_off_the_phones(column: str) -> None:
    assert order(phone(auth={column: "other"}), phone()).keep_contacts == 0


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"password_digest": None, "md5_cred": OLD}, {"password_digest": BOTH, "md5_cred": None}),
        ({"password_digest": f"md5:{OLD}"}, {"password_digest": BOTH}),
    ],
)
def test_the_same_secret_kept_in_another_way_cuts_nobody_off(before: Row, after: Row) -> None:
    assert order(phone(auth=after), phone(auth=before)) == NodeOrder("7001", frozenset({"auth"}), None)


def test_a_secret_that_was_in_plain_is_taken_for_another_one() -> None:
    before = {"password_digest": None, "password": "s3cret"}
    after = {"password_digest": f"MD5:{OLD}", "password": None}
    assert order(phone(auth=after), phone(auth=before)).keep_contacts == 0


@pytest.mark.parametrize(("old", "new", "kept"), [(2, 1, 1), ("3", 2, 2), (1, 2, None), (None, 2, None)])
def test_fewer_lines_keep_the_newest_phones_and_more_lines_keep_all(
    old: int | str | None, new: int, kept: int | None
) -> None:
    told = order(phone(aor={"max_contacts": new}), phone(aor={"max_contacts": old}))
    assert told == NodeOrder("7001", frozenset({"aor"}), kept)


def test_a_new_name_leaves_the_phones_alone() -> None:
    assert order(phone(endpoint={"callerid": "y"}), phone()) == NodeOrder(
        "7001", frozenset({"endpoint"}), None
    )


@pytest.mark.parametrize("column", ["auth", "aors"])
def test_phones_that_came_in_through_another_auth_or_aor_are_cut_off(column: str) -> None:
    assert order(phone(), phone(endpoint={column: None})).keep_contacts == 0


def test_an_auth_that_was_missing_cuts_off_what_registered_without_it() -> None:
    without = Rows({AORS: phone()[AORS], ENDPOINTS: phone()[ENDPOINTS]})
    assert order(phone(), without) == NodeOrder("7001", frozenset({"auth"}), 0)


@pytest.mark.parametrize(
    "column", ["qualify_frequency", "qualify_timeout", "authenticate_qualify", "qualify_2xx_only"]
)
def test_another_way_to_qualify_is_taken_up_by_the_node(column: str) -> None:
    assert order(phone(aor={column: "1"}), phone()) == NodeOrder("7001", frozenset({"aor"}), None, QUALIFY)


@pytest.mark.parametrize("column", ["mailboxes", "voicemail_extension"])
@pytest.mark.parametrize("kind", ["aor", "endpoint"])
def test_other_mailboxes_are_looked_at_by_the_node(kind: str, column: str) -> None:
    changed = phone(aor={column: "1@x"}) if kind == "aor" else phone(endpoint={column: "1@x"})
    assert order(changed, phone()) == NodeOrder("7001", frozenset({kind}), None, MWI)


def test_a_new_endpoint_with_a_mailbox_has_it_looked_at() -> None:
    assert order(phone(endpoint={"mailboxes": "1@x"}), Rows()).renew == STATE | MWI
    assert order(phone(aor={"mailboxes": "1@x"}), Rows()).renew == STATE | MWI
    assert order(phone(endpoint={"mailboxes": ""}, aor={"mailboxes": None}), Rows()).renew == STATE


def test_whoever_gets_a_deleted_number_next_does_not_hear_of_its_mailbox() -> None:
    assert order(Rows(), phone(endpoint={"mailboxes": "1@x"})).renew == MWI
    assert order(Rows(), phone(aor={"mailboxes": "1@x"})).renew == MWI
    assert order(Rows(), phone()).renew == frozenset()


@given(rows, rows)
def test_there_is_one_order_for_each_changed_id_and_it_names_what_changed(wanted: Rows, actual: Rows) -> None:
    plan = diff(wanted, actual)
    told = orders(plan)
    assert [one.endpoint_id for one in told] == sorted({change.id for change in plan})
    assert {(kind, one.endpoint_id) for one in told for kind in one.expire} == set(plan.objects())


some_orders = st.lists(
    st.builds(
        NodeOrder,
        st.sampled_from(["7001", "7002"]),
        st.frozensets(st.sampled_from(KINDS)),
        st.one_of(st.none(), st.integers(0, 99)),
        st.frozensets(st.sampled_from(["state", "qualify", "mwi"])),
    ),
    max_size=6,
)


@given(some_orders)
def test_merged_orders_do_what_each_of_them_asks_in_whatever_order_they_came(given_: list[NodeOrder]) -> None:
    merged = {one.endpoint_id: one for one in merge_orders(given_)}
    for one in given_:
        into = merged[one.endpoint_id]
        assert one.expire <= into.expire
        assert one.renew <= into.renew
        assert one.keep_contacts is None or (
            into.keep_contacts is not None and into.keep_contacts <= one.keep_contacts
        )
    assert merge_orders(reversed(given_)) == merge_orders(given_) == merge_orders(merge_orders(given_))


@given(some_orders)
def test_an_order_survives_json(given_: list[NodeOrder]) -> None:
    assert [NodeOrder.from_dict(json.loads(json.dumps(one.as_dict()))) for one in given_] == given_


def test_an_order_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="contact"):
        NodeOrder("7001", frozenset({"contact"}))
    with pytest.raises(ValueError, match="not renewable: everything"):
        NodeOrder("7001", frozenset(), renew=frozenset({"everything"}))
    with pytest.raises(ValueError, match="below 0"):
        NodeOrder("7001", frozenset(), -1)
