"""``provisioner doctor``, and how findings are printed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from provisioner.cli.common import app_of, json_option, node_option, print_json

if TYPE_CHECKING:
    from provisioner.service import Finding


@click.command()
@node_option
@click.option(
    "--conf",
    "directory",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the node's configuration files are, to compare them with the settings.",
)
@json_option
@click.pass_context
def doctor(ctx: click.Context, node: str | None, directory: Path | None, as_json: bool) -> None:
    """Walk the chain from the settings to an endpoint on every node, and say how to mend what is wrong.

    \b
    provisioner doctor --conf /etc/asterisk
    """
    from provisioner.service.doctor import examine

    print_findings(ctx, examine(app_of(ctx), node, directory), as_json)


def print_findings(ctx: click.Context, findings: Iterable[Finding], as_json: bool) -> None:
    """Each finding as it is found; exit code 1 where one is not ok."""
    failed = False
    seen = []
    for finding in findings:
        failed = failed or not finding.ok
        if as_json:
            seen.append(
                {"check": finding.check, "ok": finding.ok, "found": finding.found, "mend": finding.mend}
            )
            continue
        click.echo(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.check}: {finding.found}")
        if finding.mend:
            click.echo(f"      {finding.mend}")
    if as_json:
        print_json(seen)
    if failed:
        ctx.exit(1)
