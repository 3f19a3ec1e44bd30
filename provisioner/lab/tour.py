"""The tour of ``provisioner demo``: the whole job on real parts, a line for each step with its time."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from provisioner.errors import LabError
from provisioner.lab.lab import NODE, Lab
from provisioner.lab.phone import Phone
from provisioner.lab.waiting import wait_for
from provisioner.secret import Secret

USERS = (("anna", "Anna Kowalska", "2"), ("ivan", "Иван Иванов", "1"), ("john", "John Support", "1"))


def run(keep: bool) -> None:
    """Walk the tour; with ``keep`` leave everything running and say how to reach it.

    Raises LabError, or whatever a part raises, as soon as a step does not come out as it should.
    """
    tour = _Tour()
    lab = Lab(keep=keep)
    try:
        _set_up(tour, lab)
        secrets = _users(tour, lab)
        phones = _phones(tour, lab, secrets)
        _status(tour, lab)
        _call(tour, phones)
        _rotate(tour, lab, phones["anna"], secrets["anna"])
        _delete(tour, lab, secrets["john"])
        with tour.step("the doctor walks the whole chain  (provisioner doctor)"):
            lab.must("doctor", "--conf", str(lab.conf_dir))
    finally:
        if not keep:
            with tour.step("everything ended and removed"):
                lab.close()
    click.echo(f"Done in {tour.seconds:.1f} s.\n")
    click.echo(_next_kept(lab) if keep else _next())


class _Tour:
    """Narrates steps, with the time since the start and the time each took."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        except BaseException:
            click.echo(f"[{self.seconds:5.1f} s] FAILED: {what}")
            raise
        click.echo(f"[{self.seconds:5.1f} s] {what}: {time.monotonic() - began:.1f} s")

    def show(self, text: str) -> None:
        click.echo("\n".join(f"            {line}" for line in text.rstrip().splitlines()))


def _expect(what: str, got: object, wanted: object) -> None:
    if got != wanted:
        raise LabError(f"{what}: got {got}, expected {wanted}")


def _secret(answer: str) -> Secret:
    return Secret(json.loads(answer)["secrets"][0]["secret"])


def _set_up(tour: _Tour, lab: Lab) -> None:
    with tour.step("embedded PostgreSQL with Asterisk's tables and role  (provisioner db upgrade)"):
        lab.write_settings()
        lab.must("db", "upgrade")
    with tour.step("Asterisk's configuration files from the settings  (provisioner conf render)"):
        lab.must("conf", "render", str(lab.conf_dir))
    with tour.step("a real Asterisk in Docker that reads files and database"):
        lab.asterisk.start()


def _users(tour: _Tour, lab: Lab) -> dict[str, Secret]:
    secrets = {}
    for login, name, lines in USERS:
        with tour.step(f'provisioner user add {login} --name "{name}" --lines {lines}'):
            answer = lab.must("user", "add", login, "--name", name, "--lines", lines, "--json")
            secrets[login] = _secret(answer)
    with tour.step(
        "rows in the realtime tables, read back by Asterisk  (asterisk -rx 'pjsip show aor 7000')"
    ):
        shown = lab.asterisk.rx("pjsip show aor 7000")
        words = [line.split() for line in shown.splitlines() if line.lstrip().startswith("max_contacts")]
        _expect("7000 in Asterisk", words, [["max_contacts", ":", "2"]])
    tour.show(" ".join(words[0]))
    return secrets


def _phones(tour: _Tour, lab: Lab, secrets: dict[str, Secret]) -> dict[str, Phone]:
    phones = {}
    for login, number in (("anna", "7000"), ("ivan", "7001")):
        with tour.step(f"a real SIP phone of {login} registers as {number}"):
            phones[login] = lab.phone(number, secrets[login])
            _expect(f"REGISTER of {number}", phones[login].register(), 200)
    return phones


def _status(tour: _Tour, lab: Lab) -> None:
    def registered() -> dict[str, Any] | None:
        found: dict[str, Any] = json.loads(lab.must("status", "7000", "7001", "--json"))
        return found if all(line["state"] == "not in use" for line in found["extensions"]) else None

    with tour.step("both are in service  (provisioner status)"):
        found = wait_for("both phones to be in service", registered, 5)
    for line in found["extensions"]:
        for contact in line["contacts"]:
            about = f"{line['login']:<6}{line['endpoint_id']}  {line['lines']} line(s)  {line['state']:<12}"
            tour.show(f"{about}{contact['uri']}  {contact['user_agent']}  {contact['roundtrip_ms']} ms")


def _call(tour: _Tour, phones: dict[str, Phone]) -> None:
    with tour.step("anna calls 7001, and ivan's phone shows who calls"):
        call = phones["anna"].dial("7001")
        incoming = phones["ivan"].incoming()
        incoming.answer()
        _expect("the call to 7001", call.result(), 200)
        call.hangup()
    tour.show(f"{incoming.display_name} <{incoming.number}>")


def _rotate(tour: _Tour, lab: Lab, phone: Phone, old: Secret) -> None:
    with tour.step("provisioner user secret anna"):
        new = _secret(lab.must("user", "secret", "anna", "--json"))
    with tour.step("the old secret is refused with 401, the new one registers"):
        _expect("REGISTER with the old secret", phone.register(old), 401)
        _expect("REGISTER with the new secret", phone.register(new), 200)


def _delete(tour: _Tour, lab: Lab, secret: Secret) -> None:
    with tour.step("provisioner user delete john --yes"):
        lab.must("user", "delete", "john", "--yes")
    with tour.step("john is gone: no endpoint, no registration, and 7002 rests for 30 days"):
        if "Unable to find object" not in lab.asterisk.rx("pjsip show endpoint 7002"):
            raise LabError("Asterisk still has endpoint 7002")
        _expect("REGISTER as 7002", lab.sip_register("7002", secret), 401)


def _next() -> str:
    return """\
Next:
  make demo KEEP=1                         the same, left running to play with
  .venv/bin/provisioner --help             all commands, each with an example
  cp examples/provisioner.toml .           your own settings, every key explained
  .venv/bin/provisioner doctor             checks your chain and says how to mend it"""


def _next_kept(lab: Lab) -> str:
    host = os.environ.get("DOCKER_HOST")
    engine = f"DOCKER_HOST={host} " if host else ""
    return f"""\
It is still running. Next:
  export PROVISIONER_HOME={lab.home} PROVISIONER_CONFIG={lab.config}
  .venv/bin/provisioner status --watch
  .venv/bin/provisioner user add eva --name "Eva Nowak"      then register a phone at {lab.sip}
  .venv/bin/provisioner reload --all --node {NODE}
  psql "$(.venv/bin/provisioner db url)"
When you are done:
  {engine}docker rm -f {" ".join(lab.containers.names)}
  .venv/bin/provisioner db stop && rm -r {lab.home}"""
