"""What holds for any users, on a real PostgreSQL."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provisioner.errors import InvalidRecord
from provisioner.files import Format, write_users
from provisioner.records import Credentials, Extension, Kind, User, login_key, parse_login
from provisioner.records.fields import parse_name
from tests.integration.office import SECRETS, Office, csv

pytestmark = pytest.mark.integration

FORMATS = [Format.CSV, Format.YAML, Format.JSONL]
_HELD = Credentials(md5="", sha256="", realm="")

few = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

# Letters of many scripts, and what means something to CSV, YAML and JSON.
_LETTERS = st.characters(categories=("Lu", "Ll", "Lo", "Lt", "Mn"))
_SIGNS = st.sampled_from("'\"#:-,;{}[]&*!|>%@`=+?~ \t\\/.\u200d\u00a0😀")


def _accepted(parse: Callable[[str], str]) -> Callable[[str], bool]:
    def accepted(text: str) -> bool:
        try:
            parse(text)
        except ValueError:
            return False
        return True

    return accepted


_names = (
    st.one_of(
        st.sampled_from(
            ["null", "yes", "0070", "1e3", "=1+1", "- a", "? b", "a: b", "#", "'", '"', "~", "ß", "İ"]
        ),
        st.text(st.one_of(_LETTERS, _SIGNS), min_size=1, max_size=20),
    )
    .filter(_accepted(parse_name))
    .map(parse_name)
)
_logins = (
    st.one_of(
        st.sampled_from(["no", "null", "1.0", "007", "=a", "-", "@b", "+"]),
        st.text(st.one_of(_LETTERS, st.sampled_from("09.-_@+")), min_size=1, max_size=12),
    )
    .filter(_accepted(parse_login))
    .map(parse_login)
)
_emails = st.one_of(st.none(), st.sampled_from(["a@example.org", "анна@example.org", "o'neil+x@example.org"]))
_lines = st.integers(1, 99)


@st.composite
def _extensions(draw: Any, numbers: Iterator[str]) -> tuple[Extension, ...]:
    def part(number: str, kind: Kind, label: str | None = None) -> Extension:
        return Extension(number, kind, draw(_lines), _HELD, label)

    own = [next(numbers) for _ in range(draw(st.integers(1, 3)))]
    parts = [part(own[0], Kind.PRIMARY), *(part(number, Kind.ADDITIONAL) for number in own[1:])]
    labels = draw(
        st.lists(st.tuples(st.sampled_from(own), st.sampled_from(["home", "0"])), unique=True, max_size=2)
    )
    return (*parts, *(part(number, Kind.ALIAS, label) for number, label in labels))


_flags = st.booleans()


@st.composite
def offices(draw: Any, logins: st.SearchStrategy[str] = _logins) -> tuple[User, ...]:
    """Valid records of different logins and numbers."""
    pool = draw(st.permutations([*(f"70{index:02}" for index in range(40)), "00", "0070", "123456789012345"]))
    numbers = iter(pool)
    found = draw(st.lists(logins, min_size=1, max_size=6, unique_by=login_key))
    return tuple(
        User(
            login,
            draw(_names),
            draw(_emails),
            draw(_flags),
            draw(_extensions(numbers)),
            "office",
            draw(_flags),
        )
        for login in found
    )


def written(users: tuple[User, ...], form: Format) -> str:
    stream = io.StringIO(newline="")
    write_users(users, stream, form)
    return stream.getvalue()


def data(users: dict[str, User]) -> dict[str, tuple[object, ...]]:
    """Records without their secrets, whatever the order of extensions after the first."""
    return {
        login: (
            user.name,
            user.email,
            user.active,
            user.webrtc,
            user.primary.endpoint_id,
            {(part.endpoint_id, part.kind, part.lines) for part in user.extensions},
        )
        for login, user in users.items()
    }


@pytest.fixture
def emptied(office: Office) -> Callable[[], Office]:
    """The same office for each example, without anybody in it."""

    def empty() -> Office:
        office.query(
            "SET session_replication_role = replica; "
            "TRUNCATE provisioner.users, provisioner.changes, ps_endpoints, ps_auths, ps_aors CASCADE"
        )
        return office

    return empty


@few
@given(offices())
@pytest.mark.parametrize("form", FORMATS)
def test_what_is_applied_is_what_the_file_says_and_its_export_is_no_change(
    emptied: Callable[[], Office], form: Format, users: tuple[User, ...]
) -> None:
    office = emptied()
    office.apply(written(users, form), f"office.{form}")
    found = office.users()
    assert data(found) == data({user.login: user for user in users})
    for other in FORMATS:
        plan = office.plan(written(tuple(found.values()), other), f"office.{other}", prune=True).plan
        assert not plan, list(plan)
        assert plan.unchanged == len(users)


_SAME = st.sampled_from(["a", "b", "c", "d", "e"])


@few
@given(offices(_SAME), offices(_SAME), st.sampled_from([0, 30]))
def test_one_office_after_another_and_an_undo_is_the_first_one(
    emptied: Callable[[], Office], first: tuple[User, ...], second: tuple[User, ...], rest_days: int
) -> None:
    office = emptied()
    office.set(numbers={"rest_days": rest_days})
    office.apply(written(first, Format.CSV))
    before = office.state()
    refused: set[str] = set()
    try:
        change = office.apply(written(second, Format.CSV), prune=True).change_id
    except InvalidRecord as exc:
        refused = {problem.field for problem in exc.problems}
    if refused:
        # Numbers that would change hands.
        assert (refused, rest_days, office.state()) == ({"number"}, 30, before)
        return
    after = office.state()
    assert data(after[0]) == data({user.login: user for user in second})
    if change is not None:
        undone = office.undo(change).change_id
        assert office.state() == before
        office.undo(undone)
        assert office.state() == after


_parts = st.tuples(
    st.sampled_from([("additional", ""), ("additional", ""), ("alias", "home")]),
    st.sampled_from(["", "1", "2", "3"]),
    st.sampled_from(["", *SECRETS]),
)


@st.composite
def _sheets(draw: Any) -> list[str]:
    """Rows that leave numbers to us."""
    rows = []
    for login in draw(st.lists(_logins, min_size=1, max_size=5, unique_by=login_key)):
        rows.append(f"{login},Anna,primary,,{draw(st.sampled_from(['', '2']))},")
        for (kind, label), lines, secret in draw(st.lists(_parts, max_size=4, unique_by=lambda part: part)):
            if kind == "additional" or not any(row.startswith(f"{login},,alias") for row in rows):
                rows.append(f"{login},,{kind},{label},{lines},{secret}")
    return rows


@few
@given(_sheets(), st.randoms(use_true_random=False))
def test_the_plan_is_the_same_whatever_the_order_of_rows(
    emptied: Callable[[], Office], rows: list[str], chance: random.Random
) -> None:
    office = emptied()
    columns = "login,name,kind,label,lines,secret"
    shuffled = list(rows)
    chance.shuffle(shuffled)
    first, second = (office.plan(csv(*lines, columns=columns)) for lines in (rows, shuffled))
    assert [data({change.key: change.user}) for change in first.plan] == [
        data({change.key: change.user}) for change in second.plan
    ]
    assert first.orders == second.orders
    office.apply(csv(*rows, columns=columns))
    assert not office.plan(csv(*shuffled, columns=columns)).plan
