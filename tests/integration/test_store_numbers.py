"""Numbers: the next free one, never the same twice, at rest after a deletion, never one of a foreign row."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from provisioner.errors import Conflict
from provisioner.store import Store, Use
from tests.integration.people import Numbers, create, delete, user

Sql = psycopg.Connection[tuple[object, ...]]

RANGE = [Numbers("7000", "7009")]


def take(store: Store, login: str, ranges: list[Numbers], rest_days: int = 30) -> str:
    """What `user add` does with a number."""
    with store.transaction(actor="tester", command="user add") as tx:
        number = tx.allocate_number(ranges, rest_days)
        create(tx, user(login, number))
        return number


def drop(store: Store, login: str) -> None:
    with store.transaction(actor="tester", command="user delete") as tx:
        delete(tx, login)


def age(sql: Sql, days: float) -> None:
    """As if all deletions had been so many days ago."""
    sql.execute(
        "UPDATE provisioner.extensions SET deleted_at = now() - make_interval(secs => %s)", [days * 86400]
    )


def test_the_lowest_free_number_is_given_first(store: Store) -> None:
    assert [take(store, f"user{n}", RANGE) for n in range(3)] == ["7000", "7001", "7002"]


def test_one_transaction_gets_each_number_once(store: Store) -> None:
    with store.transaction(actor="tester", command="x") as tx:
        assert tx.allocate_numbers(RANGE, 2, 30) == ("7000", "7001")
        assert tx.allocate_number(RANGE, 30) == "7002"


def test_numbers_keep_their_leading_zeros(store: Store) -> None:
    assert [take(store, f"user{n}", [Numbers("0099", "0101")]) for n in range(3)] == ["0099", "0100", "0101"]


def test_a_second_range_is_used_when_the_first_is_full(store: Store) -> None:
    ranges = [Numbers("7000", "7001"), Numbers("80", "89")]
    assert [take(store, f"user{n}", ranges) for n in range(3)] == ["7000", "7001", "80"]


def test_a_full_range_is_an_error_that_names_it(store: Store) -> None:
    take(store, "anna", [Numbers("7000", "7000")])
    with pytest.raises(Conflict, match=r"No number of 7000-7000 is free.*numbers\.ranges"):
        take(store, "bob", [Numbers("7000", "7000")])
    with pytest.raises(Conflict, match="Only 9 of 11"), store.transaction(actor="t", command="x") as tx:
        tx.allocate_numbers(RANGE, 11, 30)


def test_a_range_of_fifteen_digits_is_searched_without_counting_it_out(store: Store) -> None:
    wide = [Numbers("100000000000000", "999999999999999")]
    assert take(store, "anna", wide) == "100000000000000"
    assert take(store, "bob", wide) == "100000000000001"


def test_a_gap_behind_thousands_of_held_numbers_is_found(store: Store) -> None:
    with store.transaction(actor="tester", command="import") as tx:
        create(tx, *[user(f"user{n}", f"{n:06}") for n in range(3000)])
    assert take(store, "anna", [Numbers("000000", "999999")]) == "003000"


def test_a_deleted_number_rests_before_it_is_given_again(store: Store, sql: Sql) -> None:
    take(store, "anna", RANGE)
    drop(store, "anna")
    assert take(store, "bob", RANGE) == "7001"
    age(sql, 29.9)
    assert take(store, "carl", RANGE) == "7002"
    age(sql, 30.1)
    assert take(store, "dora", RANGE) == "7000"


def test_without_any_rest_a_number_is_given_again_at_once(store: Store) -> None:
    take(store, "anna", RANGE, rest_days=0)
    drop(store, "anna")
    assert take(store, "bob", RANGE, rest_days=0) == "7000"


def test_the_state_of_a_number_names_its_holder_or_the_end_of_its_rest(store: Store, sql: Sql) -> None:
    with store.transaction(actor="tester", command="x") as tx:
        create(tx, user("anna", "7001"), user("bob", "7002"))
        delete(tx, "bob")
    sql.execute("INSERT INTO ps_aors (id) VALUES ('7003')")
    with store.transaction(actor="tester", command="x") as tx:
        states = tx.number_states(["7001", "7002", "7003", "7004"], 30)
    assert [state.use for state in states.values()] == [Use.HELD, Use.RESTING, Use.FOREIGN, Use.FREE]
    told = [str(state) for state in states.values()]
    assert told[0] == "7001 belongs to 'anna'"
    assert re.fullmatch(r"7002 rests until 2\d{3}-.* UTC; its last user was 'bob'", told[1])
    assert told[2] == "7003 is in use by rows of Asterisk's tables that provisioner did not make"
    assert told[3] == "7004 is free"


@pytest.mark.parametrize("table", ["ps_auths", "ps_aors", "ps_endpoints"])
def test_a_number_that_a_foreign_row_uses_is_never_given(store: Store, sql: Sql, table: str) -> None:
    with sql.transaction():
        sql.execute("INSERT INTO ps_auths (id) VALUES ('trunk')")
        columns = "(id, auth) VALUES ('7000', 'trunk')" if table == "ps_endpoints" else "(id) VALUES ('7000')"
        sql.execute(f"INSERT INTO {table} {columns}".encode())
    assert take(store, "anna", RANGE) == "7001"


def test_eight_threads_never_get_the_same_number(database: object, store: Store) -> None:
    def work(number: int) -> list[str]:
        with Store(store.url) as own:
            return [take(own, f"user{number}.{n}", [Numbers("7000", "7999")]) for n in range(10)]

    with ThreadPoolExecutor(8) as threads:
        given = [number for numbers in threads.map(work, range(8)) for number in numbers]
    assert sorted(given) == [str(number) for number in range(7000, 7080)]


def test_eight_processes_never_get_the_same_number(store: Store) -> None:
    code = """
        import sys
        from provisioner.store import Store
        from tests.integration.people import Numbers
        from tests.integration.test_store_numbers import take
        with Store(sys.stdin.readline()) as store:
            print(*(take(store, f"user{sys.argv[1]}.{n}", [Numbers("7000", "7999")]) for n in range(10)))
    """
    url = store.url.render_as_string(hide_password=False)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(8)
    ]
    given = [number for process in processes for number in process.communicate(url, timeout=60)[0].split()]
    assert sorted(given) == [str(number) for number in range(7000, 7080)]
