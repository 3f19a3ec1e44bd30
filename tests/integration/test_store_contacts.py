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
