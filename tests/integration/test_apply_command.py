"""``plan`` and ``apply`` as commands: what they print and ask, and how they end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading

import pytest

from tests.integration.office import Office, csv, people

pytestmark = pytest.mark.integration

TEXT = csv("anna,Anna", "berta,Berta")


def test_a_plan_shows_each_change_and_writes_nothing(office: Office) -> None:
    office.apply(TEXT)
    before = office.everything()
    done = office.run("plan", office.file(csv("anna,Anna Maria", "carl,Carl")), "--prune")
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "+ carl 'Carl': 7002 (1 line); new secret",
        "~ anna name: 'Anna' -> 'Anna Maria'",
        "- berta 'Berta': 7001 (1 line); phones of 7001 are cut off; 7001 rests",
        "1 to create, 1 to change, 1 to delete; phones of 1 extension are cut off",
    ]
    assert office.everything() == before


def test_exit_code_3_says_that_there_is_something_to_change(office: Office) -> None:
    path = office.file(TEXT)
    assert office.run("plan", path, "--exit-code").exit_code == 3
    assert office.run("plan", path, "--exit-code", "--quiet").exit_code == 3
    office.apply(TEXT)
    assert office.run("plan", path, "--exit-code").exit_code == 0
    assert office.run("plan", office.folder / "none.csv", "--exit-code").exit_code == 1


def test_a_plan_as_json_is_one_document(office: Office) -> None:
    found = json.loads(office.run("plan", office.file(csv("anna,Анна")), "--json").stdout)
    assert found["source"] == "office"
    assert found["totals"] == {"create": 1, "change": 0, "delete": 0, "restore": 0, "unchanged": 0}
    (change,) = found["changes"]
    assert (change["verb"], change["login"], change["line"]) == ("create", "anna", 2)


def test_an_apply_as_json_says_what_became_of_it(office: Office) -> None:
    done = office.run("apply", office.file(TEXT), "--yes", "--json")
    found = json.loads(done.stdout)
    assert (found["change"], found["secrets_made"], found["nodes"]) == (1, 2, [])
    assert found["endpoints"] == {"touched": 2, "read_back": 0}
    assert len(found["plan"]["changes"]) == 2
    again = json.loads(office.run("apply", office.file(TEXT), "--yes", "--json").stdout)
    assert (again["change"], again["plan"]["changes"]) == (None, [])


def test_an_apply_says_how_many_users_it_changed(office: Office) -> None:
    done = office.run("apply", office.file(TEXT), "--yes")
    assert done.exit_code == 0
    *_, head, row = done.stdout.splitlines()
    assert dict(zip(head.split("\t"), row.split("\t"), strict=True)) == {
        "change": "1",
        "created": "2",
        "changed": "0",
        "restored": "0",
        "deleted": "0",
        "unchanged": "0",
        "new secrets": "2",
        "read back": "0 of 2",
    }
    again = office.run("apply", office.file(TEXT), "--yes")
    assert (again.exit_code, again.stdout) == (0, "no changes, 2 unchanged\n")


def test_a_long_plan_is_folded_unless_all_of_it_is_asked_for(office: Office) -> None:
    path = office.file(csv(*people(80)))
    folded = office.run("plan", path).stdout.splitlines()
    assert len(folded) == 52
    assert folded[-2:] == ["+ ... and 30 more to create (--full shows all)", "80 to create"]
    assert len(office.run("plan", path, "--full").stdout.splitlines()) == 81
    assert len(office.run("apply", path, "--yes", "--full").stdout.splitlines()) == 83


def test_quiet_prints_nothing_but_errors(office: Office) -> None:
    path = office.file(TEXT)
    for done in (
        office.run("plan", path, "--quiet"),
        office.run("apply", path, "--quiet", "--yes"),
        office.run("apply", path, "--quiet", "--yes"),
        office.run("undo", 1, "--quiet", "--yes"),
    ):
        assert (done.exit_code, done.output) == (0, "")
    bad = office.run("apply", office.file(csv("anna,")), "--quiet", "--yes")
    assert (bad.exit_code, bad.stdout) == (1, "")
    assert bad.stderr.startswith(f"error: {path}:2: name: ")


def test_quiet_tells_of_a_node_only_that_it_failed(office: Office) -> None:
    settings = office.file('[nodes.pbx1]\nport = 1\nsecret = "not-needed"\n', "provisioner.toml")
    done = office.run("--config", settings, "apply", office.file(TEXT), "--quiet", "--yes")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("error: written, but node pbx1 not told: ")


def test_quiet_still_shows_what_it_asks_about_beside_the_output(office: Office) -> None:
    done = office.run("apply", office.file(TEXT), "--quiet", input="y\n")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "2 to create" in done.stderr
    assert len(office.users()) == 2


# -- the question


def test_yes_to_the_question_applies_the_plan_that_was_shown(office: Office) -> None:
    done = office.run("apply", office.file(TEXT), input="y\n")
    assert done.exit_code == 0
    assert done.stdout.count("+ anna") == 1
    assert "Apply this plan? [y/N]" in done.stderr
    assert len(office.users()) == 2


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("n\n", "as the plan was not agreed to"),
        ("\n", "as the plan was not agreed to"),
        ("", "as nobody answered"),
    ],
)
def test_anything_else_writes_nothing(office: Office, answer: str, why: str) -> None:
    before = office.everything()
    done = office.run("apply", office.file(TEXT), input=answer)
    assert done.exit_code == 1
    assert f"error: Nothing was written, {why}" in done.stderr
    assert office.everything() == before


def test_nothing_is_asked_where_nothing_is_to_change(office: Office) -> None:
    office.apply(TEXT)
    done = office.run("apply", office.file(TEXT))
    assert (done.exit_code, done.stderr) == (0, "")


def test_a_plan_over_the_limit_is_refused_before_it_is_asked_about(office: Office) -> None:
    office.apply(csv(*people(10)))
    path = office.file(csv(*people(2)))
    for options in (["--yes"], []):
        done = office.run("apply", path, "--prune", *options, input="y\n")
        assert done.exit_code == 1
        assert "Nothing was written: it would delete 8 of the 10 users of 'office'" in done.stderr
        assert "Apply this plan?" not in done.stderr
    assert office.run("apply", path, "--prune", "--force", "--yes").exit_code == 0
    assert len(office.users()) == 2


# -- what it reads


def test_standard_input_is_read_where_the_file_is_a_dash(office: Office) -> None:
    assert office.run("plan", "-", input=TEXT).stdout.endswith("2 to create\n")
    asked = office.run("apply", "-", input=TEXT)
    assert (asked.exit_code, office.users()) == (2, {})
    assert "standard input cannot also answer the question; give --yes" in asked.stderr
    assert office.run("apply", "-", "--yes", input=TEXT).exit_code == 0
    assert {user.source for user in office.users().values()} == {"stdin"}
    assert office.run("apply", "-", "--source", "hq", "--yes", input=csv("carl,Carl")).exit_code == 0
    assert office.users()["carl"].source == "hq"


def test_problems_of_standard_input_name_their_line(office: Office) -> None:
    done = office.run("apply", "-", "--yes", input=csv("anna,Anna", "anna,Anna"))
    assert done.exit_code == 1
    assert "error: -:3: login: 'anna' is given twice, in line 2 already" in done.stderr


def test_a_pipe_is_read_once_and_whole(office: Office) -> None:
    pipe = office.folder / "office.csv"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_text(csv(*people(50)), encoding="utf-8"))
    writer.start()
    done = office.run("apply", pipe, "--yes")
    writer.join(timeout=30)
    assert done.exit_code == 0, done.output
    assert len(office.users()) == 50


def test_every_problem_is_one_line_of_an_error(office: Office) -> None:
    before = office.everything()
    path = office.file(csv("anna,Anna,70x", ",Nobody,", "carl,,", columns="login,name,number"))
    done = office.run("apply", path, "--yes")
    assert (done.exit_code, done.stdout) == (1, "")
    *problems, summary = done.stderr.splitlines()
    assert [line.partition(": ")[2].split(": ")[0] for line in problems] == [f"{path}:{n}" for n in (2, 3, 4)]
    assert summary == f"error: 3 problems in 3 lines of {path}; nothing was written"
    assert office.everything() == before


def test_what_a_file_holds_cannot_move_the_cursor(office: Office) -> None:
    done = office.run("plan", office.file(csv("anna,\x1b[2JAnna", "\x1b]0;x\x07,B")))
    assert done.exit_code == 1
    assert "\x1b" not in done.output
    assert "\x07" not in done.output


def test_the_command_itself_plans_applies_and_finds_nothing_more(office: Office) -> None:
    path = office.file(TEXT)

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "provisioner.cli", *words],
            env={**os.environ, **office.environment()},
            cwd=office.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    assert run("plan", "office.csv", "--exit-code").returncode == 3
    refused = run("apply", "office.csv")
    assert (refused.returncode, office.users()) == (1, {})
    assert "nothing was written" in refused.stderr.lower()
    assert run("apply", "office.csv", "--yes").returncode == 0
    assert (run("plan", str(path), "--exit-code").returncode, len(office.users())) == (0, 2)
