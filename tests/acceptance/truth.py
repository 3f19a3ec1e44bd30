"""Is what the database holds whole? Asked of the tables themselves, past the product's own transactions."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import dict_row

from provisioner.lab import Lab
from provisioner.plan import diff
from provisioner.realtime import compile_user, merge
from provisioner.records import user_data
from provisioner.service import App
from provisioner.settings import load
from provisioner.store import Embedded


def app_of(lab: Lab) -> App:
    """The service on a lab, in this process."""
    settings = load(lab.config, {"PROVISIONER_HOME": str(lab.home)})
    return App(settings, actor="test", command="test")


def query(lab: Lab, sql: str, *values: object) -> list[dict[str, Any]]:
    """Rows of the lab's embedded database."""
    url = Embedded(lab.home).ensure_running().set(drivername="postgresql")
    with psycopg.connect(url.render_as_string(hide_password=False), row_factory=dict_row) as connection:
        return connection.execute(sql.encode(), values).fetchall()


def changes_of(lab: Lab, login: str) -> int:
    """How many changes of this user the history knows."""
    return len(query(lab, "SELECT 1 FROM provisioner.history WHERE login = %s", login))


def pending(lab: Lab) -> set[str]:
    """The endpoint ids of which a node is still to be told."""
    return {row["object_id"] for row in query(lab, "SELECT object_id FROM provisioner.outbox")}


def check_whole(lab: Lab, app: App) -> None:
    """Nothing half-written: records, Asterisk's rows and the history say the same of every user."""
    union = " UNION ".join(f"SELECT id FROM {table}" for table in ("ps_endpoints", "ps_auths", "ps_aors"))
    ids = {row["id"] for row in query(lab, union)}
    with app.reading() as tx:
        users, deleted = tx.list_users(), tx.list_users(deleted=True)
        known = {id for user in (*users, *deleted) for id in user.endpoint_ids}
        wanted = merge(compile_user(user, app.settings.asterisk, tx.columns()) for user in users)
        # Every row there is, of whomever: also of deleted users, and of users that never were.
        differences = [change.as_dict() for change in diff(wanted, tx.rows(ids | known))]
    assert differences == []
    trail: dict[str, dict[str, Any] | None] = {}
    last: dict[str, dict[str, Any]] = {}
    for entry in query(lab, "SELECT * FROM provisioner.history WHERE verb <> 'mend' ORDER BY change_id, id"):
        login = entry["login"]
        there = last[login] if entry["verb"] == "restore" else trail.get(login)
        assert entry["old"] == there, f"the history of {login} has a gap"
        assert entry["verb"] != "restore" or trail[login] is None, f"{login} was restored, but not deleted"
        trail[login] = entry["new"]
        last[login] = entry["new"] or entry["old"]
    told = {login: data for login, data in trail.items() if data is not None}
    assert told == {user.login: user_data(user) for user in users}
    assert {login for login, data in trail.items() if data is None} == {user.login for user in deleted}
