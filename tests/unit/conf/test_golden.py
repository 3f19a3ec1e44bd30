"""Two whole configurations, read by eye once and held since."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioner.conf import diff_dir, render
from provisioner.settings import load
from tests.unit.conf.make_golden import ACCESS

HERE = Path(__file__).parent


@pytest.mark.parametrize("name", sorted(ACCESS))
def test_the_files_are_the_golden_ones(name: str) -> None:
    folder = HERE / "golden" / name
    settings = load(folder / "provisioner.toml", {})
    files = render(settings, settings.nodes[0], ACCESS[name])
    there = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    assert files == {name: text for name, text in there.items() if name != "provisioner.toml"}, (
        "if this is meant, run python tests/unit/conf/make_golden.py and read the diff"
    )


@pytest.mark.parametrize("name", sorted(ACCESS))
def test_a_folder_just_rendered_has_no_difference(name: str) -> None:
    folder = HERE / "golden" / name
    settings = load(folder / "provisioner.toml", {})
    assert diff_dir(folder, render(settings, settings.nodes[0], ACCESS[name])) == []


def test_every_template_is_rendered_by_some_settings() -> None:
    rendered = {path.name for name in ACCESS for path in (HERE / "golden" / name).iterdir()}
    templates = {path.name.removesuffix(".j2") for path in (HERE.parents[2] / "asterisk_conf").iterdir()}
    assert templates == rendered - {"provisioner.toml"}
