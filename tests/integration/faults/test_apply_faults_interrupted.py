"""Ctrl-C and SIGTERM at every moment of an `apply`: one true sentence on whether it was written."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import termios
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.integration.commands import (
    Child,
    Ended,
    Machine,
    Sql,
    gate,
    locked,
    nothing_is_left,
    people,
    until,
)
from tests.integration.state import state

COUNT: Final = 300
NOT_WRITTEN: Final = "error: Interrupted: nothing was written."
WRITTEN: Final = "error: Interrupted: everything is written (change 1)"
SIGNALS: Final = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])


@dataclass
class Run:
    """One `apply` of 300 new users, to be stopped somewhere."""

    machine: Machine
    sql: Sql
    number: signal.Signals

    def __post_init__(self) -> None:
        self.secrets = self.machine.folder / "secrets.csv"
        self.file = self.machine.csv("office.csv", people(COUNT))
        self.before = state(self.sql)
        self.server = self.machine.embedded.status().pid

    def start(self, *options: str, stdin: int = subprocess.DEVNULL) -> Child:
        return self.machine.start("apply", self.file, "--secrets-out", self.secrets, *options, stdin=stdin)

    def ended(self, child: Child, *, written: bool) -> Ended:
        """The end of the interrupted command, which said the truth and left nothing behind."""
        ended = child.end()
        assert (ended.code, len(ended.errors)) == (1, 1), ended
        assert ended.errors[0].startswith(WRITTEN if written else NOT_WRITTEN), ended
        assert "Traceback" not in ended.err
        assert "Aborted" not in ended.err
        nothing_is_left(self.sql)
        self.check(written=written)
        return ended

    def unfinished(self) -> list[Path]:
        return list(self.machine.folder.glob("secrets.csv.*"))

    def check(self, *, written: bool) -> None:
        now = state(self.sql)
        assert self.unfinished() == []
        if written:
            assert now.changes == {1: COUNT}
            assert self.secrets.read_text().count("\n") == COUNT + 1
        else:
            assert now.differing(self.before) == []
            assert not self.secrets.exists()
        assert self.machine.embedded.status().pid == self.server


@SIGNALS
def test_while_the_file_is_read_nothing_is_written(
    machine: Machine, sql: Sql, number: signal.Signals
) -> None:
    run = Run(machine, sql, number)
    run.file = Path("-")
    child = run.start("--yes", "--source", "office", stdin=subprocess.PIPE)
    assert child.process.stdin is not None
    # More than a pipe holds: once it is written, the command is reading.
    child.process.stdin.write("login,name\n" + "".join(f"user{i},Anna Nowak\n" for i in range(100_000)))
    child.interrupt(number)
    run.ended(child, written=False)


@SIGNALS
@pytest.mark.parametrize("options", [(), ("--yes",)], ids=["to-ask", "unasked"])
def test_while_it_plans_nothing_is_written(
    machine: Machine, sql: Sql, number: signal.Signals, options: tuple[str, ...]
) -> None:
    run = Run(machine, sql, number)
    with locked(machine, "provisioner.users") as gate_:
        child = run.start(*options)
        gate_.until_reached()
        child.interrupt(number)
        ended = child.end()
    assert (ended.code, ended.errors) == (1, [NOT_WRITTEN]), ended
    nothing_is_left(sql)
    run.check(written=False)


@SIGNALS
def test_at_the_question_nothing_is_written(machine: Machine, sql: Sql, number: signal.Signals) -> None:
    run = Run(machine, sql, number)
    child = run.start(stdin=subprocess.PIPE)
    child.read_until("Apply this plan?")
    child.interrupt(number)
    run.ended(child, written=False)


def test_a_no_to_the_question_says_that_nothing_was_written(machine: Machine, sql: Sql) -> None:
    run = Run(machine, sql, signal.SIGINT)
    child = run.start(stdin=subprocess.PIPE)
    child.read_until("Apply this plan?")
    ended = child.end(say="n\n")
    assert ended.code == 1
    assert ended.err.endswith("error: Nothing was written, as the plan was not agreed to.\n")
    run.check(written=False)


@SIGNALS
@pytest.mark.parametrize("place", ["writing users", "amid a copy", "writing endpoints", "before the commit"])
def test_while_it_writes_all_of_it_is_taken_back(
    machine: Machine, sql: Sql, number: signal.Signals, place: str
) -> None:
    run = Run(machine, sql, number)
    with gate(machine, place) as gate_:
        child = run.start("--yes")
        gate_.until_reached()
        assert run.unfinished(), "the secrets are on disk before they are in force"
        child.interrupt(number)
        run.ended(child, written=False)


@SIGNALS
def test_during_the_commit_it_waits_and_says_that_all_is_written(
    machine: Machine, sql: Sql, number: signal.Signals
) -> None:
    run = Run(machine, sql, number)
    with gate(machine, "during the commit") as gate_:
        child = run.start("--yes")
        gate_.until_reached()
        child.interrupt(number)
        with pytest.raises(subprocess.TimeoutExpired):
            child.process.wait(0.3)
        assert state(sql).changes == {}
        gate_.open()
        run.ended(child, written=True)


def test_ctrl_c_at_a_terminal_during_the_commit_waits_although_another_thread_draws_bars(
    machine: Machine, sql: Sql
) -> None:
    run = Run(machine, sql, signal.SIGINT)
    ours, theirs = os.openpty()
    shown: list[str] = []
    reader = threading.Thread(target=_read_terminal, args=(ours, shown))
    reader.start()
    try:
        with gate(machine, "during the commit") as gate_:
            words = ("apply", run.file, "--secrets-out", run.secrets, "--yes")
            child = machine.start_at_terminal(theirs, *words)
            gate_.until_reached()
            os.write(ours, b"\x03")
            with pytest.raises(subprocess.TimeoutExpired):
                child.process.wait(0.5)
            assert state(sql).changes == {}
            gate_.open()
            assert child.end().code == 1
    finally:
        os.close(theirs)
        reader.join(60)
        os.close(ours)
    assert "\x1b[" in "".join(shown), "there were no bars"
    assert WRITTEN in "".join(shown)
    nothing_is_left(sql)
    run.check(written=True)


def _read_terminal(terminal: int, shown: list[str]) -> None:
    with suppress(OSError):  # its end, once no command has it open
        while more := os.read(terminal, 4096):
            shown.append(more.decode())


@SIGNALS
def test_while_nodes_are_told_it_says_that_all_is_written_and_who_is_still_to_be_told(
    machine: Machine, sql: Sql, number: signal.Signals
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        machine.node(silent.getsockname()[1])
        run = Run(machine, sql, number)
        child = run.start("--yes")
        silent.settimeout(30)
        connection, _ = silent.accept()
        with connection:
            child.interrupt(number)
            ended = run.ended(child, written=True)
    assert "provisioner reload" in ended.errors[0]
    assert state(sql).told == {"pbx1": COUNT}


@SIGNALS
def test_while_the_result_is_printed_it_says_that_all_is_written(
    machine: Machine, sql: Sql, number: signal.Signals
) -> None:
    run = Run(machine, sql, number)
    child = run.start("--yes", "--json")
    # Nobody reads its output, which is more than a pipe holds.
    until(lambda: state(sql).changes, "it was not written")
    until(lambda: _prints(child), "it does not print")
    child.interrupt(number)
    run.ended(child, written=True)


def _prints(child: Child) -> bool:
    """Whether something stands in the pipe of its stdout."""
    assert child.process.stdout is not None
    return fcntl.ioctl(child.process.stdout, termios.FIONREAD, bytes(4)) != bytes(4)


def test_a_server_that_the_interrupted_command_started_goes_on(machine: Machine) -> None:
    machine.embedded.stop()
    file = machine.csv("office.csv", people(10))
    child = machine.start("apply", file, stdin=subprocess.PIPE)
    child.read_until("Apply this plan?")
    started = machine.embedded.status().pid
    assert started is not None
    child.interrupt(signal.SIGINT)
    assert child.end().code == 1
    machine.run("apply", file, "--yes")
    assert machine.embedded.status().pid == started
