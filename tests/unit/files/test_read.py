"""Files become entries."""

from pathlib import Path

import pytest

from provisioner.errors import Problem
from provisioner.files import Format, open_input, read_entries, template
from provisioner.records import Entry


def read(path: Path) -> list[Entry | Problem]:
    with open_input(path) as opened:
        return list(read_entries(opened))


@pytest.mark.parametrize("format", [Format.CSV, Format.JSONL])
def test_a_template_can_be_applied_as_it_stands(tmp_path: Path, format: Format) -> None:
    path = tmp_path / f"users.{format}"
    path.write_text(template(format), encoding="utf-8")
    entries = read(path)
    assert [entry.login for entry in entries if isinstance(entry, Entry)] == ["anna.kowalska", "ivan.petrov"]
