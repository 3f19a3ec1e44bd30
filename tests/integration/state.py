"""Everything that is in the database, to compare before and after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tests.integration.commands import Sql


@dataclass(frozen=True)
class State:
    """Everything that is in the database.

    ``exact`` has every value of every table, by table; ``meaning`` the records and Asterisk's rows without
    ids and times; ``newest`` what the newest change says; ``changes`` how many entries each change has.
    """

    exact: Mapping[str, str]
    meaning: Mapping[str, str]
    changes: Mapping[int, int]
    newest: str
    told: Mapping[str, int]
    versions: frozenset[int]

    def differing(self, other: State) -> list[str]:
        """The tables in which the two differ."""
        return [table for table, digest in self.exact.items() if other.exact[table] != digest]


_TABLES: Final = (
    "provisioner.users",
    "provisioner.extensions",
    "provisioner.changes",
    "provisioner.outbox",
    "provisioner.past_secrets",
    "provisioner.made_tables",
    "public.ps_endpoints",
    "public.ps_auths",
    "public.ps_aors",
    "public.ps_contacts",
)
_DIGEST: Final = "count(*) || ' ' || coalesce(md5(string_agg(line, E'\\n' ORDER BY line COLLATE \"C\")), '')"
_MEANING: Final = {
    "users": "SELECT concat_ws('|', login, login_key, name, email, active, webrtc, source, "
    "deleted_at IS NULL) AS line FROM provisioner.users",
    "extensions": "SELECT concat_ws('|', login, position, kind, number, label, endpoint_id, lines, "
    "e.deleted_at IS NULL) AS line "
    "FROM provisioner.extensions e JOIN provisioner.users u ON u.id = e.user_id",
    "secrets": "SELECT concat_ws('|', endpoint_id, md5, sha256, realm) AS line FROM provisioner.extensions",
    "endpoints": "SELECT e::text AS line FROM public.ps_endpoints e",
    "auths": "SELECT a::text AS line FROM public.ps_auths a",
    "aors": "SELECT a::text AS line FROM public.ps_aors a",
}
_NEWEST: Final = (
    "SELECT concat_ws('|', login, verb, old, new, rows, secrets, new_version = change_id) AS line "
    "FROM provisioner.history WHERE change_id = (SELECT max(id) FROM provisioner.changes)"
)


def state(sql: Sql) -> State:
    """Read every table, in one snapshot."""

    def digest(query: str) -> str:
        row = sql.execute(f"SELECT {_DIGEST} FROM ({query}) AS all_of_it".encode()).fetchone()
        assert row is not None
        return str(row[0])

    with sql.transaction():
        sql.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        changes = sql.execute(
            "SELECT c.id, count(h.id) FROM provisioner.changes c "
            "LEFT JOIN provisioner.history h ON h.change_id = c.id GROUP BY c.id"
        ).fetchall()
        return State(
            exact={table: digest(f"SELECT t::text AS line FROM {table} t") for table in _TABLES},
            meaning={name: digest(query) for name, query in _MEANING.items()},
            changes=dict(changes),
            newest=digest(_NEWEST),
            told=dict(
                sql.execute(
                    "SELECT n.name, count(DISTINCT o.object_id) FROM provisioner.nodes n "
                    "JOIN provisioner.outbox o ON o.node IS NULL OR o.node = n.name GROUP BY n.name"
                )
            ),
            versions=frozenset(
                row[0] for row in sql.execute("SELECT DISTINCT version FROM provisioner.users")
            ),
        )
