"""Faults, each a context: it begins, and where the block is left it has ended, whole parts running again."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from provisioner.lab.waiting import wait_for
from provisioner.store import Embedded
from tests.acceptance.harm import kill_postgresql
from tests.acceptance.sync.world import NODES, World

Fault = Callable[[World], AbstractContextManager[None]]

SKEWED = Path(__file__).parent / "skewed"
HOUR = 3600


@contextmanager
def node_killed(world: World) -> Iterator[None]:
    """An Asterisk crashes, and is started again."""
    asterisk = world.lab.nodes["pbx1"].asterisk
    asterisk.kill()
    try:
        yield
    finally:
        asterisk.start()


@contextmanager
def ami_cut(world: World) -> Iterator[None]:
    """The AMI connections of both nodes are reset, several times."""
    for _ in range(5):
        for name in NODES:
            world.links[name].cut()
        time.sleep(0.3)
    yield


@contextmanager
def ami_cut_in_a_list(world: World) -> Iterator[None]:
    """The connection is reset while a node lists the contacts of an AOR."""
    link = world.links["pbx2"]
    link.cut_at = b"Event: DBGetTreeResponse"
    wait_for("a list to be cut", lambda: not link.cut_at, 20)
    yield


@contextmanager
def ami_silent(world: World) -> Iterator[None]:
    """A node answers nothing any more, and nobody closes the connection."""
    world.links["pbx1"].silent = True
    yield
    world.links["pbx1"].fair()


@contextmanager
def database_stopped(world: World) -> Iterator[None]:
    """PostgreSQL is stopped as an administrator does, and started again."""
    server = Embedded(world.lab.home)
    server.stop()
    try:
        yield
    finally:
        server.ensure_running()


@contextmanager
def database_killed(world: World) -> Iterator[None]:
    """PostgreSQL crashes, and recovers."""
    kill_postgresql(world.lab)
    try:
        yield
    finally:
        Embedded(world.lab.home).ensure_running()


@contextmanager
def database_restarted_in_commits(world: World) -> Iterator[None]:
    """PostgreSQL is told to stop at once three times, wherever the changes and the daemon are just then."""
    server = Embedded(world.lab.home)
    for _ in range(3):
        status = server.status()
        assert status.pid is not None
        os.kill(status.pid, signal.SIGQUIT)
        wait_for("PostgreSQL to end", lambda: not server.status().running, 10)
        server.ensure_running()
        time.sleep(random.uniform(0.2, 0.6))
    yield


@contextmanager
def bad_network(world: World) -> Iterator[None]:
    """500 ms there and back between all the parts, and 5 % of what is sent is lost."""
    for link in world.links.values():
        link.delay, link.loss = 0.25, 0.05
    yield
    for link in world.links.values():
        link.fair()


@contextmanager
def daemon_killed(world: World) -> Iterator[None]:
    """The daemon crashes, and is started again."""
    world.daemon.kill()
    yield
    world.start_daemon()


@contextmanager
def taken_over(world: World) -> Iterator[None]:
    """The daemon crashes while another one stands by."""
    leader = world.daemon
    standby = world.start_daemon()
    wait_for("another daemon to stand by", lambda: standby.health().get("state") == "standby", 15)
    leader.kill()
    yield


@contextmanager
def clock_stepped(world: World) -> Iterator[None]:
    """The daemon's clock is an hour ahead, then an hour behind, then right again."""
    off_by = world.lab.home / "clock"
    off_by.write_text("0", "ascii")
    world.daemon.kill()
    world.start_daemon({"PYTHONPATH": str(SKEWED), "CLOCK_OFF_BY": str(off_by)})
    world.daemon.wait_until_leading()
    for step in (HOUR, -HOUR):
        off_by.write_text(str(step), "ascii")
        time.sleep(2)
    yield
    off_by.write_text("0", "ascii")


FAULTS: Mapping[str, Fault] = {
    fault.__name__: fault
    for fault in (
        node_killed,
        ami_cut,
        ami_cut_in_a_list,
        ami_silent,
        database_stopped,
        database_killed,
        database_restarted_in_commits,
        bad_network,
        daemon_killed,
        taken_over,
        clock_stepped,
    )
}
