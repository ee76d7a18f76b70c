"""Metrics are named as Prometheus' conventions have it; pages and alert rules name those that there are."""

import re
from pathlib import Path

import pytest
import yaml

from kapok.broker.metrics import BrokerMetrics
from kapok.broker.presence import Presence
from kapok.nodes.metrics import NodeMetrics
from kapok.wire.health import Health
from kapok.wire.traffic import Traffic

DOCS = Path(__file__).parents[2] / "docs"
UNITS = {
    "seconds",
    "bytes",
    "messages",
    "jobs",
    "nodes",
    "uploads",
    "rounds",
    "questions",
    "releases",
    "pauses",
}
STATES = {"serving", "paused", "connected", "fds"}
NAME = re.compile(r"\b(?:kapok|process)_[a-z0-9_]+")


def families(registry):
    return {
        family.name: family for family in registry.collect() if family.name != "process_start_time_seconds"
    }


@pytest.fixture(scope="module")
def told():
    """Every family that a broker and a node tell."""
    broker = BrokerMetrics(None, Presence(), lambda: 0.0)
    broker.tell_server(Traffic(), Health(()))
    node = NodeMetrics(lambda: 0.0, lambda: 0.0)
    node.decided("refused", "not_authorised")
    return families(broker.registry) | families(node.registry)


def samples(told):
    return {sample.name for family in told.values() for sample in family.samples}


def test_names_end_with_a_unit_and_counters_with_total(told):
    for name, family in told.items():
        words = name.split("_")
        assert words[-1] in UNITS | STATES, name
        assert family.documentation.endswith("."), name
        if family.type == "counter":
            assert not name.endswith("_total")  # the library adds it
        else:
            assert "total" not in words, name


def test_no_label_takes_more_than_a_few_values(told):
    labels = {label for family in told.values() for sample in family.samples for label in sample.labels}
    assert labels == {"state", "decision", "code", "le"}


def test_alert_rules_name_metrics_that_there_are_and_say_what_to_do(told):
    rules = yaml.safe_load((DOCS / "prometheus" / "kapok.rules.yml").read_text())
    alerts = [rule for group in rules["groups"] for rule in group["rules"]]
    assert len(alerts) >= 5
    for rule in alerts:
        named = set(NAME.findall(rule["expr"]))
        assert named <= samples(told), rule["alert"]
        assert named or "up{" in rule["expr"]
        assert rule["annotations"].keys() == {"summary", "remedy"}
        assert rule["labels"]["severity"] in {"page", "ticket"}


def test_the_page_names_every_metric(told):
    page = (DOCS / "operating.md").read_text()
    told_of = set()
    for cell in re.findall(r"^\| (`kapok_[^|]*) \|", page, re.MULTILINE):
        first, *more = re.findall(r"`([^`]+)`", cell)
        role = "_".join(first.split("_")[:2])
        told_of |= {name for one in (first, *more) for name in spelt(one.replace("…", role))}
    assert {f"{one}_total" for one in ("kapok_broker_jobs", "kapok_node_releases")} <= told_of
    own = {name for name in told if name.startswith(("kapok_broker", "kapok_node"))} | {"process_*"}
    assert own == {name.removesuffix("_total") for name in told_of}


def spelt(name):
    """A name with alternatives in braces, each written out; braces at the end are labels."""
    name = re.sub(r"\{[a-z,]+\}$", "", name)
    found = re.search(r"\{([a-z,]+)\}", name)
    if found is None:
        return {name}
    parts = (name[: found.start()] + one + name[found.end() :] for one in found[1].split(","))
    return {full for part in parts for full in spelt(part)}
