"""Migrations: run once, alter nothing that is not ours, and make what schema.sql says."""

from __future__ import annotations

import ast
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from psycopg.types.json import Jsonb
from sqlalchemy import URL, create_engine

from provisioner.errors import SchemaOutdated, StoreError
from provisioner.plan import NodeOrder, diff
from provisioner.realtime.columns import ASTERISK_COLUMNS
from provisioner.resources import resource_dir
from provisioner.store import Finding, Store
from provisioner.store.migrate import upgrade
from provisioner.store.names import Tables
from provisioner.store.schema import dump
from provisioner.store.tables import metadata
from tests.integration.conftest import address
from tests.integration.people import add, create, rows, user

Sql = psycopg.Connection[Any]

_CATALOG = """
    SELECT c.relname, c.oid, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
        (SELECT count(*) FROM pg_trigger t WHERE t.tgrelid = c.oid),
        (SELECT array_agg(indexrelid ORDER BY indexrelid) FROM pg_index i WHERE i.indrelid = c.oid)
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' ORDER BY c.relname, a.attnum
"""


VERBS = ("create", "change", "delete", "restore", "mend")


def catalog(url: URL) -> list[Any]:
    with psycopg.connect(address(url)) as connection:
        return connection.execute(_CATALOG).fetchall()


def columns(url: URL) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for table, _, column, sql_type, *_ in catalog(url):
        found.setdefault(table, []).append((column, sql_type))
    return found


def contents(url: URL) -> list[Any]:
    with psycopg.connect(address(url)) as connection:
        return [
            connection.execute(f"SELECT to_jsonb(t) FROM {table} t ORDER BY id".encode()).fetchall()
            for table in ASTERISK_COLUMNS
        ]


def test_an_empty_database_gets_every_table(empty_database: URL) -> None:
    with Store(empty_database) as store:
        assert (
            Finding("our own tables are missing", "schema provisioner", "provisioner db upgrade")
            in store.check()
        )
        store.upgrade()
        assert store.check() == ()


def test_the_migrations_make_asterisks_tables_as_columns_py_has_them(database: URL) -> None:
    assert columns(database) == {
        table: [(column.name, column.sql_type) for column in known]
        for table, known in sorted(ASTERISK_COLUMNS.items())
    }


def test_the_migrations_make_our_tables_as_the_statements_know_them(database: URL) -> None:
    def is_ours(name: str | None, kind: str, parents: Any) -> bool:
        return name == "provisioner" if kind == "schema" else kind in kinds or name in known

    kinds = {"column", "foreign_key_constraint"}
    known = {table.name for table in metadata.tables.values()}
    # The role is called like our schema, which would make it the default one.
    engine = create_engine(database.update_query_dict({"options": "-c search_path=public"}))
    with engine.connect() as connection:
        options = {"include_schemas": True, "include_name": is_ours, "compare_type": True}
        different = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
        assert [one for one in different if "comment" not in str(one)] == []
    engine.dispose()


def test_schema_sql_is_what_the_migrations_make(database: URL) -> None:
    assert dump(database) == (resource_dir("sql") / "schema.sql").read_text()


def test_a_database_made_from_schema_sql_is_up_to_date(make_database: Callable[[str], URL]) -> None:
    by_hand = make_database("template0")
    with psycopg.connect(address(by_hand)) as connection:
        connection.execute((resource_dir("sql") / "schema.sql").read_bytes())
    with Store(by_hand) as store:
        store.upgrade()
        assert store.check() == ()
        add(store, user("anna", "7001"))


def test_a_migration_depends_on_nothing_that_may_change() -> None:
    for path in (resource_dir("sql") / "versions").glob("*.py"):
        imported = [
            alias.name if isinstance(node, ast.Import) else node.module
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        ]
        assert set(imported) <= {"alembic"}, path


def test_a_second_upgrade_changes_nothing(database: URL) -> None:
    before = catalog(database)
    with Store(database) as store:
        store.upgrade()
        store.upgrade(asterisk_tables=True)
        store.upgrade(asterisk_tables=True)
    after = catalog(database)
    assert [row[:5] for row in after] == [row[:5] for row in before]


def test_four_upgrades_at_once_are_one(empty_database: URL) -> None:
    def upgrade(_: int) -> None:
        with Store(empty_database) as store:
            store.upgrade()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(upgrade, range(4)))
    with Store(empty_database) as store:
        assert store.check() == ()


