"""No setting can add a line, a section or a comment: it is refused by name, or arrives as it was typed."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from provisioner.conf import DatabaseAccess, render
from provisioner.errors import ConfError
from provisioner.secret import Secret
from provisioner.settings import NodeSettings, Settings

Parsed = dict[str, list[tuple[str, str, str]]]

# As (where it is set, the words by which a refusal names it, where it arrives: file and key).
ASTERISK = {
    "context": ("asterisk.context", None),
    "realm": ("asterisk.realm", ("pjsip.conf", "default_realm")),
    "language": ("asterisk.language", ("asterisk.conf", "defaultlanguage")),
    "bind_address": ("asterisk.bind_address", None),
    "tls_cert": ("asterisk.tls_cert", ("pjsip.conf", "cert_file")),
    "tls_key": ("asterisk.tls_key", ("pjsip.conf", "priv_key_file")),
}
NODE = {
    "name": ("node", ("asterisk.conf", "systemname")),
    "username": ("nodes.pbx1.username", None),
    "secret": ("nodes.pbx1.secret", ("manager.conf", "secret")),
}
ACCESS = {
    "host": ("database host", ("res_pgsql.conf", "dbhost")),
    "dbname": ("database name", ("res_pgsql.conf", "dbname")),
    "user": ("database role", ("res_pgsql.conf", "dbuser")),
    "password": ("database password", ("res_pgsql.conf", "dbpass")),
    "schema": ("asterisk_schema", None),
    "sslmode": ("sslmode", None),
    "sslrootcert": ("asterisk_sslrootcert", None),
}
PLACES = [
    *(("asterisk", key) for key in ASTERISK),
    *(("node", key) for key in NODE),
    *(("access", key) for key in ACCESS),
]
HOSTILE = st.one_of(
    st.text(max_size=40),
    st.text(alphabet=";\\[]#=>,'\"${}()\n\r\0\t -!ab", max_size=40),
    st.sampled_from(
        [
            "x\n[evil]",
            "x\r\nsecret = evil",
            "x ; comment",
            "x;--",
            "\\;x",
            "x\\",
            "> x",
            '#include "/etc/shadow"',
            "#exec /bin/sh",
            "x\u2028y",
            "x\x85y",
            "general",
            "x](!)",
            "${SHELL(id)}",
            "a' host='evil",
            "pass\\' user=postgres",
            "\ud800",
            "ż" * 40,
            "x" * 10_000,
            "",
            " ",
        ]
    ),
)


@pytest.mark.parametrize("driver", ["pgsql", "odbc"])
@pytest.mark.parametrize(("where", "key"), PLACES)
@hypothesis_settings(max_examples=60, deadline=None)
@given(text=HOSTILE)
@example(text="ordinary")
def test_a_setting_is_refused_by_name_or_arrives_unchanged(
    settings: Settings, access: DatabaseAccess, where: str, key: str, driver: str, text: str
) -> None:
    everything = {
        "transports": ("udp", "tls"),
        "tls_cert": Path("/c"),
        "tls_key": Path("/k"),
        "driver": driver,
    }
    asterisk = settings.asterisk.model_copy(update=everything)
    access = dataclasses.replace(access, sslrootcert="/ca")
    node = settings.nodes[0]
    before = _shape(_parse(_render(settings, asterisk, node, access)))
    if where == "asterisk":
        # model_copy does not validate: what settings let through must not matter here.
        asterisk = asterisk.model_copy(update={key: Path(text) if key.startswith("tls_") else text})
        said, arrives = ASTERISK[key]
    elif where == "node":
        node = node.model_copy(update={key: Secret(text) if key == "secret" else text})
        said, arrives = NODE[key]
    else:
        value: Any = Secret(text) if key == "password" else text
        access = dataclasses.replace(access, **{key: value})
        said, arrives = ACCESS[key]
    files = _render_or_refusal(settings, asterisk, node, access)
    if isinstance(files, str):
        assert said in files
        assert not (key in ("secret", "password") and len(text) > 8 and text in files)
        return
    parsed = _parse(files)
    names = {text, access.schema, access.sslmode}
    assert _shape(parsed, names) == {
        file: [(_rename(section, names), name) for section, name in lines] for file, lines in before.items()
    }
    if arrives is not None and arrives[0] in parsed:
        expected = str(Path(text)) if key.startswith("tls_") else text
        found = [value for _, name, value in parsed[arrives[0]] if name == arrives[1]]
        assert [_plain(arrives[0], value) for value in found] == [expected]


def test_every_wrong_setting_is_named_at_once(settings: Settings, access: DatabaseAccess) -> None:
    asterisk = settings.asterisk.model_copy(update={"realm": "a b", "context": "general"})
    wrong = dataclasses.replace(access, schema="Mixed-Case", password=Secret("x\ny"))
    with pytest.raises(ConfError) as refusal:
        _render(settings, asterisk, settings.nodes[0], wrong)
    for name in ("asterisk.realm", "asterisk.context", "asterisk_schema", "database password"):
        assert name in str(refusal.value)


def test_a_password_that_asterisk_would_cut_is_refused(settings: Settings, access: DatabaseAccess) -> None:
    fits = dataclasses.replace(access, password=Secret("p" * 63))
    assert "p" * 63 in render(settings, settings.nodes[0], fits)["res_pgsql.conf"]
    longer = dataclasses.replace(access, password=Secret("p" * 64))
    with pytest.raises(ConfError, match="Asterisk keeps 63"):
        render(settings, settings.nodes[0], longer)


def test_the_ca_of_the_database_reaches_both_drivers(settings: Settings, access: DatabaseAccess) -> None:
    ca = "/etc/asterisk/db-ca.pem"
    trusting = dataclasses.replace(access, sslmode="verify-full", sslrootcert=ca)
    written = render(settings, settings.nodes[0], trusting)["res_pgsql.conf"]
    options = [line for line in written.splitlines() if line.startswith("db")]
    # As the driver puts them together.
    text = " ".join(
        line.replace("dbappname = ", "application_name=").replace("dbuser = ", "user=")
        for line in options
        if line.startswith(("dbappname", "dbuser"))
    )
    found = conninfo_to_dict(text)
    assert (found["sslmode"], found["sslrootcert"], found["user"]) == ("verify-full", ca, access.user)
    odbc = settings.asterisk.model_copy(update={"driver": "odbc"})
    written = _render(settings, odbc, settings.nodes[0], trusting)["odbc.ini"]
    assert "\nSslmode = verify-full\n" in written
    assert f"\nPqopt = sslrootcert={ca}\n" in written
    long = dataclasses.replace(trusting, sslrootcert="/etc/asterisk/" + "x" * 40)
    with pytest.raises(ConfError, match=r"database role: takes .* Asterisk keeps 63"):
        render(settings, settings.nodes[0], long)


def test_tls_on_ami_needs_a_certificate(settings: Settings, access: DatabaseAccess) -> None:
    node = settings.nodes[0].model_copy(update={"tls": True})
    with pytest.raises(ConfError, match=r"asterisk\.tls_cert"):
        render(settings, node, access)


def _render(
    settings: Settings, asterisk: object, node: NodeSettings, access: DatabaseAccess
) -> Mapping[str, str]:
    return render(settings.model_copy(update={"asterisk": asterisk, "nodes": (node,)}), node, access)


def _render_or_refusal(
    settings: Settings, asterisk: object, node: NodeSettings, access: DatabaseAccess
) -> Mapping[str, str] | str:
    try:
        return _render(settings, asterisk, node, access)
    except ConfError as refusal:
        return str(refusal)


def _parse(files: Mapping[str, str]) -> Parsed:
    return {name: _parse_one(text, escapes=name.endswith(".conf")) for name, text in files.items()}


def _parse_one(text: str, *, escapes: bool) -> list[tuple[str, str, str]]:
    """(section, key, value) by the rules of Asterisk's main/config.c; odbc.ini knows no escapes."""
    found, section = [], ""
    assert not re.search(r"[\r\0]", text)
    for line in text.split("\n"):
        content = _uncommented(line) if escapes else ("" if line.startswith((";", "#")) else line)
        content = content.strip(" \t")
        if not content:
            continue
        assert not content.startswith("#"), f"a directive: {line!r}"
        if content.startswith("["):
            section = content
            found.append((section, "", ""))
            continue
        key, equals, value = content.partition("=")
        assert equals, f"neither section nor setting: {line!r}"
        found.append((section, key.strip(), value.removeprefix(">").strip(" \t")))
    return found


def _uncommented(line: str) -> str:
    done = ""
    while ";" in line:
        before, _, after = line.partition(";")
        if before.endswith("\\"):
            done, line = done + before[:-1] + ";", after
            continue
        assert not re.match("--[^-]", after), f"a block comment: {line!r}"
        return done + before
    return done + line


def _shape(parsed: Parsed, names: set[str] | None = None) -> dict[str, list[tuple[str, str]]]:
    return {
        file: [(_rename(section, names or set()), key) for section, key, _ in lines]
        for file, lines in parsed.items()
    }


def _rename(section: str, names: set[str]) -> str:
    """Sections named after a setting all count as the same."""
    named = {f"[{name}]" for name in names} | {"[users]", "[provisioner]"}
    return "[named]" if section in named else section


def _plain(file: str, value: str) -> object:
    return conninfo_to_dict(f"password={value}")["password"] if file == "res_pgsql.conf" else value
