"""Hostile words, and the places of the command line that they are put into."""

from __future__ import annotations

import hashlib
import json
import unicodedata
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.acceptance.inside import Database, Inside

HOSTILE = [
    *(
        "a;b",
        "^3B^0A",
        'a"b',
        "a'b",
        "a\\",
        "`id`",
        "${SHELL(id)}",
        "_",
        "70__",
        "7%",
        "%s%n{0}",
        "1_0",
        "７",
        "-1",
    ),
    *(
        "00",
        "'; DROP TABLE provisioner.users; --",
        "x') RETURNING (SELECT 1",
        "\\'; SELECT 1; --",
        "NULL",
        "--help",
    ),
    *(
        "a\r\nAction: Originate",
        "\r\n\r\nAction: Command\r\nCommand: core stop now\r\n\r\n",
        "a\nb",
        "a\rb",
        "a\0b",
    ),
    *(
        "\x1b[31mred",
        "\x7f",
        "\x85",
        "\u2028",
        "\ufeff",
        "\u200b",
        "",
        "\udcff",
        "\ud800x",
        "\ue000",
        "\uffff",
    ),
    *("x" * 10_000, "7" * 10_000, "\ufdfa" * 10_000, "a" + "\u0300\u0323" * 5_000, "\r\n" * 5_000),
    *(
        "\u202egnp.exe",
        "\u2066x",
        "שלום",
        "👨\u200d👩\u200d👧🇵🇱",
        "Иван",
        "Zażółć",
        "e\u0301",
        "ﬁ",
        "İ",
        "--",
        "@",
        "a/b",
    ),
    *(
        "a'b@example.com",
        "x^y%z_${q}@example.com",
        "иван@пример.рф",
        '"a;b"@example.com',
        "a@example.com\r\nBcc: b",
    ),
    *(
        "7001,7002",
        "7001 7002",
        "PJSIP/7001&PJSIP/7002",
        "*",
        "Wq7#kLz!vT;^^3B\"'\\%${_}",
        " Wq7#kLz!vT29xQ",
        "Wq7#kLz!\0vT29xQ",
    ),
]
"""Each goes into every field; some are good logins, addresses or secrets, of signs with a meaning below."""


@dataclass(frozen=True)
class Field:
    """A place for a hostile word: the command it goes into, and what holds when that is accepted."""

    name: str
    arguments: Callable[[str, str], tuple[str, ...]]
    """Of the word and the login of a user who exists."""
    accepted: Callable[[Subject, str], bool] = lambda subject, word: True
    stdin: bool = False

    def __str__(self) -> str:
        return self.name


@dataclass
class Subject:
    """The user that hostile words are tried on."""

    run: Inside
    database: Database
    login: str

    def shown(self, login: str | None = None) -> Any:
        done = self.run("user", "show", "--json", "--", self.login if login is None else login)
        assert done.code == 0, done.err
        return json.loads(done.out)

    @property
    def ids(self) -> set[str]:
        return {part["endpoint_id"] for part in self.shown()["extensions"]}

    def has_secret(self, word: str) -> bool:
        """Whether the primary extension's digest is of the first line of the word."""
        id = self.shown()["extensions"][0]["endpoint_id"]
        digest = hashlib.md5(f"{id}:asterisk:".encode() + word.encode().split(b"\n")[0].rstrip(b"\r"))
        held = self.database.ask(
            "SELECT md5 FROM provisioner.extensions WHERE endpoint_id = %(id)s", {"id": id}
        )
        return held == [(digest.hexdigest(),)]

    def in_history(self, actor: str) -> bool:
        last = self.database.ask("SELECT actor FROM provisioner.changes ORDER BY id DESC LIMIT 1")
        return last == [(actor,)] or actor == ""


def fresh() -> str:
    return f"h-{uuid.uuid4().hex[:10]}"


def nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


FIELDS = [
    Field(
        "the login of a new user",
        lambda word, login: ("user", "add", "--name=N", "--json", "--", word),
        lambda subject, word: subject.shown(word)["login"] == nfc(word),
    ),
    Field(
        "the name of a new user",
        lambda word, login: ("user", "add", fresh(), f"--name={word}", "--json"),
    ),
    Field(
        "a name",
        lambda word, login: ("user", "set", login, f"--name={word}"),
        lambda subject, word: subject.shown()["name"] == word.strip(),
    ),
    Field(
        "an e-mail address",
        lambda word, login: ("user", "set", login, f"--email={word}"),
        lambda subject, word: (subject.shown()["email"] or "") == nfc(word),
    ),
    Field(
        "a number",
        lambda word, login: ("user", "extension", "add", login, f"--number={word}"),
        lambda subject, word: word in {part["number"] for part in subject.shown()["extensions"]} | {""},
    ),
    Field(
        "the number of a new user",
        lambda word, login: ("user", "add", fresh(), "--name=N", f"--extension={word}"),
    ),
    Field(
        "an alias",
        lambda word, login: ("user", "extension", "add", login, f"--alias={word}"),
        lambda subject, word: word in {part["label"] for part in subject.shown()["extensions"]},
    ),
    Field(
        "lines",
        lambda word, login: ("user", "set", login, f"--lines={word}"),
        lambda subject, word: str(subject.shown()["extensions"][0]["lines"]) == word.lstrip("0"),
    ),
    Field("lines of a new user", lambda word, login: ("user", "add", fresh(), "--name=N", f"--lines={word}")),
    Field(
        "a secret",
        lambda word, login: ("user", "secret", login, "--secret-stdin"),
        lambda subject, word: subject.has_secret(word),
        stdin=True,
    ),
    Field(
        "the secret of a new user",
        lambda word, login: ("user", "add", fresh(), "--name=N", "--secret-stdin"),
        stdin=True,
    ),
    Field(
        "the extension to get a secret",
        lambda word, login: ("user", "secret", login, f"--extension={word}"),
        lambda subject, word: word in subject.ids,
    ),
    Field(
        "the extension to set",
        lambda word, login: ("user", "set", login, "--lines=2", f"--extension={word}"),
        lambda subject, word: word in subject.ids,
    ),
    Field(
        "the extension to delete",
        lambda word, login: ("user", "extension", "delete", "--yes", "--", login, word),
        lambda subject, word: word not in subject.ids,
    ),
    Field("a login to show", lambda word, login: ("user", "show", "--", word)),
    Field("a login to disable", lambda word, login: ("user", "disable", "--", word)),
    Field("a login to delete", lambda word, login: ("user", "delete", "--yes", "--", word)),
    Field("a login to restore", lambda word, login: ("user", "restore", "--", word)),
    Field("an endpoint to reload", lambda word, login: ("reload", "--", word)),
    Field("an endpoint to show the status of", lambda word, login: ("status", "--json", "--", word)),
    Field("two endpoints", lambda word, login: ("status", "--", "7000", word)),
    Field("a node to reload", lambda word, login: ("reload", f"--node={word}"), lambda *_: False),
    Field("a node to show the status of", lambda word, login: ("status", f"--node={word}"), lambda *_: False),
    Field(
        "who does it",
        lambda word, login: (f"--actor={word}", "user", "set", login, f"--name={fresh()}"),
        lambda subject, word: subject.in_history(word),
    ),
]
