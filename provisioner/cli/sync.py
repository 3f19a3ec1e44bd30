"""``provisioner sync``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from provisioner.sync.log import Form


@click.command()
@click.option("--log", "form", type=click.Choice(["json", "text"]), help="Form of the log; else sync.log.")
@click.option("--unit", is_flag=True, help="Print the unit file for systemd, with the paths used here.")
@click.pass_context
def sync(ctx: click.Context, form: Form | None, unit: bool) -> None:
    """Keep every node told of what is committed, whoever commits it, until SIGTERM or Ctrl-C.

    Of several that run at once one works, and another takes over when it ends. SIGHUP reads the settings
    again. Commands find it and leave telling the nodes to it. Metrics and health are on 127.0.0.1, at
    sync.port; the log goes to stderr.

    \b
    provisioner sync --log text
    """
    from provisioner.settings import load

    config = ctx.obj["config"]
    if unit:
        from provisioner.sync.unit import text

        # Also a file that was found beside us, or in the environment: the daemon would not find it.
        click.echo(text(load(config).source), nl=False)
        return
    from provisioner.sync.daemon import run

    run(lambda: load(config), form, debug=ctx.find_root().params["debug"])
