"""Real labs: one for each combination of settings that a test asks for, made once and shared.

A test says what it needs: ``@pytest.mark.lab(contacts="realtime", full_aor="refuse")``, else it gets the
default settings. Logins are never the same twice, so tests that share a lab do not meet.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from provisioner.lab import Lab, Phone
from provisioner.secret import Secret
from tests import warm
from tests.acceptance.people import AddUser, Cli, MakePhone, Person

ROOT = Path(__file__).resolve().parents[2]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "lab(**asterisk): run on a lab with these settings of [asterisk]")


@pytest.fixture(scope="session")
def engine() -> None:
    """A container engine, started where there is none, and the images."""
    if "DOCKER_HOST" not in os.environ:
        said = subprocess.run([ROOT / "scripts/engine"], stdout=subprocess.PIPE, text=True, check=True).stdout
        name, _, value = shlex.split(said.removeprefix("export "))[0].partition("=")
        os.environ[name] = value
    subprocess.run([ROOT / "scripts/images", "asterisk", "phone"], stdout=subprocess.DEVNULL, check=True)


@pytest.fixture(scope="session")
def labs(engine: None) -> Iterator[Callable[..., Lab]]:
    """A lab with the settings of [asterisk] that are given; the same one for the same settings."""
    made: dict[str, Lab] = {}

    def lab(**asterisk: Any) -> Lab:
        key = json.dumps(asterisk, sort_keys=True)
        if key not in made:
            made[key] = Lab(asterisk=asterisk, run=warm.run).__enter__()
        return made[key]

    yield lab
    for one in made.values():
        one.close()


@pytest.fixture
def lab(labs: Callable[..., Lab], request: pytest.FixtureRequest) -> Iterator[Lab]:
    """The lab that the test's mark asks for; its phones are switched off when the test ends."""
    mark = request.node.get_closest_marker("lab")
    found = labs(**(mark.kwargs if mark else {}))
    yield found
    found.close_phones()


@pytest.fixture
def cli(lab: Lab) -> Cli:
    """The command line on the test's lab: ``cli("user", "list")`` -> exit code, stdout, stderr."""
    return lab.cli


@pytest.fixture
def add_user(lab: Lab) -> AddUser:
    """Adds a user by the command line; every call makes another one."""

    def add(name: str = "Anna Kowalska", *, lines: int = 1, stdin: str | None = None) -> Person:
        login = f"u-{uuid.uuid4().hex[:10]}"
        chosen = ["--secret-stdin"] if stdin is not None else []
        answer = lab.must(
            "user", "add", login, "--name", name, "--lines", str(lines), "--json", *chosen, stdin=stdin
        )
        shown = json.loads(answer)
        secret = stdin.rstrip("\n") if stdin is not None else shown["secrets"][0]["secret"]
        return Person(login, name, shown["extensions"][0]["number"], Secret(secret))

    return add


@pytest.fixture
def phone(lab: Lab) -> MakePhone:
    """A phone of a person, switched on; registered unless ``register=False``."""

    def make(person: Person, *, register: bool = True, expires: int = 60, answers: bool = False) -> Phone:
        made = lab.phone(person.number, person.secret, expires=expires, answers=answers)
        if register:
            assert made.register() == 200
        return made

    return make
