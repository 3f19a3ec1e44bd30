"""Who leads has a worker for every node of the settings, and says when one of them is stuck."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest

from provisioner.settings import Settings
from provisioner.store import Store
from provisioner.sync import lead as leading
from provisioner.sync.lead import Lead
from provisioner.sync.metrics import Metrics
from tests.unit.sync.parts import Outbox, obedient, until


def settings(nodes: dict[str, int], **sections: dict[str, Any]) -> Settings:
    tables = {
        name: {"port": port, "secret": "ami-secret", "action_timeout": 30} for name, port in nodes.items()
    }
    return Settings.model_validate({"home": Path("/nowhere"), "nodes": tables, **sections})


def run(outbox: Outbox, first: Settings, work: Callable[[Lead], Awaitable[None]]) -> None:
    async def main() -> None:
        lead = Lead(cast(Store, outbox), first, Metrics())
        try:
            await lead.adopt(first)
            await work(lead)
        finally:
            await lead.adopt(settings({}))

    asyncio.run(main())


def test_workers_of_nodes_that_stay_the_same_go_on() -> None:
    with obedient().running() as one, obedient().running() as two:

        async def work(lead: Lead) -> None:
            before = {worker.node.name: worker for worker in lead.workers}
            await lead.adopt(settings({"pbx1": one.port, "pbx3": two.port}))
            after = {worker.node.name: worker for worker in lead.workers}
            assert list(after) == ["pbx1", "pbx3"]
            assert after["pbx1"] is before["pbx1"]

        run(Outbox(), settings({"pbx1": one.port, "pbx2": two.port}), work)


@pytest.mark.parametrize(
    "changed",
    [{"sync": {"poll": 1}}, {"asterisk": {"contact_sweep": 7}}, {"asterisk": {"contacts": "realtime"}}],
)
def test_what_all_workers_go_by_makes_all_of_them_anew(changed: dict[str, dict[str, Any]]) -> None:
    with obedient().running() as one:

        async def work(lead: Lead) -> None:
            (before,) = lead.workers
            await lead.adopt(settings({"pbx1": one.port}, **changed))
            (after,) = lead.workers
            assert after is not before

        run(Outbox(), settings({"pbx1": one.port}), work)


def test_a_worker_that_waits_much_too_long_for_the_database_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    outbox = Outbox(slow=1.0)
    with obedient().running() as one:

        async def work(lead: Lead) -> None:
            assert not lead.is_stuck()
            monkeypatch.setattr(leading, "STUCK", -60.0)  # the database's own limit is 60
            await until(lead.is_stuck, "the worker to be stuck")
            monkeypatch.setattr(leading, "STUCK", 300.0)
            assert not lead.is_stuck()

        run(outbox, settings({"pbx1": one.port}), work)


def test_a_worker_that_ended_is_a_fault_too() -> None:
    with obedient().running() as one:

        async def work(lead: Lead) -> None:
            (task,) = [task for task in asyncio.all_tasks() if "Worker.run" in repr(task)]
            task.cancel()
            await until(lead.is_stuck, "the end to be noticed")

        run(Outbox(), settings({"pbx1": one.port}), work)
