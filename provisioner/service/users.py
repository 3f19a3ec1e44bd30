"""The use cases of users: add, set, secret, disable, enable, delete, restore, show, list.

Each is one transaction (records, rows, audit, outbox), after which every node is told and proven.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from provisioner.errors import InvalidRecord, NotFound, Problem
from provisioner.plan import Plan
from provisioner.records import (
    Credentials,
    Extension,
    ExtensionSpec,
    IssuedSecret,
    Kind,
    User,
    UserSpec,
    check_secret,
    digest,
    endpoint_id,
    generate_secret,
    required_length,
    validate_user,
)
from provisioner.records.text import show as quoted
from provisioner.secret import Secret
from provisioner.service.app import App
from provisioner.service.tell import Told, tell
from provisioner.store import StoredUser, Transaction


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a change came to: the user afterwards, new secrets, the rows changed, what each node says."""

    user: User
    issued: tuple[IssuedSecret, ...]
    plan: Plan
    nodes: tuple[Told, ...]


def add(app: App, spec: UserSpec) -> Outcome:
    """Create a user; raises InvalidRecord or Conflict, and then nothing is written."""
    with app.change() as tx:
        numbers = _numbers(app, tx, spec)
        made = [_extension(app, number, part) for number, part in zip(numbers, spec.extensions, strict=True)]
        user = User(spec.login, spec.name, spec.email, spec.active, tuple(extension for extension, _ in made))
        tx.insert_user(user)
        plan = app.write(tx, (), (user,))
    return Outcome(user, tuple(issued for _, issued in made), plan, tell(app, user.endpoint_ids))


def change(app: App, login: str, edit: Callable[[User], User]) -> Outcome:
    """Change a user's record by a function of it; raises NotFound or what ``edit`` raises."""
    with app.change() as tx:
        before = tx.get_user(login)
        after = edit(before)
        if after != before:
            tx.update_user(before.login, after)
        plan = app.write(tx, (before,), (after,))
    return Outcome(after, (), plan, tell(app, {*before.endpoint_ids, *after.endpoint_ids}))


def set_fields(
    app: App,
    login: str,
    *,
    name: str | None = None,
    email: str | None = None,
    lines: int | str | None = None,
    extension: str | None = None,
) -> Outcome:
    """Change name, e-mail ("" removes it) or the lines of one extension (the primary by default)."""

    def edit(user: User) -> User:
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
        return replace(
            user,
            name=checked.name,
            email=checked.email,
            extensions=tuple(replace(part, lines=new.lines) for part, new in parts),
        )

    return change(app, login, edit)


def set_active(app: App, login: str, active: bool) -> Outcome:
    """Disable (cut off) or enable a user."""
    return change(app, login, lambda user: replace(user, active=active))


def rotate_secret(app: App, login: str, extension: str | None, secret: Secret | None) -> Outcome:
    """Give an extension a new secret, the one given or a generated one; its phones are cut off."""
    issued: list[IssuedSecret] = []

    def edit(user: User) -> User:
        part = _find(user, extension)
        if secret is not None:
            check_secret(secret, part.lines, (user.login, user.name, part.number))
        credentials, new = _credentials(app, part.endpoint_id, secret)
        issued.append(new)
        return _with(user, part, replace(part, credentials=credentials))

    outcome = change(app, login, edit)
    return replace(outcome, issued=tuple(issued))


def add_extension(
    app: App, login: str, *, number: str | None, label: str | None, lines: int | str, secret: Secret | None
) -> Outcome:
    """Give a user one more number, or with a label an alias on one of the numbers there are.

    Raises NotFound, InvalidRecord or Conflict.
    """
    kind = Kind.ADDITIONAL if label is None else Kind.ALIAS
    with app.change() as tx:
        before = tx.get_user(login)
        if kind is Kind.ALIAS and number is None:
            number = before.primary.number
        wanted = {"number": number, "lines": lines, "secret": secret, "kind": kind, "label": label}
        checked = _checked(before, [*_fields(before), wanted])
        part = checked.extensions[-1]
        if part.number is not None and kind is Kind.ADDITIONAL:
            tx.check_number(part.number, app.settings.numbers.rest_days, login)
        extension, issued = _extension(app, part.number or _next_number(app, tx), part)
        after = replace(before, extensions=(*before.extensions, extension))
        tx.update_user(before.login, after)
        plan = app.write(tx, (before,), (after,))
    return Outcome(after, (issued,), plan, tell(app, (extension.endpoint_id,)))


