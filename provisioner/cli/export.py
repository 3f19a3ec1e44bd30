"""``provisioner export``."""

from __future__ import annotations

from typing import Any

import click

from provisioner.cli.common import app_of


@click.command()
@click.option(
    "--format", "format_", type=click.Choice(["jsonl"]), default="jsonl", show_default=True, help="Form."
)
@click.argument("file", type=click.File("w", encoding="utf-8", lazy=True, atomic=True), default="-")
@click.pass_context
def export(ctx: click.Context, format_: str, file: Any) -> None:
    """Write every user to FILE or standard output, a JSON object a line; secrets are left out.

    \b
    provisioner export users.jsonl
    """
    import json

    from provisioner.records import user_data
    from provisioner.service import users

    for stored in users.list_users(app_of(ctx)):
        file.write(json.dumps(user_data(stored.user), ensure_ascii=False) + "\n")
