"""The use cases of users: add, set, secret, disable, enable, delete, restore, show, list.

Each is one transaction (records, rows, audit, outbox), after which every node is told and proven.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from provisioner.errors import Conflict, InvalidRecord, NotFound, Problem
from provisioner.plan import UserChange, Verb
from provisioner.plan.compare import Comparison, lacking, length_fault
from provisioner.records import (
    Extension,
    IssuedSecret,
    Kind,
    User,
    UserSpec,
    check_secret,
    endpoint_id,
    entry_of,
    validate_user,
)
from provisioner.records.text import show as quoted
from provisioner.secret import Secret
from provisioner.service.app import App
from provisioner.service.numbers import collisions
from provisioner.service.tell import tell
from provisioner.service.told import Told
from provisioner.service.write import maker, write
from provisioner.store import StoredUser, Transaction


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a change came to: the user afterwards, new secrets, what each node says."""

    user: User
    issued: tuple[IssuedSecret, ...]
    nodes: tuple[Told, ...]


Edited = tuple[User, tuple[IssuedSecret, ...]]
"""A record as it is to be, and the secrets that are new in it."""


def add(app: App, spec: UserSpec) -> Outcome:
    """Create a user; raises InvalidRecord or Conflict, and then nothing is written."""
    entry = entry_of(spec, 0)
    with app.change() as tx:
        rules = app.settings.numbers
        asked = {part.number for part in entry.extensions if part.number}
        free = tx.allocate_numbers(rules.ranges, lacking(entry, None), rules.rest_days, besides=asked)
        made = Comparison(source=None, make=maker(app)).change(entry, None, iter(free))
        assert made is not None, "a new user is always a change"
        _write(app, tx, made)
    return Outcome(made.user, made.issued, tell(app, made.user.endpoint_ids, tx.xid))


def change(app: App, login: str, edit: Callable[[User], Edited]) -> Outcome:
    """Change a user's record by a function of it; raises NotFound or what ``edit`` raises."""
    with app.change() as tx:
        stored = tx.stored_for_change(login)
        before = stored.user
        after, issued = edit(before)
        if after != before:
            _write(app, tx, UserChange(Verb.UPDATE, before, after, stored.id, issued))
    return Outcome(after, issued, tell(app, {*before.endpoint_ids, *after.endpoint_ids}, tx.xid))


def set_fields(
    app: App,
    login: str,
    *,
    name: str | None = None,
    email: str | None = None,
    webrtc: bool | None = None,
    lines: int | str | None = None,
    extension: str | None = None,
) -> Outcome:
    """Change name, e-mail ("" removes it), webrtc, or the lines of one extension (the primary by default)."""

    def edit(user: User) -> Edited:
        target = _find(user, extension)
        wanted = [
            fields | {"lines": lines} if lines is not None and part == target else fields
            for part, fields in zip(user.extensions, _fields(user), strict=True)
        ]
        renamed = replace(
            user,
            name=user.name if name is None else name,
            email=user.email if email is None else email or None,
        )
        checked = _checked(renamed, wanted)
        new_lines = checked.extensions[user.extensions.index(target)].lines
        if new_lines > target.lines:
            _check_length(target, new_lines, user.login)
        parts = zip(user.extensions, checked.extensions, strict=True)
        lined = tuple(replace(part, lines=new.lines) for part, new in parts)
        browser = user.webrtc if webrtc is None else webrtc
        return replace(user, name=checked.name, email=checked.email, webrtc=browser, extensions=lined), ()

    return change(app, login, edit)


def set_active(app: App, login: str, active: bool) -> Outcome:
    """Disable (cut off) or enable a user."""
    return change(app, login, lambda user: (replace(user, active=active), ()))


def rotate_secret(app: App, login: str, extension: str | None, secret: Secret | None) -> Outcome:
    """Give an extension a new secret, the one given or a generated one; its phones are cut off."""

    def edit(user: User) -> Edited:
        part = _find(user, extension)
        if secret is not None:
            check_secret(secret, part.lines, (user.login, user.name, part.number))
        credentials, new = maker(app)(part.endpoint_id, secret)
        changed = tuple(
            replace(one, credentials=credentials) if one == part else one for one in user.extensions
        )
        return replace(user, extensions=changed), (new,)

    return change(app, login, edit)


