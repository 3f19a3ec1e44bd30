"""How far the reading of a file has come is told."""

from pathlib import Path

from provisioner.service.planning import read


def test_progress_is_told_while_reading_and_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "users.csv"
    path.write_text("login,name\n" + "".join(f"u{index},U\n" for index in range(2200)))
    told: list[tuple[str, int, int | None]] = []
    read(path, progress=lambda what, done, total: told.append((what, done, total)))
    assert told == [("read", 1000, None), ("read", 2000, None), ("read", 2200, 2200)]
