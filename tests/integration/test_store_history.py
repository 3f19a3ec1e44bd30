"""The history: what every change did to every user, without secrets, and what an undo needs."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from provisioner.errors import NotFound, StoreError
from provisioner.plan.users import UserChange, Verb
from provisioner.realtime import ENDPOINTS
from provisioner.records import Extension, Kind, User, digest, user_data
from provisioner.secret import Secret
from provisioner.store import HistoryChange, HistoryEntry, Store
from tests.integration.people import SECRET, add, change, create, delete, extension, plan, restore, rows, user

Sql = psycopg.Connection[Any]


def entries(store: Store, id: int | None = None) -> list[HistoryEntry]:
    """Those of one change, the last one by default."""
    with store.reading() as tx:
        return list(tx.history_entries(id or tx.history(limit=1)[0].id))


def trail(store: Store, **asked: Any) -> tuple[HistoryChange, ...]:
    with store.reading() as tx:
        return tx.history(**asked)


def with_secret(part: Extension, secret: str) -> Extension:
    return replace(part, credentials=digest(Secret(secret), part.endpoint_id, "asterisk", keep_plain=True))


def age(sql: Sql, days: int, id: int) -> None:
    """As if a change had been made so many days ago."""
    sql.execute("ALTER TABLE provisioner.changes DISABLE TRIGGER changes_is_append_only")
    sql.execute(
        "UPDATE provisioner.changes SET at = at - make_interval(days => %s) WHERE id = %s", [days, id]
    )
    sql.execute("ALTER TABLE provisioner.changes ENABLE TRIGGER changes_is_append_only")


def test_a_change_says_who_made_it_when_with_what_and_how_many_users_it_touched(store: Store) -> None:
    add(store, user("anna", "7001"), user("bob", "7002"))
    began = datetime.now(UTC)
    with store.transaction(
        actor="jan@pbx", command="provisioner apply", file="/srv/users.csv", file_sha256="ab" * 32, undoes=1
    ) as tx:
        create(tx, user("carl", "7003"), user("dora", "7004"))
        delete(tx, "bob")
        made = tx.change_id
    (found, _) = trail(store)
    assert began - timedelta(seconds=5) < found.at < datetime.now(UTC) + timedelta(seconds=5)
    assert found == HistoryChange(
        id=made or 0,
        at=found.at,
        actor="jan@pbx",
        command="provisioner apply",
        file="/srv/users.csv",
        file_sha256="ab" * 32,
        undoes=1,
        counts={"create": 2, "delete": 1},
    )
    with store.reading() as tx:
        assert tx.history_change(found.id) == found
        assert tx.change_id is None


def test_a_transaction_that_changes_nobody_leaves_no_trace(store: Store) -> None:
    with store.transaction(actor="tester", command="x") as tx:
        tx.write_users([])
        tx.release([])
        tx.note_rows(plan(rows()), {})
        assert tx.change_id is None
    assert trail(store) == ()


def test_an_entry_shows_the_user_before_and_after(store: Store) -> None:
    anna = replace(user("anna", "7001", "7002"), source="office")
    after = replace(user("anna", "7001", name="Łucja 😀"), source=None, email=None)
    add(store, anna)
    with store.transaction(actor="tester", command="x") as tx:
        change(tx, "anna", after)
    created, changed = (entries(store, one.id)[0] for one in reversed(trail(store)))
    assert (created.verb, created.old, created.new) == ("create", None, user_data(anna))
    assert (changed.verb, changed.old, changed.new) == ("change", user_data(anna), user_data(after))
    assert created.user_id == changed.user_id
    assert {created.login, changed.login} == {"anna"}


def test_a_deletion_and_a_restoration_show_the_record_that_was_deleted(store: Store) -> None:
    anna = user("anna", "7001")
    back = replace(anna, name="Anna Kowalska")
    add(store, anna)
    with store.transaction(actor="tester", command="x") as tx:
        delete(tx, "anna")
    (deleted,) = entries(store)
    with store.transaction(actor="tester", command="x") as tx:
        stored = tx.stored_for_change("anna", deleted=True)
        tx.write_users([UserChange(Verb.RESTORE, stored.user, back, stored.id)])
    (restored,) = entries(store)
    assert (deleted.verb, deleted.old, deleted.new) == ("delete", user_data(anna), None)
    assert (restored.verb, restored.old, restored.new) == ("restore", user_data(anna), user_data(back))


def test_the_versions_of_an_entry_lead_from_one_change_to_the_next(store: Store) -> None:
    add(store, user("anna", "7001"))
    with store.transaction(actor="tester", command="x") as tx:
        change(tx, "anna", user("anna", "7001", name="Second"))
    with store.transaction(actor="tester", command="x") as tx:
        delete(tx, "anna")
    with store.transaction(actor="tester", command="x") as tx:
        restore(tx, "anna")
    ids = [one.id for one in reversed(trail(store))]
    steps = [(one.old_version, one.new_version) for id in ids for one in entries(store, id)]
    assert steps == [(None, ids[0]), (ids[0], ids[1]), (ids[1], ids[2]), (ids[2], ids[3])]
    with store.reading() as tx:
        assert tx.stored_user("anna").version == ids[3]


@pytest.mark.parametrize("version", [0, 1])
def test_an_undo_gives_the_user_the_version_back_that_it_had(store: Store, version: int) -> None:
    add(store, user("anna", "7001"))
    with store.transaction(actor="tester", command="undo") as tx:
        stored = tx.stored_for_change("anna")
        after = replace(stored.user, name="First")
        tx.write_users([UserChange(Verb.UPDATE, stored.user, after, stored.id, returns_to=version)])
    with store.reading() as tx:
        assert tx.stored_user("anna").version == version
    assert entries(store)[0].new_version == version


def test_secrets_that_are_new_are_named_and_never_shown(store: Store, sql: Sql) -> None:
    first = user("anna", "7001", "7002")
    primary, second = first.extensions
    add(store, first)
    assert entries(store)[0].secrets == ("7001", "7002")
    after = replace(first, extensions=(primary, with_secret(second, "another-one-4711")))
    with store.transaction(actor="tester", command="x") as tx:
        change(tx, "anna", after)
    assert entries(store)[0].secrets == ("7002",)
    told = json.dumps(sql.execute("SELECT to_jsonb(h) FROM provisioner.history h").fetchall())
    for part in (*first.extensions, *after.extensions):
        assert part.credentials.md5 not in told
        assert part.credentials.sha256 not in told
    assert "another-one" not in told
    assert SECRET.reveal() not in told


def test_the_credentials_that_a_change_replaced_or_took_away_are_kept_for_its_undo(store: Store) -> None:
    kept, renewed = extension("7001"), extension("7002", Kind.ADDITIONAL, plain=True)
    taken = with_secret(extension("7001", Kind.ALIAS, "sales"), "the-first-secret")
    first = replace(user("anna", "7001"), extensions=(kept, renewed, taken))
    add(store, first, user("bob", "7009"))
    after = replace(first, extensions=(kept, with_secret(renewed, "the-second-secret")))
    with store.transaction(actor="tester", command="x") as tx:
        change(tx, "anna", after)
        change(tx, "bob", user("bob", "7009", name="Bob"))
        anna = tx.stored_user("anna").id
        made = tx.change_id
    with store.reading() as tx:
        assert made is not None
        assert tx.past_secrets(made) == {
            (anna, "7002"): renewed.credentials,
            (anna, "7001-sales"): taken.credentials,
        }
        assert tx.past_secrets(made - 1) == {}


def test_what_was_mended_in_asterisks_rows_stands_with_its_user(store: Store) -> None:
    add(store, user("anna", "7001", "7002"), user("bob", "7003"))
    mended = plan(rows("7001", "7002", "7003", "7099", context="users"))
    with store.transaction(actor="tester", command="drift --fix") as tx:
        owners = {id: one for one in tx.users_for(None) for id in one.user.endpoint_ids}
        tx.note_rows(mended, owners)
    found = {one.login: one for one in entries(store)}
    assert {one.verb for one in found.values()} == {"mend"}
    assert {login: {row["id"] for row in one.rows} for login, one in found.items()} == {
        "anna": {"7001", "7002"},
        "bob": {"7003"},
        None: {"7099"},
    }
    assert found["anna"].user_id == owners["7001"].id
    assert [row for row in found["bob"].rows if row["table"] == ENDPOINTS] == [
        one.as_dict() for one in mended if (one.table, one.id) == (ENDPOINTS, "7003")
    ]
    assert SECRET.reveal() not in str(found)
    assert trail(store, limit=1)[0].counts == {"mend": 3}


def test_the_changes_of_a_login_are_found_also_of_users_of_it_who_are_gone(store: Store) -> None:
    add(store, user("anna", "7001"), user("bob", "7002"))
    with store.transaction(actor="tester", command="x") as tx:
        delete(tx, "anna")
    add(store, user("Anna", "7003"))
    add(store, user("carl", "7004"))
    newest_first = [one.id for one in trail(store)]
    assert newest_first == sorted(newest_first, reverse=True)
    assert [one.id for one in trail(store, login="ANNA")] == newest_first[1:]
    assert [one.id for one in trail(store, login="bob")] == newest_first[3:]
    assert trail(store, login="anna", limit=1)[0].id == newest_first[1]
    assert trail(store, login="no such\x00login") == ()
    assert trail(store, since=datetime.now(UTC) + timedelta(hours=1)) == ()
    assert len(trail(store, since=datetime.now(UTC) - timedelta(hours=1))) == 4


def test_a_change_that_there_is_not_is_an_error_that_names_it(store: Store) -> None:
    for id in (0, 4711, 2**80, -1):
        with pytest.raises(NotFound, match=f"no change {id} in the history"), store.reading() as tx:
            tx.history_change(id)


def test_a_long_change_is_read_bit_by_bit_while_other_questions_are_asked(store: Store) -> None:
    people = [user(f"user{number}", str(number)) for number in range(7000, 9500)]
    add(store, *people)
    with store.reading() as tx:
        id = tx.history()[0].id
        logins = [one.login for one in tx.history_entries(id) if tx.count_of("office") == 0]
    assert logins == [one.login for one in people]


def test_the_history_is_only_ever_added_to(store: Store, sql: Sql) -> None:
    add(store, user("anna", "7001"))
    for table in ("changes", "history", "past_secrets"):
        for statement in ("DELETE FROM {}", "UPDATE {} SET id = DEFAULT", "TRUNCATE {} CASCADE"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="only ever added to"):
                sql.execute(statement.format(f"provisioner.{table}").encode())


def test_changes_older_than_asked_are_forgotten_with_all_that_belongs_to_them(store: Store, sql: Sql) -> None:
    anna = user("anna", "7001")
    add(store, anna)
    with store.transaction(actor="tester", command="x") as tx:
        change(tx, "anna", replace(anna, extensions=(with_secret(anna.primary, "another-one-4711"),)))
    old = trail(store)[0].id
    add(store, user("bob", "7002"))
    age(sql, 30, old)
    with store.transaction(actor="tester", command="x") as tx:
        assert tx.trim_history(0) == 0
        assert tx.trim_history(31) == 0
        assert tx.trim_history(30) == 1
        assert tx.trim_history(30) == 0
        assert [one.id for one in tx.history()] == [old + 1, old - 1]
        assert tx.past_secrets(old) == {}
        assert list(tx.history_entries(old)) == []
    # Not even the transaction that trimmed may delete anything else.
    with sql.transaction(force_rollback=True):
        sql.execute("SELECT provisioner.trim_history(30)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="only ever added to"):
            sql.execute("DELETE FROM provisioner.changes")


def test_two_commands_that_trim_at_once_do_not_wait_for_each_other(store: Store, sql: Sql) -> None:
    add(store, user("anna", "7001"))
    age(sql, 30, trail(store)[0].id)
    with (
        store.transaction(actor="tester", command="x") as one,
        store.transaction(actor="tester", command="x") as two,
    ):
        assert one.trim_history(7) == 1
        assert two.trim_history(7) == 0


def test_the_database_itself_does_not_forget_the_present_day(sql: Sql) -> None:
    for days in (0, -1, None):
        with pytest.raises(psycopg.errors.DataException, match="one day or longer"):
            sql.execute("SELECT provisioner.trim_history(%s::integer)", [days])


def test_a_change_that_is_refused_is_not_in_the_history(store: Store) -> None:
    with pytest.raises(StoreError, match="users_name_form"):
        add(store, user("anna", "7001"), User("bob", "", None, True, (extension("7002"),)))
    assert trail(store) == ()
