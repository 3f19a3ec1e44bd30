"""Users in the database: found whatever the case, changed as a whole, deleted and restored."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psycopg
import pytest

from provisioner.errors import Conflict, NotFound
from provisioner.records import Kind, User
from provisioner.store import Store, Use
from tests.integration.people import (
    add,
    change,
    create,
    delete,
    delete_now,
    extension,
    found,
    restore,
    restore_now,
    user,
)


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
