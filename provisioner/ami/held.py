"""What a node holds of the columns that we write, beside the rows that it should have read. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from provisioner.ami.wire import Frame
from provisioner.plan import Action, Change, same
from provisioner.realtime import (
    AORS,
    AUTHS,
    ENDPOINTS,
    SECRET_COLUMNS,
    TABLES,
    Row,
    Rows,
    Value,
    decode_value,
)
from provisioner.realtime.mapping import CONSTANTS, PERSONAL
from provisioner.secret import Secret

if TYPE_CHECKING:
    from provisioner.ami.registrations import EndpointState

Held = Mapping[str, Mapping[str, str | Secret]]
"""Table to column to the value as the node says it; a table is missing where the object is."""

_EVENTS: Final = {ENDPOINTS: "EndpointDetail", AUTHS: "AuthDetail", AORS: "AorDetail"}

# disallow is not shown, and the algorithms are shown as [global] says where the row says nothing (22.10.1).
_NOT_SHOWN: Final = frozenset({"disallow", "supported_algorithms_uas", "supported_algorithms_uac"})

# AMI names an option as its column in camel case.
_HEADERS: Final = {
    table: tuple(
        (field.column, "".join(word.capitalize() for word in field.column.split("_")))
        for field in (*CONSTANTS, *PERSONAL)
        if field.table == table and field.column not in _NOT_SHOWN
    )
    for table in TABLES
}

# What is shown of a column that is NULL or empty; any other one gets a default of Asterisk's then.
_UNSET: Final = {
    "transport": "",
    "language": "",
    "callerid": "<unknown>",
    "auth": "",
    "aors": "",
    "realm": "",
}

_CALLERID: Final = re.compile(
    r'\s*(?:"(?P<quoted>(?:\\.|[^"\\])*)"|(?P<plain>[^<"]*?))\s*(?:<(?P<number>[^>]*)>)?\s*'
)


def held(id: str, parts: Mapping[str, Sequence[Frame]]) -> Held:
    """The values that the events of PJSIPShowEndpoint show, those of secret columns as Secrets."""
    found: dict[str, Mapping[str, str | Secret]] = {}
    for table, event in _EVENTS.items():
        detail = next((each for each in parts.get(event, ()) if each.get("ObjectName") == id), None)
        if detail is not None:
            found[table] = {
                column: Secret(detail[header]) if column in SECRET_COLUMNS else detail[header]
                for column, header in _HEADERS[table]
                if header in detail
            }
    return found


def stale(rows: Rows, state: EndpointState) -> tuple[Change, ...]:
    """What the node has to read again so that it holds these rows of the endpoint, as updates: held -> row.

    Only objects that are on both sides are compared, and only columns that the node shows. A value of the row
    that Asterisk reads alike is the same.
    """
    return tuple(filter(None, (_compared(table, state, rows.get(table, state.id)) for table in TABLES)))


def _compared(table: str, state: EndpointState, row: Row | None) -> Change | None:
    if row is None:
        return None
    fields = {
        column: (found, Secret(str(wanted)) if column in SECRET_COLUMNS else wanted)
        for column, found in sorted(state.held.get(table, {}).items())
        if (wanted := _UNSET.get(column) if row.get(column) in (None, "") else row[column]) is not None
        and not _alike(column, found.reveal() if isinstance(found, Secret) else found, wanted)
    }
    return Change(table, state.id, Action.UPDATE, fields) if fields else None


def _alike(column: str, found: str, wanted: Value) -> bool:
    if not isinstance(wanted, str):
        return same(column, found, wanted)
    text = decode_value(wanted)
    if same(column, found, text):
        return True
    match column:
        case "allow":
            return _codecs(text) in (None, _codecs(found))
        case "callerid":
            return _caller(text) == _caller(found)
        case _:
            return found.replace(" ", "").lower() == text.replace(" ", "").lower()


def _codecs(text: str) -> tuple[str, ...] | None:
    """The codecs of a list in their order; None where it takes away from all that the node knows."""
    names = tuple(name.strip().lower() for name in re.split(r"[,|]", text.strip("()")))
    return None if "all" in names or any(name.startswith("!") for name in names) else names


def _caller(text: str) -> tuple[str, str | None] | None:
    """Name and number, whether the name stands in quotes or not."""
    found = _CALLERID.fullmatch(text)
    if found is None:
        return None
    quoted = found["quoted"]
    return (found["plain"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)), found["number"]
