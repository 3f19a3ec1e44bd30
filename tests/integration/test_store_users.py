"""Users in the database: found whatever the case, changed as a whole, deleted and restored."""

from __future__ import annotations

import time
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from sqlalchemy import event

from provisioner.errors import Conflict, NotFound
from provisioner.plan.users import UserChange, Verb
from provisioner.records import Kind, User, login_key
from provisioner.store import Store, StoredUser, Use
from tests.integration.people import add, change, create, delete, extension, restore, user


def delete_now(store: Store, login: str) -> None:
    with store.transaction(actor="tester", command="user delete") as tx:
        delete(tx, login)


def restore_now(store: Store, login: str) -> None:
    with store.transaction(actor="tester", command="user restore") as tx:
        restore(tx, login)


def found(store: Store, login: str) -> User | None:
    with store.transaction(actor="tester", command="user show") as tx:
        return next((one.user for one in tx.users_for([login_key(login)])), None)


def test_a_user_comes_back_as_it_was_put_in(store: Store) -> None:
    anna = User(
        login="anna.nowak+sales@example.org",
        name="Анна \u202eעברית 😀 O'Nowak; ^ ${EXTEN} %s \\",
        email=None,
        active=False,
        extensions=(
            extension("7001", lines=99, plain=True),
            extension("0049301234567", Kind.ADDITIONAL),
            extension("7001", Kind.ALIAS, "support"),
        ),
    )
    add(store, anna)
    assert found(store, anna.login) == anna


@pytest.mark.parametrize("typed", ["straße", "STRASSE", "Strasse"])
def test_a_login_is_found_whatever_its_case_and_unicode_form(store: Store, typed: str) -> None:
    add(store, user("straße", "7001"))
    assert found(store, typed) is not None


def test_a_login_that_differs_only_in_case_is_taken(store: Store) -> None:
    add(store, user("anna", "7001"))
    with pytest.raises(Conflict, match="'anna'"):
        add(store, user("ANNA", "7002"))


def test_two_writers_at_once_cannot_both_take_a_login(store: Store) -> None:
    with ThreadPoolExecutor(1) as thread:
        with store.transaction(actor="one", command="user add") as tx:
            create(tx, user("anna", "7001"))
            second = thread.submit(add, store, user("ANNA", "7002"))
            with pytest.raises(TimeoutError):
                second.result(0.3)
        with pytest.raises(Conflict, match="there is a user 'anna' already"):
            second.result(10)


def test_one_transaction_writes_all_or_nothing(store: Store) -> None:
    with pytest.raises(Conflict, match="'anna'"):
        add(store, user("bob", "7002"), user("anna", "7001"), user("ANNA", "7003"))
    assert found(store, "bob") is None
    assert found(store, "anna") is None


def test_many_users_are_inserted_and_found_in_one_go(store: Store) -> None:
    people = [user(f"user{number}", str(number)) for number in range(7000, 7300)]
    add(store, *people)
    with store.transaction(actor="tester", command="x") as tx:
        assert tx.list_users() == tuple(sorted(people, key=lambda one: one.login))
        assert [one.user for one in tx.users_for({"user7003", "user7299", "nobody"})] == [
            people[3],
            people[299],
        ]


def test_lists_tell_active_inactive_and_deleted_apart(store: Store) -> None:
    add(store, user("anna", "7001"), user("bob", "7002", active=False), user("carl", "7003"))
    with store.transaction(actor="tester", command="x") as tx:
        delete(tx, "carl")
        assert [one.login for one in tx.list_users()] == ["anna", "bob"]
        assert [one.login for one in tx.list_users(active=True)] == ["anna"]
        assert [one.login for one in tx.list_users(active=False)] == ["bob"]
        assert [one.login for one in tx.list_users(deleted=True)] == ["carl"]
        assert tx.stored_users(deleted=True)[0].deleted_at is not None
        assert tx.stored_user("carl").user.endpoint_ids == ("7003",)


def test_nobody_of_that_login_is_an_error_that_names_it(store: Store) -> None:
    with store.transaction(actor="tester", command="x") as tx:
        with pytest.raises(NotFound, match="'nobody'"):
            tx.stored_for_change("nobody")
        with pytest.raises(NotFound, match="'nobody'"):
            tx.stored_for_change("nobody", deleted=True)
        assert list(tx.users_for(["nobody"])) == []


