"""``provisioner export``."""

from __future__ import annotations

from typing import Any

import click

from provisioner.cli.common import app_of

_FORMATS = ["csv", "yaml", "jsonl"]


@click.command()
@click.option(
    "--format",
    "format_",
    type=click.Choice(_FORMATS),
    help="Form; else by the file's name, and JSON lines where it has none.",
)
@click.option("--source", metavar="NAME", help="Only the users of this source.")
@click.option("--template", is_flag=True, help="Write the columns with an example instead of users.")
@click.argument("file", type=click.File("w", encoding="utf-8", lazy=True, atomic=True), default="-")
@click.pass_context
def export(ctx: click.Context, format_: str | None, source: str | None, template: bool, file: Any) -> None:
    """Write every user to FILE or standard output; secrets are left out, and `apply` leaves them as they are.

    \b
    provisioner export users.csv
    provisioner export --format csv --template > users.csv
    """
    from provisioner.files import Format, write_users
    from provisioner.files import template as example
    from provisioner.service import users

    suffix = str(file.name).rpartition(".")[2].lower()
    form = Format(format_ or (suffix if suffix in _FORMATS else "jsonl"))
    if template:
        file.write(example(form))
    else:
        with users.exported(app_of(ctx), source) as found:
            write_users(found, file, form)
