"""YAML and JSON lines: mappings become users, every fault with its line and key."""

import json
from pathlib import Path

import pytest

from provisioner.files import Format, template
from provisioner.records import Kind, Part
from provisioner.secret import Secret
from tests.unit.files.reading import entries, problems, read


@pytest.fixture
def yaml(tmp_path: Path) -> Path:
    return tmp_path / "users.yaml"


@pytest.fixture
def jsonl(tmp_path: Path) -> Path:
    return tmp_path / "users.jsonl"


@pytest.mark.parametrize("format", [Format.CSV, Format.YAML, Format.JSONL])
def test_a_template_can_be_read_as_it_stands(tmp_path: Path, format: Format) -> None:
    path = tmp_path / f"users.{format}"
    path.write_text(template(format), encoding="utf-8")
    assert [entry.login for entry in entries(path)] == ["anna.kowalska", "ivan.petrov"]


def test_scalars_of_yaml_are_what_they_look_like(yaml: Path) -> None:
    yaml.write_text(
        "- {login: no, name: 0x1F, email: ~, active: no, webrtc: on, number: 0070, lines: 2, secret: 1e3}\n"
    )
    (entry,) = entries(yaml)
    assert (entry.login, entry.name, entry.email, entry.active) == ("no", "0x1F", "", False)
    assert entry.webrtc is True
    assert entry.extensions == (Part("0070", Kind.PRIMARY, None, 2, Secret("1e3")),)
    assert not entry.complete


def test_extensions_are_all_that_the_user_is_to_have(yaml: Path, jsonl: Path) -> None:
    yaml.write_text(
        "users:\n- login: ivan\n  name: Ivan\n  extensions:\n  - number: 7001\n    lines: 2\n"
        "  - {number: 7002}\n  - label: home\n"
    )
    extensions = [{"number": 7001, "lines": 2}, {"number": "7002", "lines": None}, {"label": "home"}]
    jsonl.write_text("\n" + json.dumps({"login": "ivan", "name": "Ivan", "extensions": extensions}))
    for path, lines in ((yaml, (5, 8, 7)), (jsonl, (None, None, None))):
        (entry,) = entries(path)
        assert entry.complete
        assert entry.line == 2
        assert entry.extensions == (
            Part("7001", Kind.PRIMARY, None, 2, line=lines[0]),
            Part(None, Kind.ALIAS, "home", line=lines[1]),
            Part("7002", Kind.ADDITIONAL, line=lines[2]),
        )


