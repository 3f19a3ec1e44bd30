"""Log lines: one for each event, of a form that machines read, and nothing in them that must not be."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from provisioner.errors import NodeUnavailable, SettingsError
from provisioner.secret import Secret
from provisioner.sync import log

HOSTILE = "a\nb\r\x1b[2J\x85\u2028\u202e\udc80\x00"


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    handlers, hook = list(logging.getLogger().handlers), threading.excepthook
    yield
    logging.getLogger().handlers[:] = handlers
    threading.excepthook = hook


def told(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What was logged, each line read as JSON."""
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_json_line_has_time_in_utc_level_event_and_the_fields(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("json")
    log.get().bind(node="pbx1").info("told", changes=3, whole=frozenset({"b", "a"}), seconds=0.25)

    (line,) = told(capsys)
    assert line | {"time": ""} == {
        "time": "",
        "level": "info",
        "event": "told",
        "node": "pbx1",
        "changes": 3,
        "whole": ["a", "b"],
        "seconds": 0.25,
    }
    assert line["time"].endswith("Z")
    assert abs(datetime.fromisoformat(line["time"]) - datetime.now(UTC)) < timedelta(minutes=5)


def test_a_text_line_says_the_same_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("text")
    log.get().warning(
        "node not told", node="pbx1", error=NodeUnavailable("pbx1", "nobody answers"), took=None
    )

    head, *said = capsys.readouterr().err.rstrip("\n").partition("node not told")
    assert head.split()[1:] == ["warning"]
    assert said[-1].split(maxsplit=1) == ["node=pbx1", 'error="node pbx1: nobody answers" took=null']


@pytest.mark.parametrize("form", ["json", "text"])
def test_what_comes_from_outside_cannot_break_a_line(
    form: log.Form, capsys: pytest.CaptureFixture[str]
) -> None:
    log.configure(form)
    log.get().info(HOSTILE, value=HOSTILE, nested={HOSTILE: [HOSTILE]}, error=SettingsError(HOSTILE))

    line = capsys.readouterr().err
    assert line.endswith("\n")
    assert line[:-1].isprintable()
    if form == "json":
        assert json.loads(line)["value"] == HOSTILE


@pytest.mark.parametrize("form", ["json", "text"])
def test_letters_of_every_script_stay_letters(form: log.Form, capsys: pytest.CaptureFixture[str]) -> None:
    log.configure(form)
    log.get().info("told", who="Zażółć-王")
    assert "Zażółć-王" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.parametrize("debug", [False, True])
def test_a_secret_shows_as_stars_wherever_it_stands(
    form: log.Form, debug: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    log.configure(form, debug=debug)
    secret = Secret("kUVq4fEw8h")
    log.get().info("login", secret=secret, many=[secret, {"a": secret}, (secret,)], keys={secret: 1})
    log.get().info("login", sets={secret})

    said = capsys.readouterr().err
    assert "kUVq4fEw8h" not in said
    assert said.count("***") == 6


def test_an_error_of_ours_is_its_sentence_and_one_of_others_its_kind_and_place(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log.configure("json")
    log.get().error("stopped", error=SettingsError("sync.port: in use\nnodes.pbx1: no host"))
    try:
        raise KeyError("not-to-be-shown")
    except KeyError as exc:
        log.get().error("stopped", error=exc)
        log.get().exception("stopped")

    ours, given, current = told(capsys)
    assert ours["error"] == "sync.port: in use; nodes.pbx1: no host"
    assert given["error"] == current["error"] == "unexpected KeyError"
    assert "traceback" not in current


def test_of_an_unexpected_error_the_line_of_ours_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("json")
    try:
        Secret(1)  # type: ignore[arg-type]
    except TypeError as exc:
        log.get().error("stopped", error=exc)

    (line,) = told(capsys)
    assert line["error"].startswith("unexpected TypeError in secret.py:")


@pytest.mark.parametrize("form", ["json", "text"])
def test_tracebacks_are_for_debug_only(form: log.Form, capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        try:
            raise KeyError(HOSTILE)
        except KeyError:
            log.get().exception("stopped")

    log.configure(form)
    fail()
    assert "Traceback" not in capsys.readouterr().err

    log.configure(form, debug=True)
    fail()
    shown = capsys.readouterr().err
    assert "Traceback" in shown
    assert all(line.isprintable() for line in shown.splitlines())


def test_events_of_debug_are_silent_unless_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("json")
    log.get().debug("heard")
    assert told(capsys) == []

    log.configure("json", debug=True)
    log.get().debug("heard")
    assert [line["event"] for line in told(capsys)] == ["heard"]


def test_loggers_made_before_follow_a_change_of_form(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("json")
    made = log.get().bind(node="pbx1")
    log.configure("text")
    made.info("told")
    assert capsys.readouterr().err.split()[1:] == ["info", "told", "node=pbx1"]


def test_warnings_of_other_libraries_come_in_our_form_once_and_without_details(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log.configure("json")
    log.configure("json")
    other = logging.getLogger("asyncio")
    other.info("chatter")
    try:
        raise ValueError("not-to-be-shown")
    except ValueError:
        other.exception("Task exception was never retrieved\nfuture: not-to-be-shown")

    (line,) = told(capsys)
    assert (line["level"], line["event"]) == ("error", "Task exception was never retrieved")
    assert (line["logger"], line["error"]) == ("asyncio", "unexpected ValueError")


def test_a_thread_that_ends_by_an_error_says_so_in_our_form(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("json")
    thread = threading.Thread(target=int, args=["not-to-be-shown"], name="http")
    thread.start()
    thread.join()

    (line,) = told(capsys)
    assert (line["thread"], line["error"]) == ("http", "unexpected ValueError")


def test_a_log_that_nobody_reads_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        def write(self, _: str) -> int:
            raise BrokenPipeError

    log.configure("json")
    monkeypatch.setattr("sys.stderr", Gone())
    log.get().error("stopped")


@pytest.mark.parametrize("form", ["json", "text"])
def test_any_value_can_be_said(form: log.Form, capsys: pytest.CaptureFixture[str]) -> None:
    log.configure(form)
    values = {"inf": float("inf"), "nan": float("nan"), "raw": b"\xff", "path": object, "time": 1, "level": 2}
    log.get().info("odd %", **values)

    (line,) = capsys.readouterr().err.splitlines()
    if form == "json":
        read = json.loads(line, parse_constant=lambda constant: pytest.fail(constant))
        assert read["inf"] == "inf"
        assert read["level"] == "info"
