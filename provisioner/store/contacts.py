"""Contacts in the database: every node lists them all, and each says which node took its registration."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from sqlalchemy import Connection, text

from provisioner.realtime import encode_value
from provisioner.store.names import Tables


def registered_at(connection: Connection, tables: Tables, ids: Collection[str]) -> dict[str, str]:
    """Contact id to the name of the node that has its phone, of those that are there.

    The name is the ``systemname`` of the node's asterisk.conf, which ``conf render`` makes the node's own;
    empty where Asterisk has none.
    """
    held = {encode_value(id): id for id in ids}
    found = connection.execute(text(_AT.format(**tables.quoted)), {"ids": list(held)})
    return {held[id]: node for id, node in found}


_AT: Final = """
    SELECT id, coalesce(reg_server::text, '') FROM {ps_contacts} WHERE id = ANY(CAST(:ids AS text[]))
"""
