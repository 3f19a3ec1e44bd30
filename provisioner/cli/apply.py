"""``provisioner plan`` and ``provisioner apply``; ``undo`` carries its plan out in the same way."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provisioner.cli.common import (
    app_of,
    json_option,
    no_wait_option,
    nodes_data,
    plain,
    print_json,
    print_table,
    report_nodes,
    stoppable,
)
from provisioner.cli.progress import shown_progress
from provisioner.errors import Interrupted

if TYPE_CHECKING:
    from provisioner.service import App
    from provisioner.service.apply import Applied, Job, Planned
    from provisioner.service.fileplans import Asked

full_option = click.option("--full", is_flag=True, help="Show every change, however many there are.")
force_option = click.option(
    "--force",
    is_flag=True,
    help="Also when it takes away more than apply.limit_percent allows.",
)
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")
quiet_option = click.option("--quiet", is_flag=True, help="Print nothing but errors.")

_file_options = (
    click.option(
        "--source", metavar="NAME", help="Whose users these are; else the file's name without its ending."
    ),
    click.option("--prune", is_flag=True, help="Delete the source's users that the file does not have."),
    click.option("--adopt", is_flag=True, help="Take over users that were made by hand."),
    click.option(
        "--format",
        "format_",
        type=click.Choice(["csv", "yaml", "jsonl", "xlsx"]),
        help="Form of the file; else by its name or content.",
    ),
    click.option("--encoding", metavar="NAME", help="Of a text file, such as cp1251; else recognised."),
)


def file_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say how a file of users is read."""
    return reduce(lambda inner, option: option(inner), reversed(_file_options), command)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@file_options
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="PLAN", help="Save the plan for `apply PLAN`."
)
@click.option("--exit-code", is_flag=True, help="Exit with 3 where there is something to change.")
@full_option
@quiet_option
@json_option
@click.pass_context
@stoppable()
def plan(
    ctx: click.Context,
    file: Path,
    source: str | None,
    prune: bool,
    adopt: bool,
    format_: str | None,
    encoding: str | None,
    out: Path | None,
    exit_code: bool,
    full: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Show what `apply FILE` would do; FILE is CSV, YAML, JSON lines or XLSX, or - for standard input.

    A row of a CSV is a user; its columns are login, name, email, active, webrtc, number, kind, label, lines,
    secret. Only the first two are needed, and a column that is not there leaves its field as it is.

    \b
    provisioner plan users.csv --prune
    provisioner plan users.csv --out monday.plan && provisioner apply monday.plan
    """
    from provisioner.service.apply import preview
    from provisioner.service.fileplans import open_job, save

    app = app_of(ctx)
    asked = _asked(file, source, prune, adopt, format_, encoding)
    with shown_progress(quiet) as progress:
        found = open_job(app, asked, progress)
        planned = preview(app, found.job)
    _tell_guess(found.guessed)
    if out is not None:
        save(planned, found.origin, out)
    if as_json:
        print_json(plan_data(planned))
    elif not quiet:
        show_plan(planned, full)
    if exit_code and planned.plan:
        ctx.exit(3)


@click.command()
@click.argument("file", metavar="FILE|PLAN", type=click.Path(path_type=Path))
@file_options
@click.option(
    "--secrets-out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A new file, for you alone, that receives the secrets that are made, as a CSV.",
)
@force_option
@yes_option
@full_option
@quiet_option
@no_wait_option
@json_option
@click.pass_context
@stoppable()
def apply(
    ctx: click.Context,
    file: Path,
    source: str | None,
    prune: bool,
    adopt: bool,
    format_: str | None,
    encoding: str | None,
    secrets_out: Path | None,
    force: bool,
    yes: bool,
    full: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Make the users of a file what it says: all of it or nothing, told to every node, and read back.

    Shows the plan and asks. A user without a secret gets one, which only --secrets-out shows; a secret that
    is there stays, unless a row gives another. A PLAN that `plan --out` saved is carried out only if it is
    still the same.

    \b
    provisioner apply users.csv --secrets-out new-secrets.csv
    provisioner apply office.yaml --prune --yes --quiet
    """
    from provisioner.service.fileplans import find_saved, open_job, reopen_job
    from provisioner.service.secrets_file import refuse_existing

    app = app_of(ctx)
    refuse_existing(secrets_out)
    if not yes and str(file) == "-":
        raise click.UsageError("standard input cannot also answer the question; give --yes")
    with shown_progress(quiet) as progress:
        asked = _asked(file, source, prune, adopt, format_, encoding)
        saved = find_saved(asked.path)
        if saved is not None and (source or prune or adopt or format_ or encoding):
            raise click.UsageError("a saved plan knows its source and options; give only the plan")
        found = open_job(app, asked, progress) if saved is None else reopen_job(app, saved, progress)
    _tell_guess(found.guessed)
    carry_out(
        ctx,
        app,
        found.job,
        agreed=None if saved is None else saved.changes,
        yes=yes,
        force=force,
        secrets_out=secrets_out,
        full=full,
        quiet=quiet,
        as_json=as_json,
    )


def carry_out(
    ctx: click.Context,
    app: App,
    job: Job,
    *,
    agreed: dict[str, str] | None = None,
    yes: bool,
    force: bool,
    secrets_out: Path | None = None,
    full: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Show the plan of a job, ask, do it, and report; ``agreed`` is a snapshot of the plan it has to be."""
    from provisioner.service.apply import apply

    silent = quiet or as_json

    def show(planned: Planned) -> None:
        if not silent:
            show_plan(planned, full)

    if not yes:
        agreed = _agreed(app, job, agreed, force=force, full=full, err=silent)
    applied = None
    try:
        with shown_progress(quiet) as progress:
            applied = apply(
                app, job, show=show, agreed=agreed, force=force, secrets_out=secrets_out, progress=progress
            )
        if as_json:
            print_json(_applied_data(applied))
        elif not quiet and applied.change_id is not None:
            _print_applied(applied, secrets_out)
        report_nodes(ctx, [told for told in applied.nodes if not (quiet and told.ok)])
    except KeyboardInterrupt:
        if applied is None or applied.change_id is None:
            raise
        raise Interrupted(
            f"Interrupted: everything is written (change {applied.change_id}); "
            f"`provisioner history show {applied.change_id}` shows it, `provisioner status` the nodes."
        ) from None


def _agreed(
    app: App, job: Job, agreed: dict[str, str] | None, *, force: bool, full: bool, err: bool
) -> dict[str, str]:
    """Show the plan of a job and ask; the snapshot of what was agreed to."""
    from provisioner.plan import snapshot
    from provisioner.service.apply import check_agreed, check_limit, preview

    planned = preview(app, job)
    check_agreed(planned, agreed)
    show_plan(planned, full, err=err)
    if planned.plan:
        check_limit(app, planned, force)
        try:
            answer = click.confirm("Apply this plan?", err=True)
        except click.Abort as exc:
            click.echo(err=True)  # the question's line is still open
            if isinstance(exc.__context__, EOFError):
                raise Interrupted("Nothing was written, as nobody answered; --yes does not ask.") from None
            raise
        if not answer:
            raise Interrupted("Nothing was written, as the plan was not agreed to.")
    return snapshot(planned.plan, planned.orders)


def show_plan(planned: Planned, full: bool, err: bool = False) -> None:
    """The plan in words."""
    from provisioner.plan import lines, totals

    for line in lines(planned.plan, planned.orders, full=full):
        click.echo(plain(line), err=err)
    click.echo(totals(planned.plan, planned.orders), err=err)


def plan_data(planned: Planned) -> dict[str, Any]:
    """The plan for JSON."""
    from provisioner.plan import data, head

    return {**head(planned.plan), "changes": list(data(planned.plan, planned.orders))}


def _asked(
    file: Path, source: str | None, prune: bool, adopt: bool, format_: str | None, encoding: str | None
) -> Asked:
    from provisioner.files import Format
    from provisioner.service.fileplans import Asked

    path = None if str(file) == "-" else file
    return Asked(path, source, prune, adopt, Format(format_) if format_ else None, encoding)


def _tell_guess(encoding: str | None) -> None:
    if encoding is not None:
        click.echo(f"read as {encoding}, as its letters suggest; --encoding names another", err=True)


def _applied_data(applied: Applied) -> dict[str, Any]:
    return {
        "change": applied.change_id,
        "plan": plan_data(applied.planned),
        "secrets_made": applied.secrets,
        "endpoints": {"touched": applied.touched, "read_back": applied.proven},
        "nodes": nodes_data(applied.nodes),
    }


def _print_applied(applied: Applied, secrets_out: Path | None) -> None:
    from provisioner.plan import Verb

    plan = applied.planned.plan
    names = ("change", "created", "changed", "restored", "deleted", "unchanged", "new secrets", "read back")
    counts = [plan.count(verb) for verb in (Verb.CREATE, Verb.UPDATE, Verb.RESTORE, Verb.DELETE)]
    read_back = f"{applied.proven} of {applied.touched}"
    print_table(names, [(applied.change_id, *counts, plan.unchanged, applied.secrets, read_back)])
    if applied.secrets and secrets_out is not None:
        click.echo(f"the new secrets are in {secrets_out}", err=True)
    elif applied.secrets:
        click.echo(
            "the new secrets are shown nowhere; `provisioner user secret LOGIN` makes another", err=True
        )
