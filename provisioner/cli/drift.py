"""``provisioner drift``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from provisioner.cli.apply import force_option, full_option, quiet_option, yes_option
from provisioner.cli.common import (
    app_of,
    json_option,
    no_wait_option,
    nodes_data,
    plain,
    print_json,
    report_nodes,
    stoppable,
)
from provisioner.cli.progress import shown_progress
from provisioner.errors import Interrupted

if TYPE_CHECKING:
    from provisioner.service.drift import Report
    from provisioner.service.mend import Mended

_ALL = "*"


@click.command()
@click.option(
    "--node",
    metavar="[NAME]",
    is_flag=False,
    flag_value=_ALL,
    help="Compare this node with the rows too; without a name every node.",
)
@click.option("--fix", is_flag=True, help="Mend what was found; shows it and asks.")
@force_option
@yes_option
@full_option
@quiet_option
@click.option("--exit-code", is_flag=True, help="Exit with 3 where something is left to be mended.")
@no_wait_option
@json_option
@click.pass_context
@stoppable()
def drift(
    ctx: click.Context,
    node: str | None,
    fix: bool,
    force: bool,
    yes: bool,
    full: bool,
    quiet: bool,
    exit_code: bool,
    as_json: bool,
) -> None:
    """Find what nobody asked for: rows that are not as the records say, and nodes that hold something else.

    Rows that are not ours are named, never touched, and no reason for another exit code. Exit code 1 where a
    node does not answer.

    \b
    provisioner drift --node
    provisioner drift --node pbx1 --fix --yes
    """
    from provisioner.service.drift import Kind
    from provisioner.service.drift import drift as find
    from provisioner.service.mend import Mended, check_limit, mend

    app = app_of(ctx)
    nodes = () if node is None else app.nodes(None if node == _ALL else node)
    with shown_progress(quiet or as_json) as progress:
        report = find(app, nodes, progress)
    if not as_json and not quiet:
        _print(report, full)
    done = Mended()
    if fix and report.mendable:
        check_limit(app, report, force)
        if not yes:
            if as_json or quiet:
                _print(report, full, err=True)
            if not click.confirm("Mend this?", err=True):
                raise Interrupted("Nothing was written, as it was not agreed to.")
        with shown_progress(quiet or as_json) as progress:
            done = mend(app, report, force, progress)
    if as_json:
        print_json(_data(report, done))
    elif fix and report.mendable and not quiet:
        change = "" if done.change_id is None else f" (change {done.change_id})"
        click.echo(f"mended: {done.rows} row(s) written{change}")
    report_nodes(ctx, done.nodes)
    if any(one.kind is Kind.UNREACHED for one in report.drifts):
        ctx.exit(1)
    if exit_code and (report.unmended if fix else report.wrong):
        ctx.exit(3)


def _print(report: Report, full: bool, err: bool = False) -> None:
    from provisioner.service.drift import lines, totals

    for line in lines(report, full=full):
        click.echo(plain(line), err=err)
    click.echo(totals(report), err=err)


def _data(report: Report, done: Mended) -> dict[str, object]:
    return {
        "endpoints": report.endpoints,
        "asked": list(report.nodes),
        "found": [one.as_dict() for one in report.drifts],
        "cut_off": list(report.cut_off),
        "mended": {"rows": done.rows, "change": done.change_id},
        "nodes": nodes_data(done.nodes),
    }
