"""A storm of registrations: phones that a node knows cost the database nothing."""

from __future__ import annotations

import pytest

from provisioner.lab import Lab
from provisioner.lab.storm import Storm, storm
from provisioner.lab.waiting import free_port, wait_for
from tests.acceptance.inside import Database
from tests.acceptance.people import AddUser

pytestmark = pytest.mark.acceptance

PHONES = 4
REGISTRATIONS = 400


QUIET = 3.0
"""Seconds without a query after which nothing goes on that new phones began: they are qualified in one."""


def last_query(database: Database) -> object:
    """When Asterisk last began to ask the database for anything."""
    rows = database.ask("SELECT max(query_start) FROM pg_stat_activity WHERE usename = 'asterisk'")
    return rows[0][0]


def quiet(database: Database) -> bool:
    """Whether Asterisk has asked nothing for a while."""
    rows = database.ask(
        "SELECT clock_timestamp() - max(query_start) > make_interval(secs => %(quiet)s) "
        "FROM pg_stat_activity WHERE usename = 'asterisk'",
        {"quiet": QUIET},
    )
    return bool(rows[0][0])


of_each_driver = pytest.mark.parametrize(
    "driver",
    [
        pytest.param("pgsql", marks=pytest.mark.lab()),
        pytest.param("odbc", marks=pytest.mark.lab(driver="odbc")),
    ],
)


@of_each_driver
def test_a_phone_that_the_node_knows_registers_without_a_query(
    lab: Lab, add_user: AddUser, driver: str
) -> None:
    database = Database(lab)
    secrets = {person.number: person.secret for person in (add_user() for _ in range(PHONES))}
    port = free_port()

    def register(registrations: int) -> Storm:
        return storm(lab.sip, secrets, registrations, port=port, containers=lab.containers)

    def asks_nothing() -> bool:
        wait_for("the database to be left in peace", lambda: quiet(database), 30)
        known = last_query(database)
        assert register(REGISTRATIONS).latencies.lost == 0
        return last_query(database) == known

    register(PHONES)
    # Now and then Asterisk asks by itself, when the time of a phone is up that was there before these.
    assert any(asks_nothing() for _ in range(3))
    known = last_query(database)
    lab.asterisk.rx("sorcery memory cache expire res_pjsip/aor")
    register(PHONES)
    assert last_query(database) != known


@of_each_driver
def test_a_node_reads_through_the_views_of_what_is_filled(lab: Lab, add_user: AddUser, driver: str) -> None:
    database = Database(lab)
    person = add_user()

    def register() -> Storm:
        for type in ("endpoint", "auth", "aor"):
            lab.asterisk.rx(f"sorcery memory cache expire res_pjsip/{type}")
        return storm(lab.sip, {person.number: person.secret}, 1, port=free_port(), containers=lab.containers)

    assert len(database.ask("SELECT unnest(provisioner.hidden('public.ps_endpoints'))")) > 100
    assert database.ask("SELECT provisioner.overlooked('public.ps_endpoints')") == [([],)]
    database.do("REVOKE SELECT ON public.ps_endpoints, public.ps_auths, public.ps_aors FROM asterisk")
    try:
        assert register().latencies.lost == 0
    finally:
        database.do("GRANT SELECT ON public.ps_endpoints, public.ps_auths, public.ps_aors TO asterisk")
