"""Hostile input in every word of the command line, on a real database, a real Asterisk and real phones.

It is refused with one clear sentence a problem, or kept and shown unchanged. Whatever it is, the database has
the rows that the records account for, and Asterisk's AMI was sent nothing but the actions we know.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import unicodedata
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provisioner.lab import Lab
from provisioner.lab.waiting import wait_for
from tests.acceptance.inside import Database, Inside, Ran, Wiretap
from tests.acceptance.people import AddUser, MakePhone

pytestmark = pytest.mark.acceptance

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

HEADERS = {
    "Login": {"Username", "Secret", "Events"},
    "SorceryMemoryCacheExpireObject": {"Cache", "Object"},
    "SorceryMemoryCacheExpire": {"Cache"},
    "PJSIPShowEndpoint": {"Endpoint"},
    "DBGetTree": {"Family", "Key"},
    "DBGet": {"Family", "Key"},
    "Getvar": {"Variable"},
}
"""All that may be sent for users whose phones are not registered."""
VALUE = re.compile(r"[A-Za-z0-9/_.@+~;()=,-]*%?")


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


@pytest.fixture(scope="module")
def database(labs: Callable[..., Lab]) -> Database:
    return Database(labs())


@contextmanager
def watched(lab: Lab, database: Database) -> Iterator[Subject]:
    """A user to try words on; afterwards the database and what Asterisk was sent are looked at."""
    shape, before = database.shape(), unaccounted(lab, database)
    with Wiretap(lab.settings["nodes"]["lab"]["port"]) as tap:
        run = Inside(lab, tap.port)
        login = fresh()
        assert run("user", "add", login, "--name", "Hostile").code == 0
        yield Subject(run, database, login)
        assert database.shape() == shape
        assert unaccounted(lab, database) == before
        assert lab.cli("conf", "diff", str(lab.conf_dir), "--exit-code").code == 0
        assert [action for action in tap.actions if not known(action)] == []
        assert len(tap.actions) > 3


def unaccounted(lab: Lab, database: Database) -> dict[str, set[str]]:
    """Rows of Asterisk that no active user accounts for, and the other way round; orders not delivered."""
    users = json.loads(Inside(lab)("user", "list", "--json").out)
    ids = {part["endpoint_id"] for user in users if user["active"] for part in user["extensions"]}
    found = {
        table: {id for (id,) in database.ask(f"SELECT id FROM {table}")} ^ ids
        for table in ("ps_endpoints", "ps_auths", "ps_aors")
    }
    logins = {
        login for (login,) in database.ask("SELECT login FROM provisioner.users WHERE deleted_at IS NULL")
    }
    found["users"] = logins ^ {user["login"] for user in users}
    found["outbox"] = {id for (id,) in database.ask("SELECT object_id FROM provisioner.outbox")}
    return found


def known(action: list[tuple[str, str]]) -> bool:
    """Whether it is an action of ours with the headers it should have, each with a value as it should be."""
    headers = dict(action)
    name = headers.pop("Action", "")
    return (
        len(headers) == len(action) - 1
        and headers.keys() - {"ActionID"} <= HEADERS.get(name, set())
        and all(VALUE.fullmatch(value) for value in headers.values())
    )


def judge(done: Ran, word: str) -> bool:
    """Whether the command was done; AssertionError where it was refused in another way than it should be."""
    said = f"{word[:60]!a}: {done.code} {done.out[:300]!a} {done.err[:500]!a}"
    assert done.escaped is None, f"{said} {done.escaped!r}"
    assert done.seconds < 5, f"{said} after {done.seconds:.1f} s"
    text = done.out + done.err
    assert "Traceback" not in text, said
    assert "unexpected" not in text, said
    assert not [char for char in text if unicodedata.category(char) == "Cc" and char not in "\n\t"], said
    if done.code:
        lines = done.err.splitlines()
        assert done.code == 1, said
        assert all(line.startswith("error: ") for line in lines), said
        assert 1 <= len(lines) <= 2, said
        assert max(map(len, lines)) < 600, said
    return done.code == 0


def attempt(subject: Subject, field: Field, word: str) -> None:
    stdin = (
        word.encode("utf-8", "surrogateescape" if "\udcff" in word else "surrogatepass")
        if field.stdin
        else b""
    )
    if judge(subject.run(*field.arguments(word, subject.login), stdin=stdin), word):
        assert field.accepted(subject, word), f"{field} became something else than {word[:60]!a}"


@pytest.mark.parametrize(
    "field", [field for field in FIELDS if "new" not in field.name or "login" in field.name], ids=str
)
def test_every_hostile_word_is_refused_clearly_or_kept_unchanged(
    lab: Lab, database: Database, field: Field
) -> None:
    with watched(lab, database) as subject:
        for word in HOSTILE:
            attempt(subject, field, word)


words = st.one_of(
    st.text(max_size=30),
    st.text(st.sampled_from(";^\"'\\$%_{}()<>|&,\r\n\0\u202e\u200dЖż😀7a -"), min_size=1, max_size=12),
    st.text(st.characters(categories=["Cs", "Cc", "Cf", "Co", "Mn", "Nd", "Zs"]), min_size=1, max_size=6),
    st.builds(lambda word, count: word * count, st.sampled_from(HOSTILE[:14]), st.integers(2, 300)),
)


def test_whatever_is_typed_anywhere_is_refused_clearly_or_kept_unchanged(
    lab: Lab, database: Database
) -> None:
    with watched(lab, database) as subject:

        @settings(max_examples=100, deadline=None, derandomize=True, database=None)
        @given(st.sampled_from(FIELDS), words)
        def holds(field: Field, word: str) -> None:
            attempt(subject, field, word)

        holds()


def test_real_processes_refuse_what_no_other_way_of_calling_them_can_bring(
    lab: Lab, add_user: AddUser
) -> None:
    user = add_user()
    hostile: list[tuple[list[str | bytes], bytes]] = [
        (["user", "show", b"\xff\xfe"], b""),
        (["user", "set", user.login, b"--name=\xc3("], b""),
        (["user", "set", user.login, "--name=" + "x" * 10_000], b""),
        (["status", "7" * 10_000], b""),
        ([b"--actor=\xff", "user", "set", user.login, "--name=N"], b""),
        (["--config", "no\nsuch\x1b[31m.toml", "user", "list"], b""),
        (["user", "secret", user.login, "--secret-stdin"], b"\xff" * 40),
        (["user", "secret", user.login, "--secret-stdin"], b"Wq7#kLz!\0vT29xQ\n"),
        (["user", "secret", user.login, "--secret-stdin"], b"q" * 5_000_000),
    ]
    environment = {**os.environ, "PROVISIONER_HOME": str(lab.home), "PROVISIONER_CONFIG": str(lab.config)}
    for arguments, stdin in hostile:
        command = [sys.executable, "-m", "provisioner.cli", *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, env=environment, timeout=5)
        said = done.stderr.decode()
        assert (done.returncode, done.stdout, said.count("\n")) == (1, b"", 1), said
        assert said.startswith("error: "), said
        assert "unexpected" not in said, said
        assert len(said) < 400
    assert lab.sip_register(user.number, user.secret) == 200


NAMES = [
    *(
        "Kowalska, Anna",
        "a;b^c^3Bd",
        'Anna "Ania" K.',
        'back\\slash\\"',
        '"' * 40,
        "O'Brien'; DROP",
        "<7000>",
    ),
    *("${EXTEN}${SHELL(id)}", "%0d%0aX: y", "70__%", "a|b&c=d", "Zażółć Gęślą Jaźń", "Иван Иванов", "1_0"),
    *("אבג דהו", "مرحبا\u200cبكم", "👨\u200d👩\u200d👧🇵🇱😀", "e\u0301", "x" * 200, "Ж" * 100, "é😀" * 60),
]


def test_a_phone_shows_a_name_unchanged_or_cut_after_a_whole_character(
    lab: Lab, add_user: AddUser, phone: MakePhone
) -> None:
    ann, ivan = add_user(), add_user()
    caller, called = phone(ann), phone(ivan)
    wait_for("the phone to be in reach", lambda: " Avail " in lab.asterisk.rx("pjsip show contacts"), 5)
    run = Inside(lab)
    for name in NAMES:
        assert run("user", "set", ann.login, f"--name={name}").code == 0
        call = caller.dial(ivan.number)
        incoming = called.incoming()
        call.hangup()
        incoming.wait_closed()
        # A phone shows the quoted string of SIP with the backslashes that its quotes and backslashes got.
        shown = re.sub(r"\\(.)", r"\1", incoming.display_name)
        whole = nfc(name)
        assert incoming.number == ann.number
        assert shown == (whole if len(whole.encode()) <= 79 else cut(whole, shown)), name


def cut(name: str, shown: str) -> str:
    """What is to be seen of a name that is too long: as many whole characters as 79 bytes hold."""
    kept = name[: len(shown)]
    assert 79 - 4 < len(kept.encode()) <= 79
    return kept
