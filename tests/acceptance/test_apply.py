"""What an apply of a whole office does to real phones on a real Asterisk."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from provisioner.lab import Lab, register_many
from provisioner.records import generate_secret
from provisioner.secret import Secret
from tests.acceptance.people import AddUser, MakePhone, Person

pytestmark = pytest.mark.acceptance

OTHERWISE = {"contacts": "realtime", "full_aor": "refuse", "driver": "odbc"}
on_both = pytest.mark.parametrize(
    "settings", ["defaults", pytest.param("otherwise", marks=pytest.mark.lab(**OTHERWISE))]
)


class Office:
    """A file of users of its own source, and the secrets that applies of it made."""

    def __init__(self, lab: Lab, folder: Path, first: int, source: str) -> None:
        self.lab = lab
        self.folder = folder
        self.first = first
        self.source = source
        self.secrets: dict[str, Secret] = {}
        self.applied = 0

    def number(self, index: int) -> str:
        return str(self.first + index)

    def apply(self, rows: list[dict[str, str]]) -> int:
        """Apply these rows and nothing else; returns the id of the change."""
        self.applied += 1
        file = self.folder / f"{self.source}-{self.applied}.csv"
        with file.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, ["login", "name", "number", "lines", "secret"])
            writer.writeheader()
            writer.writerows(rows)
        out = self.folder / f"{self.source}-{self.applied}-secrets.csv"
        words = ("--source", self.source, "--prune", "--yes", "--json", "--secrets-out", str(out))
        change = json.loads(self.lab.must("apply", str(file), *words))["change"]
        if out.exists():
            made = csv.DictReader(out.read_text(encoding="utf-8").splitlines())
            self.secrets |= {row["endpoint_id"]: Secret(row["secret"]) for row in made}
        return int(change)

    def row(self, index: int, name: str = "Anna Kowalska", secret: str = "") -> dict[str, str]:
        login = f"{self.source}-{index}"
        return {"login": login, "name": name, "number": self.number(index), "lines": "1", "secret": secret}

    def register(self, indexes: range, secrets: dict[str, Secret] | None = None) -> set[int]:
        """Register these; returns the answers that there were."""
        known = secrets or self.secrets
        asked = {self.number(index): known[self.number(index)] for index in indexes}
        statuses = register_many(self.lab.sip, asked, containers=self.lab.containers)
        return set(statuses.values())

    def contacts(self) -> dict[str, str]:
        """Endpoint id to the address of its phone, of those registered."""
        found = json.loads(self.lab.must("status", "--json"))["extensions"]
        return {
            line["endpoint_id"]: line["contacts"][0]["uri"]
            for line in found
            if (line["login"] or "").startswith(f"{self.source}-") and line["contacts"]
        }


@on_both
def test_an_apply_cuts_off_exactly_the_phones_that_lost_their_right_and_undo_brings_them_back(
    lab: Lab, tmp_path: Path, settings: str
) -> None:
    office = Office(lab, tmp_path, 400_000, "warsaw")
    beginning = office.apply([office.row(index) for index in range(500)])
    assert office.register(range(50)) == {200}
    before = office.contacts()
    assert len(before) == 50

    first = dict(office.secrets)
    chosen = {index: generate_secret().reveal() for index in range(5, 10)}
    rows = [office.row(index, secret=chosen.get(index, "")) for index in range(5, 500)]
    rows[5] = office.row(10, name="Anna Nowak")
    rows += [office.row(index, "Иван Иванов") for index in range(500, 530)]
    change = office.apply(rows)

    assert office.contacts() == {id: uri for id, uri in before.items() if int(id) >= 400_010}
    assert office.register(range(500, 530)) == {200}
    assert office.register(range(10), first) == {401}
    renewed = {office.number(index): Secret(secret) for index, secret in chosen.items()}
    assert office.register(range(5, 10), renewed) == {200}

    lab.must("undo", str(change), "--yes")
    assert office.register(range(10), first) == {200}
    assert office.register(range(5, 10), renewed) == {401}
    assert office.register(range(500, 530)) == {401}
    left = office.contacts()
    assert {id: uri for id, uri in left.items() if int(id) >= 400_010} == {
        id: uri for id, uri in before.items() if int(id) >= 400_010
    }

    lab.must("undo", str(beginning), "--yes")
    assert office.register(range(10, 20)) == {401}
    assert office.contacts() == {}


@pytest.mark.parametrize(
    ("encoding", "separator"), [("cp1251", ";"), ("koi8-r", ","), ("utf-16", "\t"), ("utf-8-sig", ";")]
)
def test_names_of_an_old_or_a_spreadsheet_s_file_are_right_on_the_phone_that_is_called(
    lab: Lab, add_user: AddUser, phone: MakePhone, tmp_path: Path, encoding: str, separator: str
) -> None:
    names = ("Жанна Щербакова", "Пётр Ильич Чайковский", "Ольга Иванова")
    source = encoding.replace("-", "")
    rows = [("login", "name", "number"), *((f"{source}{i}", name, "") for i, name in enumerate(names))]
    file = tmp_path / f"{source}.csv"
    text = "".join(f"{separator.join(row)}\r\n" for row in rows)
    file.write_bytes(text.encode(encoding))
    out = tmp_path / "secrets.csv"
    lab.must("apply", str(file), "--yes", "--secrets-out", str(out))
    made = {row["login"]: row for row in csv.DictReader(out.read_text(encoding="utf-8").splitlines())}
    called = add_user(lines=3)
    its_phone = phone(called, answers=True)
    for login, name in ((f"{source}{i}", name) for i, name in enumerate(names)):
        caller = Person(login, name, made[login]["number"], Secret(made[login]["secret"]))
        call = phone(caller).dial(called.number)
        assert call.result() == 200
        assert its_phone.calls[-1].display_name == name
        call.hangup()
