"""Drift between records and rows on a real PostgreSQL, with no node to ask."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import URL

from provisioner.errors import TooMuch
from provisioner.records import validate_user
from provisioner.secret import Secret
from provisioner.service import App, users
from provisioner.service.drift import Drift, Kind, Report, drift, lines, totals
from provisioner.service.mend import mend
from provisioner.settings import NodeSettings, Settings

pytestmark = pytest.mark.integration

Sql = psycopg.Connection[tuple[object, ...]]


@pytest.fixture
def app(database: URL, tmp_path: Path) -> Iterator[App]:
    url = database.render_as_string(hide_password=False)
    settings = Settings.model_validate({"home": tmp_path, "database": {"url": url}})
    app = App(settings, actor="tester", command="drift")
    yield app
    app.store.close()


@pytest.fixture
def anna(app: App) -> str:
    """A user whose number is returned."""
    return add(app, "anna")


def add(app: App, login: str) -> str:
    spec = validate_user(login=login, name=f"Somebody {login}", extensions=[{}])
    return users.add(app, spec).user.primary.number


def found(report: Report) -> list[tuple[Kind, str, str | None, str | None]]:
    return [(one.kind, one.endpoint_id, one.object, one.field) for one in report.drifts]


def unguarded(sql: Sql, statement: str) -> None:
    """As a DBA would, past the guard of endpoints and auths."""
    with sql.transaction():
        sql.execute("SET LOCAL session_replication_role = replica")
        sql.execute(statement.encode())


def test_what_commands_made_has_no_drift(app: App, anna: str) -> None:
    users.set_active(app, "anna", False)
    add(app, "bob")
    report = drift(app)
    assert report.drifts == ()
    assert not report.mendable
    assert totals(report) == "no drift: 1 endpoint compared"


def test_a_column_changed_by_hand_is_found_with_both_values_and_mended(app: App, anna: str, sql: Sql) -> None:
    sql.execute("UPDATE ps_endpoints SET context = 'open^3B', allow = NULL, mailboxes = '7000@work'")
    report = drift(app)
    assert [str(one) for one in report.drifts] == [
        "database: 7000 (anna) endpoint.allow: nothing, and the record says 'alaw,ulaw,g722'",
        "database: 7000 (anna) endpoint.context: 'open;', and the record says 'users'",
    ]
    mended = mend(app, report)
    assert mended.rows == 1
    assert drift(app).drifts == ()
    assert sql.execute("SELECT context, mailboxes FROM ps_endpoints").fetchall() == [("users", "7000@work")]


def test_a_value_written_in_another_way_is_no_drift(app: App, anna: str, sql: Sql) -> None:
    sql.execute("UPDATE ps_endpoints SET direct_media = 'false', rewrite_contact = 'on'")
    assert drift(app).drifts == ()


def test_another_secret_is_found_and_nowhere_shown(app: App, anna: str, sql: Sql) -> None:
    sql.execute("UPDATE ps_auths SET password_digest = 'MD5:0123456789abcdef0123456789abcdef'")
    report = drift(app)
    (one,) = report.drifts
    assert str(one) == "database: 7000 (anna) auth.password_digest: another secret than the record's"
    assert (one.found, one.wanted) == ("changed", "changed")
    assert "0123456789" not in repr(report)
    assert report.cut_off == ("7000",)


def test_rows_that_are_gone_are_found_and_written_again(app: App, anna: str, sql: Sql) -> None:
    unguarded(sql, "DELETE FROM ps_auths")
    sql.execute("DELETE FROM ps_aors")
    report = drift(app)
    assert found(report) == [
        (Kind.MISSING, "7000", "aor", None),
        (Kind.MISSING, "7000", "auth", None),
    ]
    assert mend(app, report).rows == 2
    assert drift(app).drifts == ()


@pytest.mark.parametrize("how", ["disabled", "deleted"])
def test_rows_of_somebody_who_is_to_have_none_are_found_and_taken_away(
    how: str, app: App, anna: str, sql: Sql
) -> None:
    if how == "disabled":
        users.set_active(app, "anna", False)
    else:
        users.delete(app, "anna")
    sql.execute("INSERT INTO ps_auths (id, auth_type, username) VALUES ('7000', 'userpass', '7000')")
    sql.execute("INSERT INTO ps_endpoints (id, auth) VALUES ('7000', '7000')")
    report = drift(app)
    assert found(report) == [(Kind.LEFT, "7000", "auth", None), (Kind.LEFT, "7000", "endpoint", None)]
    assert report.cut_off == ("7000",)
    assert mend(app, report).rows == 2
    assert drift(app).drifts == ()
    assert sql.execute("SELECT count(*) FROM ps_auths").fetchall() == [(0,)]


def test_foreign_rows_are_named_and_never_touched(app: App, anna: str, sql: Sql) -> None:
    sql.execute("INSERT INTO ps_aors (id, max_contacts) VALUES ('7099', 1), ('trunk_out', 1)")
    report = drift(app)
    assert found(report) == [(Kind.FOREIGN, "7099", "aor", None)]
    assert not report.mendable
    assert report.wrong == ()
    mend(app, report)
    assert found(drift(app)) == [(Kind.FOREIGN, "7099", "aor", None)]
    assert sql.execute("SELECT count(*) FROM ps_aors").fetchall() == [(3,)]


def test_the_history_notes_what_was_mended_for_whom(app: App, anna: str, sql: Sql) -> None:
    sql.execute("UPDATE ps_aors SET max_contacts = 9")
    mended = mend(app, drift(app))
    assert mended.change_id is not None
    with app.reading() as tx:
        change = tx.history_change(mended.change_id)
        (entry,) = tx.history_entries(mended.change_id)
    assert (change.actor, change.command, change.counts) == ("tester", "drift", {"mend": 1})
    assert (entry.login, entry.verb) == ("anna", "mend")
    assert [row["fields"] for row in entry.rows] == [{"max_contacts": {"old": 9, "new": 1}}]


def test_what_changed_since_it_was_found_is_mended_to_the_record_of_now(
    app: App, anna: str, sql: Sql
) -> None:
    sql.execute("UPDATE ps_endpoints SET context = 'open'")
    report = drift(app)
    users.delete(app, "anna")
    mended = mend(app, report)
    assert (mended.rows, mended.change_id) == (0, None)
    assert sql.execute("SELECT count(*) FROM ps_endpoints").fetchall() == [(0,)]


def test_a_fix_that_cuts_off_many_needs_force(app: App, sql: Sql) -> None:
    for index in range(10):
        add(app, f"user{index}")
    sql.execute("UPDATE ps_auths SET username = 'x'")
    report = drift(app)
    with pytest.raises(TooMuch, match="cut off the phones of 10 endpoints of 10, and the limit is 3"):
        mend(app, report)
    assert len(drift(app).drifts) == 10
    assert mend(app, report, force=True).rows == 10
    assert drift(app).drifts == ()


def test_a_node_that_does_not_answer_is_found_and_hides_nothing(app: App, anna: str, sql: Sql) -> None:
    sql.execute("UPDATE ps_endpoints SET context = 'open'")
    nowhere = NodeSettings(name="pbx1", port=1, secret=Secret("none"), connect_timeout=0.2)
    report = drift(app, [nowhere])
    assert [(one.kind, one.node) for one in report.drifts] == [
        (Kind.DIFFERS, None),
        (Kind.UNREACHED, "pbx1"),
    ]
    assert "node pbx1: no AMI on 127.0.0.1:1" in str(report.drifts[1])
    assert report.unmended == report.drifts[1:]


def test_a_long_report_is_folded_by_kind_unless_asked_for_in_full() -> None:
    many = [Drift(Kind.DIFFERS, str(7000 + index), "anna", field="x") for index in range(60)]
    report = Report((*many, Drift(Kind.FOREIGN, "9", object="aor")))
    folded = list(lines(report, full=False))
    assert len(folded) == 52
    assert folded[50:] == [
        "... and 10 more: differs (--full shows all)",
        "... and 1 more: foreign (--full shows all)",
    ]
    assert len(list(lines(report, full=True))) == 61