def add_extension(
    app: App, login: str, *, number: str | None, label: str | None, lines: int | str, secret: Secret | None
) -> Outcome:
    """Give a user one more number, or with a label an alias on one of the numbers there are.

    Raises NotFound, InvalidRecord or Conflict.
    """
    kind = Kind.ADDITIONAL if label is None else Kind.ALIAS
    with app.change() as tx:
        # Before any record, as an apply does: two who wait for each other would have to be ended.
        tx.lock_numbers()
        stored = tx.stored_for_change(login)
        before = stored.user
        if kind is Kind.ALIAS and number is None:
            number = before.primary.number
        wanted = {"number": number, "lines": lines, "secret": secret, "kind": kind, "label": label}
        part = _checked(before, [*_fields(before), wanted]).extensions[-1]
        rules = app.settings.numbers
        number = part.number or tx.allocate_number(rules.ranges, rules.rest_days)
        credentials, new = maker(app)(endpoint_id(number, part.label), part.secret)
        extension = Extension(number, part.kind, part.lines, credentials, part.label)
        after = replace(before, extensions=(*before.extensions, extension))
        _write(app, tx, UserChange(Verb.UPDATE, before, after, stored.id, (new,)))
    return Outcome(after, (new,), tell(app, (extension.endpoint_id,), tx.xid))


def delete_extension(app: App, login: str, extension: str) -> Outcome:
    """Take an extension away from a user; its number rests. Raises InvalidRecord for the primary one."""

    def edit(user: User) -> Edited:
        part = _find(user, extension)
        if part == user.primary:
            raise InvalidRecord(
                [Problem("extension", f"{extension} is the primary one; delete the user instead")]
            )
        aliases = [
            other.endpoint_id for other in user.extensions if other.label and other.number == part.number
        ]
        if aliases and part.label is None:
            raise InvalidRecord(
                [Problem("extension", f"{extension} has aliases; first delete {', '.join(aliases)}")]
            )
        return replace(user, extensions=tuple(other for other in user.extensions if other != part)), ()

    return change(app, login, edit)


def delete(app: App, login: str) -> Outcome:
    """Delete a user: rows gone, phones cut off, numbers at rest; can be restored."""
    with app.change() as tx:
        stored = tx.stored_for_change(login)
        _write(app, tx, UserChange(Verb.DELETE, stored.user, None, stored.id))
    return Outcome(stored.user, (), tell(app, stored.user.endpoint_ids, tx.xid))


def restore(app: App, login: str) -> Outcome:
    """Bring the user of that login who was deleted last back; raises NotFound or Conflict."""
    with app.change() as tx:
        tx.lock_numbers()
        stored = tx.stored_for_change(login, deleted=True)
        _write(app, tx, UserChange(Verb.RESTORE, stored.user, stored.user, stored.id))
    return Outcome(stored.user, (), tell(app, stored.user.endpoint_ids, tx.xid))


def show(app: App, login: str) -> StoredUser:
    """One user, the one deleted last where there is no other; raises NotFound."""
    with app.reading() as tx:
        return tx.stored_user(login)


def list_users(app: App, *, deleted: bool = False) -> Sequence[StoredUser]:
    """All users by login; with ``deleted`` the deleted ones instead."""
    with app.reading() as tx:
        return tx.stored_users(deleted=deleted)


@contextmanager
def exported(app: App, source: str | None = None) -> Iterator[Iterator[User]]:
    """Every user, or those of a source, one by one, in the order in which they were made."""
    with app.reading() as tx:
        yield (stored.user for stored in tx.users_for(None if source is None else (), source))


def _fields(user: User) -> list[dict[str, Any]]:
    """The extensions of a user as an administrator would type them, without their secrets."""
    return [
        {"number": part.number, "lines": part.lines, "kind": part.kind, "label": part.label}
        for part in user.extensions
    ]


def _checked(user: User, extensions: list[dict[str, Any]]) -> UserSpec:
    """A changed record put to the same rules as a new one; raises InvalidRecord."""
    return validate_user(
        login=user.login, name=user.name, email=user.email, active=user.active, extensions=extensions
    )


def _write(app: App, tx: Transaction, change: UserChange) -> None:
    """One user's change; raises Conflict where a number cannot be had."""
    refused = [found.why for found in collisions(app, tx, [change])]
    if refused:
        raise Conflict("; ".join(refused) + ".")
    write(app, tx, [change])


def _check_length(part: Extension, lines: int, login: str) -> None:
    """Raise InvalidRecord where the extension's chosen secret is too short for so many lines."""
    fault = length_fault(part, lines)
    if fault is not None:
        mend = f"provisioner user secret {login} --extension {part.endpoint_id}"
        raise InvalidRecord([Problem("lines", f"{fault}; first give it a new one with `{mend}`")])


def _find(user: User, extension: str | None) -> Extension:
    if extension is None:
        return user.primary
    for part in user.extensions:
        if part.endpoint_id == extension:
            return part
    known = ", ".join(user.endpoint_ids)
    raise NotFound(f"user {user.login} has no extension {quoted(extension)}; there are: {known}")
