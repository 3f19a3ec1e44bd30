"""The root command, what every command shares, and the one place where errors leave the program.

Modules of this package import only click at the top: ``provisioner --help`` has nothing else to load.
"""

from __future__ import annotations

import atexit
import gc
import sys
from pathlib import Path
from typing import Any, NoReturn

import click

from provisioner import __version__
from provisioner.cli.apply import apply, plan
from provisioner.cli.common import plain
from provisioner.cli.conf import conf
from provisioner.cli.db import db
from provisioner.cli.doctor import doctor
from provisioner.cli.drift import drift
from provisioner.cli.export import export
from provisioner.cli.history import history, undo
from provisioner.cli.nodes import reload, status
from provisioner.cli.sync import sync
from provisioner.cli.tour import demo
from provisioner.cli.user import user
from provisioner.errors import ProvisionerError

EPILOG = """\b
First steps:
  provisioner db upgrade                       make the tables
  provisioner conf render /etc/asterisk        write Asterisk's files
  provisioner user add anna --name "Anna K."   a user with the next free number
  provisioner status                           who is registered where
"""


class Root(click.Group):
    """Turns errors into one sentence on stderr and exit code 1."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """As click's, and a third quicker.

        Python's collector walks over all that was imported, time and again while it is imported and once
        more at the end, and finds nothing.
        """
        gc.set_threshold(10_000)
        atexit.register(gc.freeze)
        return super().main(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ProvisionerError as exc:
            if ctx.params["debug"]:
                raise
            for line in str(exc).split("\n"):
                click.echo(f"error: {plain(line)}", err=True)
        except (click.ClickException, click.exceptions.Exit, click.Abort, KeyboardInterrupt):
            raise
        except BrokenPipeError:
            _leave_quietly()
        except Exception as exc:
            if ctx.params["debug"]:
                raise
            # The text of a foreign exception may hold a value that must not be shown.
            kind = type(exc).__name__
            click.echo(f"error: unexpected {kind}; run the command again with --debug to see where", err=True)
        return ctx.exit(1)


def _leave_quietly() -> NoReturn:
    """The reader of our output went away: say nothing more, not even when Python flushes at exit."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise SystemExit(1)


@click.group(cls=Root, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="provisioner")
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Settings file; else PROVISIONER_CONFIG, ./provisioner.toml, or the defaults.",
)
@click.option(
    "--actor", metavar="NAME", help="Who the audit names; else PROVISIONER_ACTOR or the system's user."
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def main(ctx: click.Context, config: Path | None, actor: str | None, debug: bool) -> None:
    """Make users of a PBX real on Asterisk: realtime rows, told to every node, and proven.

    Exit codes: 0 done, 1 refused or failed, 2 wrong usage.
    """
    ctx.obj = {"config": config, "actor": actor}


for command in (
    db,
    user,
    plan,
    apply,
    export,
    history,
    undo,
    drift,
    reload,
    status,
    sync,
    conf,
    doctor,
    demo,
):
    main.add_command(command)
