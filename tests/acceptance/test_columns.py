"""The tables that we make hold every option that the running Asterisk knows, and no other."""

from __future__ import annotations

import re

import pytest

from provisioner.lab import Lab
from provisioner.store import Embedded, Store

pytestmark = pytest.mark.acceptance

HELP = {
    "ps_endpoints": "res_pjsip endpoint",
    "ps_auths": "res_pjsip auth",
    "ps_aors": "res_pjsip aor",
    "ps_contacts": "res_pjsip contact",
    "ps_domain_aliases": "res_pjsip domain_alias",
    "ps_endpoint_id_ips": "res_pjsip_endpoint_identifier_ip identify",
}
# ``type`` says in a file which kind of object a section is; in a table the table says so.
NO_COLUMN = {"type"}
NO_OPTION = {"id"}


def options(lab: Lab, kind: str) -> set[str]:
    """What ``config show help`` lists, as ``name  -- what it does``, in colours."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", lab.asterisk.rx(f"config show help {kind}"))
    return set(re.findall(r"^(\S+) +-- ", plain, re.MULTILINE))


@pytest.mark.parametrize("table", HELP)
def test_a_table_has_exactly_the_options_that_asterisk_lists(lab: Lab, table: str) -> None:
    listed = options(lab, HELP[table])
    with Store(Embedded(lab.home).ensure_running()) as store:
        columns = set(store.columns()[table])
    assert listed, "Asterisk lists nothing"
    assert listed - columns == NO_COLUMN
    assert columns - listed == NO_OPTION
