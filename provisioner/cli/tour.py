"""``provisioner demo``."""

from __future__ import annotations

import click


@click.command()
@click.option(
    "--keep", is_flag=True, help="Leave database, Asterisk and phones running, and say how to reach them."
)
def demo(keep: bool) -> None:
    """Show the whole job for real: a database, an Asterisk in Docker, users, phones, a rotated secret.

    Needs a container engine and the images that `make images` builds.

    \b
    provisioner demo --keep
    """
    from provisioner.lab.tour import run

    run(keep)
