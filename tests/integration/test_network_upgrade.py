"""One side is upgraded before the other: real processes, one of them of a later release."""

from __future__ import annotations

import sys
from contextlib import contextmanager

import pytest

from kapok.demo import processes

COUNT = "SELECT COUNT(*) FROM heart"
SAYS_MORE = """
from kapok.wire import gate
from kapok.wire.v1 import node_pb2
UNKNOWN, seen = b"\\xfa\\x3f\\x03new", []
def write(self, message):
    raw = message.SerializeToString() + UNKNOWN
    if isinstance(message, node_pb2.WatchResponse) and message.HasField("idle"):
        seen.append(message)
        if len(seen) % 2 == 0:
            raw = UNKNOWN
    self.traffic.sent(len(raw))
    return raw
gate.Gate._write = write
import kapok.broker.handlers
kapok.broker.handlers._IDLE_S = 0.2
"""
"""A later release, the same wire version: a new field in each message, and an assignment of a new kind."""
ANOTHER_WIRE = """
from kapok.wire import version
version.WIRE_VERSION = 2
version.STAMP = ((version.KEY, "2"),)
"""
"""A release that speaks another version of the wire."""


@pytest.fixture
def released(monkeypatch, network):
    """Runs the broker as another release, for a while."""

    def restart():
        network.broker.stop()
        network.broker.start()
        network.broker.wait_ready()

    @contextmanager
    def another(prelude):
        def command_line(arguments, home):
            program = f"{prelude}\nfrom kapok.cli import main\nmain()"
            return [sys.executable, "-c", program, *arguments, "--home", str(home)]

        with monkeypatch.context() as patched:
            patched.setattr(processes, "command_line", command_line)
            restart()
        try:
            yield
        finally:
            restart()

    return another


def answers(network):
    finished = network.kapok("query", COUNT, "--json")
    assert finished.status == 0, finished.stderr
    assert finished.document()["rows"] == [[920]]


def told(network, since, **wanted):
    """Whether a node's log has had such a line since."""
    lines = network.nodes["va"].log_entries()[since:]
    return any(wanted.items() <= line.items() for line in lines)


def test_a_broker_of_a_later_release_is_understood(network, released, until):
    before = len(network.nodes["va"].log_entries())
    with released(SAYS_MORE):
        answers(network)
        until(lambda: told(network, before, message="an assignment was left out", code="bad_answer"))
        answers(network)
    answers(network)


def test_a_broker_of_another_wire_is_told_apart_and_waited_for(network, released, fails, until):
    """Nodes that run go on trying: when their broker is of their version again, so are they."""
    before = len(network.nodes["va"].log_entries())
    with released(ANOTHER_WIRE):
        error = fails(network.kapok("query", COUNT, "--json"), 9, "wire_version_mismatch")
        assert "upgrade Kapok on" in error["remedy"]
        until(lambda: told(network, before, code="wire_version_mismatch"))
    answers(network)