def test_an_upgrade_that_fails_leaves_nothing_behind(empty_database: URL) -> None:
    with psycopg.connect(address(empty_database)) as connection:
        connection.execute("CREATE TYPE ps_auths AS ENUM ('x')")  # in the way of the table
    with Store(empty_database) as store:
        with pytest.raises(StoreError):
            store.upgrade()
        with pytest.raises(SchemaOutdated), store.transaction(actor="tester", command="x") as tx:
            tx.list_users()
    assert catalog(empty_database) == []


def test_the_audit_trail_becomes_the_history(empty_database: URL) -> None:
    told: list[tuple[str, str | None, dict[str, Any]]] = [
        ("provisioner user add", "anna", {"old": None, "new": {"name": "A"}, "rows": [{"id": "7001"}]}),
        ("provisioner user set", "anna", {"old": {"name": "A"}, "new": {"name": "B"}, "rows": []}),
        ("provisioner user delete", "anna", {"old": {"name": "B"}, "new": None}),
        ("provisioner user restore", "anna", {"old": None, "new": {"name": "B"}}),
        ("by hand", None, {"anything": "else"}),
    ]
    engine = create_engine(empty_database)
    with engine.begin() as connection:
        upgrade(connection, Tables(), False, to="0002")
    engine.dispose()
    with psycopg.connect(address(empty_database)) as connection:
        for command, login, changes in told:
            connection.execute(
                "INSERT INTO provisioner.audit (at, actor, command, login, changes) "
                "VALUES ('2026-01-02 03:04 UTC', 'jan', %s, %s, %s)",
                [command, login, Jsonb(changes)],
            )
    with Store(empty_database) as store:
        store.upgrade()
        with store.transaction(actor="tester", command="user add") as tx:
            create(tx, user("Anna", "7001"))
            *newer, last = reversed(tx.history())
            assert [(one.id, one.command, one.actor) for one in newer] == [
                (place, command, "jan") for place, (command, _, _) in enumerate(told, 1)
            ]
            assert newer[0].at == datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
            assert last.id == len(told) + 1
            entries = [entry for one in newer for entry in tx.history_entries(one.id)]
            assert [(one.verb, one.login, one.old, one.new) for one in entries] == [
                (verb, login, changes.get("old"), changes.get("new"))
                for verb, (_, login, changes) in zip(VERBS, told, strict=True)
            ]
            assert [one.rows for one in entries if one.rows] == [[{"id": "7001"}]]
            assert {one.user_id for one in entries} == {None}
            assert [one.id for one in tx.history("ANNA")] == [6, 4, 3, 2, 1]


def test_what_a_node_was_still_to_be_told_is_told_after_an_upgrade_from_one_row_a_node(
    empty_database: URL,
) -> None:
    at = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    old: list[tuple[str, str, list[str], int | None]] = [
        ("pbx1", "7001", ["endpoint", "auth", "aor"], 0),
        ("pbx1", "7001", ["aor"], None),
        ("pbx1", "7002", ["aor"], 2),
        ("pbx1", "7003", [], 0),
        ("pbx2", "7001", ["auth"], None),
    ]
    engine = create_engine(empty_database)
    with engine.begin() as connection:
        upgrade(connection, Tables(), False, to="0006")
    engine.dispose()
    with psycopg.connect(address(empty_database)) as connection:
        connection.cursor().executemany(
            "INSERT INTO provisioner.outbox (node, endpoint_id, expire, keep_contacts, created_at) "
            "VALUES (%s, %s, %s, %s, %s)",
            [(*one, at) for one in old],
        )
    with Store(empty_database) as store:
        store.upgrade()
        assert store.check() == ()
        kinds = frozenset({"endpoint", "auth", "aor"})
        first, second = store.due("pbx1"), store.due("pbx2")
        assert first.orders == (
            NodeOrder("7001", kinds, 0),
            NodeOrder("7002", frozenset({"aor"}), 2),
            NodeOrder("7003", frozenset(), 0),
        )
        assert (first.whole, first.oldest, second.whole) == (True, at, True)
        assert second.orders == (NodeOrder("7001", frozenset({"auth"})),)
        for due in (first, second):
            store.told(due)
        with psycopg.connect(address(empty_database)) as connection:
            assert connection.execute("SELECT count(*) FROM provisioner.outbox").fetchone() == (0,)


def test_our_own_tables_of_before_are_watched_after_an_upgrade(empty_database: URL) -> None:
    engine = create_engine(empty_database)
    with engine.begin() as connection:
        upgrade(connection, Tables("My-Asterisk.1"), False, to="0006")
    engine.dispose()
    with Store(empty_database, asterisk_schema="My-Asterisk.1") as store:
        store.upgrade()
        assert (store.watched(), store.check()) == (True, ())


