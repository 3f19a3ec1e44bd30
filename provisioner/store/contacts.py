"""Contacts in the database: every node lists them all, and each says which node took its registration."""

from __future__ import annotations

from collections.abc import Collection, Mapping
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


def expire(
    connection: Connection, tables: Tables, keep: Mapping[str, int], node: str, known: Collection[str]
) -> int:
    """Set contacts of these AORs to expired; Asterisk's sweep then removes them.

    Of those that keep none the ones registered at ``node``, or at none of ``known``; of the others all but
    the newest so many, wherever they are registered. For contacts in ps_contacts. Deleting the rows instead
    would leave the device state "Not in use" for good. Newest is what expires last. Returns how many
    were set.
    """
    if not keep:
        return 0
    values = {"aors": list(keep), "keep": list(keep.values()), "node": node, "known": list(known)}
    return connection.execute(text(_EXPIRE.format(**tables.quoted)), values).rowcount


_AT: Final = """
    SELECT id, coalesce(reg_server::text, '') FROM {ps_contacts} WHERE id = ANY(CAST(:ids AS text[]))
"""

# The id is the AOR, ";@" and a hash; realtime writes the semicolon as ^3B. Compared whole: no wildcards.
_EXPIRE: Final = """
    WITH orders AS (
        SELECT * FROM unnest(CAST(:aors AS text[]), CAST(:keep AS integer[])) AS told (aor, keep)
    ), held AS (
        SELECT id, split_part(replace(id, '^3B', ';'), ';@', 1) AS aor, expiration_time::bigint AS expires,
            coalesce(reg_server::text, '') AS at
        FROM {ps_contacts}
    ), sorted AS (
        SELECT id, keep, at, row_number() OVER (PARTITION BY aor ORDER BY expires DESC, id) AS place
        FROM held JOIN orders USING (aor) WHERE expires > 1
    )
    UPDATE {ps_contacts} AS contact SET expiration_time = 1
    FROM sorted WHERE contact.id = sorted.id AND place > keep
    AND (keep > 0 OR at = :node OR NOT at = ANY (CAST(:known AS text[])))
"""
