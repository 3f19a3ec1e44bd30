"""The way back from a change: a plan like any other, and a conflict where somebody went on from there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from provisioner.errors import Conflict
from provisioner.plan import UserChange, UserPlan, Verb
from provisioner.records import Credentials, user_from
from provisioner.records.text import show
from provisioner.service.apply import Job
from provisioner.service.numbers import collisions
from provisioner.store.history import MEND

if TYPE_CHECKING:
    from provisioner.service.app import App
    from provisioner.store import HistoryEntry, StoredUser, Transaction


def undo(app: App, id: int) -> Job:
    """The job that takes a change of the history back, its secrets included."""
    return Job(lambda tx: undo_plan(app, tx, id), undoes=id)


def undo_plan(app: App, tx: Transaction, id: int) -> UserPlan:
    """What brings every user of a change back to what they were before it.

    Raises NotFound for an unknown change, and Conflict, naming every user that was changed again since, or
    that cannot be brought back.
    """
    tx.history_change(id)
    entries = list(tx.history_entries(id))
    there = tx.users_by_id([entry.user_id for entry in entries if entry.user_id is not None])
    way = _WayBack(id, there, tx.past_secrets(id))
    changes = [change for entry in entries if (change := way.back(entry)) is not None]
    refused = [f"{show(found.change.user.login)}: {found.why}" for found in collisions(app, tx, changes)]
    if way.conflicts or refused:
        raise Conflict("\n".join([f"Change {id} cannot be undone.", *way.conflicts, *refused]))
    return UserPlan(tuple(changes))


@dataclass
class _WayBack:
    id: int
    there: Mapping[int, StoredUser]
    secrets: Mapping[tuple[int, str], Credentials]

    def __post_init__(self) -> None:
        self.conflicts: list[str] = []

    def back(self, entry: HistoryEntry) -> UserChange | None:
        """The opposite of one user's part of the change; None where there is a conflict."""
        if entry.verb == MEND:
            return self._conflict(
                entry, "rows were mended, as its record says; there is nothing to take back"
            )
        stored = None if entry.user_id is None else self.there.get(entry.user_id)
        if stored is None:
            return self._conflict(entry, "was changed before the history could bring anything back")
        if stored.version < self.id and stored.version != entry.new_version:
            return self._conflict(entry, f"is not what change {self.id} made of it: that was taken back")
        if stored.version != entry.new_version:
            mend = f"look with `provisioner history show {stored.version}`, and undo that first"
            return self._conflict(entry, f"was changed again, by change {stored.version}: {mend}")
        if entry.verb in (Verb.CREATE, Verb.RESTORE):
            return UserChange(Verb.DELETE, stored.user, None, stored.id)
        verb = Verb.RESTORE if entry.verb == Verb.DELETE else Verb.UPDATE
        try:
            after = user_from(_record(entry), lambda id: self._credentials(stored, id))
        except KeyError:
            return self._conflict(entry, "had a secret that is not kept any more; give a new one instead")
        return UserChange(verb, stored.user, after, stored.id, returns_to=entry.old_version)

    def _credentials(self, stored: StoredUser, id: str) -> Credentials:
        """Those that the change replaced, else those there are. Raises KeyError."""
        kept = self.secrets.get((stored.id, id))
        held = {part.endpoint_id: part.credentials for part in stored.user.extensions}
        return kept or held[id]

    def _conflict(self, entry: HistoryEntry, why: str) -> UserChange | None:
        self.conflicts.append(f"{show(entry.login or '')}: {why}")
        return None


def _record(entry: HistoryEntry) -> Mapping[str, Any]:
    if entry.old is None:
        raise KeyError("old")
    return entry.old
