"""Many users in one call: found, read, changed and restored together."""

from __future__ import annotations

import time
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from sqlalchemy import event

from provisioner.errors import Conflict
from provisioner.plan.users import UserChange, Verb
from provisioner.store import Store, StoredUser, Use
from tests.integration.people import (
    add,
    change,
    delete,
    delete_now,
    found,
    restore_now,
    user,
)


def of(store: Store, keys: Collection[str] | None = None, source: str | None = None) -> list[str]:
    with store.reading() as tx:
        return [one.user.login for one in tx.users_for(keys, source)]


def test_users_are_found_by_login_key_or_source_or_all_but_never_deleted_ones(store: Store) -> None:
    office, shop = (
        replace(user(name, number), source=name) for name, number in (("office", "7001"), ("shop", "7002"))
    )
    add(store, office, shop, user("Straße", "7003"), replace(user("gone", "7004"), source="office"))
    delete_now(store, "gone")
    assert of(store) == ["office", "shop", "Straße"]
    assert of(store, {"strasse", "gone", "nobody"}) == ["Straße"]
    assert of(store, (), "office") == ["office"]
    assert of(store, None, "office") == ["office"]
    assert of(store, ["strasse"], "shop") == ["shop", "Straße"]
    assert of(store, []) == []
    with store.reading() as tx:
        assert [one.user for one in tx.users_for(["shop"])] == [shop]
        assert (tx.count_of("office"), tx.count_of("nothing")) == (1, 0)


def test_thousands_of_users_are_read_while_other_questions_are_asked(store: Store) -> None:
    people = [user(f"user{number}", str(number), f"1{number}") for number in range(1000, 4000)]
    add(store, *people)
    with store.reading() as tx:
        found = [one.user for one in tx.users_for(None) if tx.users_by_id([one.id]).keys() == {one.id}]
    assert found == people


def test_users_who_were_read_only_in_part_are_in_nobodys_way(store: Store) -> None:
    add(store, *[user(f"user{number}", str(number)) for number in range(1000, 4000)])
    with store.transaction(actor="tester", command="x") as tx:
        first, second = tx.users_for(None), tx.users_for(None)
        assert next(first).user.login == next(second).user.login == "user1000"
        change(tx, "user1000", user("user1000", "1000", name="Other"))
    assert found(store, "user1000") == user("user1000", "1000", name="Other")


def test_of_the_deleted_users_of_a_login_the_last_is_offered_while_its_numbers_rest(
    store: Store, sql: psycopg.Connection[tuple[object, ...]]
) -> None:
    for number in ("7001", "7002"):
        add(store, user("Anna", number))
        delete_now(store, "anna")
    for login, number in (("bob", "7003"), ("carl", "7004")):
        add(store, user(login, number))
        delete_now(store, login)
    add(store, user("BOB", "7005"))
    sql.execute("UPDATE provisioner.users SET deleted_at = now() - interval '9 days' WHERE login = 'carl'")
    with store.reading() as tx:
        assert {key: one.user for key, one in tx.deleted_for(["anna", "bob", "carl", "dora"], 8).items()} == {
            "anna": user("Anna", "7002")
        }
        assert set(tx.deleted_for(["anna", "carl"], 10)) == {"anna", "carl"}


def test_locked_users_are_read_as_they_are_under_the_lock(store: Store) -> None:
    add(store, user("anna", "7001"), user("bob", "7002"))
    with store.reading() as tx:
        anna, bob = tx.users_for(None)
    with ThreadPoolExecutor(1) as thread:
        with store.transaction(actor="one", command="x") as tx:
            change(tx, "anna", user("anna", "7001", name="Changed"))
            delete(tx, "bob")

            def lock() -> dict[int, StoredUser]:
                with store.transaction(actor="two", command="x") as other:
                    return other.lock_users([bob.id, anna.id, 10**9])

            second = thread.submit(lock)
            with pytest.raises(TimeoutError):
                second.result(0.3)
        held = second.result(10)
    assert held.keys() == {anna.id, bob.id}
    assert held[anna.id].user.name == "Changed"
    assert held[anna.id].version > anna.version
    assert held[bob.id].deleted_at is not None
    with store.reading() as tx:
        assert tx.users_by_id([anna.id, bob.id]) == held


def test_a_user_that_is_not_any_more_what_its_change_rests_on_is_a_conflict_that_names_it(
    store: Store,
) -> None:
    add(store, user("anna", "7001"), user("bob", "7002"))
    with store.reading() as tx:
        anna, bob = tx.users_for(None)
    delete_now(store, "anna")
    for wrong in (
        UserChange(Verb.UPDATE, anna.user, user("anna", "7001", name="Other"), anna.id),
        UserChange(Verb.DELETE, anna.user, None, anna.id),
        UserChange(Verb.RESTORE, anna.user, anna.user, bob.id),
        UserChange(Verb.UPDATE, anna.user, anna.user, 10**9),
    ):
        with (
            pytest.raises(Conflict, match="somebody else deleted or restored 'anna'"),
            store.transaction(actor="tester", command="x") as tx,
        ):
            tx.write_users([wrong])
    assert of(store) == ["bob"]


