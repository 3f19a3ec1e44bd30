"""What a node holds beside the rows that it should have read."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from provisioner.ami import EndpointState, ShowEndpoint
from provisioner.ami.held import stale
from provisioner.ami.wire import FrameSplitter, Reply
from provisioner.plan import orders
from provisioner.plan.plan import Plan
from provisioner.realtime import AORS, AUTHS, ENDPOINTS, Rows, Value
from provisioner.secret import Secret
from tests.unit.ami.fake import BANNER, recorded

# The rows that the node of the recording had read.
ENDPOINT: Mapping[str, Value] = {
    "aors": "7001",
    "auth": "7001",
    "allow": "ulaw,alaw",
    "callerid": '"Zażółć Gęślą" <7001>',
    "context": "default",
    "direct_media": "yes",
    "dtmf_mode": "rfc4733",
    "force_rport": "yes",
    "device_state_busy_at": 0,
}
AUTH: Mapping[str, Value] = {"auth_type": "userpass", "username": "7001", "password": "s3cret"}
AOR: Mapping[str, Value] = {"max_contacts": 2, "remove_existing": "yes", "qualify_frequency": 60}


def state() -> EndpointState:
    head, *events = FrameSplitter().feed(BANNER + recorded("endpoint"))
    found = ShowEndpoint("7001").parse(Reply(head, events[:-1]))
    assert found is not None
    return found


def rows(table: str = "", **changed: Value) -> Rows:
    tables = {ENDPOINTS: ENDPOINT, AUTHS: AUTH, AORS: AOR}
    return Rows(
        {name: {"7001": {**row, **(changed if name == table else {})}} for name, row in tables.items()}
    )


def test_what_was_read_from_these_rows_is_not_stale() -> None:
    assert stale(rows(), state()) == ()


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        (ENDPOINTS, "allow", "ULAW, alaw"),
        (ENDPOINTS, "allow", "!all,ulaw"),
        (ENDPOINTS, "callerid", "Zażółć Gęślą <7001>"),
        (ENDPOINTS, "direct_media", "on"),
        (ENDPOINTS, "context", None),
        (ENDPOINTS, "context", "^64efault"),
        (ENDPOINTS, "disallow", "all"),
        (AORS, "qualify_frequency", "60"),
        (AUTHS, "realm", ""),
        (AUTHS, "supported_algorithms_uas", None),
    ],
)
def test_a_value_that_asterisk_reads_alike_is_the_same(table: str, column: str, value: Value) -> None:
    assert stale(rows(table, **{column: value}), state()) == ()


@pytest.mark.parametrize(
    ("table", "column", "value", "held"),
    [
        (ENDPOINTS, "allow", "alaw,ulaw", "(ulaw|alaw)"),
        (ENDPOINTS, "callerid", '"Anna" <7001>', '"Zażółć Gęślą" <7001>'),
        (ENDPOINTS, "callerid", None, '"Zażółć Gęślą" <7001>'),
        (ENDPOINTS, "direct_media", "no", "true"),
        (ENDPOINTS, "transport", "transport-tcp", ""),
        (ENDPOINTS, "device_state_busy_at", 1, "0"),
        (AORS, "max_contacts", 0, "2"),
        (AORS, "remove_existing", "no", "true"),
        (AUTHS, "realm", "asterisk", ""),
    ],
)
def test_another_value_is_stale_and_says_what_is_held(
    table: str, column: str, value: Value, held: str
) -> None:
    (change,) = stale(rows(table, **{column: value}), state())
    assert (change.table, change.id) == (table, "7001")
    assert change.fields[column][0] == held


def test_an_old_secret_is_found_and_shown_by_nobody() -> None:
    (change,) = stale(rows(AUTHS, password="another"), state())
    assert change.fields["password"] == (Secret("s3cret"), Secret("another"))
    assert "s3cret" not in repr(change) + repr(change.as_dict()) + repr(state()) + repr(state().held)
    (order,) = orders(Plan((change,)))
    assert (order.expire, order.keep_contacts) == (frozenset({"auth"}), 0)


def test_an_object_that_is_on_one_side_only_is_not_compared() -> None:
    assert stale(Rows({ENDPOINTS: {"7001": ENDPOINT}}), state()) == ()
