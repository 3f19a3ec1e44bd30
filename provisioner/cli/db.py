"""``provisioner db ...``."""

from __future__ import annotations

import click

from provisioner.cli.common import app_of, json_option, print_json


@click.group()
def db() -> None:
    """Make, check and find the database.

    \b
    provisioner db upgrade
    """


@db.command()
@click.option(
    "--asterisk-tables",
    is_flag=True,
    help="Also add to Asterisk's tables that were here before us what they lack.",
)
@click.option(
    "--triggers",
    is_flag=True,
    help="Also put triggers on Asterisk's tables that were here before us: then the nodes are told of what "
    "anybody changes in endpoints, auths and AORs, not of our own changes alone.",
)
@click.option(
    "--views",
    is_flag=True,
    help="Also have nodes read views of the columns in use of Asterisk's tables that were here before us: "
    "they know new phones sooner. A column that a view shows cannot change its type.",
)
@json_option
@click.pass_context
def upgrade(ctx: click.Context, asterisk_tables: bool, triggers: bool, views: bool, as_json: bool) -> None:
    """Bring the tables up to date: ours, and Asterisk's where they are missing.

    Tables that Asterisk's own migrations made are adopted as they are, unless --asterisk-tables, --triggers
    or --views is given. The role that Asterisk logs in with is made as well.

    \b
    provisioner db upgrade
    provisioner db upgrade --triggers
    provisioner db upgrade --views
    """
    from provisioner.service import database

    done = database.upgrade(app_of(ctx), asterisk_tables=asterisk_tables, triggers=triggers, views=views)
    if as_json:
        print_json({"steps": list(done)})
    else:
        for line in done:
            click.echo(line)


@db.command()
@click.pass_context
def url(ctx: click.Context) -> None:
    """Print the database's URL for psql and other tools, without a password in it.

    \b
    psql "$(provisioner db url)"
    """
    from provisioner.service import database

    click.echo(database.url(app_of(ctx)))


@db.command()
@json_option
@click.pass_context
def check(ctx: click.Context, as_json: bool) -> None:
    """List what the database lacks, and how to mend it; exit code 1 where anything is missing.

    \b
    provisioner db check
    """
    from provisioner.cli.doctor import print_findings
    from provisioner.service import database

    print_findings(ctx, database.check(app_of(ctx)), as_json)


@db.command()
@click.pass_context
def stop(ctx: click.Context) -> None:
    """Stop the embedded server; the next command that needs it starts it again.

    \b
    provisioner db stop
    """
    from provisioner.service import database

    click.echo(database.stop(app_of(ctx)))
