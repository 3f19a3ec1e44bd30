"""Whatever breaks in the middle of a change: it is written whole or not at all, the command says which in one
sentence, and the next command puts the node right."""

from __future__ import annotations

import contextlib
import time
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from provisioner.lab import Lab
from provisioner.lab.lab import _toml, _write_private
from provisioner.store import Embedded
from tests import warm
from tests.acceptance.harm import (
    BANNER,
    COMMIT,
    COMMITTED,
    CONTACTS,
    EXPIRE,
    EXPIRE_2,
    EXPIRED,
    LOGIN,
    MIDDLE,
    NOTED,
    NOTED_LATE,
    OUTBOX,
    PROOF,
    READ_BACK,
    READ_BACK_LOST,
    TOLD_MEANWHILE,
    Bench,
    Fault,
    check_phones,
    check_written,
    harm,
    kill_command,
    kill_postgresql,
    mend,
    one_sentence,
    prepare,
)
from tests.acceptance.proxy import Proxy, Then
from tests.acceptance.truth import app_of

pytestmark = pytest.mark.acceptance


@pytest.fixture(scope="module")
def bench(engine: None) -> Iterator[Bench]:
    with Lab(run=warm.run) as lab, contextlib.ExitStack() as stack:
        url = Embedded(lab.home).ensure_running()
        node = lab.settings["nodes"]["lab"]
        proxies = {
            "node": stack.enter_context(Proxy(node["port"])),
            "database": stack.enter_context(Proxy(url.port or 0)),
        }
        settings = tomllib.loads(lab.config.read_text("utf-8"))
        sections: dict[str, Any] = {
            "asterisk": settings["asterisk"],
            "nodes.lab": {**node, "port": proxies["node"].port},
        }
        embedded = lab.home / "embedded.toml"
        _write_private(embedded, _toml(sections))
        through = url.set(drivername="postgresql", port=proxies["database"].port)
        address = through.render_as_string(hide_password=False)
        faulty = lab.home / "faulty.toml"
        _write_private(faulty, _toml({**sections, "database": {"url": address}}))
        app = app_of(lab)
        stack.callback(app.close)
        ami = (lab.home / "ami.secret").read_text("utf-8").strip()
        yield Bench(lab, app, proxies, faulty, embedded, [ami, str(url.password)])


ON_THE_WAY_TO_THE_NODE = [
    {
        "add": LOGIN,
        "secret": EXPIRE,
        "lines": CONTACTS,
        "disable": EXPIRE_2,
        "enable": READ_BACK,
        "delete": CONTACTS,
        "restore": EXPIRE,
    },
    {
        "add": READ_BACK,
        "secret": CONTACTS,
        "lines": EXPIRED,
        "disable": EXPIRED,
        "enable": EXPIRE,
        "delete": EXPIRE_2,
        "restore": BANNER,
    },
]
ON_THE_WAY_TO_THE_DATABASE = [
    {
        "add": COMMITTED,
        "secret": COMMIT,
        "lines": MIDDLE,
        "disable": OUTBOX,
        "enable": COMMITTED,
        "delete": COMMIT,
        "restore": NOTED,
    },
    {
        "add": OUTBOX,
        "secret": COMMITTED,
        "lines": PROOF,
        "disable": COMMIT,
        "enable": MIDDLE,
        "delete": COMMITTED,
        "restore": COMMIT,
    },
    {
        "add": MIDDLE,
        "secret": NOTED_LATE,
        "delete": PROOF,
        "restore": COMMITTED,
    },
]
Faults = Mapping[str, Fault]


@pytest.mark.parametrize(
    ("faults", "then"),
    [
        pytest.param(ON_THE_WAY_TO_THE_NODE[0], "cut", id="cut"),
        pytest.param(ON_THE_WAY_TO_THE_NODE[1], "stall", id="stalled"),
    ],
)
def test_a_change_whose_ami_connection_is_lost_is_written_and_told_by_the_next_command(
    bench: Bench, faults: Faults, then: Then
) -> None:
    subjects = prepare(bench, faults)
    for change, fault in faults.items():
        one_sentence(bench, subjects[change], fault, *harm(bench, subjects[change], fault, then=then))
        check_written(bench, subjects[change], fault)
    mend(bench, subjects, faults)
    check_phones(bench, subjects)


@pytest.mark.parametrize(
    ("faults", "then"),
    [
        pytest.param(ON_THE_WAY_TO_THE_DATABASE[0], "cut", id="cut"),
        pytest.param(ON_THE_WAY_TO_THE_DATABASE[1], "stall", id="stalled"),
        pytest.param(ON_THE_WAY_TO_THE_DATABASE[2], "cut", id="cut elsewhere"),
    ],
)
def test_a_change_whose_database_connection_is_lost_is_written_whole_or_not_at_all(
    bench: Bench, faults: Faults, then: Then
) -> None:
    subjects = prepare(bench, faults)
    for change, fault in faults.items():
        one_sentence(bench, subjects[change], fault, *harm(bench, subjects[change], fault, then=then))
        check_written(bench, subjects[change], fault)
    mend(bench, subjects, faults)
    check_phones(bench, subjects)


def test_a_killed_asterisk_is_told_by_the_next_command_after_it_came_back(bench: Bench) -> None:
    faults = ON_THE_WAY_TO_THE_NODE[1]
    subjects = prepare(bench, faults)
    # Asterisk commits astdb once a second: killed sooner, it would lose the contacts that are to be cut off.
    time.sleep(2)
    for change, fault in faults.items():
        code, err = harm(bench, subjects[change], fault, act=lambda process: bench.lab.asterisk.kill())
        one_sentence(bench, subjects[change], fault, code, err)
        check_written(bench, subjects[change], fault)
        bench.lab.asterisk.start()
    mend(bench, subjects, faults)
    check_phones(bench, subjects)


def test_a_killed_postgresql_leaves_all_of_a_change_or_nothing_and_starts_on_demand(bench: Bench) -> None:
    faults = {**ON_THE_WAY_TO_THE_DATABASE[0], "enable": READ_BACK_LOST, "restore": TOLD_MEANWHILE}
    subjects = prepare(bench, faults)
    for change, fault in faults.items():
        over_tcp = fault.where == "database"
        code, err = harm(
            bench,
            subjects[change],
            fault,
            act=lambda process: kill_postgresql(bench.lab),
            then="cut" if over_tcp else "pass",
            config=bench.faulty if over_tcp else bench.embedded,
        )
        one_sentence(bench, subjects[change], fault, code, err)
        if change == "add":
            bench.lab.must("user", "list")
        check_written(bench, subjects[change], fault)
    mend(bench, subjects, faults)
    check_phones(bench, subjects)


def test_a_killed_command_leaves_all_of_a_change_or_nothing_and_the_next_one_tells_it(bench: Bench) -> None:
    faults = {**ON_THE_WAY_TO_THE_DATABASE[1], "enable": EXPIRE, "lines": EXPIRED, "delete": NOTED}
    subjects = prepare(bench, faults)
    for change, fault in faults.items():
        code, err = harm(bench, subjects[change], fault, act=kill_command)
        assert (code, err) == (-9, "")
        check_written(bench, subjects[change], fault)
    mend(bench, subjects, faults)
    check_phones(bench, subjects)
