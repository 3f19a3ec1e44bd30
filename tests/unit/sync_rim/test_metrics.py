"""What Prometheus reads: the names it knows them by, and figures that are true at the moment it asks."""

from __future__ import annotations

import re
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from provisioner.sync.metrics import Metrics

COUNTERS = {
    "provisioner_sync_rounds_total",
    "provisioner_sync_changes_total",
    "provisioner_sync_objects_expired_total",
    "provisioner_sync_contacts_evicted_total",
    "provisioner_sync_renewed_total",
}


def samples(metrics: Metrics) -> dict[tuple[str, str], float]:
    """Name and all labels but `node`, as ``how=object`` -> value; of the node pbx1 or of none."""
    found = {}
    for family in text_string_to_metric_families(metrics.text().decode()):
        for sample in family.samples:
            labels = dict(sample.labels)
            if labels.pop("node", "pbx1") == "pbx1":
                found[sample.name, ",".join(f"{key}={value}" for key, value in labels.items())] = sample.value
    return found


def told(metrics: Metrics, node: str = "pbx1", *, lag: float | None = 0.02) -> None:
    metrics.round_done(
        node, seconds=0.004, changes=3, expired=5, whole=("aor", "auth"), evicted=1, renewed=2, lag=lag
    )


def test_a_round_counts_all_it_did() -> None:
    metrics = Metrics()
    told(metrics)
    told(metrics)

    found = samples(metrics)
    assert found["provisioner_sync_rounds_total", ""] == 2
    assert found["provisioner_sync_changes_total", ""] == 6
    assert found["provisioner_sync_objects_expired_total", "how=object"] == 10
    assert found["provisioner_sync_objects_expired_total", "how=cache"] == 4
    assert found["provisioner_sync_contacts_evicted_total", ""] == 2
    assert found["provisioner_sync_renewed_total", ""] == 4
    assert found["provisioner_sync_round_seconds_bucket", "le=0.0025"] == 0
    assert found["provisioner_sync_round_seconds_bucket", "le=0.005"] == 2
    assert found["provisioner_sync_propagation_seconds_bucket", "le=0.01"] == 0
    assert found["provisioner_sync_propagation_seconds_bucket", "le=0.025"] == 2


def test_a_round_that_no_commit_stands_behind_says_nothing_of_propagation() -> None:
    metrics = Metrics()
    told(metrics, lag=None)
    told(metrics, lag=-0.5)  # the clocks of two machines

    found = samples(metrics)
    assert found["provisioner_sync_propagation_seconds_count", ""] == 1
    assert found["provisioner_sync_propagation_seconds_sum", ""] == 0


def test_propagation_is_measured_from_5_ms_to_a_minute() -> None:
    metrics = Metrics()
    told(metrics)
    bounds = {
        labels.removeprefix("le=")
        for name, labels in samples(metrics)
        if name == "provisioner_sync_propagation_seconds_bucket"
    }
    assert {"0.005", "0.1", "60.0", "+Inf"} <= bounds


def test_errors_are_counted_by_kind() -> None:
    metrics = Metrics()
    metrics.node_failed("pbx1", "NodeUnavailable")
    metrics.node_failed("pbx1", "NodeUnavailable")
    metrics.node_failed("pbx1", "ActionTimeout")

    found = samples(metrics)
    assert found["provisioner_sync_errors_total", "kind=NodeUnavailable"] == 2
    assert found["provisioner_sync_errors_total", "kind=ActionTimeout"] == 1


def test_counters_of_a_node_start_at_nought_so_that_a_rate_sees_the_first_step() -> None:
    metrics = Metrics()
    metrics.node_up("pbx1", False)

    found = samples(metrics)
    assert {name for (name, _), value in found.items() if value == 0} >= COUNTERS


def test_the_lag_of_changes_not_told_grows_by_itself() -> None:
    metrics = Metrics()
    metrics.backlog("pbx1", 4, 10.0)
    first = samples(metrics)["provisioner_sync_lag_seconds", ""]
    time.sleep(0.01)  # time is what is measured here
    second = samples(metrics)["provisioner_sync_lag_seconds", ""]

    assert 10.0 <= first < second
    assert samples(metrics)["provisioner_sync_queue_changes", ""] == 4


def test_a_node_that_knows_all_lags_by_nothing() -> None:
    metrics = Metrics()
    metrics.backlog("pbx1", 4, 10.0)
    metrics.backlog("pbx1", 0, 0.0)

    assert samples(metrics)["provisioner_sync_lag_seconds", ""] == 0
    assert samples(metrics)["provisioner_sync_queue_changes", ""] == 0


def test_a_daemon_that_stands_by_says_nothing_of_nodes_backlog_but_keeps_its_counters() -> None:
    metrics = Metrics()
    metrics.leading(True)
    metrics.backlog("pbx1", 4, 10.0)
    metrics.node_up("pbx1", True)
    told(metrics)
    metrics.leading(False)
    metrics.node_up("pbx1", False)  # its connection ends a moment later
    metrics.backlog("pbx1", 4, 10.0)

    found = {name: value for (name, _), value in samples(metrics).items()}
    assert found["provisioner_sync_leader"] == 0
    assert found["provisioner_sync_rounds_total"] == 1
    assert not found.keys() & {
        "provisioner_sync_lag_seconds",
        "provisioner_sync_queue_changes",
        "provisioner_sync_node_up",
    }
    metrics.leading(True)
    metrics.node_up("pbx1", True)
    assert samples(metrics)["provisioner_sync_node_up", ""] == 1


@pytest.mark.parametrize("leads", [True, False])
def test_a_node_that_left_the_settings_leaves_the_metrics(leads: bool) -> None:
    metrics = Metrics()
    for node in ("pbx1", "pbx2"):
        metrics.backlog(node, 4, 10.0)
        metrics.node_up(node, True)
        metrics.node_failed(node, "NodeUnavailable")
        told(metrics, node)
    metrics.leading(leads)
    metrics.forget_node("pbx1")
    metrics.forget_node("pbx1")

    text = metrics.text().decode()
    assert "pbx1" not in text
    assert "pbx2" in text

    told(metrics)
    assert samples(metrics)["provisioner_sync_rounds_total", ""] == 1


def test_lead_database_build_and_process_are_shown() -> None:
    metrics = Metrics()
    metrics.leading(True)
    metrics.database_up(True)

    found = {name: value for (name, _), value in samples(metrics).items()}
    assert found["provisioner_sync_leader"] == found["provisioner_sync_database_up"] == 1
    assert found["provisioner_build_info"] == 1
    assert found["process_resident_memory_bytes"] > 0
    assert "python_info" in found


def test_names_follow_the_conventions_and_each_has_a_sentence() -> None:
    metrics = Metrics()
    told(metrics)
    metrics.node_failed("pbx1", "NodeUnavailable")
    for family in text_string_to_metric_families(metrics.text().decode()):
        assert re.fullmatch(r"(provisioner|process|python)_[a-z_]+", family.name)
        assert family.documentation.rstrip(".")


def test_two_daemons_in_one_process_do_not_share_figures() -> None:
    one, other = Metrics(), Metrics()
    told(one)
    assert ("provisioner_sync_rounds_total", "") not in samples(other)
