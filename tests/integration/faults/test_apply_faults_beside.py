"""Commands beside an `apply`: what each of them says is true, and nothing is lost or mixed."""

from __future__ import annotations

import random
import re
import subprocess
import time
from pathlib import Path
from typing import Final

import pytest

from tests.integration.commands import Ended, Machine, Sql, gate, nothing_is_left, people, until, waiting
from tests.integration.state import state

COUNT: Final = 400


def two_files(machine: Machine) -> tuple[Path, Path]:
    """Two that differ in every user, each with some of its own."""
    return (
        machine.csv("a.csv", people(COUNT)),
        machine.csv("b.csv", people(COUNT + 50, name="Ola Kowalska", lines=3)[50:]),
    )


def one_after_the_other(machine: Machine, *commands: tuple[object, ...]) -> dict[str, str]:
    """What the records and rows are in the end, where these commands meet nobody."""
    machine.anew()
    for words in commands:
        machine.run(*words)
    with machine.connect() as sql:
        found = dict(state(sql).meaning)
    # Secrets are made anew each time.
    del found["secrets"], found["auths"]
    return found


@pytest.mark.parametrize("sources", [("office", "office"), ("north", "south")], ids=["same", "different"])
def test_two_applies_at_once_are_as_good_as_one_after_the_other(
    machine: Machine, sources: tuple[str, str]
) -> None:
    if sources[0] == sources[1]:
        a, b = two_files(machine)
    else:
        a = machine.csv("a.csv", people(COUNT))
        b = machine.csv("b.csv", people(COUNT, prefix="south", first=30000))
    first, second = (
        ("apply", file, "--source", source, "--yes", "--force", "--quiet")
        for file, source in zip((a, b), sources, strict=True)
    )
    ends = [one_after_the_other(machine, first, second), one_after_the_other(machine, second, first)]
    chance = random.Random(4711)
    for delay in (0.0, 0.0, chance.uniform(0, 0.2), chance.uniform(0.2, 0.5)):
        machine.anew()
        one = machine.start(*first)
        time.sleep(delay)
        two = machine.start(*second)
        ended = [one.end(), two.end()]
        assert [(end.code, end.err) for end in ended] == [(0, "")] * 2
        with machine.connect() as sql:
            nothing_is_left(sql)
            now = state(sql)
        found = {name: digest for name, digest in now.meaning.items() if name in ends[0]}
        assert found in ends
        assert len(now.changes) == 2


def test_two_applies_of_one_file_at_once_make_one_change(machine: Machine, sql: Sql) -> None:
    file = machine.csv("office.csv", people(COUNT))
    started = [machine.start("apply", file, "--yes", "--quiet") for _ in range(3)]
    assert [child.end().code for child in started] == [0, 0, 0]
    assert list(state(sql).changes.values()) == [COUNT]


def test_what_was_agreed_to_and_moved_meanwhile_is_named_and_nothing_is_written(
    machine: Machine, sql: Sql
) -> None:
    a, b = two_files(machine)
    machine.run("apply", a, "--source", "office", "--yes", "--quiet")
    child = machine.start("apply", b, "--source", "office", "--force", stdin=subprocess.PIPE)
    child.read_until("Apply this plan?")
    machine.run("user", "set", "user00007", "--name", "Ewa Lis")  # the file does not have this one
    machine.run("user", "set", "user00077", "--name", "Ewa Lis")
    machine.run("user", "delete", "user00099", "--yes")
    before = state(sql)
    ended = child.end("y\n")
    assert ended.code == 1
    assert "error: Nothing was written: the plan that was agreed to is not the one of now." in ended.err
    named = re.findall(r"^error: '(\w+)'", ended.err, re.MULTILINE)
    assert sorted(named) == ["user00077", "user00099"]
    assert state(sql) == before
    machine.run("apply", b, "--source", "office", "--yes", "--force", "--quiet")
    assert "Ewa Lis" in machine.run("user", "show", "user00007").out


def test_a_change_that_commits_while_a_saved_plan_waits_for_its_records_is_named(
    machine: Machine, sql: Sql
) -> None:
    a, b = two_files(machine)
    machine.run("apply", a, "--source", "office", "--yes", "--quiet")
    saved = machine.folder / "office.plan"
    machine.run("plan", b, "--source", "office", "--out", saved, "--quiet")
    with gate(machine, "before the commit") as stop:
        other = machine.start("user", "set", "user00200", "--name", "Ewa Lis")
        stop.until_reached()
        child = machine.start("apply", saved, "--yes", "--force")
        with pytest.raises(subprocess.TimeoutExpired):
            child.process.wait(1.5)  # it waits for that record
        stop.open()
        assert other.end().code == 0
        ended = child.end()
    assert ended.code == 1
    assert ended.errors[0].startswith("error: Nothing was written: the plan that was agreed to")
    assert "user00200" in ended.errors[1]
    assert len(ended.errors) == 2
    assert len(state(sql).changes) == 2


