"""A lab with proxies before its node and its database; changes, harm in their middle, and what is then so."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from click.testing import CliRunner

from provisioner.cli import main
from provisioner.lab import Lab, register_many
from provisioner.lab.waiting import wait_for
from provisioner.records import validate_user
from provisioner.secret import Secret
from provisioner.service import App, users
from provisioner.store import Embedded
from tests.acceptance.proxy import Moment, Proxy, Then
from tests.acceptance.truth import changes_of, check_whole, pending, query

CHANGES: Mapping[str, tuple[str, ...]] = {
    "add": ("add", "LOGIN", "--name", "Anna Kowalska", "--json"),
    "secret": ("secret", "LOGIN", "--json"),
    "lines": ("set", "LOGIN", "--lines", "1", "--json"),
    "disable": ("disable", "LOGIN", "--json"),
    "enable": ("enable", "LOGIN", "--json"),
    "delete": ("delete", "LOGIN", "--yes", "--json"),
    "restore": ("restore", "LOGIN", "--json"),
}
REGISTERED = ("secret", "lines", "disable", "delete")
"""Those whose user has registered phones before; all of them lose some."""
LET_IN = ("add", "lines", "enable", "restore")
"""Those after which the secret that was known before (of a new user, the first one) is good."""

# -- what the command says

NOT_TOLD = r"error: written, but node lab not told: "
NOT_PROVEN = r"error: written, but node lab told, but not proven: "
NOT_IN_FORCE = r"error: written, but node lab told, but not in force: node lab: endpoint \d+ cannot be loaded"
NOT_NOTED = r"error: written, but node lab told and proven, but that could not be noted: "
NOTHING = r"error: Nothing was written: "
UNKNOWN = r"error: .*unknown.*provisioner user show"


@dataclass(frozen=True)
class Fault:
    """A moment on the way to the node or to the database, and what is true and said after it."""

    where: str
    moment: Moment
    says: str
    written: bool = True
    again: bool = False

    def __str__(self) -> str:
        return f"{self.where}: {self.moment}"


LOGIN = Fault("node", Moment("asked", b"Action: Login"), NOT_TOLD, again=True)
BANNER = Fault("node", Moment("answered", after_bytes=10), NOT_TOLD, again=True)
EXPIRE = Fault("node", Moment("asked", b"SorceryMemoryCacheExpireObject"), NOT_TOLD)
EXPIRE_2 = Fault("node", Moment("asked", b"SorceryMemoryCacheExpireObject", nth=2), NOT_TOLD)
EXPIRED = Fault("node", Moment("answered", b"The provided object was expired"), NOT_TOLD)
CONTACTS = Fault("node", Moment("answered", b"Event: DBGetTreeResponse", nth=2), NOT_TOLD)
READ_BACK = Fault("node", Moment("answered", b"Event: AorDetail"), NOT_PROVEN)

# These are for a PostgreSQL that dies while the node is being told, and Asterisk cannot read it either.
TOLD_MEANWHILE = Fault("node", Moment("asked", b"SorceryMemoryCacheExpireObject"), NOT_PROVEN)
READ_BACK_LOST = Fault("node", Moment("asked", b"PJSIPShowEndpoint"), NOT_IN_FORCE)

MIDDLE = Fault("database", Moment("asked", b"COPY provisioner.history"), NOTHING, written=False)
COMMIT = Fault("database", Moment("asked", b"COMMIT"), UNKNOWN, written=False)
COMMITTED = Fault("database", Moment("answered", b"COMMIT"), UNKNOWN)
OUTBOX = Fault("database", Moment("asked", b"FROM provisioner.outbox"), NOT_TOLD)
PROOF = Fault("database", Moment("asked", b" READ ONLY"), NOT_PROVEN)
NOTED = Fault("database", Moment("asked", b"UPDATE provisioner.nodes"), NOT_NOTED)
NOTED_LATE = Fault("database", Moment("asked", b"UPDATE provisioner.outbox"), NOT_NOTED)


@dataclass
class Subject:
    """A user that a change is made to, with what it takes to use the phone."""

    change: str
    login: str
    number: str = ""
    old: Secret | None = None
    new: Secret | None = None
    before: int = 0
    """How many changes the history knew of before."""

    @property
    def words(self) -> tuple[str, ...]:
        return ("user", *(self.login if word == "LOGIN" else word for word in CHANGES[self.change]))


@dataclass
class Bench:
    """A lab, with a proxy on the way to its node and another on the way to its database."""

    lab: Lab
    app: App
    """The service on the lab, past the proxies."""
    proxies: Mapping[str, Proxy]
    faulty: Path
    """Settings that lead through both proxies."""
    embedded: Path
    """Settings that lead through the node's proxy to the embedded server."""
    secrets: list[str] = field(default_factory=list)
    """What no error may show."""


