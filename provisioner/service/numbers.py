"""Whether changes of users can have the numbers that they want."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from provisioner.plan import UserChange, Verb
from provisioner.records import Kind

if TYPE_CHECKING:
    from provisioner.service.app import App
    from provisioner.store import NumberState, Transaction


class Collision(NamedTuple):
    """A number that a change wants and cannot have; ``why`` says so in words, the number among them."""

    change: UserChange
    number: str
    why: str


def collisions(app: App, tx: Transaction, changes: Sequence[UserChange]) -> Iterator[Collision]:
    """The numbers that changes want and cannot have. Nobody else gets one meanwhile."""
    gained = {number: change for change in changes for number in _gained(change)}
    if not gained:
        return
    rest_days = app.settings.numbers.rest_days
    given_up = frozenset(id for change in changes for id in _given_up(change))
    tx.lock_numbers()
    for number, state in tx.number_states(list(gained), rest_days).items():
        change = gained[number]
        why = _refusal(state, change, given_up=number in given_up, rest_days=rest_days)
        if why is not None:
            yield Collision(change, number, why)


def _refusal(state: NumberState, change: UserChange, *, given_up: bool, rest_days: int) -> str | None:
    from provisioner.store import Use

    own = change.id is not None and state.user_id == change.id
    if state.use is Use.FREE or own or (given_up and rest_days == 0):
        return None
    if given_up:
        return f"{state}, who gives it up here; then it rests for {rest_days} days"
    return str(state)


def _gained(change: UserChange) -> Iterator[str]:
    if change.after is None:
        return
    had = change.before.endpoint_ids if change.before and change.verb is Verb.UPDATE else ()
    for part in change.after.extensions:
        if part.kind is not Kind.ALIAS and part.endpoint_id not in had:
            yield part.number


def _given_up(change: UserChange) -> Iterable[str]:
    return change.user.endpoint_ids if change.verb is Verb.DELETE else change.lost