@pytest.mark.timeout(300)
def test_single_changes_beside_an_apply_are_in_the_history_and_in_force_or_followed_by_it(
    machine: Machine, sql: Sql
) -> None:
    machine.run("apply", machine.csv("office.csv", people(2_000)), "--yes", "--quiet")
    others = machine.csv("others.csv", people(20, prefix="other", first=50000))
    machine.run("apply", others, "--yes", "--quiet")
    file = machine.csv("office.csv", people(2_000, name="Ola Kowalska"))
    chance = random.Random(20)
    logins = [f"user{chance.randrange(2_000):05d}" for _ in range(14)] + [f"other{i:05d}" for i in range(6)]
    chance.shuffle(logins)
    applying = machine.start("apply", file, "--yes", "--force", "--quiet")
    setting = []
    for place, login in enumerate(logins):
        setting.append((login, machine.start("user", "set", login, "--name", f"Ewa Lis {place}")))
        time.sleep(chance.uniform(0, 0.15))
    assert (ended := applying.end()).code == 0, ended
    for _, child in setting:
        assert (ended := child.end()).code == 0, ended
    by_file = sql.execute("SELECT max(id) FROM provisioner.changes WHERE file IS NOT NULL").fetchone()
    assert by_file is not None
    for place, (login, _) in enumerate(setting):
        name = f"Ewa Lis {place}"
        history = sql.execute(
            "SELECT change_id, old ->> 'name', new ->> 'name' FROM provisioner.history "
            "JOIN provisioner.users u ON u.id = user_id WHERE u.login = %s ORDER BY change_id",
            [login],
        ).fetchall()
        # Each rests on the one before it: none was lost.
        assert [old for _, old, _ in history[1:]] == [new for _, _, new in history[:-1]]
        (own,) = (id for id, _, new in history if new == name)
        (now,) = sql.execute("SELECT name FROM provisioner.users WHERE login = %s", [login]).fetchone() or ()
        assert now == history[-1][2]
        later = [id for id, _, _ in history if id > own]
        assert now == name or by_file[0] in later or logins.count(login) > 1


def test_a_number_given_beside_an_apply_that_gives_numbers_is_no_deadlock(machine: Machine, sql: Sql) -> None:
    machine.run("apply", machine.csv("office.csv", people(COUNT)), "--yes", "--quiet")
    rows = [f"user{i:05d},Ola Kowalska {i}" for i in range(COUNT + 10)]
    file = machine.csv("office.csv", rows, "login,name")
    ended = _both_wait(machine, sql, file, ("user", "extension", "add", "user00100"))
    assert [end.code for end in ended] == [0, 0], ended
    assert sorted(state(sql).changes.values()) == [1, COUNT, COUNT + 10]


def test_a_restore_beside_an_apply_that_restores_the_same_user_is_no_deadlock(
    machine: Machine, sql: Sql
) -> None:
    file = machine.csv("office.csv", people(COUNT))
    machine.run("apply", file, "--yes", "--quiet")
    machine.run("user", "delete", "user00100", "--yes")
    file = machine.csv("office.csv", people(COUNT, name="Ola Kowalska"))
    applied, restored = _both_wait(machine, sql, file, ("user", "restore", "user00100"))
    assert (applied.code, restored.code) == (0, 1), (applied, restored)
    assert restored.errors == ["error: There is no deleted user 'user00100'."]


def _both_wait(machine: Machine, sql: Sql, file: Path, words: tuple[str, ...]) -> tuple[Ended, Ended]:
    """An apply that has the numbers and waits for its first user, and a command that comes then."""
    with machine.connect() as holder, holder.transaction():
        holder.execute("SELECT FROM provisioner.users WHERE login = 'user00000' FOR UPDATE")
        applying = machine.start("apply", file, "--source", "office", "--yes", "--force", "--quiet")
        until(lambda: waiting(sql) == 1, "the apply does not wait")
        other = machine.start(*words)
        until(lambda: waiting(sql) == 2, "the other command does not wait")
    return applying.end(), other.end()
