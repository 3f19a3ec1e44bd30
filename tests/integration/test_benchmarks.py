"""The benchmark of files runs on 100 users, and its rivals do what they are said to do."""

from pathlib import Path

from benchmarks import psql
from benchmarks.apply import Office, rows
from benchmarks.databases import Databases
from benchmarks.measure import Run

RECORDS = {("provisioner", table) for table in ("users", "extensions", "changes", "history")}
ROWS = {("public", "ps_endpoints"), ("public", "ps_auths"), ("public", "ps_aors")}


def test_every_command_has_a_row_beside_a_rival_that_did_its_work(tmp_path: Path) -> None:
    with Databases() as databases:
        office = Office(databases, tmp_path, 100)
        measured = list(rows(office, rounds=1))
        copied, looped = databases.open("copied"), databases.open("looped")
        loaded = {
            database.name: {
                table: psql.count(database, [table]) for table in psql.filled(database, office.fresh)
            }
            for database in (copied, looped)
        }
    assert {row.name.partition(",")[0] for row in measured} == {
        "first apply",
        "apply of no change",
        "apply of 1 % changed",
        "plan of 1 % changed",
        "export",
        "drift from records",
        "refusing a bad last row",
    }
    runs = [run for row in measured for run in (row.ours, row.its)]
    assert all(isinstance(run, Run) and run.peak_bytes for run in runs)
    assert all(row.ratio > 0 for row in measured)
    assert loaded["looped"] == dict.fromkeys(ROWS, 100)
    assert loaded["copied"] == dict.fromkeys(RECORDS | ROWS, 100) | {("provisioner", "changes"): 1}
