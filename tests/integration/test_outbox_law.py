"""The triggers and our own code say the same of every change of our rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import URL

from provisioner.plan import diff, merge_orders, orders
from provisioner.realtime import AORS, AUTHS, ENDPOINTS, TABLES, Row, Rows, Value
from provisioner.store import Store
from tests.integration.conftest import address, databases
from tests.integration.people import create, user

IDS = ("7001", "7002")
EVERY = [str(number) for number in range(10_000, 14_000)]
MD5 = ("0" * 32, "a" * 32)
EMPTY = f"TRUNCATE {', '.join(TABLES)}; TRUNCATE provisioner.outbox"

_WORDS = (None, "", "1@x", "2@x")
_COLUMNS: Mapping[str, Mapping[str, Sequence[Value]]] = {
    AUTHS: {
        "auth_type": ("userpass", "md5"),
        "username": ("7001", "7002"),
        "realm": ("asterisk", "office"),
        "password": (None, "s3cr3t-one", "s3cr3t-two"),
        "md5_cred": (None, *MD5, MD5[1].upper()),
        "password_digest": (
            None,
            f"MD5:{MD5[0]}",
            f"SHA-256:{MD5[1] * 2},md5:{MD5[0]}",
            f"MD5:{MD5[1]}",
            "SHA-256:ab",
        ),
    },
    AORS: {
        "max_contacts": (None, 0, 1, 2, 3),
        "remove_existing": ("yes", "no"),
        "qualify_frequency": (None, 0, 60),
        "qualify_timeout": ("3.0", "1.5"),
        "authenticate_qualify": (None, "yes"),
        "qualify_2xx_only": (None, "yes"),
        "mailboxes": _WORDS,
        "voicemail_extension": _WORDS,
    },
    ENDPOINTS: {
        "auth": IDS,
        "aors": (None, "", *IDS),
        "callerid": _WORDS,
        "mailboxes": _WORDS,
        "aggregate_mwi": (None, "yes", "no"),
        "mwi_from_user": _WORDS,
        "incoming_mwi_mailbox": _WORDS,
        "voicemail_extension": _WORDS,
    },
}


def _rows(table: str) -> st.SearchStrategy[Row]:
    return st.fixed_dictionaries({name: st.sampled_from(its) for name, its in _COLUMNS[table].items()})


_Phone = Mapping[str, Row]
"""Its rows by table, where it is there."""


@st.composite
def _phones(draw: st.DrawFn) -> _Phone:
    """A phone that may lack its auth or its AOR."""
    tables = draw(st.sets(st.sampled_from([AUTHS, AORS]))) | {ENDPOINTS}
    return {table: draw(_rows(table)) for table in sorted(tables)}


@st.composite
def _changed(draw: st.DrawFn, phone: _Phone) -> _Phone:
    """The same with another value in one of its rows, if at all."""
    table = draw(st.sampled_from(sorted(phone)))
    column = draw(st.sampled_from(sorted(_COLUMNS[table])))
    return {**phone, table: {**phone[table], column: draw(st.sampled_from(_COLUMNS[table][column]))}}


@st.composite
def _lives(draw: st.DrawFn) -> tuple[_Phone, _Phone, _Phone]:
    """A phone at three times: each time another one, none, or one that differs in little."""
    times: list[_Phone] = [draw(st.one_of(st.just({}), _phones()))]
    for _ in range(2):
        last = times[-1]
        others: st.SearchStrategy[_Phone] = st.one_of(st.just({}), _phones())
        times.append(draw(st.one_of(_changed(last), _changed(last), others) if last else others))
    first, second, third = times
    return first, second, third


def _office(phones: Mapping[str, _Phone], ours: bool) -> Rows:
    """Rows of all phones; ``ours`` have auths and AORs of their own names."""
    tables: dict[str, dict[str, Row]] = {table: {} for table in TABLES}
    for id, phone in phones.items():
        for table, row in phone.items():
            tables[table][id] = {**row, "auth": id, "aors": id} if ours and table == ENDPOINTS else row
    return Rows(tables)


@dataclass(frozen=True)
class Place:
    """One database for all examples, into which endpoints may come without an auth."""

    store: Store
    sql: psycopg.Connection[Any]

    def check(self, *offices: Rows) -> None:
        """Go from each office to the next in one transaction: what is noted is what our own orders say."""
        plans = [diff(later, earlier) for earlier, later in pairwise(offices)]
        self.sql.execute(EMPTY.encode())
        with self.store.transaction(actor="tester", command="x") as tx:
            tx.write(diff(offices[0], Rows()))
        self.store.told(self.store.due("pbx1"))
        with self.store.transaction(actor="tester", command="x") as tx:
            for plan in plans:
                tx.write(plan)
        due = self.store.due("pbx1")
        assert self.store.watched()
        assert due.orders == merge_orders(order for plan in plans for order in orders(plan))


@pytest.fixture(scope="module")
def place(server: URL) -> Iterator[Place]:
    with databases(server) as make:
        url = make("migrated")
        with Store(url) as store, psycopg.connect(address(url), autocommit=True) as sql:
            sql.execute("ALTER TABLE ps_endpoints DISABLE TRIGGER endpoint_needs_auth")
            sql.execute("ALTER TABLE ps_endpoints DISABLE TRIGGER endpoint_keeps_auth")
            sql.execute("ALTER TABLE ps_auths DISABLE TRIGGER auth_is_needed")
            store.know(["pbx1"])
            with store.transaction(actor="tester", command="x") as tx:
                create(tx, user("anna", *IDS, *EVERY))
            yield Place(store, sql)


def _steps() -> Iterator[tuple[str, Row, Row]]:
    """Every way from a value of a column to another one; of the columns of a secret from each to each."""
    for table, columns in _COLUMNS.items():
        for column, values in columns.items():
            for old, new in product(values, repeat=2):
                yield table, {column: old}, {column: new}
    names = ("password", "md5_cred", "password_digest")
    secrets = [dict(zip(names, its, strict=True)) for its in product(*(_COLUMNS[AUTHS][n] for n in names))]
    for before, after in product(secrets, repeat=2):
        yield AUTHS, before, after


def test_triggers_note_of_every_single_step_what_our_own_orders_say(place: Place) -> None:
    steps = dict(zip(EVERY, _steps(), strict=False))
    assert len(steps) < len(EVERY), "there are enough numbers"
    plain: _Phone = {AUTHS: {"username": "x"}, AORS: {"max_contacts": 2}, ENDPOINTS: {"context": "users"}}
    times = [
        {id: {**plain, table: {**plain[table], **rows[time]}} for id, (table, *rows) in steps.items()}
        for time in (0, 1)
    ]
    place.check(_office(times[0], ours=True), _office(times[1], ours=False))


@given(st.fixed_dictionaries({id: _lives() for id in IDS}))
@settings(max_examples=30, deadline=None)
def test_triggers_note_what_our_own_orders_say(
    place: Place, lives: Mapping[str, tuple[_Phone, _Phone, _Phone]]
) -> None:
    # An endpoint of another program's making comes last: our own orders know no AORs of other names.
    before, between, after = (
        _office({id: life[time] for id, life in lives.items()}, ours=time < 2) for time in range(3)
    )
    place.check(before, between, after)
