"""Commands in containers, where the engine answers as it does on a busy machine."""

from __future__ import annotations

import importlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from provisioner.errors import LabError
from provisioner.lab.containers import Container

# To mypy an import would be our folder of that name.
docker: Any = importlib.import_module("docker")

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n"


def frame(stream: int, text: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(text).to_bytes(4) + text


@contextmanager
def container(printed: bytes, code: int = 0) -> Iterator[Container]:
    """One whose engine sends all that a command printed together with the head of its answer."""

    class Engine(BaseHTTPRequestHandler):
        def _json(self, **body: Any) -> None:
            text = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            if self.path.endswith("/start"):
                self.wfile.write(HEAD + printed)
            else:
                self._json(Id="e1")

        def do_GET(self) -> None:
            self._json(ExitCode=code)

        def log_message(self, format: str, *args: Any) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Engine) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        client = docker.DockerClient(base_url=f"tcp://127.0.0.1:{server.server_port}", version="1.44")
        try:
            yield Container(docker.models.containers.Container({"Id": "c1", "Name": "/pbx1"}, client))
        finally:
            client.close()
            server.shutdown()
            thread.join()


def test_what_comes_together_with_the_head_of_the_answer_is_not_lost() -> None:
    with container(frame(1, b"Objects ") + frame(2, b"found: ") + frame(1, b"20\n")) as pbx:
        assert pbx.run("asterisk", "-rx", "pjsip show contacts") == "Objects found: 20\n"


def test_a_command_that_prints_nothing_prints_nothing() -> None:
    with container(b"") as pbx:
        assert pbx.run("true") == ""


def test_a_command_that_fails_is_named_with_what_it_printed() -> None:
    with (
        container(frame(2, b"Unable to connect\n"), code=1) as pbx,
        pytest.raises(LabError, match=r"^asterisk in pbx1 ended with 1: Unable to connect$"),
    ):
        pbx.run("asterisk", "-rx", "core show uptime")
