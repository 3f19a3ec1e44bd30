"""``provisioner reload`` and ``provisioner status``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from provisioner.cli.common import app_of, json_option, node_option, plain, print_json, print_table

if TYPE_CHECKING:
    from provisioner.service import Status


@click.command()
@click.argument("endpoints", metavar="[ENDPOINT]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every object of every cache.")
@node_option
@json_option
@click.pass_context
def reload(
    ctx: click.Context, endpoints: tuple[str, ...], everything: bool, node: str | None, as_json: bool
) -> None:
    """Make nodes read these endpoints again, and tell them of what they were not told yet.

    With neither ENDPOINT nor --all they are only told that. A node without caches gets a module reload.

    \b
    provisioner reload 7001 7002 --node pbx1
    """
    from provisioner.service import nodes

    if everything and endpoints:
        raise click.UsageError("give either endpoints or --all")
    done = nodes.reload(app_of(ctx), None if everything else endpoints, node)
    if as_json:
        print_json([{"node": one.node, "ok": one.ok, "did": one.did, "error": one.error} for one in done])
    else:
        for one in done:
            click.echo(f"node {one.node}: {one.did}" if one.ok else f"error: {one.error}", err=not one.ok)
    if not all(one.ok for one in done):
        ctx.exit(1)


@click.command()
@click.argument("endpoints", metavar="[ENDPOINT]...", nargs=-1)
@node_option
@click.option("--watch", is_flag=True, help="Show it again every two seconds, until Ctrl-C.")
@json_option
@click.pass_context
def status(
    ctx: click.Context, endpoints: tuple[str, ...], node: str | None, watch: bool, as_json: bool
) -> None:
    """Show who is registered: user, number, lines, phones and device state on every node.

    Exit code 1 where a node does not answer; the others are shown all the same.

    \b
    provisioner status 7001 --json
    """
    import time

    from provisioner.service import nodes

    app = app_of(ctx)
    while True:
        found = nodes.status(app, endpoints, node)
        if watch:
            click.clear()
        _print_status(found, as_json)
        if not watch:
            break
        time.sleep(2)
    if any(one.error for one in found.nodes):
        ctx.exit(1)


def _print_status(found: Status, as_json: bool) -> None:
    from provisioner.service import status_data

    data = status_data(found)
    if as_json:
        print_json(data)
        return
    rows: list[tuple[object, ...]] = []
    for line in found.lines:
        state = line.state if line.active else "disabled"
        about = (line.login, line.name, line.endpoint_id, line.lines, line.node, state)
        if not line.contacts:
            rows.append((*about, "", "", ""))
        for contact in line.contacts:
            trip = f"{contact.roundtrip_us / 1000:.1f} ms" if contact.roundtrip_us else ""
            rows.append((*about, contact.uri, contact.user_agent, trip))
    columns = ("user", "name", "extension", "lines", "node", "state", "contact", "user agent", "round trip")
    print_table(columns, rows)
    for node in found.nodes:
        if node.error:
            click.echo(f"error: {plain(node.error)}", err=True)
        elif node.pending:
            click.echo(
                f"node {node.node}: {node.pending} change(s) not told yet; run `provisioner reload`", err=True
            )
