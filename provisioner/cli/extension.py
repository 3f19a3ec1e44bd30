"""``provisioner user extension ...``."""

from __future__ import annotations

import click

from provisioner.cli.common import (
    app_of,
    json_option,
    lines_option,
    no_wait_option,
    plain,
    read_secret,
    report_outcome,
    secret_stdin_option,
)


@click.group()
def extension() -> None:
    """Give a user more numbers and aliases.

    \b
    provisioner user extension add anna --alias support
    """


@extension.command()
@click.argument("login")
@click.option("--number", metavar="NUMBER", help="2 to 15 digits; else the next free one.")
@click.option(
    "--alias", metavar="LABEL", help="An alias of an extension instead, such as support: 7001-support."
)
@lines_option
@secret_stdin_option
@no_wait_option
@json_option
@click.pass_context
def add(
    ctx: click.Context,
    login: str,
    number: str | None,
    alias: str | None,
    lines: str,
    secret_stdin: bool,
    as_json: bool,
) -> None:
    """Add an extension, or an alias (a second SIP account on the same number).

    \b
    provisioner user extension add anna --number 7050
    provisioner user extension add anna --alias support
    """
    from provisioner.service import users

    outcome = users.add_extension(
        app_of(ctx), login, number=number, label=alias, lines=lines, secret=read_secret(secret_stdin)
    )
    report_outcome(ctx, "changed", outcome, as_json)


@extension.command()
@click.argument("login")
@click.argument("id")
@click.option("--yes", is_flag=True, help="Do not ask.")
@no_wait_option
@json_option
@click.pass_context
def delete(ctx: click.Context, login: str, id: str, yes: bool, as_json: bool) -> None:
    """Take an additional extension or an alias away; its number rests.

    \b
    provisioner user extension delete anna 7001-support --yes
    """
    from provisioner.service import users

    app = app_of(ctx)
    if not yes:
        click.confirm(f"Delete {plain(id)} of {plain(login)} and cut off its phones?", abort=True, err=True)
    report_outcome(ctx, "changed", users.delete_extension(app, login, id), as_json)
