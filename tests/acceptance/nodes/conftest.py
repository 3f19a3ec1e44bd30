"""Two nodes on one database: one lab with contacts per node, one with contacts in the database."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Literal, Protocol

import pytest

from provisioner.lab import Lab, Phone
from provisioner.lab.waiting import wait_for
from provisioner.records import validate_user
from provisioner.service import App, users
from tests import warm
from tests.acceptance.people import AddUser, Person
from tests.acceptance.truth import app_of

# TCP for phones that can be reached through their own connection only.
TRANSPORTS = ["udp", "tcp"]

per_node = pytest.mark.parametrize("lab", ["astdb"], indirect=True)
shared = pytest.mark.parametrize("lab", ["realtime"], indirect=True)


class At(Protocol):
    def __call__(self, node: str, person: Person, *, transport: Literal["udp", "tcp"] = "udp") -> Phone: ...


@pytest.fixture(scope="session")
def clusters(engine: None) -> Iterator[Callable[[str], Lab]]:
    """The lab of pbx1 and pbx2 that keeps contacts there."""
    made: dict[str, Lab] = {}

    def cluster(contacts: str) -> Lab:
        if contacts not in made:
            options = {"contacts": contacts, "transports": TRANSPORTS}
            made[contacts] = Lab(nodes=2, asterisk=options, run=warm.run).__enter__()
            wait_for("the nodes to know each other", lambda: knows_other(made[contacts]), 15)
        return made[contacts]

    yield cluster
    for one in made.values():
        one.close()


@pytest.fixture(params=["astdb", "realtime"])
def lab(clusters: Callable[[str], Lab], request: pytest.FixtureRequest) -> Iterator[Lab]:
    """Both labs, one after the other; its phones are switched off when the test ends."""
    found = clusters(request.param)
    yield found
    found.close_phones()


@pytest.fixture
def app(lab: Lab) -> Iterator[App]:
    """The service on the lab, in this process."""
    made = app_of(lab)
    yield made
    made.close()


@pytest.fixture
def add_user(app: App) -> AddUser:
    """Adds a user in this process, which is quicker; every call makes another one."""

    def add(name: str = "Anna Kowalska", *, lines: int = 1, stdin: str | None = None) -> Person:
        login = f"n-{uuid.uuid4().hex[:10]}"
        made = users.add(app, validate_user(login=login, name=name, extensions=[{"lines": lines}]))
        assert all(one.ok for one in made.nodes)
        return Person(login, name, made.user.primary.number, made.issued[0].secret)

    return add


@pytest.fixture(scope="session")
def switched_on(clusters: Callable[[str], Lab]) -> Iterator[dict[str, Phone]]:
    """The phones of :func:`caller`, by the node's SIP address."""
    phones: dict[str, Phone] = {}
    yield phones
    for phone in phones.values():
        phone.close()


@pytest.fixture
def caller(lab: Lab, add_user: AddUser, switched_on: dict[str, Phone]) -> Callable[[str], Phone]:
    """A phone that only calls, one for each node, for all tests."""

    def of_node(node: str) -> Phone:
        server = lab.nodes[node].sip
        if server not in switched_on:
            person = add_user("Caller")
            phone = Phone(person.number, person.secret, server, containers=lab.containers).start()
            assert phone.register() == 200
            switched_on[server] = phone
        return switched_on[server]

    return of_node


@pytest.fixture
def at(lab: Lab) -> At:
    """A phone of a person that is registered at a node, and that the node has found to answer."""

    def register(node: str, person: Person, *, transport: Literal["udp", "tcp"] = "udp") -> Phone:
        phone = lab.phone(person.number, person.secret, node=node, transport=transport)
        before = available(lab, node, person.number)
        assert phone.register() == 200
        wait_for("the phone to answer", lambda: available(lab, node, person.number) > before, 10)
        return phone

    return register


def available(lab: Lab, node: str, name: str) -> int:
    """How many contacts of this name a node can reach."""
    shown = lab.nodes[node].asterisk.rx("pjsip show contacts").splitlines()
    return sum(" Avail " in line for line in shown if f" {name}/sip:" in line)


def knows_other(lab: Lab) -> bool:
    """Whether each node reaches the other."""
    return all(available(lab, one, f"node-{other}") for one, other in (("pbx1", "pbx2"), ("pbx2", "pbx1")))