def test_a_schema_of_its_own_gets_asterisks_tables(empty_database: URL) -> None:
    with Store(empty_database, asterisk_schema="My-Asterisk.1") as store:
        store.upgrade()
        assert store.check() == ()
        assert set(store.columns()) == set(ASTERISK_COLUMNS)
        with store.transaction(actor="tester", command="x") as tx:
            create(tx, user("anna", "7001"))
            tx.write(diff(rows("7001"), tx.rows(["7001"])))
            assert tx.rows(["7001"]) == rows("7001")
    assert catalog(empty_database) == []


def test_an_adopted_database_is_not_altered_by_an_upgrade(adopted: URL) -> None:
    before, held = catalog(adopted), contents(adopted)
    with Store(adopted) as store:
        store.upgrade()
    assert catalog(adopted) == before
    assert contents(adopted) == held


def test_an_adopted_database_is_written_with_the_columns_and_types_it_has(adopted: URL) -> None:
    held = contents(adopted)
    with Store(adopted) as store:
        store.upgrade()
        has = store.columns()
        assert has["ps_endpoints"]["callerid"] == 40
        assert has["ps_endpoints"]["direct_media"] is None
        wanted = rows("7001", direct_media="no", dtmf_mode="rfc4733", device_state_busy_at=2)
        with store.transaction(actor="tester", command="x") as tx:
            create(tx, user("anna", "7001"))
            tx.write(diff(wanted, tx.rows(["7001"])))
            assert tx.rows(["7001"]) == wanted
        with store.transaction(actor="tester", command="x") as tx:
            tx.write(diff(rows("7001", direct_media="yes"), tx.rows(["7001"])))
            tx.write(diff(type(wanted)(), tx.rows(["7001"])))
    assert contents(adopted) == held


def test_a_check_of_an_adopted_database_lists_what_it_lacks(adopted: URL) -> None:
    with Store(adopted) as store:
        store.upgrade()
        found = {(one.where, one.what.split(":")[0]): one for one in store.check()}
    missing = found["public.ps_endpoints", "columns that Asterisk 22 knows are missing"]
    assert "rtp_port_start" in missing.what
    assert missing.mend == "provisioner db upgrade --asterisk-tables"
    open_one = found[
        "public.ps_endpoints", "endpoints without an auth, whose phones register without a secret"
    ]
    assert open_one.what.endswith(": open_one")
    wild = found["public.ps_endpoints", "ids with _ or %, which Asterisk takes for wildcards among contacts"]
    assert wild.what.endswith(": open_one")
    assert ("public.ps_endpoints", "nothing keeps endpoints without an auth out of this table") in found


def test_an_adopted_database_gets_what_it_lacks_when_asked(adopted: URL) -> None:
    before, held = columns(adopted), contents(adopted)
    with Store(adopted) as store:
        store.upgrade(asterisk_tables=True)
        lacking = [one for one in store.check() if "missing" in one.what or "nothing keeps" in one.what]
    assert lacking == []
    after = columns(adopted)
    for table, known in ASTERISK_COLUMNS.items():
        assert after[table][: len(before[table])] == before[table]
        assert {column.name for column in known} <= {name for name, _ in after[table]}
    kept = [[row for (row,) in table] for table in held]
    now = [[row for (row,) in table] for table in contents(adopted)]
    for old_rows, new_rows in zip(kept, now, strict=True):
        assert [
            {name: new[name] for name in old} for old, new in zip(old_rows, new_rows, strict=True)
        ] == old_rows
    with psycopg.connect(address(adopted), autocommit=True) as connection:
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute("INSERT INTO ps_endpoints (id) VALUES ('another')")
        # What was there before stays editable.
        connection.execute("UPDATE ps_endpoints SET language = 'pl' WHERE id = 'open_one'")


def test_a_table_that_vanished_is_found_and_mended_when_asked(database: URL) -> None:
    with psycopg.connect(address(database)) as connection:
        connection.execute("DROP TABLE ps_domain_aliases")
    with Store(database) as store:
        (found,) = store.check()
        assert found == Finding(
            "this table is missing", "public.ps_domain_aliases", "provisioner db upgrade --asterisk-tables"
        )
        store.upgrade(asterisk_tables=True)
        assert store.check() == ()


def test_a_database_of_a_newer_provisioner_is_told(database: URL) -> None:
    with psycopg.connect(address(database)) as connection:
        connection.execute("UPDATE provisioner.alembic_version SET version_num = '9999'")
    with Store(database) as store:
        (found,) = store.check()
        assert "newer provisioner" in found.what
        with pytest.raises(StoreError, match="9999"):
            store.upgrade()
