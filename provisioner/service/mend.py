"""Mending drift: rows become what the records say, and nodes let go of what is not in the rows."""

from __future__ import annotations

import random
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from provisioner.errors import Interrupted, TooMuch
from provisioner.plan import count, diff, merge_orders
from provisioner.plan.plan import Plan
from provisioner.plan.safety import FEW
from provisioner.realtime import TABLES, Compiler, Rows
from provisioner.service.apply import SAMPLE
from provisioner.service.bulk import batches
from provisioner.service.drift import Report, owners_of, row_plan
from provisioner.service.interrupt import undisturbed
from provisioner.service.progress import Progress, silent
from provisioner.service.tell import tell
from provisioner.service.told import Told

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provisioner.service.app import App
    from provisioner.store import StoredUser, Transaction

_PATIENCE: Final = 60.0
"""Seconds to wait for another change of many users."""


@dataclass(frozen=True, slots=True)
class Mended:
    """What a fix did: rows written, its place in the history (None: no row was), and what nodes say."""

    rows: int = 0
    change_id: int | None = None
    nodes: tuple[Told, ...] = ()


def check_limit(app: App, report: Report, force: bool) -> None:
    """Raise TooMuch where a fix cuts off more than ``apply.limit_percent`` of all, unless with ``force``."""
    whole, cut_off = max(report.endpoints, 1), len(report.cut_off)
    allowed = whole * app.settings.apply.limit_percent // 100
    if not force and whole >= FEW and cut_off > allowed:
        raise TooMuch(
            f"Nothing was written: it would cut off the phones of {count(cut_off, 'endpoint')} of {whole:,}, "
            f"and the limit is {allowed:,}: look at what was found, and give --force if that is meant"
        )


def mend(app: App, report: Report, force: bool = False, progress: Progress = silent) -> Mended:
    """Do about a report what can be done, in one transaction, then tell the nodes and read back.

    The rows are compared again with every record locked, so what is written is what the records say by now.
    Nobody's rows are touched but those of extensions that are or were ours. Raises TooMuch, StoreError, and
    Interrupted after Ctrl-C where all is written; an earlier one leaves nothing written.
    """
    check_limit(app, report, force)
    if not report.mendable:
        return Mended()
    committed = False
    written, change_id = 0, None
    try:
        with ExitStack() as after:
            with app.change() as tx:
                written = _carry_out(app, tx, report, progress)
                change_id = tx.change_id
                # From here to the end of the commit Ctrl-C waits, so that we know what became of it.
                after.enter_context(undisturbed())
            committed = True
        return Mended(written, change_id, tell(app, _sample(report), tx.xid))
    except KeyboardInterrupt:
        if not committed:
            raise
        raise Interrupted(
            f"Interrupted: {count(written, 'row')} mended, but not every node was told yet; "
            "the next command tells them, or run `provisioner reload`."
        ) from None


def _carry_out(app: App, tx: Transaction, report: Report, progress: Progress) -> int:
    """Write rows, history and orders; returns how many rows."""
    tx.hold_applies(_PATIENCE)
    compiler = Compiler(app.settings.asterisk, tx.columns())
    written = 0
    for ids in batches(report.users):
        live = [one for one in tx.lock_users(ids).values() if one.deleted_at is None]
        written += _write(tx, row_plan(tx, compiler, live), owners_of(live))
        progress("mended", written, None)
    written += _write(tx, _without(tx, report.strays), {})
    for name, its in report.of_node.items():
        tx.queue(name, merge_orders(its))
    tx.trim_history(app.settings.history.keep_days)
    return written


def _sample(report: Report) -> list[str]:
    """The endpoints to read back afterwards: all that the fix is about, of very many some."""
    every = (order for its in (report.orders, *report.of_node.values()) for order in its)
    touched = sorted({order.endpoint_id for order in every})
    return touched if len(touched) <= SAMPLE else random.sample(touched, SAMPLE)


def _without(tx: Transaction, ids: Sequence[str]) -> Plan:
    """The deletion of these rows, as far as they are still there and still of no extension."""
    strays = tx.foreign_rows()
    left = [id for id in ids if any(strays.get(table, {}).get(id) for table in TABLES)]
    return diff(Rows(), tx.rows(left))


def _write(tx: Transaction, plan: Plan, owners: Mapping[str, StoredUser]) -> int:
    tx.write(plan)
    tx.note_rows(plan, owners)
    return len(plan)
