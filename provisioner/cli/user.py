"""``provisioner user ...``."""

from __future__ import annotations

import click

from provisioner.cli.common import (
    app_of,
    extension_option,
    json_option,
    lines_option,
    no_wait_option,
    plain,
    print_json,
    print_table,
    read_secret,
    report_outcome,
    secret_stdin_option,
)
from provisioner.cli.extension import extension


@click.group()
def user() -> None:
    """Add, show, change and delete users.

    \b
    provisioner user add anna --name "Anna Kowalska" --lines 2
    """


user.add_command(extension)


@user.command()
@click.argument("login")
@click.option("--name", required=True, help="Full name; shown to those the user calls.")
@click.option("--email", help="E-mail address.")
@click.option("--extension", "number", metavar="NUMBER", help="2 to 15 digits; else the next free one.")
@lines_option
@click.option("--webrtc", is_flag=True, help="The phones are browsers (SIP over WebSocket, DTLS).")
@click.option("--inactive", is_flag=True, help="Create the user disabled.")
@secret_stdin_option
@no_wait_option
@json_option
@click.pass_context
def add(
    ctx: click.Context,
    login: str,
    name: str,
    email: str | None,
    number: str | None,
    lines: str,
    webrtc: bool,
    inactive: bool,
    secret_stdin: bool,
    as_json: bool,
) -> None:
    """Create a user with an extension that works when the command returns.

    \b
    provisioner user add anna --name "Anna Kowalska" --email anna@example.net --lines 2
    pass show sip/ivan | provisioner user add ivan --name "Иван Иванов" --extension 7042 --secret-stdin
    """
    from provisioner.records import validate_user
    from provisioner.service import users

    spec = validate_user(
        login=login,
        name=name,
        email=email,
        active=not inactive,
        webrtc=webrtc,
        extensions=[{"number": number, "lines": lines, "secret": read_secret(secret_stdin)}],
    )
    report_outcome(ctx, "created", users.add(app_of(ctx), spec), as_json)


@user.command()
@click.argument("login")
@json_option
@click.pass_context
def show(ctx: click.Context, login: str, as_json: bool) -> None:
    """Show one user.

    \b
    provisioner user show anna
    """
    from provisioner.service import stored_data, users

    data = stored_data(users.show(app_of(ctx), login))
    if as_json:
        print_json(data)
        return
    for key, value in data.items():
        if key != "extensions":
            click.echo(f"{key:<10} {_words(value)}")
    for part in data["extensions"]:
        click.echo(f"extension  {part['endpoint_id']}  {part['kind']}, {part['lines']} line(s)")


@user.command("list")
@click.option("--deleted", is_flag=True, help="The deleted users instead.")
@json_option
@click.pass_context
def list_(ctx: click.Context, deleted: bool, as_json: bool) -> None:
    """List users.

    \b
    provisioner user list --json
    """
    from provisioner.service import stored_data, users

    found = [stored_data(stored) for stored in users.list_users(app_of(ctx), deleted=deleted)]
    if as_json:
        print_json(found)
        return
    print_table(
        ("login", "name", "email", "active", "extensions"),
        [
            (
                one["login"],
                one["name"],
                one["email"],
                _words(one["active"]),
                ", ".join(f"{part['endpoint_id']}x{part['lines']}" for part in one["extensions"]),
            )
            for one in found
        ],
    )


@user.command("set")
@click.argument("login")
@click.option("--name", help="New full name.")
@click.option("--email", help='New e-mail address; "" removes it.')
@click.option(
    "--lines", metavar="COUNT", help="New number of lines; phones over it are cut off, the newest stay."
)
@click.option("--webrtc/--no-webrtc", default=None, help="Whether the phones are browsers.")
@extension_option
@no_wait_option
@json_option
@click.pass_context
def set_(
    ctx: click.Context,
    login: str,
    name: str | None,
    email: str | None,
    lines: str | None,
    webrtc: bool | None,
    extension: str | None,
    as_json: bool,
) -> None:
    """Change a user.

    \b
    provisioner user set anna --lines 1
    provisioner user set anna --webrtc
    """
    from provisioner.service import users

    if all(value is None for value in (name, email, lines, webrtc)):
        raise click.UsageError("nothing to change: give --name, --email, --lines, --webrtc or --no-webrtc")
    outcome = users.set_fields(
        app_of(ctx), login, name=name, email=email, webrtc=webrtc, lines=lines, extension=extension
    )
    report_outcome(ctx, "changed", outcome, as_json)


@user.command()
@click.argument("login")
@no_wait_option
@json_option
@click.pass_context
def disable(ctx: click.Context, login: str, as_json: bool) -> None:
    """Take a user's phones out of service, at once; the record stays.

    \b
    provisioner user disable anna
    """
    from provisioner.service import users

    report_outcome(ctx, "disabled", users.set_active(app_of(ctx), login, False), as_json)


@user.command()
@click.argument("login")
@no_wait_option
@json_option
@click.pass_context
def enable(ctx: click.Context, login: str, as_json: bool) -> None:
    """Put a disabled user back into service, with the old secret.

    \b
    provisioner user enable anna
    """
    from provisioner.service import users

    report_outcome(ctx, "enabled", users.set_active(app_of(ctx), login, True), as_json)


@user.command()
@click.argument("login")
@extension_option
@secret_stdin_option
@no_wait_option
@json_option
@click.pass_context
def secret(ctx: click.Context, login: str, extension: str | None, secret_stdin: bool, as_json: bool) -> None:
    """Give an extension a new SIP secret; phones with the old one are cut off.

    \b
    provisioner user secret anna
    """
    from provisioner.service import users

    outcome = users.rotate_secret(app_of(ctx), login, extension, read_secret(secret_stdin))
    report_outcome(ctx, "new secret for", outcome, as_json)


@user.command()
@click.argument("login")
@click.option("--yes", is_flag=True, help="Do not ask.")
@no_wait_option
@json_option
@click.pass_context
def delete(ctx: click.Context, login: str, yes: bool, as_json: bool) -> None:
    """Delete a user; the number rests, and `user restore` brings both back meanwhile.

    \b
    provisioner user delete anna --yes
    """
    from provisioner.service import users

    app = app_of(ctx)
    if not yes:
        click.confirm(f"Delete {plain(login)} and cut off all phones of this user?", abort=True, err=True)
    report_outcome(ctx, "deleted", users.delete(app, login), as_json)


@user.command()
@click.argument("login")
@no_wait_option
@json_option
@click.pass_context
def restore(ctx: click.Context, login: str, as_json: bool) -> None:
    """Bring a deleted user back, with number and secret.

    \b
    provisioner user restore anna
    """
    from provisioner.service import users

    report_outcome(ctx, "restored", users.restore(app_of(ctx), login), as_json)


def _words(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return plain(value)
