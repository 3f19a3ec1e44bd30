"""The unit file that is printed: the one in the package, with the paths of this machine."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from provisioner.resources import resource_dir
from provisioner.sync import unit

PACKED = (resource_dir("systemd") / "provisioner-sync.service").read_text()


def lines(text: str, key: str) -> list[str]:
    return [line.partition("=")[2] for line in text.splitlines() if line.startswith(f"{key}=")]


def test_the_unit_starts_this_program_with_these_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "provisioner").touch()
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))

    made = unit.text(Path("/etc/pbx/provisioner.toml"))
    assert lines(made, "ExecStart") == [f"{tmp_path}/provisioner --config /etc/pbx/provisioner.toml sync"]
    changed = set(made.splitlines()) ^ set(PACKED.splitlines())
    assert all(line.startswith("ExecStart=") for line in changed)


def test_a_package_without_its_script_is_started_by_this_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    assert lines(unit.text(None), "ExecStart") == [f"{sys.executable} -m provisioner.cli sync"]


def test_no_character_of_a_path_means_anything_to_systemd() -> None:
    made = unit.text(Path('/etc/a b/$HOME/100%/it\'s "x"\\.toml'))
    assert made.count('--config "/etc/a b/$$HOME/100%%/it\'s \\"x\\"\\\\.toml" sync') == 1


@pytest.mark.parametrize(
    ("config", "home"), [("/etc/x.toml", "yes"), ("/home/anna/x.toml", "read-only"), ("/homely/x", "yes")]
)
def test_a_home_is_hidden_unless_it_holds_what_runs(
    config: str, home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unit, "_program", lambda: ("/usr/bin/provisioner",))
    assert lines(unit.text(Path(config)), "ProtectHome") == [home]


def test_systemd_is_told_how_to_start_watch_reload_and_stop_it() -> None:
    assert lines(PACKED, "Type") == ["notify"]
    assert lines(PACKED, "ExecReload") == ["/bin/kill -HUP $MAINPID"]
    assert int(lines(PACKED, "WatchdogSec")[0]) > 0
    assert lines(PACKED, "User") == ["provisioner"]
    assert lines(PACKED, "NoNewPrivileges") == ["yes"]