def test_a_user_without_extensions_speaks_of_none(yaml: Path, jsonl: Path) -> None:
    yaml.write_text("- login: ivan\n  name: Ivan\n---\n- login: anna\n  name: Anna\n")
    jsonl.write_text('{"login": "ivan", "name": "Ivan"}\r\n\r\n{"login": "anna", "name": "Anna"}\r\n')
    for path in (yaml, jsonl):
        found = entries(path)
        assert [entry.login for entry in found] == ["ivan", "anna"]
        assert [entry.extensions for entry in found] == [(Part(None, Kind.PRIMARY),)] * 2
        assert not any(entry.complete for entry in found)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ["1: file: is empty"]),
        ("# nothing\n", ["1: file: is empty"]),
        ("ivan\n", ["1: file: is not a list of users"]),
        ("login: ivan\nname: Ivan\n", ["1: login: is not known", "2: name: is not known"]),
        ("users: 5\n", ["1: users: is not a list"]),
        ("- ivan\n", ["1: user: "]),
        ("- login: i\n  nmae: I\n", ["1: nmae: is not known; did you mean name?"]),
        ("- login: i\n  login: j\n", ["2: login: is given twice"]),
        ("- login: i\n  name: I\n  extensions: 7001\n", ["1: extensions: a text is not a list"]),
        ("- login: i\n  name: I\n  extensions: [7001]\n", ["3: extensions[0]: a text is not a mapping"]),
        ("- login: i\n  name: I\n  lines: 2\n  extensions: [{}]\n", ["1: lines: stands beside extensions"]),
        ("- login: i\n  name: I\n  extensions:\n  - number: 1\n  - label: X\n  - colour: red\n",
         ["6: extensions[2].colour: is not known"]),
        ("- login: i\n  name: I\n  extensions:\n  - number: 1\n  - label: X\n",
         ["4: extensions[0].number: '1' is not", "5: extensions[1].label: 'X' is not"]),
        ("- &a {login: i, name: I}\n- *a\n- {login: j, name: J}\n",
         ["1: file: has an anchor", "2: file: has an alias"]),
        ("- !!python/object/apply:os.system [id]\n", ["1: file: has a tag"]),
        ("- {login: i, name: !secret I}\n", ["1: file: has a tag"]),
        ("- {login: i, name: [[[[[[]]]]]]}\n", ["1: file: is nested too deeply"]),
        ("- {login: i, name: [I]}\n", ["1: name: "]),
        ("- {login: i, name: I}\n- login: [\n", ["3: file: is not YAML from here on"]),
        ("- {login: i, name: I}\n- login: \x01\n", ["1: file: is not YAML from here on: U+0001"]),
        ("- {login: i, name: I}\n- {login: I, name: J}\n", ["2: login: 'I' is given twice, in line 1"]),
        ("- login: i\n  name: I\n  extensions: [{number: 7001}, {number: 7001}]\n",
         ["3: extensions[1].number: 7001 is given twice"]),
    ],
)  # fmt: skip
def test_a_fault_of_yaml_is_told_with_its_line_and_key(yaml: Path, text: str, said: list[str]) -> None:
    yaml.write_text(text)
    check(problems(yaml), said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1]\n7\nx\n", ["1: user: ", "2: user: ", "3: line: is not JSON: expecting value (column 1)"]),
        ('{"login": "i", "login": "j", "name": "I"}\n', ["1: login: is given twice"]),
        ('{"login": "i", "name": NaN}\n', ["1: line: is not JSON"]),
        ("[" * 100_000 + "\n", ["1: line: is not JSON"]),
        ('{"login": "i", "name": ' + "1" * 5000 + "}\n", ["1: line: is not JSON"]),
        ('{"login": 7, "name": null, "email": 5}\n', ["1: login: '7'", "1: name: 'None'", "1: email: '5'"]),
        ('{"login": "i", "name": "I", "extensions": {}}\n', ["1: extensions: a mapping is not a list"]),
        ('{"login": "i", "name": "I", "numbr": "7"}\n', ["1: numbr: is not known; did you mean number?"]),
        ('{"login": "i", "name": "\\ud800"}\n', ["1: name: '\\ud800' holds half of a surrogate pair"]),
    ],
)
def test_a_fault_of_json_lines_is_told_with_its_line_and_key(jsonl: Path, text: str, said: list[str]) -> None:
    jsonl.write_text(f'{text}{{"login": "last", "name": "Read too"}}\n')
    check(problems(jsonl), said)
    assert [entry.login for entry in read(jsonl)[0]] == ["last"]


def check(found: list[str], said: list[str]) -> None:
    assert len(found) == len(said), found
    for one, beginning in zip(found, said, strict=True):
        assert one.startswith(beginning)
        assert "\n" not in one


def test_no_secret_shows_in_a_problem(yaml: Path, jsonl: Path) -> None:
    user = {"login": "i", "name": "I", "extensions": "hunter2"}
    part = {"login": "j", "name": "J", "extensions": ["hunter2", {"number": "7", "secret": "hunter2"}]}
    bare = {"login": "k", "name": "K", "secret": ["hunter2"], "number": "7"}
    text = "\n".join(json.dumps(each) for each in (user, part, bare))
    jsonl.write_text(text)
    yaml.write_text("\n".join(f"- {line}" for line in text.splitlines()))
    for path in (jsonl, yaml):
        assert len(problems(path)) >= 3
        assert "hunter2" not in repr(read(path))
