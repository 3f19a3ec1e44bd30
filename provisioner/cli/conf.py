"""``provisioner conf ...``."""

from __future__ import annotations

from pathlib import Path

import click

from provisioner.cli.common import app_of, json_option, node_option, print_json

directory_argument = click.argument(
    "directory", metavar="DIR", type=click.Path(file_okay=False, path_type=Path)
)


@click.group()
def conf() -> None:
    """Render Asterisk's configuration files from the settings.

    \b
    provisioner conf render /etc/asterisk
    """


@conf.command()
@directory_argument
@node_option
@click.option("--force", is_flag=True, help="Overwrite files that provisioner did not make.")
@json_option
@click.pass_context
def render(ctx: click.Context, directory: Path, node: str | None, force: bool, as_json: bool) -> None:
    """Write the files into DIR; one that provisioner did not make is left alone unless --force.

    \b
    provisioner conf render /etc/asterisk --node pbx1
    """
    from provisioner.service import configuration

    written = configuration.render_to(app_of(ctx), directory, node, force)
    if as_json:
        print_json(written)
        return
    for name, state in written.items():
        click.echo(f"{state:<10} {directory / name}")


@conf.command()
@directory_argument
@node_option
@json_option
@click.option("--exit-code", is_flag=True, help="Exit with 3 where there is a difference.")
@click.pass_context
def diff(ctx: click.Context, directory: Path, node: str | None, as_json: bool, exit_code: bool) -> None:
    """Show what `conf render` would change in DIR, with secrets masked.

    \b
    provisioner conf diff /etc/asterisk
    """
    from provisioner.service import configuration

    found = configuration.diff(app_of(ctx), directory, node)
    if as_json:
        print_json(configuration.diff_data(found))
    else:
        for one in found:
            click.echo(f"# {one.name}: {one.state.value}")
            click.echo(one.text, nl=False)
    if found and exit_code:
        ctx.exit(3)