def test_who_goes_makes_room_for_who_comes_in_one_call(store: Store) -> None:
    add(store, user("anna", "7001"), user("bob", "7002"))
    delete_now(store, "bob")
    add(store, user("Bob", "7003"))
    with store.transaction(actor="tester", command="apply") as tx:
        first = tx.stored_for_change("bob", deleted=True)
        anna, second = tx.users_for(None)
        tx.write_users(
            [
                UserChange(Verb.CREATE, None, user("ANNA", "7001")),
                UserChange(Verb.RESTORE, first.user, user("bob", "7003"), first.id),
                UserChange(Verb.DELETE, anna.user, None, anna.id),
                UserChange(Verb.DELETE, second.user, None, second.id),
            ]
        )
    assert found(store, "anna") == user("ANNA", "7001")
    assert found(store, "bob") == user("bob", "7003")


def test_users_who_exchange_numbers_keep_them_as_told(store: Store) -> None:
    add(store, user("anna", "7001", "7009"), user("bob", "7002"), user("carl", "7003"))
    ring = {"anna": user("anna", "7002", "7009"), "bob": user("bob", "7003"), "carl": user("carl", "7001")}
    with store.transaction(actor="tester", command="apply") as tx:
        held = list(tx.users_for(None))
        tx.release(["7001", "7002", "7003"])
        for one in held:
            tx.write_users([UserChange(Verb.UPDATE, one.user, ring[one.user.login], one.id)])
    assert {login: found(store, login) for login in ring} == ring
    with store.reading() as tx:
        assert [
            str(tx.number_states([number], 30)[number]) for number in ("7001", "7002", "7003", "7009")
        ] == [
            "7001 belongs to 'carl'",
            "7002 belongs to 'anna'",
            "7003 belongs to 'bob'",
            "7009 belongs to 'anna'",
        ]


def test_a_user_whose_number_went_to_another_and_who_was_then_deleted_is_kept_as_it_was(store: Store) -> None:
    add(store, user("anna", "7001", "7002"), user("bob", "7003"))
    with store.transaction(actor="tester", command="apply") as tx:
        anna, bob = tx.users_for(None)
        tx.release(["7002"])
        tx.write_users([UserChange(Verb.UPDATE, bob.user, user("bob", "7002"), bob.id)])
        tx.write_users([UserChange(Verb.DELETE, anna.user, None, anna.id)])
    assert found(store, "bob") == user("bob", "7002")
    with store.reading() as tx:
        assert tx.stored_user("anna").user == user("anna", "7001", "7002")
    with pytest.raises(Conflict, match="'7002' is held by another user"):
        restore_now(store, "anna")


def test_a_restored_user_may_be_another_than_it_was(store: Store) -> None:
    add(store, user("anna", "7001", "7002"))
    delete_now(store, "anna")
    wanted = replace(user("Anna", "7003", "7001", name="Other", active=False), source="office")
    with store.transaction(actor="tester", command="apply") as tx:
        stored = tx.stored_for_change("anna", deleted=True)
        tx.write_users([UserChange(Verb.RESTORE, stored.user, wanted, stored.id)])
        assert tx.number_states(["7002"], 30)["7002"].use is Use.RESTING
    assert found(store, "anna") == wanted


def change_of(stored: StoredUser, **fields: Any) -> UserChange:
    return UserChange(Verb.UPDATE, stored.user, replace(stored.user, **fields), stored.id)


def test_many_changes_take_no_more_statements_than_few(store: Store) -> None:
    def statements(count: int) -> int:
        asked: list[str] = []
        with store.transaction(actor="tester", command="apply") as tx:
            held = list(tx.users_for(None))[: 3 * count]
            event.listen(tx._connection, "before_cursor_execute", lambda *told: asked.append(told[2]))
            tx.write_users(
                [
                    *(change_of(one, name="Other") for one in held[:count]),
                    *(change_of(one, active=False) for one in held[count : 2 * count]),
                    *(UserChange(Verb.DELETE, one.user, None, one.id) for one in held[2 * count :]),
                ]
            )
        return len(asked)

    add(store, *[user(f"user{number}", str(number)) for number in range(1000, 1100)])
    assert statements(1) == statements(20)


def test_two_changes_of_many_users_wait_for_each_other_and_not_for_ever(store: Store) -> None:
    with store.transaction(actor="one", command="apply") as one:
        one.hold_applies(1)
        one.hold_applies(0)
        began = time.monotonic()
        with (
            pytest.raises(Conflict, match=r"another apply.* for 0\.3 s"),
            store.transaction(actor="two", command="apply") as two,
        ):
            two.hold_applies(0.3)
        assert 0.3 <= time.monotonic() - began < 5
    with store.transaction(actor="two", command="apply") as two:
        two.hold_applies(0)
