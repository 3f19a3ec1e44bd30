"""Nodes read the columns that are in use, whoever fills them, and lose none."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql as syntax

from provisioner.realtime.columns import ASTERISK_COLUMNS
from provisioner.store import Store
from tests.integration.people import rows
from tests.integration.views.looking import (
    HIDDEN,
    OURS,
    ROLE,
    SECRET,
    Sql,
    assert_nothing_is_lost,
    columns,
    lost,
    upgrade,
    warned,
    write,
)

TEXTS = [
    (table, column.name)
    for table in OURS
    for column in ASTERISK_COLUMNS[table][1:]
    if column.sql_type.startswith("character varying") and column.name not in ("auth", "aors")
]


def test_a_new_database_shows_what_asterisk_looks_for_and_then_what_we_write(
    asterisk: Sql, store: Store
) -> None:
    assert {table: sorted(columns(asterisk, table)) for table in OURS} == {
        "ps_endpoints": ["id", "mailboxes"],
        "ps_auths": ["id"],
        "ps_aors": ["contact", "id", "mailboxes", "qualify_frequency"],
    }
    write(store, rows("7001", "7002"))
    assert {table: sorted(columns(asterisk, table)) for table in OURS} == {
        table: sorted(names) for table, names in OURS.items()
    }
    assert_nothing_is_lost(asterisk)
    assert store.check() == ()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ps_endpoints SET accountcode = '7001@default' WHERE id = '7001'",
        "UPDATE ps_endpoints SET \"100rel\" = 'no', accountcode = 'x', tone_zone = NULL",
        "INSERT INTO ps_endpoints (id, auth, accountcode) VALUES ('x', '7001', 'y')",
        "INSERT INTO ps_endpoints (id, auth) VALUES ('7001', '7001') "
        "ON CONFLICT (id) DO UPDATE SET accountcode = 'z'",
    ],
)
def test_a_column_is_shown_when_the_transaction_commits_that_fills_it(
    filled: Store, sql: Sql, asterisk: Sql, statement: str
) -> None:
    assert "accountcode" not in columns(asterisk)
    with sql.transaction():
        sql.execute(statement.encode())
        assert "accountcode" not in columns(asterisk)
    assert "accountcode" in columns(asterisk)
    assert "tone_zone" not in columns(asterisk)
    assert_nothing_is_lost(asterisk)
    assert filled.check() == ()


def test_a_column_that_copy_fills_is_shown(filled: Store, sql: Sql, asterisk: Sql) -> None:
    sql.execute("INSERT INTO ps_auths (id) SELECT i::text FROM generate_series(1, 500) AS i")
    with sql.cursor().copy("COPY ps_endpoints (id, auth, tone_zone) FROM STDIN") as copy:
        for number in range(1, 501):
            copy.write_row([str(number), str(number), "fr" if number == 333 else None])
    assert columns(asterisk)[-1] == "tone_zone"
    assert_nothing_is_lost(asterisk)


def test_a_table_whose_columns_are_all_shown_is_written_as_before(
    filled: Store, sql: Sql, asterisk: Sql
) -> None:
    names = [column.name for column in ASTERISK_COLUMNS["ps_auths"][1:]]
    dropped = ", ".join(f"DROP COLUMN {name}" for name in names if name not in columns(asterisk, "ps_auths"))
    sql.execute(f"ALTER TABLE ps_auths {dropped}".encode())
    assert sql.execute("SELECT provisioner.hidden('ps_auths')").fetchone() == ([],)
    sql.execute("UPDATE ps_auths SET username = 'x'")
    assert_nothing_is_lost(asterisk)


def test_what_is_rolled_back_is_not_shown(filled: Store, sql: Sql, asterisk: Sql) -> None:
    with sql.transaction(force_rollback=True):
        sql.execute("UPDATE ps_endpoints SET accountcode = 'x'")
    with sql.transaction():
        with sql.transaction(force_rollback=True):
            sql.execute("UPDATE ps_endpoints SET accountcode = 'x', tone_zone = 'fr'")
        sql.execute("UPDATE ps_endpoints SET tone_zone = 'de'")
    assert "accountcode" not in columns(asterisk)
    assert_nothing_is_lost(asterisk)


def test_a_transaction_of_many_statements_notes_a_column_once(filled: Store, sql: Sql, asterisk: Sql) -> None:
    with sql.transaction():
        for _ in range(3):
            sql.execute("UPDATE ps_endpoints SET accountcode = 'x'")
        sql.execute("UPDATE ps_endpoints SET accountcode = 'y', tone_zone = 'fr'")
    noted = sql.execute("SELECT columns FROM provisioner.filled_columns ORDER BY filled_at").fetchall()
    assert noted[-2:] == [(["accountcode"],), (["tone_zone"],)]
    assert noted.count((["accountcode"],)) == 1
    assert_nothing_is_lost(asterisk)


def test_a_transaction_that_fills_a_column_and_stays_open_keeps_nobody_waiting(
    filled: Store, other: Callable[[], Sql], sql: Sql, asterisk: Sql
) -> None:
    with other() as slow:
        slow.execute("UPDATE ps_endpoints SET accountcode = 'x' WHERE id = '7001'")
        sql.execute("SET statement_timeout = '10s'")
        sql.execute("UPDATE ps_endpoints SET accountcode = 'y', tone_zone = 'fr' WHERE id = '7002'")
        assert {"accountcode", "tone_zone"} <= set(columns(asterisk))
        assert_nothing_is_lost(asterisk)
    assert_nothing_is_lost(asterisk)


def test_a_view_that_somebody_holds_is_left_and_nodes_read_the_tables(
    filled: Store, other: Callable[[], Sql], sql: Sql, asterisk: Sql
) -> None:
    with other() as holder:
        holder.execute("SELECT * FROM provisioner_nodes.ps_endpoints")
        with warned(sql) as warnings:
            sql.execute("UPDATE ps_endpoints SET accountcode = 'x'")
        assert warnings == [
            "nodes read every column from now on, because the view of public.ps_endpoints cannot be widened: "
            "canceling statement due to lock timeout"
        ]
        assert_nothing_is_lost(asterisk)
        assert len(columns(asterisk)) > 100
        assert set(filled.check(ROLE)) == {lost(), HIDDEN}
    upgrade(filled)
    assert filled.check(ROLE) == ()
    assert set(columns(asterisk)) == {"accountcode", *OURS["ps_endpoints"]}


def test_a_view_that_is_dropped_before_the_commit_is_not_made_of_the_new_columns_alone(
    filled: Store, other: Callable[[], Sql], sql: Sql, asterisk: Sql
) -> None:
    with other() as slow:
        slow.execute("UPDATE ps_endpoints SET accountcode = 'x'")
        sql.execute("DROP VIEW provisioner_nodes.ps_endpoints")
    assert_nothing_is_lost(asterisk)
    assert len(columns(asterisk)) > 100


@pytest.mark.parametrize("harm", ["DROP COLUMN accountcode", "RENAME COLUMN accountcode TO its_account"])
def test_a_column_that_is_gone_before_the_commit_is_no_error(
    filled: Store, sql: Sql, asterisk: Sql, harm: str
) -> None:
    with warned(sql) as warnings, sql.transaction():
        sql.execute("UPDATE ps_endpoints SET accountcode = 'x', tone_zone = 'fr'")
        sql.execute(f"ALTER TABLE ps_endpoints {harm}".encode())
    assert warnings == []
    assert "tone_zone" in columns(asterisk)


def test_a_view_that_is_made_anew_is_read_when_asterisk_has_the_right_to_it(
    filled: Store, sql: Sql, asterisk: Sql
) -> None:
    sql.execute("DROP VIEW provisioner_nodes.ps_aors")
    filled.upgrade()
    assert_nothing_is_lost(asterisk)
    assert len(columns(asterisk)) > 100
    filled.grant_asterisk(ROLE, SECRET)
    assert_nothing_is_lost(asterisk)
    assert set(columns(asterisk)) == set(OURS["ps_endpoints"])


def test_a_statement_that_fills_nothing_new_leaves_the_view_alone(
    filled: Store, sql: Sql, asterisk: Sql
) -> None:
    before = columns(asterisk)
    with sql.transaction():
        sql.execute("UPDATE ps_endpoints SET context = 'x', accountcode = NULL")
        sql.execute("DELETE FROM ps_endpoints WHERE id = '7002'")
        held = sql.execute(
            "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND mode = 'AccessExclusiveLock' "
            "AND relation = 'provisioner_nodes.ps_endpoints'::regclass"
        )
        assert held.fetchone() == (0,)
    assert columns(asterisk) == before


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
def test_two_who_fill_different_columns_at_once_lose_nothing(
    filled: Store, other: Callable[[], Sql], sql: Sql, asterisk: Sql, isolation: str
) -> None:
    with other() as first, other() as second:
        for one in (first, second):
            one.execute(f"SET TRANSACTION ISOLATION LEVEL {isolation}".encode())
            one.execute("SELECT count(*) FROM ps_auths")
        first.execute("UPDATE ps_endpoints SET accountcode = 'x' WHERE id = '7001'")
        second.execute("UPDATE ps_endpoints SET tone_zone = 'fr' WHERE id = '7002'")
        first.commit()
        second.commit()
    assert_nothing_is_lost(asterisk)
    # One that still sees the view of before cannot widen it.
    assert (len(columns(asterisk)) < 100) == (isolation == "READ COMMITTED")


@given(changes=st.lists(st.tuples(st.sampled_from(TEXTS), st.none() | st.just("1")), min_size=1, max_size=6))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_law_nodes_read_every_value_that_is_there(
    filled: Store, sql: Sql, asterisk: Sql, changes: list[tuple[tuple[str, str], str | None]]
) -> None:
    for (table, column), value in changes:
        names = (syntax.Identifier(table), syntax.Identifier(column))
        sql.execute(syntax.SQL("UPDATE {} SET {} = %s WHERE id = '7001'").format(*names), [value])
        assert_nothing_is_lost(asterisk)
