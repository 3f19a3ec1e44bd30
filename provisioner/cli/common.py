"""What commands share: the service, JSON, tables, and the report of what nodes were told."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from provisioner.errors import Interrupted

if TYPE_CHECKING:
    from provisioner.secret import Secret
    from provisioner.service import App, Outcome, Told

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
node_option = click.option("--node", metavar="NAME", help="Only this node of the settings.")


def _leave(ctx: click.Context, option: click.Parameter, value: bool) -> None:
    ctx.obj["wait"] = not value


no_wait_option = click.option(
    "--no-wait",
    is_flag=True,
    expose_value=False,
    callback=_leave,
    help="Where `provisioner sync` runs, leave telling the nodes to it, and prove nothing.",
)
extension_option = click.option(
    "--extension",
    metavar="ID",
    help="Which extension of the user, such as 7002 or 7001-support; else the primary one.",
)
# A text here: the rules of records judge it, like every other field.
lines_option = click.option(
    "--lines",
    metavar="COUNT",
    default="1",
    show_default=True,
    help="Incoming calls at once, and phones: 1 to 99.",
)
secret_stdin_option = click.option(
    "--secret-stdin",
    is_flag=True,
    help="Read the SIP secret from the first line of standard input; else one of 24 characters is made.",
)


def app_of(ctx: click.Context) -> App:
    """The service with the settings of this command; its connections end with the command."""
    from provisioner.service import App
    from provisioner.settings import actor, load

    settings = load(ctx.obj["config"])
    wait = ctx.obj.get("wait", True)
    app = App(settings, actor=actor(ctx.obj["actor"]), command=ctx.command_path, wait=wait)
    ctx.call_on_close(app.close)
    return app


@contextmanager
def stoppable() -> Iterator[None]:
    """Ctrl-C and SIGTERM in here end the command with the word that nothing was written.

    What may be written by then says so itself, with an Interrupted of its own.
    """
    import signal

    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except (KeyboardInterrupt, click.Abort):
        raise Interrupted("Interrupted: nothing was written.") from None
    finally:
        signal.signal(signal.SIGTERM, before)


def read_secret(wanted: bool) -> Secret | None:
    """The first line of standard input, or what is typed twice on a terminal."""
    if not wanted:
        return None
    import sys

    from provisioner.secret import Secret

    if sys.stdin.isatty():
        return Secret(click.prompt("SIP secret", hide_input=True, confirmation_prompt=True, err=True))
    # What is no UTF-8 becomes a character that the rules for secrets refuse.
    return Secret(sys.stdin.buffer.readline().decode("utf-8", "replace").rstrip("\r\n"))


def print_json(data: Any) -> None:
    """One JSON document on stdout, letters of every script as themselves."""
    click.echo(json.dumps(data, ensure_ascii=False, indent=2))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table on stdout: drawn for a terminal, tab separated otherwise."""
    import sys

    if not sys.stdout.isatty():
        for row in (columns, *rows):
            click.echo("\t".join(plain(cell) for cell in row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*(Text(plain(cell)) for cell in row))
    Console().print(table)


def plain(cell: object) -> str:
    """A cell as one line of text; what would move a terminal's cursor is shown as an escape."""
    text = "" if cell is None else str(cell)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def report_nodes(ctx: click.Context, nodes: Iterable[Told]) -> None:
    """Say on stderr what each node was told; exit code 1 where one was not."""
    failed = False
    for told in nodes:
        if told.ok:
            took = f" in {told.seconds * 1000:.0f} ms" if told.seconds else ""
            click.echo(f"node {told.node}: {told.reached}{took}", err=True)
        else:
            failed = True
            why = (told.error or "").rstrip(".")
            click.echo(
                f"error: written, but node {told.node} {told.reached}: {why}; "
                "the next command tells it again, or run `provisioner reload`",
                err=True,
            )
    if failed:
        ctx.exit(1)


def nodes_data(nodes: Iterable[Told]) -> list[dict[str, Any]]:
    """What each node was told, for JSON."""
    return [
        {"node": told.node, "ok": told.ok, "seconds": round(told.seconds, 3), "error": told.error}
        for told in nodes
    ]


def report_outcome(ctx: click.Context, did: str, outcome: Outcome, as_json: bool) -> None:
    """Print a change of a user, its new secrets (the only time they are shown), and what nodes say."""
    from provisioner.records import user_data

    if as_json:
        secrets = [
            {"extension": new.endpoint_id, "secret": new.secret.reveal()}
            for new in outcome.issued
            if new.generated
        ]
        print_json({**user_data(outcome.user), "secrets": secrets, "nodes": nodes_data(outcome.nodes)})
    else:
        click.echo(f"{did} {plain(outcome.user.login)}: {describe(outcome)}")
        for new in outcome.issued:
            if new.generated:
                click.echo(f"secret of {new.endpoint_id}: {new.secret.reveal()}   (shown this once)")
    report_nodes(ctx, outcome.nodes)


def describe(outcome: Outcome) -> str:
    """The extensions of a user in a few words: ``7001 (2 lines), 7001-support (1 line)``."""
    return ", ".join(
        f"{part.endpoint_id} ({part.lines} line{'s' if part.lines != 1 else ''})"
        for part in outcome.user.extensions
    )
