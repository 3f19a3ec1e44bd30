"""Contacts that Asterisk keeps in the database: which node each phone registered at."""

from __future__ import annotations

import psycopg

from provisioner.store import Store


def test_a_contact_is_found_by_the_id_that_asterisk_says(
    store: Store, sql: psycopg.Connection[tuple[object, ...]]
) -> None:
    # As Asterisk writes them: its `;` would divide the value.
    sql.execute(
        "INSERT INTO ps_contacts (id, uri, reg_server) VALUES ('7001^3B@a', 'sip:a', 'pbx1'),"
        " ('7001^3B@b', 'sip:b', 'pbx2'), ('7002^3B@c', 'sip:c', NULL)"
    )
    sql.commit()
    found = store.registered_at(["7001;@a", "7001;@b", "7002;@c", "7003;@gone", "'; DROP TABLE ps_contacts"])
    assert found == {"7001;@a": "pbx1", "7001;@b": "pbx2", "7002;@c": ""}
    assert store.registered_at([]) == {}


def test_a_phone_that_registers_again_changes_its_contact_in_place(
    store: Store, sql: psycopg.Connection[tuple[object, ...]]
) -> None:
    sql.execute("INSERT INTO ps_contacts (id, expiration_time) VALUES ('7001^3B@a', 1)")
    sql.execute("UPDATE ps_contacts SET expiration_time = 2")
    counted = "SELECT pg_stat_get_xact_tuples_hot_updated('ps_contacts'::regclass)"
    assert sql.execute(counted).fetchone() == (1,)
