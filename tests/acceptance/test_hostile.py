"""Hostile input in every word of the command line, on a real database, a real Asterisk and real phones.

It is refused with one clear sentence a problem, or kept and shown unchanged. Whatever it is, the database has
the rows that the records account for, and Asterisk's AMI was sent nothing but the actions we know.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provisioner.lab import Lab
from provisioner.lab.waiting import wait_for
from tests.acceptance.hostile import FIELDS, HOSTILE, Field, Subject, fresh, nfc
from tests.acceptance.inside import Database, Inside, Ran, Wiretap
from tests.acceptance.people import AddUser, MakePhone

pytestmark = pytest.mark.acceptance

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
