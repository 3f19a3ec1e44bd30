"""``provisioner history`` and ``provisioner undo``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from provisioner.cli.apply import carry_out, full_option, quiet_option, yes_option
from provisioner.cli.common import (
    app_of,
    json_option,
    no_wait_option,
    plain,
    print_json,
    print_table,
    stoppable,
)

if TYPE_CHECKING:
    from provisioner.service.history import Shown
    from provisioner.store import HistoryChange


class _Listing(click.Group):
    """``history [LOGIN]`` lists; ``history show ID`` shows one change."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in self.commands:
            args = ["list", *args]
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_Listing)
def history() -> None:
    """List what was changed, newest first: `history [LOGIN] [--since WHEN] [--json]`, or show one change.

    \b
    provisioner history anna --since 2026-11-01
    provisioner history show 42
    """


@history.command("list")
@click.argument("login", required=False)
@click.option(
    "--since", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]), help="Local time."
)
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="At most so many.")
@json_option
@click.pass_context
def list_(ctx: click.Context, login: str | None, since: Any, limit: int, as_json: bool) -> None:
    """List changes, of one user or of all; `history` alone does the same.

    \b
    provisioner history list anna --json
    """
    from provisioner.service import history as service

    found = service.changes(app_of(ctx), login, since.astimezone() if since else None, limit)
    if as_json:
        print_json([_change_data(change) for change in found])
        return
    columns = ("change", "when", "who", "command", "file", "users")
    print_table(columns, [_row(change) for change in found])


@history.command()
@click.argument("id", type=int)
@full_option
@json_option
@click.pass_context
def show(ctx: click.Context, id: int, full: bool, as_json: bool) -> None:
    """Show one change as the plan that it was; of secrets only that they changed.

    \b
    provisioner history show 42 --json
    """
    from provisioner.service import history as service

    found = service.show(app_of(ctx), id)
    if as_json:
        print_json(_shown_data(found))
    else:
        _print_shown(found, full)


@click.command()
@click.argument("id", type=int)
@yes_option
@full_option
@quiet_option
@no_wait_option
@json_option
@click.pass_context
@stoppable()
def undo(ctx: click.Context, id: int, yes: bool, full: bool, quiet: bool, as_json: bool) -> None:
    """Take back a change of the history, old secrets included: shows the way back as a plan, and asks.

    A user who was changed again since is a conflict: it is named, and nothing is done.

    \b
    provisioner undo 42
    """
    from provisioner.service.undo import undo as job

    app = app_of(ctx)
    carry_out(ctx, app, job(app, id), yes=yes, force=True, full=full, quiet=quiet, as_json=as_json)


def _row(change: HistoryChange) -> tuple[object, ...]:
    counts = ", ".join(f"{number} {_DONE.get(verb, verb)}" for verb, number in change.counts.items())
    what = f"undoes {change.undoes}" if change.undoes is not None else change.file or ""
    when = change.at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    return change.id, when, change.actor, change.command, what, counts


_DONE = {
    "create": "created",
    "change": "changed",
    "delete": "deleted",
    "restore": "restored",
    "mend": "mended",
}


def _change_data(change: HistoryChange) -> dict[str, Any]:
    return {
        "change": change.id,
        "at": change.at.isoformat(),
        "actor": change.actor,
        "command": change.command,
        "file": change.file,
        "file_sha256": change.file_sha256,
        "undoes": change.undoes,
        "counts": dict(change.counts),
    }


def _shown_data(found: Shown) -> dict[str, Any]:
    from provisioner.plan import data

    changes = list(data(found.plan, [()] * len(found.plan)))
    for change in changes:
        del change["nodes"], change["line"]
    mended = [{"login": login, "rows": list(rows)} for login, rows in found.mended]
    return {**_change_data(found.change), "changes": changes, "mended": mended}


def _print_shown(found: Shown, full: bool) -> None:
    from provisioner.plan import lines

    change = found.change
    about = f"change {change.id}: {change.at.astimezone():%Y-%m-%d %H:%M:%S} by {plain(change.actor)}"
    click.echo(f"{about}, {plain(change.command)}")
    if change.file is not None:
        click.echo(f"from {plain(change.file)}, SHA-256 {change.file_sha256}")
    if change.undoes is not None:
        click.echo(f"undoes change {change.undoes}")
    for line in lines(found.plan, [()] * len(found.plan), full=full):
        click.echo(plain(line))
    for _, rows in found.mended:
        for row in rows:
            for column, field in row["fields"].items():
                value = field if isinstance(field, str) else f"{field['old']} -> {field['new']}"
                click.echo(plain(f"* {row['table']} {row['id']} {row['action']} {column}: {value}"))