def delete_extension(app: App, login: str, extension: str) -> Outcome:
    """Take an extension away from a user; its number rests. Raises InvalidRecord for the primary one."""

    def edit(user: User) -> User:
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
        return replace(user, extensions=tuple(other for other in user.extensions if other != part))

    return change(app, login, edit)


def delete(app: App, login: str) -> Outcome:
    """Delete a user: rows gone, phones cut off, numbers at rest; can be restored."""
    with app.change() as tx:
        before = tx.get_user(login)
        tx.mark_deleted(before.login)
        plan = app.write(tx, (before,), ())
    return Outcome(before, (), plan, tell(app, before.endpoint_ids))


def restore(app: App, login: str) -> Outcome:
    """Bring the user of that login who was deleted last back; raises NotFound or Conflict."""
    with app.change() as tx:
        user = tx.restore_user(login, app.settings.numbers.rest_days)
        plan = app.write(tx, (), (user,))
    return Outcome(user, (), plan, tell(app, user.endpoint_ids))


def show(app: App, login: str) -> StoredUser:
    """One user, the one deleted last where there is no other; raises NotFound."""
    with app.reading() as tx:
        return tx.stored_user(login)


def list_users(app: App, *, deleted: bool = False) -> Sequence[StoredUser]:
    """All users by login; with ``deleted`` the deleted ones instead."""
    with app.reading() as tx:
        return tx.stored_users(deleted=deleted)


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


def _numbers(app: App, tx: Transaction, spec: UserSpec) -> list[str]:
    """The number of each extension: given, or the next free one; an alias has that of its extension."""
    rules = app.settings.numbers
    tx.check_numbers(
        [part.number for part in spec.extensions if part.number and part.kind is not Kind.ALIAS],
        rules.rest_days,
    )
    numbers: list[str] = []
    for part in spec.extensions:
        if part.kind is Kind.ALIAS:
            numbers.append(part.number or numbers[0])
        else:
            numbers.append(part.number or _next_number(app, tx))
    return numbers


def _next_number(app: App, tx: Transaction) -> str:
    return tx.allocate_number(app.settings.numbers.ranges, app.settings.numbers.rest_days)


def _extension(app: App, number: str, part: ExtensionSpec) -> tuple[Extension, IssuedSecret]:
    id = endpoint_id(number, part.label)
    credentials, issued = _credentials(app, id, part.secret)
    return Extension(number, part.kind, part.lines, credentials, part.label), issued


def _credentials(app: App, id: str, secret: Secret | None) -> tuple[Credentials, IssuedSecret]:
    """The digests of a checked secret, or of a new one."""
    options = app.settings.asterisk
    kept = secret or generate_secret()
    credentials = digest(kept, id, options.realm, keep_plain=options.sip_secret_storage == "plain")
    if secret is not None:
        credentials = replace(credentials, chosen_length=len(secret.reveal()))
    return credentials, IssuedSecret(id, kept, generated=secret is None)


def _check_length(part: Extension, lines: int, login: str) -> None:
    """Raise InvalidRecord where the extension's chosen secret is too short for so many lines."""
    length, needed = part.credentials.chosen_length, required_length(lines)
    if length is not None and length < needed:
        what = f"the chosen secret of {part.endpoint_id} has {length} characters, {lines} lines need {needed}"
        mend = f"provisioner user secret {login} --extension {part.endpoint_id}"
        raise InvalidRecord([Problem("lines", f"{what}; first give it a new one with `{mend}`")])


def _find(user: User, extension: str | None) -> Extension:
    if extension is None:
        return user.primary
    for part in user.extensions:
        if part.endpoint_id == extension:
            return part
    known = ", ".join(user.endpoint_ids)
    raise NotFound(f"user {user.login} has no extension {quoted(extension)}; there are: {known}")


def _with(user: User, old: Extension, new: Extension) -> User:
    return replace(user, extensions=tuple(new if part == old else part for part in user.extensions))
