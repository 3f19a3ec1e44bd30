"""What Prometheus is told; docs/sync.md says what each metric means. No label ever holds a secret."""

from __future__ import annotations

import platform
import threading
import time
from collections.abc import Collection
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from provisioner import __version__

_PROPAGATION: Final = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0
)  # fmt: skip
_ROUND: Final = (0.001, 0.0025, *_PROPAGATION)

_Series = tuple[Counter | Gauge | Histogram, tuple[str, ...]]


class Metrics:
    """The metrics of one daemon, in a registry of their own. Times are seconds; any thread may call."""

    def __init__(self) -> None:
        # Else each counter has a second series that nobody looks at.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        registry = self._registry = CollectorRegistry()
        node = ["node"]
        self._lag = Gauge(
            "provisioner_sync_lag_seconds",
            "Age of the oldest committed change that the node was not told of; 0: it knows all.",
            node,
            registry=registry,
        )
        self._queue = Gauge(
            "provisioner_sync_queue_changes",
            "Changes that the node was not told of yet.",
            node,
            registry=registry,
        )
        self._up = Gauge(
            "provisioner_sync_node_up", "1: we are logged in at the node's AMI.", node, registry=registry
        )
        self._rounds = Counter(
            "provisioner_sync_rounds", "Times that the node was told something.", node, registry=registry
        )
        self._changes = Counter(
            "provisioner_sync_changes", "Changes that the node was told of.", node, registry=registry
        )
        self._expired = Counter(
            "provisioner_sync_objects_expired",
            "Single objects (how=object) and whole caches (how=cache) expired.",
            ["node", "how"],
            registry=registry,
        )
        self._evicted = Counter(
            "provisioner_sync_contacts_evicted",
            "Registered phones that lost their right and were removed.",
            node,
            registry=registry,
        )
        self._renewed = Counter(
            "provisioner_sync_renewed",
            "Actions for what caches do not cover: device states, qualify, message waiting.",
            node,
            registry=registry,
        )
        self._errors = Counter(
            "provisioner_sync_errors",
            "Rounds that failed, by the kind of error.",
            ["node", "kind"],
            registry=registry,
        )
        self._round = Histogram(
            "provisioner_sync_round_seconds",
            "How long it took to tell a node.",
            node,
            buckets=_ROUND,
            registry=registry,
        )
        self._propagation = Histogram(
            "provisioner_sync_propagation_seconds",
            "From the commit of a round's oldest change until the node was told.",
            node,
            buckets=_PROPAGATION,
            registry=registry,
        )
        self._leader = Gauge(
            "provisioner_sync_leader", "1: this daemon leads; 0: it stands by.", registry=registry
        )
        self._database = Gauge("provisioner_sync_database_up", "1: the database answers.", registry=registry)
        built = Info("provisioner_build", "What runs here.", registry=registry)
        built.info({"version": __version__, "python": platform.python_version()})
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        self._lock = threading.Lock()
        self._speaks = True
        self._of_node: dict[str, set[_Series]] = {}

    def round_done(
        self,
        node: str,
        *,
        seconds: float,
        changes: int,
        expired: int,
        whole: Collection[str],
        evicted: int,
        renewed: int,
        lag: float | None,
    ) -> None:
        """The node was told. ``whole``: caches expired as a whole; ``lag``: since the oldest commit of it."""
        self._known(node)
        self._rounds.labels(node).inc()
        self._changes.labels(node).inc(changes)
        self._expired.labels(node, "object").inc(expired)
        self._expired.labels(node, "cache").inc(len(whole))
        self._evicted.labels(node).inc(evicted)
        self._renewed.labels(node).inc(renewed)
        self._round.labels(node).observe(max(seconds, 0.0))
        if lag is not None:
            # The database's clock and ours may differ by a little.
            self._propagation.labels(node).observe(max(lag, 0.0))

    def node_failed(self, node: str, kind: str) -> None:
        """A round failed; ``kind`` is the class of the error, one word."""
        self._known(node)
        self._note(node, self._errors, node, kind)
        self._errors.labels(node, kind).inc()

    def backlog(self, node: str, changes: int, lag_seconds: float) -> None:
        """What the node was not told yet. While there is something, its lag grows on by itself."""
        self._known(node)
        if not self._speaks:
            return
        self._note(node, self._lag, node)
        self._note(node, self._queue, node)
        self._queue.labels(node).set(changes)
        since = time.monotonic() - max(lag_seconds, 0.0)
        # A worker that hangs says nothing more: the lag must show all the same.
        self._lag.labels(node).set_function(lambda: time.monotonic() - since if changes else 0.0)

    def node_up(self, node: str, up: bool) -> None:
        """Whether we are logged in there."""
        self._known(node)
        if not self._speaks:
            return
        self._note(node, self._up, node)
        self._up.labels(node).set(up)

    def leading(self, leads: bool) -> None:
        """Whether this daemon leads. One that stands by knows nothing of nodes, and is silent on them."""
        self._leader.set(leads)
        self._speaks = leads
        if not leads:
            for gauge in (self._lag, self._queue, self._up):
                gauge.clear()

    def database_up(self, up: bool) -> None:
        """Whether the database answers."""
        self._database.set(up)

    def forget_node(self, node: str) -> None:
        """The node is no more in the settings: nothing of it is shown from now on."""
        with self._lock:
            for metric, labels in self._of_node.pop(node, set()):
                metric.remove(*labels)

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self._registry)

    def _known(self, node: str) -> None:
        """Counters that start at 0 rather than appear at 1: a rate sees the first step only then."""
        if node in self._of_node:
            return
        for counter in (self._rounds, self._changes, self._evicted, self._renewed):
            self._note(node, counter, node)
        for how in ("object", "cache"):
            self._note(node, self._expired, node, how)
        for histogram in (self._round, self._propagation):
            self._note(node, histogram, node)

    def _note(self, node: str, metric: Counter | Gauge | Histogram, *labels: str) -> None:
        """Make the series where it is not there, and remember it for when the node goes."""
        with self._lock:
            metric.labels(*labels)
            self._of_node.setdefault(node, set()).add((metric, labels))
