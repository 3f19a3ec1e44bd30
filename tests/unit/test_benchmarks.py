"""The benchmarks' input is like a real one and the same in every run; they measure what they say."""

import asyncio
import csv
import sys
import time
from pathlib import Path

import pytest

from benchmarks.effect_probe import Effects, check
from benchmarks.measure import Rate, Row, Run, child, median
from benchmarks.people import changed, people, spoilt, write_csv
from benchmarks.storm import beside
from benchmarks.storm_rival import section
from provisioner.errors import Problem
from provisioner.files import open_input, read_entries
from provisioner.lab.latencies import Latencies
from provisioner.lab.sip import Prober
from provisioner.lab.storm import Storm
from provisioner.records import Entry
from provisioner.secret import Secret
from tests.unit.lab.registrar import Registrar


def entries(path: Path) -> list[Entry | Problem]:
    return list(read_entries(open_input(path, format=None, encoding=None)))


def test_every_row_is_a_valid_user_of_its_own(tmp_path: Path) -> None:
    everybody = people(3_000)
    read = entries(write_csv(everybody, tmp_path / "users.csv"))
    assert [one.login for one in read if isinstance(one, Entry)] == [person.login for person in everybody]


def test_names_are_of_three_scripts_and_mostly_different() -> None:
    names = {person.name for person in people(3_000)}
    assert len(names) > 2_000
    for letter in ("ł", "ко", "م"):
        assert any(letter in name for name in names)


def test_one_in_a_hundred_has_changed_and_is_still_valid(tmp_path: Path) -> None:
    before = people(1_000)
    after = changed(before)
    assert sum(old != new for old, new in zip(before, after, strict=True)) == 10
    assert all(isinstance(one, Entry) for one in entries(write_csv(after, tmp_path / "users.csv")))


def test_the_spoilt_file_is_bad_in_its_last_row_alone(tmp_path: Path) -> None:
    path = write_csv(spoilt(people(200)), tmp_path / "users.csv")
    problems = [one for one in entries(path) if isinstance(one, Problem)]
    assert [(problem.where, problem.field) for problem in problems] == [(f"{path}:201", "number")]


def test_a_file_has_the_same_people_in_every_run(tmp_path: Path) -> None:
    one, other = (write_csv(people(100), tmp_path / name).read_bytes() for name in ("one.csv", "other.csv"))
    assert one == other
    assert one.splitlines()[0] == b"login,name,email,number,lines"
    assert len(list(csv.reader(one.decode().splitlines()))) == 101


def test_the_peak_of_a_child_is_its_own_however_large_its_parent_is() -> None:
    ballast = bytearray(120_000_000)
    run = child([sys.executable, "-S", "-c", "held = bytearray(60_000_000)"])
    assert run.peak_bytes is not None
    assert 60_000_000 < run.peak_bytes < len(ballast)


def test_a_median_takes_the_middle_time_and_the_highest_peak() -> None:
    assert median([Run(3, 2, 50), Run(1, 1, 90), Run(9, 3, 60)]) == Run(3, 2, 90)


def test_a_change_is_in_force_when_the_old_secret_is_refused_and_the_new_one_registers() -> None:
    registrar = Registrar({"7000": "the-old-one"})
    lag = 0.1

    async def change(new: Secret) -> float:
        began = time.perf_counter()
        asyncio.get_running_loop().call_later(lag, registrar.secrets.update, {"7000": new.reveal()})
        return began

    async def main() -> Effects:
        effects = Effects()
        async with registrar, Prober() as prober:
            phone = prober.phone("7000", Secret("the-old-one"), registrar.server)
            await effects.add(phone, Secret("the-new-one"), change)
            await check([phone], [Secret("the-old-one")])
        return effects

    effects = asyncio.run(main())
    assert effects.seconds[0] >= lag
    assert effects.statuses[401] == 1
    assert effects.statuses[200] > 1


def test_a_change_that_never_is_in_force_is_not_counted() -> None:
    async def change(new: Secret) -> float:
        return time.perf_counter()

    async def main() -> None:
        effects = Effects()
        async with Registrar({"7000": "the-old-one"}) as registrar, Prober() as prober:
            phone = prober.phone("7000", Secret("the-old-one"), registrar.server)
            with pytest.raises(TimeoutError):
                await effects.add(phone, Secret("the-new-one"), change, patience=0.05)
            with pytest.raises(RuntimeError, match="7000"):
                await check([phone], [Secret("the-old-one")])
        assert effects.seconds == []

    asyncio.run(main())


def test_a_ratio_of_rates_is_of_how_many_and_one_of_runs_of_how_long() -> None:
    assert Row("", Rate(850), "", Rate(1000)).ratio == 0.85
    assert Row("", Run(2), "", Run(1)).ratio == 2


def test_the_rival_of_a_row_is_a_section_with_all_that_it_says() -> None:
    row = {"aors": "7000", "callerid": '"A^3B B" <7000>', "max_contacts": 2, "transport": None}
    assert section("endpoint", "7000", row) == (
        '[7000]\ntype = endpoint\naors = 7000\ncallerid = "A\\; B" <7000>\nmax_contacts = 2\n'
    )


def test_a_storm_stands_beside_the_one_of_its_round_and_the_round_in_the_middle_counts() -> None:
    rates = {"cold": (100, 50, 30), "rival": (200, 50, 40)}
    storms = {name: [Storm(rate, Latencies.of([])) for rate in each] for name, each in rates.items()}
    row = beside(storms, "cold", "rival", None)
    assert (row.ours.figure, row.its.figure, row.ratio) == (30, 40, 0.75)