def test_an_update_changes_name_login_and_every_extension(store: Store) -> None:
    anna = user("anna", "7001", "7002")
    add(store, anna)
    # The two change places, one is new, and its lines are others.
    changed = User(
        login="Anna.New",
        name="Anna Kowalska",
        email=None,
        active=False,
        extensions=(
            extension("7002", lines=7),
            extension("7001", Kind.ADDITIONAL),
            extension("7003", Kind.ADDITIONAL),
        ),
    )
    with store.transaction(actor="tester", command="user set") as tx:
        change(tx, "anna", changed)
    assert found(store, "anna") is None
    assert found(store, "anna.new") == changed


def test_an_extension_that_an_update_drops_begins_to_rest(store: Store) -> None:
    add(store, user("anna", "7001", "7002"))
    with store.transaction(actor="tester", command="user set") as tx:
        change(tx, "anna", user("anna", "7001"))
        state = tx.number_states(["7002"], 30)["7002"]
    assert (state.use, state.login) == (Use.RESTING, "anna")


def test_a_deleted_user_is_restored_with_its_numbers_and_secret(store: Store) -> None:
    anna = user("anna", "7001", "7002")
    add(store, anna)
    with store.transaction(actor="tester", command="user delete") as tx:
        delete(tx, "ANNA")
    assert found(store, "anna") is None
    with store.transaction(actor="tester", command="user restore") as tx:
        assert tx.stored_for_change("anna", deleted=True).user == anna
        restore(tx, "Anna")
    assert found(store, "anna") == anna


def test_an_extension_dropped_before_the_deletion_does_not_come_back(store: Store) -> None:
    add(store, user("anna", "7001", "7002"))
    with store.transaction(actor="tester", command="user set") as tx:
        change(tx, "anna", user("anna", "7001"))
    delete_now(store, "anna")
    restore_now(store, "anna")
    assert found(store, "anna") == user("anna", "7001")


def test_of_two_deleted_users_of_a_login_the_later_one_is_restored(store: Store) -> None:
    for number in ("7001", "7002"):
        add(store, user("anna", number))
        delete_now(store, "anna")
    restore_now(store, "anna")
    assert found(store, "anna") == user("anna", "7002")


def test_a_login_that_is_in_use_again_is_not_restored(store: Store) -> None:
    add(store, user("anna", "7001"))
    delete_now(store, "anna")
    add(store, user("Anna", "7002"))
    with pytest.raises(Conflict, match="there is a user 'anna' already"):
        restore_now(store, "anna")


def test_a_number_that_somebody_else_has_meanwhile_is_not_restored(store: Store) -> None:
    add(store, user("anna", "7001", "7002"))
    delete_now(store, "anna")
    add(store, user("bob", "7002"))
    with pytest.raises(Conflict, match="'7002' is held by another user"):
        restore_now(store, "anna")
    assert found(store, "anna") is None


def test_a_user_that_is_being_changed_is_not_changed_by_another_command_meanwhile(
    store: Store, sql: psycopg.Connection[tuple[object, ...]]
) -> None:
    add(store, user("anna", "7001"))
    with store.transaction(actor="tester", command="user set") as tx:
        tx.stored_for_change("anna")
        sql.execute("SET lock_timeout = '100ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            sql.execute("UPDATE provisioner.users SET name = 'other'")


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"login": "two words"}, "users_login_form"),
        ({"login": "a" * 65}, "users_login_form"),
        ({"login": "a\nb"}, "users_login_form"),
        ({"name": ""}, "users_name_form"),
        ({"name": "a\rb"}, "users_name_form"),
        ({"email": "nowhere"}, "users_email_form"),
        ({"extensions": (extension("7"),)}, "extensions_number_form"),
        ({"extensions": (extension("7001a"),)}, "extensions_number_form"),
        ({"extensions": (extension("7001", lines=0),)}, "extensions_lines_form"),
        ({"extensions": (extension("7001", lines=100),)}, "extensions_lines_form"),
        ({"extensions": (extension("7001", Kind.ALIAS, "a_c"),)}, "extensions_"),
        ({"extensions": (extension("7001", Kind.PRIMARY, "abc"),)}, "extensions_label_of_alias"),
        ({"extensions": (extension("7001"), extension("7002"))}, "exactly one primary"),
    ],
)
def test_the_database_itself_refuses_what_no_record_may_be(
    store: Store, change: dict[str, object], rule: str
) -> None:
    record = replace(user("anna", "7001"), **change)  # type: ignore[arg-type]
    with pytest.raises(Exception, match=rule):
        add(store, record)
    assert found(store, "anna") is None


# -- many at once


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
