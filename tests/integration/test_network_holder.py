"""A holder's officer beside the running node: stops it, lets it go on, changes its policy, looks it up."""

import os
import signal

import pytest

from kapok.demo.processes import call

COUNT = "SELECT COUNT(*) FROM heart"


@pytest.fixture
def va(network):
    return network.nodes["va"]


def told(va, *arguments):
    finished = call(["node", *arguments, "--json"], va.home)
    assert finished.status == 0, finished.stderr
    return finished.document()


def test_a_pause_stops_a_running_node_without_the_broker_and_is_on_record(network, fails, va, until):
    told(va, "pause", "--reason", "the audit of room 4711")
    try:
        finished = network.kapok("query", COUNT, "--json")
        error = fails(finished, 4, "holder_paused")
        assert error["party"].endswith("/org/va/node/main")
        assert "4711" not in finished.stdout + finished.stderr
        until(lambda: any("paused by the holder" in str(one) for one in va.log_entries()))
        # It outlives a restart.
        va.stop()
        va.start()
        va.wait_ready()
        fails(network.kapok("query", COUNT, "--json"), 4, "holder_paused")
        checked = call(["node", "check", "--json"], va.home)
        assert checked.status == 3
        assert any("the audit of room 4711" in one for one in checked.document()["problems"])
    finally:
        told(va, "resume")
    assert network.kapok("query", COUNT, "--json").document()["rows"] == [[920]]
    found = told(va, "history")
    assert found["paused"] is False
    assert [one["reason"] for one in found["pauses"]] == ["the audit of room 4711"]
    *_, first, second, last = found["asked"]
    assert [one["code"] for one in (first, second)] == ["holder_paused"] * 2
    assert (first["counted"], last["counted"]) == (False, True)
    until(lambda: told(va, "history")["asked"][-1]["outcome"] == "released")


def test_a_policy_changes_at_the_signal_and_a_broken_one_does_not(network, fails, va, until):
    file = va.home / "policy.toml"
    kept = file.read_text()

    def reload(text):
        file.write_text(text)
        os.kill(va.pid, signal.SIGHUP)

    before = told(va, "history")["policies"]
    assert before[-1]["policy"] == kept
    try:
        reload(kept + "nonsense")
        until(lambda: any("NOT reloaded" in str(one) for one in va.log_entries()))
        assert network.kapok("query", COUNT, "--json").document()["rows"] == [[920]]
        assert told(va, "history")["policies"] == before
        reload(kept.replace('"count"', '"sum"', 1))
        until(lambda: len(told(va, "history")["policies"]) == len(before) + 1)
        error = fails(network.kapok("query", COUNT, "--json"), 4, "operation_not_allowed")
        assert error["clause"].endswith(".operations")
    finally:
        reload(kept)
    until(lambda: len(told(va, "history")["policies"]) == len(before) + 2)
    assert network.kapok("query", COUNT, "--json").document()["rows"] == [[920]]
    numbers = [one["policy"] for one in told(va, "history")["asked"][-3:]]
    assert numbers == [before[-1]["number"] + step for step in (0, 1, 2)]
