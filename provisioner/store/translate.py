"""Turns what SQLAlchemy and psycopg raise into our own errors, once, at the border of the store.

PostgreSQL's DETAIL holds the values of rows, and SQLAlchemy's texts hold parameters: neither gets into a
message of ours, nor into its traceback where a row was refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
from psycopg.errors import Diagnostic
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from provisioner.errors import Conflict, ProvisionerError, SchemaOutdated, StoreError, StoreUnavailable
from provisioner.records.text import show

# Constraint to what it means to the operator; where it says which, that is a login or an endpoint id.
_CONFLICTS: Final = {
    "users_login_taken": "there is a user {} already",
    "extensions_endpoint_taken": "{} is held by another user",
    "extensions_position_taken": "somebody else changed this user at the same time; look and try again",
    "extensions_one_primary": "a user has exactly one primary extension",
}
_RULES: Final = {
    "endpoint_needs_auth": "an endpoint without an auth would let its phone register without a secret",
    "auth_is_needed": "an endpoint still needs an auth that was to be deleted",
}


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Run the block; errors of the database come out as StoreError, others untouched."""
    try:
        yield
    except ProvisionerError:
        raise
    except PoolTimeout as exc:
        raise StoreUnavailable(f"{where}: all connections of this process are busy; try again.") from exc
    except DBAPIError as exc:
        error = translate(exc.orig, where)
        # What psycopg says of a refused row shows the row: it must not come along as the cause.
        raise error from (exc if isinstance(error, StoreUnavailable) else None)
    except psycopg.Error as exc:
        raise translate(exc, where) from None
    except SQLAlchemyError as exc:
        raise StoreError(f"{where}: {type(exc).__name__}.") from None


def translate(error: BaseException | None, where: str) -> StoreError:
    """What one error of psycopg means."""
    state = getattr(error, "sqlstate", None) or ""
    diag = error.diag if isinstance(error, psycopg.Error) else None
    constraint = (diag.constraint_name if diag else None) or ""
    said = _first_line(diag.message_primary if diag and diag.message_primary else str(error))
    if constraint in _CONFLICTS:
        return Conflict(f"Nothing was written: {_CONFLICTS[constraint].format(_key(diag))}.")
    if constraint in _RULES:
        return StoreError(f"Nothing was written: {_RULES[constraint]}.")
    match state:
        case "42P01" | "42703" | "3F000":
            return SchemaOutdated(f"{where} lacks something: {said}. Run: provisioner db upgrade")
        case "23505":
            table = diag.table_name if diag else None
            return Conflict(f"Nothing was written: {table} has such a row already ({constraint}).")
        case "28P01" | "28000":
            return StoreUnavailable(
                f"{where} refuses the login: {said}. Check user and password of database.url."
            )
        case "3D000":
            return StoreUnavailable(f"{where} does not exist: {said}. Create it, or correct database.url.")
        case "55P03" | "57014" | "25P03":
            return StoreUnavailable(
                f"{where} took too long: {said}. Another command may hold a lock; try again."
            )
        case "53100" | "53200" | "58030":
            return StoreUnavailable(f"{where} has no room: {said}. Make some, and try again.")
        case "40001" | "40P01":
            return Conflict("Nothing was written: another command changed the same rows; try again.")
        case "42501":
            return StoreError(
                f"{where} does not allow this: {said}. Use a role with more rights in database.url."
            )
        case "53300" | "57P01" | "57P02" | "57P03" | "57P05":
            return StoreUnavailable(f"{where} ended the connection: {said}. Try again.")
    if state[:2] in {"22", "23"}:
        # The text of these holds the value itself.
        name = type(error).__name__
        of = (
            " ".join(part for part in (diag.table_name, diag.column_name, constraint) if part) if diag else ""
        )
        return StoreError(f"Nothing was written: a value was refused ({name}{': ' + of if of else ''}).")
    if not state or state[:2] == "08" or isinstance(error, psycopg.InterfaceError):
        return _unreachable(said, str(error), where)
    return StoreError(f"{where}: {said} ({state}).")


def _key(diag: Diagnostic | None) -> str:
    """What the refused row has in the index: ``Key (login_key)=(anna) already exists.``, in any language."""
    found = re.search(r"\)=\((.*)\)", (diag and diag.message_detail) or "", re.DOTALL)
    return show(found[1]) if found else "of this kind"


def _unreachable(said: str, text: str, where: str) -> StoreUnavailable:
    """A connection that was refused carries no SQLSTATE: what the server said is in the text alone."""
    if "authentication failed" in text or "no password supplied" in text or "no pg_hba.conf entry" in text:
        return StoreUnavailable(f"{where} refuses the login. Check user and password of database.url.")
    if "FATAL:" in text and text.rstrip().endswith("does not exist"):
        return StoreUnavailable(f"{where} does not exist. Create it, or correct database.url.")
    why = said.rpartition("failed: ")[2]
    if any(word in text for word in ("certificate", "does not support SSL", "sslmode", "sslrootcert")):
        return StoreUnavailable(
            f"{where} is not spoken with: {why}. Check its certificate, and sslmode and sslrootcert of "
            "database, or of database.url."
        )
    return StoreUnavailable(
        f"{where} does not answer: {why}. Check that it runs and that database.url is right."
    )


def _first_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return (lines[0] if lines else "no reason given").rstrip(".")