IMPATIENT = {
    "PROVISIONER_NODES_LAB_CONNECT_TIMEOUT": "2",
    "PROVISIONER_NODES_LAB_ACTION_TIMEOUT": "1",
    "PROVISIONER_DATABASE_STATEMENT_TIMEOUT": "1",
}
"""Settings with which whatever stalls is soon given up."""


def command(config: Path, *words: str, **variables: str) -> subprocess.Popen[str]:
    """Start the real command line."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PROVISIONER_")}
    environment |= variables
    return subprocess.Popen(
        [sys.executable, "-m", "provisioner.cli", "--config", str(config), *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env={**environment, "PROVISIONER_HOME": str(config.parent)},
    )


def prepare(bench: Bench, changes: Iterable[str]) -> dict[str, Subject]:
    """A user for each change, in the state that it starts from; those who can have two phones."""
    subjects = {change: Subject(change, f"{change}-{uuid.uuid4().hex[:8]}") for change in changes}
    for change, subject in subjects.items():
        if change == "add":
            continue
        spec = validate_user(login=subject.login, name="Anna Kowalska", extensions=[{"lines": 2}])
        made = users.add(bench.app, spec)
        subject.number, subject.old = made.user.primary.number, made.issued[0].secret
        bench.secrets.append(subject.old.reveal())
        if change == "enable":
            users.set_active(bench.app, subject.login, False)
        if change == "restore":
            users.delete(bench.app, subject.login)
        subject.before = changes_of(bench.lab, subject.login)
    phones = {subjects[change].number: subjects[change].old for change in REGISTERED if change in subjects}
    for _ in range(2):
        assert set(register(bench, phones).values()) == {200}
    return subjects


def register(bench: Bench, phones: Mapping[str, Secret | None]) -> dict[str, int]:
    known = {number: secret for number, secret in phones.items() if secret is not None}
    assert len(known) == len(phones)
    return register_many(bench.lab.sip, known, containers=bench.lab.containers)


def harm(
    bench: Bench,
    subject: Subject,
    fault: Fault,
    *,
    act: Callable[[subprocess.Popen[str]], None] = lambda process: None,
    then: Then = "cut",
    config: Path | None = None,
) -> tuple[int, str]:
    """Make the change and do the harm in its middle; returns exit code and stderr."""
    holder: Queue[subprocess.Popen[str]] = Queue()
    proxy = bench.proxies[fault.where]
    proxy.arm(fault.moment, act=lambda: act(holder.get(timeout=10)), then=then, again=fault.again)
    variables = IMPATIENT if then == "stall" else {}
    with command(config or bench.faulty, *subject.words, **variables) as process:
        for _ in range(3):
            holder.put(process)
        try:
            out, err = process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            pytest.fail(f"{subject.change} has not ended in 20 s after {fault}")
        finally:
            came = proxy.disarm()
    assert came, f"{subject.change} never came to {fault}: {err}"
    if out:
        shown = json.loads(out)
        subject.number = shown["extensions"][0]["number"]
        note_secret(bench, subject, shown)
    return process.returncode, err


def note_secret(bench: Bench, subject: Subject, shown: Mapping[str, Any]) -> None:
    if shown["secrets"]:
        subject.new = Secret(shown["secrets"][0]["secret"])
        bench.secrets.append(subject.new.reveal())


def one_sentence(bench: Bench, subject: Subject, fault: Fault, code: int, err: str) -> None:
    said = f"{subject.change} after {fault} said: {err}"
    print(said)
    assert code == 1, said
    assert len(err.splitlines()) == 1, said
    assert re.match(fault.says, err), said
    assert "Traceback" not in err, said
    assert not [secret for secret in bench.secrets if secret in err], said


def check_written(bench: Bench, subject: Subject, fault: Fault) -> None:
    """All of the change is in the database, or nothing of it."""
    check_whole(bench.lab, bench.app)
    written = changes_of(bench.lab, subject.login) - subject.before
    assert written == (1 if fault.written else 0), f"{subject.change} after {fault}"
    if fault.written:
        subject.number = subject.number or number_of(bench, subject.login)
        assert subject.number in pending(bench.lab), f"{subject.change} after {fault}"


def quickly(bench: Bench, *words: str) -> str:
    """The command line without a process of its own; returns what it printed on stdout."""
    done = CliRunner(env={"PROVISIONER_HOME": str(bench.lab.home)}).invoke(
        main, ["--config", str(bench.lab.config), *words]
    )
    assert done.exit_code == 0, done.output
    return done.stdout


def number_of(bench: Bench, login: str) -> str:
    found = query(
        bench.lab,
        "SELECT number FROM provisioner.extensions JOIN provisioner.users ON users.id = user_id "
        "WHERE login = %s",
        login,
    )
    return str(found[0]["number"])


def mend(bench: Bench, subjects: Mapping[str, Subject], faults: Mapping[str, Fault]) -> None:
    """The next command tells the node everything; what was not written is written by doing it again."""
    bench.lab.must("reload")
    assert pending(bench.lab) == set()
    for change, subject in subjects.items():
        if not faults[change].written:
            shown = json.loads(quickly(bench, *subject.words))
            subject.number = shown["extensions"][0]["number"]
            note_secret(bench, subject, shown)
        elif change in ("add", "secret") and subject.new is None:
            # It was written, but the command could not show it: a new one is to be had at any time.
            shown = json.loads(quickly(bench, "user", "secret", subject.login, "--json"))
            note_secret(bench, subject, shown)
    check_whole(bench.lab, bench.app)
    assert pending(bench.lab) == set()


def check_phones(bench: Bench, subjects: Mapping[str, Subject]) -> None:
    """What real registrations on the node say: every change is in force, and nobody else is let in."""
    contacts = bench.lab.asterisk.rx("pjsip show contacts")
    held = re.findall(r"^\s*Contact:\s+(\d+)/sip:", contacts, re.MULTILINE)
    for change, subject in subjects.items():
        if change in REGISTERED:
            assert held.count(subject.number) == (1 if change == "lines" else 0), change
    phones = {s.number: s.new if change == "add" else s.old for change, s in subjects.items()}
    statuses = register(bench, phones)
    for change, subject in subjects.items():
        assert statuses[subject.number] == (200 if change in LET_IN else 401), change
    renewed = subjects["secret"]
    assert register(bench, {renewed.number: renewed.new}) == {renewed.number: 200}


def kill_command(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait(5)


def kill_postgresql(lab: Lab) -> None:
    """Kill the postmaster, and wait until its children noticed."""
    server = Embedded(lab.home).status()
    assert server.pid is not None
    data = str(server.folder / "data")
    os.kill(server.pid, 9)
    wait_for("PostgreSQL to be gone", lambda: not at_work_in(data), 30)


def at_work_in(folder: str) -> list[Path]:
    found = []
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if process.name.isdigit() and str((process / "cwd").readlink()) == folder:
                found.append(process)
    return found
