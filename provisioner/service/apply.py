"""A plan of users carried out: shown, asked about, done in one transaction, told to the nodes, read back."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from provisioner.errors import Interrupted, PlanMoved, TooMuch
from provisioner.plan import UserChange, UserPlan, Verb, effects_of, moved, too_much
from provisioner.service.bulk import uncollected
from provisioner.service.interrupt import undisturbed
from provisioner.service.progress import Progress, silent
from provisioner.service.secrets_file import secrets_file
from provisioner.service.tell import tell
from provisioner.service.told import Told
from provisioner.service.write import write

if TYPE_CHECKING:
    from provisioner.plan import NodeOrder
    from provisioner.service.app import App
    from provisioner.store import StoredUser, Transaction

SAMPLE: Final = 1_000
"""Most endpoints that are read back from the nodes."""

_PATIENCE: Final = 600.0
"""Seconds to wait for another apply that is under way."""

_ROUNDS: Final = 5
"""How often a plan is made again where records change while they are being locked."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be carried out: how its plan is made, and what the history says it comes from."""

    make: Callable[[Transaction], UserPlan]
    file: str | None = None
    sha256: str | None = None
    undoes: int | None = None


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan of users, and what each of its changes means on a node."""

    plan: UserPlan
    orders: tuple[tuple[NodeOrder, ...], ...]


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of a plan: ``change_id`` is its place in the history, None where there was nothing to do.

    ``proven`` endpoints of ``touched`` were read back from each node.
    """

    planned: Planned
    change_id: int | None = None
    nodes: tuple[Told, ...] = ()
    touched: int = 0
    proven: int = 0
    secrets: int = 0


def preview(app: App, job: Job) -> Planned:
    """The plan of a job as of now; writes nothing. Raises InvalidRecord, Conflict or StoreError."""
    with uncollected(), app.reading() as tx:
        return _planned(app, tx, job)


def apply(
    app: App,
    job: Job,
    *,
    show: Callable[[Planned], None],
    agreed: dict[str, str] | None = None,
    force: bool = False,
    secrets_out: Path | None = None,
    progress: Progress = silent,
) -> Applied:
    """Carry out a job: all of it or nothing.

    ``agreed`` is the snapshot of a plan that somebody agreed to: raises PlanMoved where another one would
    be carried out by now. Without it the plan is the one of this moment, and ``show`` gets it. Raises TooMuch
    for a plan over the limit without ``force``, Interrupted after Ctrl-C: its text says whether all is
    written, or nothing.
    """
    written: int | None = None
    try:
        with uncollected(), ExitStack() as after:
            with app.change(file=job.file, sha256=job.sha256, undoes=job.undoes) as tx:
                tx.hold_applies(_PATIENCE)
                planned = _settled(app, tx, job)
                check_agreed(planned, agreed)
                if agreed is None:
                    show(planned)
                if not planned.plan:
                    return Applied(planned)
                check_limit(app, planned, force)
                issued = after.enter_context(secrets_file(secrets_out, planned.plan))
                write(app, tx, planned.plan.changes, progress)
                change_id = tx.change_id
                assert change_id is not None, "a plan without a change"
                # From here to the end of the commit Ctrl-C waits, so that we know what became of it.
                after.enter_context(undisturbed())
            written = change_id
            issued.keep()
        return _tell(app, planned, change_id, issued.count, tx.xid)
    except KeyboardInterrupt:
        raise _interrupted(written) from None


def _planned(app: App, tx: Transaction, job: Job) -> Planned:
    plan = job.make(tx)
    return Planned(plan, tuple(effects_of(plan, app.settings.asterisk, tx.columns())))


def _settled(app: App, tx: Transaction, job: Job) -> Planned:
    """The plan with every record of it locked: nobody changes them before the end."""
    for _ in range(_ROUNDS):
        planned = _planned(app, tx, job)
        held = [(change.id, change) for change in planned.plan if change.id is not None]
        locked = tx.lock_users([id for id, _ in held])
        if all(_unmoved(change, locked.get(id)) for id, change in held):
            return planned
        tx.forget_numbers()
    raise PlanMoved("Nothing was written: the records change faster than they can be locked; try again.")


def _unmoved(change: UserChange, locked: StoredUser | None) -> bool:
    """Whether the record is still what its change rests on."""
    if locked is None or locked.user != change.before:
        return False
    return (locked.deleted_at is not None) == (change.verb is Verb.RESTORE)


def check_agreed(planned: Planned, agreed: dict[str, str] | None) -> None:
    """Raise PlanMoved, naming what differs, where a plan is not the one agreed to (None: any will do)."""
    if agreed is None:
        return
    differences = moved(agreed, planned.plan, planned.orders)
    if differences:
        raise PlanMoved(
            "\n".join(
                ["Nothing was written: the plan that was agreed to is not the one of now.", *differences]
            )
        )


def check_limit(app: App, planned: Planned, force: bool) -> None:
    """Raise TooMuch where a plan takes more away than the settings allow, unless with ``force``."""
    why = None if force else too_much(planned.plan, planned.orders, app.settings.apply.limit_percent)
    if why is not None:
        raise TooMuch(f"Nothing was written: {why}")


def _tell(app: App, planned: Planned, change_id: int, secrets: int, xid: str | None) -> Applied:
    """Tell the nodes; Ctrl-C from here on leaves what is written, and what is due to them."""
    touched = sorted({order.endpoint_id for orders in planned.orders for order in orders})
    sample = touched if len(touched) <= SAMPLE else random.sample(touched, SAMPLE)
    proven = len(sample) if app.settings.nodes else 0
    return Applied(planned, change_id, tell(app, sample, xid), len(touched), proven, secrets)


def _interrupted(change_id: int | None) -> Interrupted:
    if change_id is None:
        return Interrupted("Interrupted: nothing was written.")
    return Interrupted(
        f"Interrupted: everything is written (change {change_id}), but not every node was told yet; "
        "the next command tells them, or run `provisioner reload`."
    )
