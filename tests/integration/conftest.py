"""The whole network, as real processes on loopback, brought up once by the demonstration's own code."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kapok.demo.hospitals import QUESTIONS
from kapok.demo.network import Network
from kapok.demo.processes import Finished, command_line, environment

PATIENCE_S = 30.0


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """Authority, broker, four hospitals, an analyst; a 2048-bit key. A first answer has fixed the cohort."""
    with Network(tmp_path_factory.mktemp("network"), bits=2048) as network:
        first = network.kapok("query", QUESTIONS[0], "--json")
        assert first.status == 0, first.stderr
        yield network


@pytest.fixture(scope="session")
def fails() -> Callable[[Finished, int, str], dict[str, Any]]:
    """Check how a command failed: status, code, no traceback. Gives the error if it was told in JSON."""

    def check(finished: Finished, status: int, code: str) -> dict[str, Any]:
        said = finished.stdout + finished.stderr
        assert "Traceback" not in said, said
        assert finished.status == status, said
        if finished.stderr.startswith('{\n  "error"'):
            error: dict[str, Any] = json.loads(finished.stderr)["error"]
            assert error["code"] == code, error
            return error
        assert f"[{code}]" in finished.stderr
        return {}

    return check


@pytest.fixture(scope="session")
def begin() -> Callable[..., subprocess.Popen[str]]:
    """Start a command and do not wait for it."""

    def work(home: Path, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command_line(arguments, home),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )

    return work


@pytest.fixture(scope="session")
def until() -> Callable[[Callable[[], Any]], Any]:
    """Ask again and again until the answer is true; give it back."""

    def work(ask: Callable[[], Any]) -> Any:
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            if answer := ask():
                return answer
            time.sleep(0.05)
        raise AssertionError("that did not come about in time")

    return work


@pytest.fixture(scope="session")
def job_state(network: Network) -> Callable[[str], str]:
    """A job's state as the broker has it on record."""

    def read(job_id: str) -> str:
        uri = f"{(network.broker.home / 'broker.db').as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            row = connection.execute("SELECT state FROM job WHERE id = ?", (job_id,)).fetchone()
        return str(row[0]) if row else ""

    return read
