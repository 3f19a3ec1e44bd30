"""``provisioner export``."""

from __future__ import annotations

from pathlib import Path

import click

from provisioner.cli.common import app_of


@click.command()
@click.option(
    "--format",
    "format_",
    type=click.Choice(["csv", "yaml", "jsonl"]),
    help="Form; else by the file's name, and JSON lines where it has none.",
)
@click.option("--source", metavar="NAME", help="Only the users of this source.")
@click.option("--template", is_flag=True, help="Write the columns with an example instead of users.")
@click.argument("file", type=click.Path(path_type=Path), default="-")
@click.pass_context
def export(ctx: click.Context, format_: str | None, source: str | None, template: bool, file: Path) -> None:
    """Write every user to FILE or standard output; secrets are left out, and `apply` leaves them as they are.

    \b
    provisioner export users.csv
    provisioner export --format csv --template > users.csv
    """
    from provisioner.files import Format, form_of, write_template, write_users
    from provisioner.service import users

    form = Format(format_) if format_ else form_of(file) or Format.JSONL
    target = click.open_file("-", "w", encoding="utf-8") if str(file) == "-" else file
    if template:
        write_template(target, form)
    else:
        with users.exported(app_of(ctx), source) as found:
            write_users(found, target, form)
