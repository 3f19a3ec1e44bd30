"""What was changed, when, by whom and from what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from provisioner.plan import UserChange, UserPlan, Verb
from provisioner.records import Credentials, User, user_from

if TYPE_CHECKING:
    from provisioner.service.app import App
    from provisioner.store import HistoryChange, HistoryEntry

_UNKNOWN = Credentials(md5="", sha256="", realm="")
_OTHER = Credentials(md5="", sha256="", realm="changed")


@dataclass(frozen=True, slots=True)
class Shown:
    """One change of the history: what it did to users, as a plan, and what was mended in Asterisk's rows."""

    change: HistoryChange
    plan: UserPlan
    mended: tuple[tuple[str | None, Sequence[Mapping[str, Any]]], ...]


def changes(
    app: App, login: str | None = None, since: datetime | None = None, limit: int | None = None
) -> tuple[HistoryChange, ...]:
    """The changes, newest first: of all users or one, not older than ``since``, at most ``limit``."""
    with app.reading() as tx:
        return tx.history(login, since, limit)


def show(app: App, id: int) -> Shown:
    """One change as the plan it was; raises NotFound."""
    with app.reading() as tx:
        change = tx.history_change(id)
        entries = list(tx.history_entries(id))
    plan = UserPlan(tuple(_change(entry) for entry in entries if entry.verb in set(Verb)))
    return Shown(change, plan, tuple((entry.login, entry.rows) for entry in entries if entry.rows))


def _change(entry: HistoryEntry) -> UserChange:
    return UserChange(Verb(entry.verb), _user(entry.old, ()), _user(entry.new, entry.secrets), entry.user_id)


def _user(data: Mapping[str, Any] | None, secrets: Sequence[str]) -> User | None:
    """The history knows whether a secret changed, and nothing of the secret."""
    if data is None:
        return None
    return user_from(data, lambda id: _OTHER if id in secrets else _UNKNOWN)
