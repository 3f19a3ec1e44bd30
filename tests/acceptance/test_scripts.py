"""The scripts that make calls: they find what is there, and say in one sentence what is missing."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.acceptance


def script(name: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return run([str(ROOT / "scripts" / name), *arguments], {**os.environ, **variables})


def run(command: list[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def poor_machine(tmp_path: Path) -> Path:
    """A PATH with the shell's usual programs, no docker, no apt-get, and a user who is not root."""
    for name in ("bash", "cat", "dirname", "env", "sed", "timeout"):
        found = shutil.which(name)
        assert found
        (tmp_path / name).symlink_to(found)
    executable(tmp_path / "id", "echo 1000")
    return tmp_path


def executable(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


def test_the_engine_found_is_one_that_answers() -> None:
    line = script("engine").stdout
    assert line.startswith("export DOCKER_HOST=")
    answer = run(["docker", "version", "--format", "{{.Server.Version}}"], {**os.environ, **assigned(line)})
    assert answer.returncode == 0
    assert answer.stdout.strip()


def assigned(line: str) -> dict[str, str]:
    name, _, value = line.strip().removeprefix("export ").partition("=")
    return {name: value}


def test_a_docker_host_that_does_not_answer_is_named_and_another_engine_taken(tmp_path: Path) -> None:
    nowhere = f"unix://{tmp_path}/docker.sock"
    done = script("engine", DOCKER_HOST=nowhere)
    assert done.returncode == 0
    assert nowhere in done.stderr
    assert nowhere not in done.stdout


def test_without_docker_and_rights_the_engine_script_says_what_is_missing(poor_machine: Path) -> None:
    done = script("engine", PATH=str(poor_machine), DOCKER_HOST="")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "container engine is missing" in done.stderr


def test_a_docker_whose_engine_is_down_is_told_from_no_docker(poor_machine: Path) -> None:
    executable(poor_machine / "docker", "exit 1")
    done = script("engine", PATH=str(poor_machine), DOCKER_HOST="")
    assert done.returncode == 1
    assert "no engine answers at unix:///var/run/docker.sock" in done.stderr


def test_an_old_python_is_refused_with_its_version(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    executable(tmp_path / "python3.9", 'test "$1" = -V && echo Python 3.9.18')

    done = run([str(tmp_path / "scripts/venv")], {**os.environ, "PYTHON": str(tmp_path / "python3.9")})

    assert done.returncode == 1
    assert "Python 3.11 or newer is needed" in done.stderr
    assert "Python 3.9.18" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_images_that_are_up_to_date_are_not_built_again() -> None:
    first = script("images", "asterisk", "phone", **assigned(script("engine").stdout))
    again = script("images", "asterisk", "phone", **assigned(script("engine").stdout))
    assert first.returncode == again.returncode == 0
    assert "building" not in again.stderr


def test_an_image_that_does_not_exist_is_named() -> None:
    done = script("images", "pabx", **assigned(script("engine").stdout))
    assert done.returncode == 1
    assert "docker/pabx" in done.stderr
