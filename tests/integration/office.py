"""An office whose users come from files, on a real PostgreSQL and without a node, for the tests of apply."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from click.testing import CliRunner, Result
from psycopg import sql as composed
from sqlalchemy import URL

from provisioner.cli import main
from provisioner.errors import InvalidRecord
from provisioner.records import User
from provisioner.service import App, apply, users
from provisioner.service.apply import Applied, Job, Planned
from provisioner.service.fileplans import Asked, open_job
from provisioner.service.undo import undo
from provisioner.settings import Settings
from tests.integration.conftest import address

# What the tests of this folder choose for users; none of them may ever show.
SECRETS = ("Vq8-tundra-7Kf", "Wm3-pepper-9Lx", "Zt5-anchor-2Rb")

_TABLES = """
    SELECT schemaname, tablename FROM pg_tables
    WHERE schemaname IN ('provisioner', 'public') ORDER BY 1, 2
"""
_SEQUENCES = "SELECT schemaname, sequencename, last_value FROM pg_sequences ORDER BY 1, 2"


@dataclass
class Office:
    """Files in a folder, and the service that applies them."""

    folder: Path
    url: URL
    sections: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.app = self._app(self.sections)

    def _app(self, sections: Mapping[str, Mapping[str, Any]]) -> App:
        database = {"url": self.url.render_as_string(hide_password=False)}
        settings = {"home": self.folder / "home", "database": database, **sections}
        return App(Settings.model_validate(settings), actor="tester", command="test")

    def set(self, **sections: Mapping[str, Any]) -> None:
        """From here on with other settings, such as ``numbers={"rest_days": 0}``."""
        self.app.close()
        self.sections = {**self.sections, **sections}
        self.app = self._app(self.sections)

    def file(self, text: str, name: str = "office.csv") -> Path:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def plan(self, text: str, name: str = "office.csv", **asked: Any) -> Planned:
        return apply.preview(self.app, self._job(text, name, asked))

    def apply(
        self,
        text: str,
        name: str = "office.csv",
        *,
        force: bool = False,
        out: Path | None = None,
        **asked: Any,
    ) -> Applied:
        """Make the users what this file says."""
        job = self._job(text, name, asked)
        return self.carry_out(job, force=force, out=out)

    def carry_out(self, job: Job, *, force: bool = False, out: Path | None = None) -> Applied:
        return apply.apply(self.app, job, show=lambda planned: None, force=force, secrets_out=out)

    def undo(self, id: int | None) -> Applied:
        """Take a change back."""
        assert id is not None
        return self.carry_out(undo(self.app, id))

    def problems(self, text: str, name: str = "office.csv", **asked: Any) -> list[str]:
        """What is refused, without the folder."""
        before = self.everything()
        try:
            self.apply(text, name, **asked)
        except InvalidRecord as exc:
            assert self.everything() == before, "something was written"
            return str(exc).replace(f"{self.folder}/", "").splitlines()
        raise AssertionError("nothing was refused")

    def users(self) -> dict[str, User]:
        """Everybody there is, by login, with the digests of their secrets."""
        with users.exported(self.app) as found:
            return {user.login: user for user in found}

    def numbers(self) -> dict[str, list[str]]:
        return {login: list(user.endpoint_ids) for login, user in self.users().items()}

    def state(self) -> tuple[dict[str, User], dict[str, Any]]:
        """All that a user of the office can tell: records, digests and Asterisk's rows."""
        query = "SELECT to_jsonb(t) FROM {} AS t ORDER BY id"
        rows = {
            table: self.query(composed.SQL(query).format(composed.Identifier(table)))
            for table in ("ps_endpoints", "ps_auths", "ps_aors")
        }
        return self.users(), rows

    def everything(self) -> dict[str, Any]:
        """Every row of every table with the place and transaction it was written at, and every sequence."""
        found: dict[str, Any] = {"sequences": self.query(_SEQUENCES)}
        for schema, table in self.query(_TABLES):
            name = composed.Identifier(schema, table)
            query = composed.SQL("SELECT ctid::text, xmin::text, t::text FROM {} AS t ORDER BY 1")
            found[f"{schema}.{table}"] = self.query(query.format(name))
        return found

    def query(self, query: str | composed.Composed, *values: object) -> list[tuple[Any, ...]]:
        """As a DBA."""
        with psycopg.connect(address(self.url), autocommit=True) as connection:
            text = query.encode() if isinstance(query, str) else query
            result = connection.execute(text, values or None)
            return result.fetchall() if result.description else []

    def run(self, *args: object, input: str | bytes | None = None) -> Result:
        """The command line, in this process."""
        words = [*map(str, args)]
        return CliRunner().invoke(main, words, input, self.environment(), prog_name="provisioner")

    def environment(self) -> dict[str, str]:
        """What a command finds its database and settings by."""
        set_ = {
            f"PROVISIONER_{section}_{key}".upper(): str(value)
            for section, keys in self.sections.items()
            for key, value in keys.items()
        }
        url = self.url.render_as_string(hide_password=False)
        return {
            "PROVISIONER_HOME": str(self.folder / "home"),
            "PROVISIONER_DATABASE_URL": url,
            "PROVISIONER_ACTOR": "tester",
            **set_,
        }

    def _job(self, text: str, name: str, asked: Mapping[str, Any]) -> Job:
        return open_job(self.app, Asked(self.file(text, name), **asked)).job


def csv(*rows: str, columns: str = "login,name") -> str:
    """A CSV file of these rows."""
    return "\n".join([columns, *rows, ""])


def people(count: int, first: int = 0) -> list[str]:
    """Rows of so many users with login and name: u00, u01, ..."""
    return [f"u{index:02},User {index}" for index in range(first, first + count)]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def md5(id: str, secret: str, realm: str = "asterisk") -> str:
    """The digest of RFC 2617, computed here, to compare with."""
    return hashlib.md5(f"{id}:{realm}:{secret}".encode(), usedforsecurity=False).hexdigest()


def logins(planned: Planned) -> Sequence[tuple[str, str]]:
    """What a plan does: verb and login."""
    return [(change.verb.value, change.user.login) for change in planned.plan]
