"""How far a command has come is told, and how quickly."""

from pathlib import Path

import pytest

from provisioner.cli.progress import shown_progress
from provisioner.service.planning import read


def test_progress_is_told_while_reading_and_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "users.csv"
    path.write_text("login,name\n" + "".join(f"u{index},U\n" for index in range(2200)))
    told: list[tuple[str, int, int | None]] = []
    read(path, progress=lambda what, done, total: told.append((what, done, total)))
    assert told == [("read", 1000, None), ("read", 2000, None), ("read", 2200, 2200)]


def test_what_is_done_anew_is_not_as_slow_as_the_answer_that_came_between(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [0.0]
    monkeypatch.setattr("provisioner.cli.progress.time.monotonic", lambda: clock[0])
    with shown_progress(quiet=False) as progress:
        for now, done in ((0.0, 100), (1.0, 200), (61.0, 100), (67.0, 150), (71.0, 200)):
            clock[0] = now
            progress("compared", done, 200)
    assert capsys.readouterr().err.splitlines() == [
        "compared 150 of 200 (25/s, 2 s left)",
        "compared 200 of 200 (20/s)",
    ]
