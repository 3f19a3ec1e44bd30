"""Settings in, files out: one template for each file of ``/etc/asterisk`` that we own."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

import jinja2

from provisioner.conf import modules, syntax
from provisioner.conf.access import DatabaseAccess
from provisioner.conf.marker import mark
from provisioner.conf.trunks import trunk_secret, trunks
from provisioner.errors import ConfError
from provisioner.realtime import NODES_SCHEMA
from provisioner.resources import resource_dir
from provisioner.settings import AsteriskSettings, NodeSettings, Settings

TABLES: Final = ("ps_endpoints", "ps_auths", "ps_aors", "ps_contacts")

_ALWAYS: Final = (
    "acl.conf",
    "asterisk.conf",
    "ccss.conf",
    "cdr.conf",
    "cel.conf",
    "extconfig.conf",
    "extensions.conf",
    "features.conf",
    "indications.conf",
    "logger.conf",
    "manager.conf",
    "modules.conf",
    "pjproject.conf",
    "pjsip.conf",
    "rtp.conf",
    "sorcery.conf",
    "stasis.conf",
    "udptl.conf",
)
_OF_DRIVER: Final[Mapping[str, tuple[str, ...]]] = {
    "pgsql": ("res_pgsql.conf",),
    "odbc": ("odbc.ini", "odbcinst.ini", "res_odbc.conf"),
}
_OF_WEBSOCKET: Final = ("http.conf",)
WITH_SECRETS: Final = frozenset({"manager.conf", "pjsip.conf", "res_pgsql.conf", "res_odbc.conf"})
KNOWN: Final = frozenset(_ALWAYS + _OF_WEBSOCKET).union(*_OF_DRIVER.values())


def render(settings: Settings, node: NodeSettings, access: DatabaseAccess) -> dict[str, str]:
    """Every file that ``node`` needs in its ``/etc/asterisk``, as name -> text.

    The texts of manager.conf, of the database driver's file and, of several nodes, of pjsip.conf hold
    secrets. Raises ConfError that names
    each setting which Asterisk's files cannot carry, and SettingsError where the node's secret file
    cannot be read.
    """
    syntax.check(settings, node, access)
    values = _values(settings, node, access)
    asterisk = values["asterisk"]
    names = [*_ALWAYS, *_OF_DRIVER[asterisk.driver]]
    if modules.needs_websocket(asterisk):
        names += _OF_WEBSOCKET
    return {name: mark(_body(name, values)) for name in sorted(names)}


def _body(name: str, values: Mapping[str, Any]) -> str:
    try:
        return _environment().get_template(f"{name}.j2").render(values)
    except ConfError as exc:
        raise ConfError(f"{name}: {exc}") from None
    except jinja2.TemplateError as exc:
        raise ConfError(f"{name}: its template is broken: {exc}") from exc


def _values(settings: Settings, node: NodeSettings, access: DatabaseAccess) -> dict[str, Any]:
    asterisk = node.laid_over(settings.asterisk)
    ways = trunks(settings, node)
    loopback = _is_loopback(node.host)
    ami_address = "127.0.0.1" if loopback else asterisk.bind_address
    return {
        "asterisk": asterisk,
        "node": node,
        "node_secret": node.read_secret(),
        "access": access,
        "places": {table: _place(table, asterisk, access) for table in TABLES},
        "paths": _paths(asterisk, access),
        "preload": modules.preload(asterisk),
        "module_groups": modules.groups(asterisk, bool(ways)),
        "trunks": ways,
        "trunk_secret": trunk_secret(access) if ways else None,
        "sip_host": _bracketed(asterisk.bind_address),
        "ami_address": ami_address,
        "ami_host": _bracketed(ami_address),
        # Beside TLS, so that two nodes on one machine do not meet.
        "ami_plain_port": node.port - 1 if node.port > 1 else node.port + 1,
        "ami_loopback_only": loopback or _is_loopback(asterisk.bind_address),
    }


def _place(table: str, asterisk: AsteriskSettings, access: DatabaseAccess) -> str:
    """Database and table of extconfig.conf, where Asterisk finds a view of what it reads, if there is one.

    What it writes must be the table itself: both drivers look for its columns in the first schema only.
    res_config_odbc takes no schema, so that table has a connection of its own.
    """
    if table != "ps_contacts" or asterisk.contacts != "realtime":
        return f"asterisk,{table}"
    return f"asterisk,{access.schema}.{table}" if asterisk.driver == "pgsql" else f"contacts,{table}"


def _paths(asterisk: AsteriskSettings, access: DatabaseAccess) -> dict[str, str]:
    """The search_path of each ODBC connection."""
    paths = {"asterisk": f"{NODES_SCHEMA},{access.schema}"}
    return paths | {"contacts": access.schema} if asterisk.contacts == "realtime" else paths


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(resource_dir("asterisk_conf")),
        undefined=jinja2.StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - no HTML; _finalize escapes every value for Asterisk's own syntax
    )
    filters: dict[str, Callable[..., Any]] = {"conninfo": syntax.conninfo}
    environment.filters.update(filters)
    return environment


def _finalize(value: object) -> str:
    """Runs on every value, and on no text of the template itself: nothing gets in unescaped."""
    if value is None:
        raise ConfError("a value that this file needs is not set")
    text = str(value)
    return syntax.escape(text) if text else text
