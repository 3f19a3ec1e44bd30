"""The built wheel carries all it needs: it works in a clean venv, far from the checkout."""

import os
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, text=True)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def program(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `provisioner` of a venv that holds the wheel and its pinned requirements, nothing else."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=True, symlinks=True)
    pip = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    requirements = ["--require-hashes", "-r", str(ROOT / "requirements/embedded.txt")]
    subprocess.run([*pip, *requirements], check=True, capture_output=True, text=True)
    subprocess.run([*pip, "--no-deps", str(wheel)], check=True, capture_output=True, text=True)
    return folder / "bin/provisioner"


@pytest.fixture(scope="module")
def environment(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A home of its own and one node; the embedded server is stopped in the end."""
    folder = tmp_path_factory.mktemp("elsewhere")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PROVISIONER_")}
    chosen = {
        "PROVISIONER_HOME": str(folder / "home"),
        "PROVISIONER_NODES_PBX1_SECRET": "not-a-real-one-5038",
        "PYTHONWARNINGS": "error",
    }
    yield {**inherited, **chosen, "PWD": str(folder)}
    run(program, {**inherited, **chosen, "PWD": str(folder)}, "db", "stop")


def run(program: Path, environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [str(program), *arguments],
        cwd=environment["PWD"],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_holds_migrations_templates_and_dockerfiles_and_no_litter(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for needed in (
        "sql/env.py",
        "sql/schema.sql",
        "asterisk_conf/pjsip.conf.j2",
        "docker/asterisk/Dockerfile",
        "systemd/provisioner-sync.service",
    ):
        assert f"provisioner/_data/{needed}" in names
    assert any(name.startswith("provisioner/_data/sql/versions/") for name in names)
    assert "provisioner/py.typed" in names
    assert not [name for name in names if "__pycache__" in name or name.startswith(("tests/", "benchmarks/"))]


def test_help_of_the_installed_command_names_its_subcommands(
    program: Path, environment: dict[str, str]
) -> None:
    shown = run(program, environment, "--help")
    assert {"db", "user", "conf", "status", "reload"} <= set(shown.split())


def test_the_installed_wheel_makes_a_database_and_renders_asterisks_files(
    program: Path, environment: dict[str, str]
) -> None:
    run(program, environment, "db", "upgrade")
    run(program, environment, "db", "check")

    target = Path(environment["PWD"]) / "etc-asterisk"
    run(program, environment, "conf", "render", str(target))
    assert {"pjsip.conf", "extconfig.conf", "sorcery.conf", "manager.conf"} <= {
        path.name for path in target.iterdir()
    }
    assert str(ROOT) not in "".join(path.read_text() for path in target.iterdir())
