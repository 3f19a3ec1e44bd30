"""The command line: its help, its start, and how it leaves."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from provisioner.cli import main

HEAVY = ("pydantic", "sqlalchemy", "psycopg", "panoramisk", "rich", "jinja2", "zxcvbn", "asyncio", "alembic")


def commands(group: click.Group = main, path: str = "provisioner") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        yield f"{path} {name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")


ALL = dict(commands())


@pytest.mark.parametrize("path", ALL)
def test_every_command_explains_itself_with_an_example(path: str) -> None:
    text = ALL[path].help or ""
    assert len(text.split("\n")[0]) > 8
    assert any(path in line for line in text.split("\b")[-1].splitlines()), f"{path} has no example"
    options = [part for part in ALL[path].params if isinstance(part, click.Option)]
    assert all(option.help for option in options)


@pytest.mark.parametrize("path", ALL)
def test_every_example_names_options_that_exist(path: str) -> None:
    for line in (ALL[path].help or "").split("\b")[-1].splitlines():
        used = {word for word in line.split() if word.startswith("--")}
        known = {name for command in ALL.values() for part in command.params for name in part.opts}
        assert used <= known


@pytest.mark.parametrize("path", ALL)
def test_every_command_stands_in_the_readme(path: str) -> None:
    text = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert f"`{path.split()[-1]}" in text or path.removeprefix("provisioner ") in text


def test_a_command_ends_without_a_search_for_garbage_among_what_it_imported() -> None:
    program = (
        "import atexit, gc\n"
        "atexit.register(lambda: print(gc.get_freeze_count() > 10_000))\n"
        "from provisioner.cli import main\n"
        "main(['--version'])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "True"


def test_help_loads_nothing_that_talks_to_anything() -> None:
    program = (
        "import sys\n"
        "from provisioner.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_an_error_is_one_sentence_on_stderr_and_exit_code_1(tmp_path: Path) -> None:
    config = tmp_path / "provisioner.toml"
    config.write_text("[asterisk]\nsip_port = 0\n", encoding="utf-8")
    done = CliRunner().invoke(main, ["--config", str(config), "user", "list"])
    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"error: {config}: asterisk.sip_port: ")
    assert done.stderr.count("\n") == 1


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["--debug", "--config", str(tmp_path / "none.toml"), "user", "list"])
    assert done.exit_code == 1
    assert type(done.exception).__name__ == "SettingsError"


def test_wrong_usage_is_exit_code_2() -> None:
    assert CliRunner().invoke(main, ["user", "add"]).exit_code == 2
    assert CliRunner().invoke(main, ["user", "set", "anna"]).exit_code == 2
    assert CliRunner().invoke(main, ["reload", "--all", "7001"]).exit_code == 2
