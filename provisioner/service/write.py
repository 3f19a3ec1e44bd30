"""The one path from changed records to all that rests on them, for one user or for 100,000."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from provisioner.plan import UserChange, Verb, diff
from provisioner.plan.compare import Make
from provisioner.realtime import compile_users
from provisioner.records import Credentials, IssuedSecret, User, digest, generate_secret
from provisioner.secret import Secret
from provisioner.service.bulk import batches
from provisioner.service.progress import Progress, silent

if TYPE_CHECKING:
    from provisioner.realtime import ColumnSet
    from provisioner.service.app import App
    from provisioner.store import Transaction


def write(app: App, tx: Transaction, changes: Sequence[UserChange], progress: Progress = silent) -> None:
    """Carry out changes of users: records, history, Asterisk's rows; what nodes are told of rests on these.

    First everything that is taken away, so that a number can change hands in one go. Raises Conflict where
    somebody else was quicker.
    """
    columns = tx.columns()
    gone = [change for change in changes if change.verb is Verb.DELETE]
    stay = [change for change in changes if change.verb is not Verb.DELETE]
    lost = [id for change in stay for id in change.lost]
    done = 0
    for batch in batches(gone):
        tx.write_users(batch)
        _write_rows(app, tx, columns, (), [id for change in batch for id in change.user.endpoint_ids])
        done += len(batch)
        progress("written", done, len(changes))
    if lost:
        tx.release(lost)
        _write_rows(app, tx, columns, (), lost)
    for batch in batches(stay):
        tx.write_users(batch)
        users = [change.user for change in batch]
        _write_rows(app, tx, columns, users, [id for user in users for id in user.endpoint_ids])
        done += len(batch)
        progress("written", done, len(changes))
    tx.trim_history(app.settings.history.keep_days)


def maker(app: App) -> Make:
    """Makes the credentials of an endpoint id: of the secret given, or of a new one."""
    realm, plain = app.settings.asterisk.realm, app.settings.asterisk.sip_secret_storage == "plain"

    def make(id: str, secret: Secret | None) -> tuple[Credentials, IssuedSecret]:
        kept = secret or generate_secret()
        credentials = digest(kept, id, realm, keep_plain=plain)
        if secret is not None:
            credentials = replace(credentials, chosen_length=len(secret.reveal()))
        return credentials, IssuedSecret(id, kept, generated=secret is None)

    return make


def _write_rows(
    app: App, tx: Transaction, columns: ColumnSet, users: Sequence[User], ids: Sequence[str]
) -> None:
    """Make the rows of these ids what the users' records say."""
    plan = diff(compile_users(users, app.settings.asterisk, columns), tx.rows(ids))
    tx.write(plan)
