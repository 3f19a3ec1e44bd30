"""The benchmark of files runs on 100 users, and its rivals do what they are said to do."""

from collections.abc import Iterator

import pytest

from benchmarks import psql
from benchmarks.apply import Office, rows
from benchmarks.databases import Databases
from benchmarks.measure import Row

RECORDS = {("provisioner", table) for table in ("users", "extensions", "changes", "history")}
ROWS = {("public", "ps_endpoints"), ("public", "ps_auths"), ("public", "ps_aors")}


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with Databases() as databases:
        yield Office(databases, tmp_path_factory.mktemp("files"), 100)


@pytest.fixture(scope="module")
def measured(office: Office) -> list[Row]:
    return list(rows(office, "100 users", rounds=1))


def test_every_command_has_a_row_with_times_and_memory(measured: list[Row]) -> None:
    assert {row.name.partition(",")[0] for row in measured} == {
        "first apply",
        "apply of no change",
        "apply of 1 % changed",
        "plan of 1 % changed",
        "export",
        "drift from records",
        "refusing a bad last row",
    }
    assert all(row.ours.peak_bytes and row.its.peak_bytes and row.ratio > 0 for row in measured)


def test_psql_loads_every_table_that_an_apply_fills(office: Office, measured: list[Row]) -> None:
    assert measured
    copied = office.databases.open("copied")
    tables = psql.filled(copied, office.fresh)
    assert set(tables) == RECORDS | ROWS
    assert psql.count(copied, tables) == 601


def test_the_loop_fills_the_tables_of_asterisk_alone(office: Office, measured: list[Row]) -> None:
    assert measured
    looped = office.databases.open("looped")
    assert set(psql.filled(looped, office.fresh)) == ROWS
    assert psql.count(looped, sorted(ROWS)) == 300
