"""The embedded PostgreSQL: made once, started on demand, and alive again after every kind of kill."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from provisioner.errors import EmbeddedError
from provisioner.store.embedded import Embedded
from provisioner.store.postmaster import find_postmaster, is_alive, wait_until
from provisioner.store.programs import find_programs

COMMAND = """
    import sys
    from pathlib import Path
    from provisioner.store.embedded import Embedded
    print(Embedded(Path(sys.argv[1])).ensure_running().port)
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "home"
    yield folder
    Embedded(folder).stop()


def command(home: Path) -> subprocess.Popen[str]:
    """A command of its own that wants the server."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(COMMAND), str(home)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(home: Path, sign: str) -> None:
    """Until the command has come so far that this file is there."""
    deadline = time.monotonic() + 30
    while not list(home.glob(f"postgres/{sign}")):
        assert time.monotonic() < deadline, sign
        time.sleep(0.001)


def ask(embedded: Embedded, query: str) -> object:
    url = embedded.ensure_running()
    with psycopg.connect(
        host=url.host, port=url.port, user=url.username, password=url.password, dbname=url.database
    ) as connection:
        row = connection.execute(query).fetchone()
        assert row is not None
        return row[0]


def keep_seven(embedded: Embedded) -> None:
    """Something that must still be there later."""
    url = embedded.ensure_running()
    with psycopg.connect(
        host=url.host, port=url.port, user=url.username, password=url.password, dbname=url.database
    ) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7")


def pid_of(home: Path) -> int:
    pid = Embedded(home).status().pid
    assert pid is not None
    return pid


def kill_server(home: Path) -> None:
    pid = pid_of(home)
    os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: not is_alive(pid), 10)


def test_it_is_made_on_the_first_use_and_answers_over_tcp(home: Path) -> None:
    assert not Embedded(home).status().made
    assert ask(Embedded(home), "SELECT current_database()::text") == "provisioner"
    assert Embedded(home).status().running


def test_it_writes_durably_and_takes_a_hundred_connections(home: Path) -> None:
    assert ask(Embedded(home), "SHOW fsync") == "on"
    assert ask(Embedded(home), "SHOW max_connections") == "100"


def test_it_listens_on_the_loopback_only(home: Path) -> None:
    assert ask(Embedded(home), "SHOW listen_addresses") == "127.0.0.1"
    assert ask(Embedded(home), "SHOW unix_socket_directories") == ""


def test_a_wrong_password_is_refused(home: Path) -> None:
    url = Embedded(home).ensure_running()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(host=url.host, port=url.port, user=url.username, password="x", dbname=url.database)


def test_the_password_is_for_the_owner_alone_and_in_no_argument_list(home: Path) -> None:
    url = Embedded(home).ensure_running()
    password = url.password
    assert password
    assert password not in str(url)
    assert password not in repr(url)
    for file in (home / "postgres").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, file
    for process in Path("/proc").glob("[0-9]*"):
        try:
            told = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:
            continue
        assert password.encode() not in told


def test_the_log_holds_neither_statements_nor_values(home: Path) -> None:
    embedded = Embedded(home)
    url = embedded.ensure_running()
    with psycopg.connect(
        host=url.host,
        port=url.port,
        user=url.username,
        password=url.password,
        dbname=url.database,
        autocommit=True,
    ) as connection:
        connection.execute("CREATE TABLE kept (secret text PRIMARY KEY)")
        connection.execute("INSERT INTO kept VALUES ('correct horse')")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("INSERT INTO kept VALUES ('correct horse')")
    log = embedded.log.read_text()
    assert "duplicate key" in log
    assert "correct horse" not in log


def test_a_second_use_finds_it_running_within_milliseconds(home: Path) -> None:
    Embedded(home).ensure_running()
    pid = pid_of(home)
    start = time.perf_counter()
    for _ in range(100):
        Embedded(home).ensure_running()
    assert (time.perf_counter() - start) / 100 < 0.02
    assert pid_of(home) == pid


def test_stop_ends_it_cleanly_and_the_data_is_there_after_the_next_start(home: Path) -> None:
    embedded = Embedded(home)
    keep_seven(embedded)
    port = embedded.status().port
    assert embedded.stop()
    assert not embedded.status().running
    assert not embedded.stop()
    assert ask(embedded, "SELECT * FROM kept") == 7
    assert embedded.status().port == port
    assert "not properly shut down" not in embedded.log.read_text()


def test_the_server_outlives_the_command_that_started_it(home: Path) -> None:
    with command(home) as started:
        assert started.wait(60) == 0
    assert ask(Embedded(home), "SELECT 1") == 1
    assert Path(f"/proc/{pid_of(home)}/stat").read_text().split()[6] == "0", "it has no terminal"


def test_the_server_inherits_no_open_file_of_the_command(home: Path, tmp_path: Path) -> None:
    with (tmp_path / "open").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        Embedded(home).ensure_running()
        held = [str(link.readlink()) for link in Path(f"/proc/{pid_of(home)}/fd").iterdir()]
    assert str(tmp_path / "open") not in held


def test_eight_commands_at_once_make_and_start_one_server(home: Path) -> None:
    commands = [command(home) for _ in range(8)]
    answers = [started.communicate(timeout=100) for started in commands]
    assert [started.returncode for started in commands] == [0] * 8, answers
    assert len({answer for answer, _ in answers}) == 1


def test_after_a_kill_of_the_server_the_next_command_starts_it_again(home: Path) -> None:
    embedded = Embedded(home)
    keep_seven(embedded)
    kill_server(home)
    assert ask(embedded, "SELECT * FROM kept") == 7


def test_after_a_kill_in_the_middle_of_a_long_statement_nothing_of_the_old_server_is_left(home: Path) -> None:
    embedded = Embedded(home)
    url = embedded.ensure_running()
    address = url.render_as_string(hide_password=False).replace("+psycopg", "")
    with closing(psycopg.connect(address, autocommit=True)) as connection:
        row = connection.execute("SELECT pg_backend_pid()").fetchone()
        assert row is not None
        # A busy backend does not notice that its postmaster is gone.
        busy = "DO $$ BEGIN LOOP PERFORM 1; END LOOP; END $$"
        connection.pgconn.send_query(busy.encode())
        kill_server(home)
        assert ask(embedded, "SELECT 1") == 1
        assert not is_alive(row[0])


def test_a_pid_file_left_by_a_crash_is_no_obstacle_even_when_its_pid_lives(home: Path) -> None:
    embedded = Embedded(home)
    embedded.ensure_running()
    embedded.stop()
    data = home / "postgres" / "data"
    (data / "postmaster.pid").write_text(
        f"{os.getpid()}\n{data}\n1700000000\n5432\n\n127.0.0.1\n1 2\nready   \n"
    )
    assert find_postmaster(data) is None
    assert ask(embedded, "SELECT 1") == 1


def test_a_zombie_is_not_taken_for_the_server(home: Path) -> None:
    embedded = Embedded(home)
    embedded.ensure_running()
    embedded.stop()
    data = home / "postgres" / "data"
    with subprocess.Popen(["true"], cwd=data) as dead:
        time.sleep(0.2)  # ended, and not reaped before the end of this block
        (data / "postmaster.pid").write_text(
            f"{dead.pid}\n{data}\n1700000000\n5432\n\n127.0.0.1\n1 2\nready   \n"
        )
        assert ask(embedded, "SELECT 1") == 1


@pytest.mark.parametrize(
    "sign",
    ["password", "new-*", "new-*/base/1/PG_VERSION", "new-*/base/5", "data", "port", "data/postmaster.pid"],
)
def test_a_command_killed_while_it_makes_the_server_leaves_nothing_in_the_way(home: Path, sign: str) -> None:
    with command(home) as started:
        wait_for(home, sign)
        started.kill()
    assert ask(Embedded(home), "SELECT 1") == 1
    assert not list((home / "postgres").glob("new-*"))


@pytest.mark.parametrize("sign", ["port", "server.log", "data/postmaster.pid"])
def test_a_command_killed_while_it_starts_the_server_leaves_nothing_in_the_way(home: Path, sign: str) -> None:
    embedded = Embedded(home)
    keep_seven(embedded)
    embedded.stop()
    for name in ("lock", "port", "server.log"):
        (home / "postgres" / name).unlink()
    with command(home) as started:
        wait_for(home, sign)
        started.kill()
    assert ask(embedded, "SELECT * FROM kept") == 7


def test_a_port_that_somebody_else_took_meanwhile_is_chosen_anew(home: Path) -> None:
    embedded = Embedded(home)
    embedded.ensure_running()
    embedded.stop()
    port = embedded.status().port
    assert port is not None
    with socket.create_server(("127.0.0.1", port)):
        assert embedded.ensure_running().port != port
    embedded.stop()
    assert embedded.ensure_running().port == embedded.status().port


def test_two_homes_have_two_servers(tmp_path: Path) -> None:
    one, two = Embedded(tmp_path / "one"), Embedded(tmp_path / "two")
    try:
        assert one.ensure_running().port != two.ensure_running().port
        assert one.ensure_running().password != two.ensure_running().password
    finally:
        one.stop()
        two.stop()


def test_missing_programs_are_one_sentence_that_names_the_extra(tmp_path: Path) -> None:
    with pytest.raises(
        EmbeddedError, match=r"No PostgreSQL programs.*provisioner\[embedded\].*database\.url"
    ):
        find_programs(system=tmp_path, wheel="no_such_wheel")
    with pytest.raises(EmbeddedError, match=r"made by PostgreSQL 9.*provisioner\[embedded\]"):
        find_programs(major=9, system=tmp_path)


def test_the_newest_programs_of_the_system_are_taken_where_there_is_no_wheel(tmp_path: Path) -> None:
    for major in ("9", "15", "17", "broken"):
        programs = tmp_path / major / "bin"
        programs.mkdir(parents=True)
        for name in ("initdb", "postgres"):
            (programs / name).write_text(
                f"#!/bin/sh\necho 'postgres (PostgreSQL) {major}.1 (Debian {major}.1-0)'\n"
            )
            (programs / name).chmod(0o755)
    found = find_programs(system=tmp_path, wheel="no_such_wheel")
    assert (found.major, found["initdb"]) == (17, str(tmp_path / "17" / "bin" / "initdb"))
    assert find_programs(major=15, system=tmp_path, wheel="no_such_wheel").major == 15


def test_a_server_that_cannot_start_is_told_with_the_end_of_its_log(home: Path) -> None:
    embedded = Embedded(home)
    embedded.ensure_running()
    embedded.stop()
    settings = home / "postgres" / "data" / "postgresql.auto.conf"
    kept = settings.read_text()
    settings.write_text(kept + "shared_buffers = 'nonsense'\n")
    with pytest.raises(EmbeddedError, match="shared_buffers"):
        embedded.ensure_running()
    settings.write_text(kept)
    assert ask(embedded, "SELECT 1") == 1


def test_a_lost_password_file_is_named(home: Path) -> None:
    embedded = Embedded(home)
    embedded.ensure_running()
    (home / "postgres" / "password").unlink()
    with pytest.raises(EmbeddedError, match="password"):
        embedded.ensure_running()
