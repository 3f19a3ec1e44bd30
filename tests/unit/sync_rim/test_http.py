"""GET /metrics and /health over a real socket, with clients that behave and clients that do not."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from provisioner.errors import SettingsError
from provisioner.lab.waiting import wait_for
from provisioner.secret import Secret
from provisioner.sync import http as ours
from provisioner.sync.http import Health, Server, serve
from provisioner.sync.metrics import Metrics

PATIENCE = 60.0


class State:
    """What the daemon would say of itself."""

    def __init__(self) -> None:
        self.health: Callable[[], Health] = lambda: Health(True)


@pytest.fixture
def state() -> State:
    return State()


@pytest.fixture
def server(state: State) -> Iterator[Server]:
    metrics = Metrics()
    metrics.backlog("pbx1", 7, 0.0)
    opened = serve(0, metrics, lambda: state.health())
    yield opened
    opened.close()


def ask(server: Server, path: str, method: str = "GET") -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    connection.request(method, path)
    return connection.getresponse()


def say(server: Server, words: bytes) -> bytes:
    """These bytes as they are; all that comes back until the server hangs up."""
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as client:
        with suppress(ConnectionError):
            client.sendall(words)
        return taken(client)


def test_metrics_come_as_prometheus_text(server: Server) -> None:
    answer = ask(server, "/metrics")
    assert answer.status == 200
    assert (answer.getheader("Content-Type") or "").startswith("text/plain; version=")
    assert 'provisioner_sync_queue_changes{node="pbx1"} 7.0' in answer.read().decode()


def test_a_query_does_not_hide_the_page(server: Server) -> None:
    assert ask(server, "/metrics?name[]=up").status == 200


def test_health_is_200_or_503_with_what_the_daemon_says(server: Server, state: State) -> None:
    state.health = lambda: Health(True, {"role": "leading", "nodes": {"pbx1": {"lag": 0.5}}})
    answer = ask(server, "/health")
    assert (answer.status, answer.getheader("Content-Type")) == (200, "application/json")
    assert json.loads(answer.read()) == {"ok": True, "role": "leading", "nodes": {"pbx1": {"lag": 0.5}}}

    state.health = lambda: Health(False, {"database": "unreachable"})
    answer = ask(server, "/health")
    assert answer.status == 503
    assert json.loads(answer.read()) == {"ok": False, "database": "unreachable"}


def test_a_secret_in_health_shows_as_stars(server: Server, state: State) -> None:
    state.health = lambda: Health(True, {"secret": Secret("kUVq4fEw8h")})
    assert json.loads(ask(server, "/health").read())["secret"] == "***"


def test_a_failing_health_answers_all_the_same(
    server: Server, state: State, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> Health:
        raise KeyError("not-to-be-shown")

    state.health = fail
    assert ask(server, "/health").status == 500
    assert ask(server, "/metrics").status == 200
    assert "not-to-be-shown" not in capsys.readouterr().err


def test_head_is_the_answer_without_its_body(server: Server) -> None:
    answer = ask(server, "/metrics", "HEAD")
    assert answer.status == 200
    assert int(answer.getheader("Content-Length") or 0) > 0
    assert answer.read() == b""


@pytest.mark.parametrize("path", ["/", "/metrics/", "/health/..", "//metrics", "/../secret", "/%6detrics"])
def test_anything_else_is_not_there(server: Server, path: str) -> None:
    assert ask(server, path).status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "get"])
def test_nothing_can_be_changed_from_here(server: Server, method: str) -> None:
    answer = ask(server, "/health", method)
    assert (answer.status, answer.getheader("Allow")) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (b"GET /metrics HTTP/1.1\r\nContent-Length: 5\r\n\r\nabcde", b"400"),
        (b"GET /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"400"),
        (b"GET /metrics HTTP/1.1\r\nContent-Length: 0\r\n\r\n", b"200"),
        (b"GET /metrics\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", b"400"),
        (b"\r\n\r\n", b"400"),
        (b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 9000 + b"\r\n\r\n", b"431"),
        (b"x" * 100_000, b"431"),
    ],
)
def test_what_is_no_request_of_ours_is_refused_in_one_answer(
    server: Server, words: bytes, status: bytes
) -> None:
    answer = say(server, words)
    # Of one that was too long it may hang up on the rest before its answer is read.
    assert answer.startswith(b"HTTP/1.1 " + status) or (status == b"431" and not answer)
    assert ask(server, "/health").status == 200


def test_clients_that_say_nothing_hold_nobody_up_and_are_cut_off(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ours, "_PATIENCE", 0.3)
    silent = [socket.create_connection(("127.0.0.1", server.port), PATIENCE) for _ in range(8)]
    for client in silent[4:]:
        client.sendall(b"GET /metr")
    assert ask(server, "/health").status == 200
    for client in silent:
        with client:
            assert hung_up(client)
    assert ask(server, "/health").status == 200


def test_a_client_that_does_not_take_its_answer_is_cut_off(
    server: Server, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ours, "_PATIENCE", 0.3)
    monkeypatch.setattr(state, "health", lambda: Health(True, {"long": "x" * 20_000_000}))
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as client:
        client.sendall(b"GET /health HTTP/1.1\r\n\r\n")
        assert client.recv(1)
        assert ask(server, "/metrics").status == 200
        wait_for("the server to hang up", lambda: not server._clients, PATIENCE)
        assert len(taken(client)) < 20_000_000


def test_more_clients_than_it_takes_are_turned_away_and_come_in_later(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ours, "_CLIENTS", 2)
    first, second = (socket.create_connection(("127.0.0.1", server.port), PATIENCE) for _ in range(2))
    with first, second, socket.create_connection(("127.0.0.1", server.port), PATIENCE) as third:
        assert hung_up(third)
    wait_for("the places of the two", lambda: not server._clients, PATIENCE)
    assert ask(server, "/health").status == 200


def test_closing_cuts_off_who_is_connected_and_frees_the_port(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as client:
        server.close()
        server.close()
        assert hung_up(client)
    with closing(serve(server.port, Metrics(), lambda: Health(True))) as again:
        assert ask(again, "/health").status == 200


def test_closing_cuts_off_whoever_is_just_being_accepted() -> None:
    metrics = Metrics()
    for _ in range(50):
        server = serve(0, metrics, lambda: Health(True))
        with socket.create_connection(("127.0.0.1", server.port), 2) as client:
            server.close()
            assert hung_up(client)


def test_a_port_in_use_is_one_clear_error(server: Server) -> None:
    with pytest.raises(SettingsError, match=rf"^sync\.port: {server.port} of 127\.0\.0\.1 is in use; name "):
        serve(server.port, Metrics(), lambda: Health(True))


def test_only_this_machine_is_served(server: Server) -> None:
    listening = {
        local
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        for _, local, _, its_state, *_ in [line.split()]
        if its_state == "0A" and local.endswith(f":{server.port:04X}")
    }
    assert listening == {f"0100007F:{server.port:04X}"}


def taken(client: socket.socket) -> bytes:
    """All that comes, however it ends."""
    answer = b""
    with suppress(ConnectionError):
        while more := client.recv(1_000_000):
            answer += more
    return answer


def hung_up(client: socket.socket) -> bool:
    try:
        return client.recv(1) == b""
    except ConnectionError:
        return True
