"""Settings: one TOML file, then ``PROVISIONER_*`` variables over it.

The file is the first of: ``--config``, ``PROVISIONER_CONFIG``, ``./provisioner.toml``,
``$PROVISIONER_HOME/provisioner.toml``, ``/etc/provisioner/provisioner.toml``; none is needed.
A variable is named after section and key: ``PROVISIONER_DATABASE_URL``, ``PROVISIONER_ASTERISK_SIP_PORT``,
and, for the node ``pbx-1``, ``PROVISIONER_NODES_PBX_1_SECRET``. Lists are separated by commas.
"""

from __future__ import annotations

import difflib
import getpass
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import platformdirs
from pydantic import BaseModel, ValidationError

from provisioner.errors import Problem, SettingsError
from provisioner.settings.model import (
    ApplySettings,
    AsteriskSettings,
    DatabaseSettings,
    HistorySettings,
    NodeSettings,
    NumberSettings,
    Settings,
    SyncSettings,
)

PREFIX = "PROVISIONER_"
NOT_SETTINGS = frozenset({"PROVISIONER_HOME", "PROVISIONER_CONFIG", "PROVISIONER_ACTOR"})
LONGEST_ACTOR = 200
# Files of this machine, not of a node; libpq takes the word "system" for the CAs of the system.
_FILES = frozenset({"tls_ca", "sslrootcert"})
SECTIONS: dict[str, type[BaseModel]] = {
    "database": DatabaseSettings,
    "numbers": NumberSettings,
    "apply": ApplySettings,
    "history": HistorySettings,
    "asterisk": AsteriskSettings,
    "sync": SyncSettings,
}


def load(config: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings file, lay the environment over it, and check all of it.

    Raises SettingsError with every wrong setting, each with its file (or variable) and key.
    """
    env = os.environ if environ is None else environ
    home = _home(env)
    source = _find(config, env, home)
    tree = _read(source) if source else {}
    variables: dict[tuple[str, ...], str] = {}
    problems = _overlay(tree, env, variables)
    settings: Settings | None = None
    try:
        settings = Settings.model_validate({**tree, "home": home, "source": source})
    except ValidationError as exc:
        problems += [_problem(error, source, tree, variables) for error in exc.errors()]
    if problems or settings is None:
        raise SettingsError("\n".join(str(problem) for problem in problems))
    return settings


def actor(named: str | None = None, environ: Mapping[str, str] | None = None) -> str:
    """Who is changing things: the one named, else ``PROVISIONER_ACTOR``, else the operating system's user.

    Raises SettingsError for a name that is long or would not print as one line: the history has to show it.
    """
    env = os.environ if environ is None else environ
    for source, name in (("--actor", named), ("PROVISIONER_ACTOR", env.get("PROVISIONER_ACTOR"))):
        if name and not (name.isprintable() and len(name) <= LONGEST_ACTOR):
            raise SettingsError(
                f"{source}: expected 1 to {LONGEST_ACTOR} printable characters, not {name[:40]!a}"
            )
        if name:
            return name
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _home(env: Mapping[str, str]) -> Path:
    if given := env.get("PROVISIONER_HOME"):
        return Path(given).expanduser().absolute()
    return Path(platformdirs.user_data_dir("provisioner"))


def _find(config: Path | None, env: Mapping[str, str], home: Path) -> Path | None:
    named = config or (Path(env["PROVISIONER_CONFIG"]) if env.get("PROVISIONER_CONFIG") else None)
    if named:
        # Each line of an error is a problem of its own, and errors name this file.
        if not named.name.isprintable() or "\n" in str(named):
            raise SettingsError(f"no settings file can be called {named.name[:40]!a}")
        return named.expanduser().absolute()
    for path in (
        Path("provisioner.toml"),
        home / "provisioner.toml",
        Path("/etc/provisioner/provisioner.toml"),
    ):
        if path.is_file():
            return path.absolute()
    return None


def _read(source: Path) -> dict[str, Any]:
    try:
        tree = tomllib.loads(source.read_text(encoding="utf-8"))
    except OSError as exc:
        raise SettingsError(f"{source}: cannot be read: {exc.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise SettingsError(f"{source}: is not valid TOML: {exc}") from None
    for key in ("home", "source"):
        if key in tree:
            raise SettingsError(f"{source}: {key}: unknown setting (PROVISIONER_HOME sets the data folder)")
    for name, node in tree.get("nodes", {}).items() if isinstance(tree.get("nodes"), dict) else ():
        if not isinstance(node, dict):
            raise SettingsError(f"{source}: nodes.{name}: expected a table [nodes.NAME]")
    _anchor(tree, source.parent)
    return tree


def _anchor(tree: dict[str, Any], folder: Path) -> None:
    """Files named in the settings file are found beside it, wherever the command runs."""
    for key, value in tree.items():
        if isinstance(value, dict):
            _anchor(value, folder)
        elif isinstance(value, str) and (key.endswith("_file") or key in _FILES) and value != "system":
            tree[key] = str(folder / Path(value).expanduser())


def _overlay(tree: dict[str, Any], env: Mapping[str, str], used: dict[tuple[str, ...], str]) -> list[Problem]:
    """Put the variables into the tree; notes in ``used`` where each went."""
    known = {
        f"{PREFIX}{section}_{key}".upper(): (section, key)
        for section, model in SECTIONS.items()
        for key in model.model_fields
    }
    problems = []
    for variable in sorted(name for name in env if name.startswith(PREFIX) and name not in NOT_SETTINGS):
        place = known.get(variable) or _node_place(variable, tree)
        if place is None:
            close = difflib.get_close_matches(variable, known, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            problems.append(Problem(variable, f"no such setting{hint}", "environment"))
            continue
        branch = tree
        for part in place[:-1]:
            branch = branch.setdefault(part, {})
        branch[place[-1]] = env[variable]
        used[place] = variable
    return problems


def _node_place(variable: str, tree: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """``PROVISIONER_NODES_PBX_1_SECRET`` -> ("nodes", "pbx-1", "secret"); an unknown name is a new node."""
    rest = variable.removeprefix(f"{PREFIX}NODES_")
    if rest == variable:
        return None
    for key in sorted(NodeSettings.model_fields, key=len, reverse=True):
        name = rest.removesuffix(f"_{key.upper()}")
        if name != rest and name and key != "name":
            existing = (
                n for n in tree.get("nodes", {}) if n.upper().replace("-", "_").replace(".", "_") == name
            )
            return ("nodes", next(existing, name.lower().replace("_", "-")), key)
    return None


def _as_variable(node: str) -> str:
    return node.upper().replace("-", "_").replace(".", "_")


def _problem(
    error: Any, source: Path | None, tree: Mapping[str, Any], used: Mapping[tuple[str, ...], str]
) -> Problem:
    """One of pydantic's errors as a Problem; never repeats the value, which may be a secret."""
    place = tuple(str(part) for part in error["loc"])
    if place[:1] == ("nodes",) and len(place) > 1 and place[1].isdigit():
        place = ("nodes", list(tree.get("nodes", {}))[int(place[1])], *place[2:])
    variable = next((used[place[:n]] for n in range(len(place), 0, -1) if place[:n] in used), None)
    if error["type"] == "extra_forbidden":
        message = "unknown setting; see examples/provisioner.toml for all there are"
    else:
        message = error["msg"].removeprefix("Value error, ")
    if variable:
        return Problem(variable, message, "environment")
    return Problem(".".join(place) or "settings", message, str(source or "settings"))
