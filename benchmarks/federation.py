"""Whole exchanges of a training: ten nodes, a broker and an analyst, each a process of its own, over TLS.

The app does next to nothing, so what an exchange takes is what Kapok adds, with Flower's own handling of its
messages. Wall time is told by the broker's history, phase by phase; processor time by the system, process by
process:

    continuation ─▶ completion      the nodes: fetch the model, app, encode, mask, seal, send
    completion ─▶ consultation      releases; what is left to fold
    consultation ─▶ continuation    the analyst: fetch the sum, open, decode, server app, send the next model
"""

from __future__ import annotations

import hashlib
import itertools
import json
import sqlite3
import statistics
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import psutil

from benchmarks.errors import BenchmarkError, WrongResult
from kapok.demo.network import Network
from kapok.demo.processes import command_line, environment
from kapok.demo.scenario import ANALYST_PATTERN, Scenario
from kapok.errors import KapokError
from kapok.flower.building import build_bundle
from kapok.nodes.apps.bundles import Bundles
from kapok.nodes.apps.sandbox import check_sandbox
from kapok.nodes.settings import load_settings

__all__ = ["PHASES", "Exchanges", "federation", "measure"]

PHASES: Final = ("nodes", "releases and fold", "analyst")
_APP: Final = Path(__file__).parent / "federation_app"
_EXAMPLES: Final = 100
_WORKER: Final = "kapok.protocols.arithmetic.worker_process"
_LOOK_S: Final = 0.02
_PATIENCE_S: Final = 1800.0
_EVENTS: Final = """
    SELECT event, round, at FROM event
    WHERE job = ? AND event IN ('continuation', 'completion', 'consultation', 'summing') ORDER BY id
"""
_SCHEMA: Final = """
name = "numbers"
rows_max = 1000

[[columns]]
name = "x"
type = "integer"
minimum = 0
maximum = 1000
"""
_POLICY: Final = """
[[rule]]
analysts = ["{analyst}"]
dataset = "numbers"
operations = ["federated"]
columns = ["*"]
questions = 1000
min_rows = 5
min_cell = 5
seals = ["pad", "paillier"]
approval = "automatic"

[[app]]
hash = "{app}"
analysts = ["{analyst}"]
dataset = "numbers"
columns = ["*"]
allow = ["values=1..100000000", "num-server-rounds=1..100"]
isolation = "{isolation}"
limits = {{reply_mib = 1024, memory_mib = 8192}}
"""


_Spent = dict[tuple[str, int], float]
"""Processor seconds so far: by whose process it is, and its number."""


@dataclass(frozen=True, slots=True)
class _Holder:
    """An organisation with a hundred rows, and the app."""

    name: str
    app: bytes
    isolation: str

    def furnish(self, home: Path, broker: str, dataset_hash: str) -> None:
        """Write its table, settings and policy, and bring it the bundle."""
        (home / "rows.csv").write_text("\n".join(["x", *map(str, range(_EXAMPLES))]) + "\n")
        (home / "node.toml").write_text(
            f'broker = "{broker}"\n[datasets.numbers]\nhash = "{dataset_hash}"\n'
            '[datasets.numbers.source]\nformat = "csv"\npath = "rows.csv"\n'
        )
        digest = hashlib.sha256(self.app).hexdigest()
        policy = _POLICY.format(analyst=ANALYST_PATTERN, app=digest, isolation=self.isolation)
        (home / "policy.toml").write_text(policy)
        Bundles(load_settings(home).apps_folder / "bundles").add(self.app)


@dataclass(frozen=True, slots=True)
class Exchanges:
    """What the exchanges of one training took, all but its first, in which apps and tables are loaded.

    Attributes:
        wall: Seconds of each phase, for each exchange.
        cpu: Processor seconds of an exchange: of a ``node``, an ``app`` (each the median of all), the
            ``broker``, the ``analyst``; processes that encrypt or open for one of them are its own.
        bytes_up: What all nodes sent in an exchange, by the broker's count of sealed vectors.
    """

    wall: dict[str, list[float]]
    cpu: dict[str, float]
    bytes_up: float


@contextmanager
def federation(folder: Path, nodes: int, bits: int) -> Iterator[Network]:
    """A network of nodes that have the app.

    Args:
        folder: An empty one.
        nodes: How many.
        bits: Of the analyst's result key.

    Raises:
        KapokError: it does not come about.
    """
    try:
        check_sandbox()
        isolation = "sandbox"
    except KapokError:
        isolation = "none"
    content = build_bundle(_APP)
    holders = tuple(_Holder(f"holder-{number}", content, isolation) for number in range(nodes))
    with Network(folder, Scenario("numbers", _schema_file, holders), bits=bits) as network:
        yield network


def measure(network: Network, values: int, exchanges: int, *, seal: str) -> Exchanges:
    """Run a training of so many values, and take it apart.

    Raises:
        WrongResult: the model is not what it must be.
        BenchmarkError: the training did not end well.
    """
    command = ["fl", "run", str(_APP), "--dataset", "numbers", "--seal", seal, "--word-bits", "32", "--json"]
    command += ["--run-config", f"values={values} num-server-rounds={exchanges}", "--range", "16"]
    command += ["--examples", str(_EXAMPLES * len(network.nodes)), "--deadline", str(int(_PATIENCE_S))]
    before = _jobs(network)
    process = subprocess.Popen(
        command_line(command, network.analyst),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    try:
        job, first, last = _watch(network, process, before, exchanges)
        out, err = process.communicate(timeout=_PATIENCE_S)
    except BaseException:
        process.kill()
        process.wait()
        raise
    if process.returncode != 0:
        raise BenchmarkError(f"a training failed: {err.strip()}")
    _check(Path(json.loads(out)["model"]), len(network.nodes), exchanges)
    spent: dict[str, float] = defaultdict(float)
    for process_of, seconds in last.items():
        # A process that is not in the first look was begun afterwards.
        spent[process_of[0]] += (seconds - first.get(process_of, 0.0)) / (exchanges - 1)
    cpu = {
        "node": statistics.median(spent[name] for name in network.nodes),
        "app": statistics.median(spent[f"app of {name}"] for name in network.nodes),
        "broker": spent["broker"],
        "analyst": spent["analyst"],
    }
    return Exchanges(_phases(network, job, exchanges), cpu, _sent(network, job) / exchanges)


def _watch(
    network: Network, process: subprocess.Popen[str], before: set[str], exchanges: int
) -> tuple[str, _Spent, _Spent]:
    """The job, and processor seconds so far when the first exchange was done, and when the last was."""
    until, job = time.monotonic() + _PATIENCE_S, ""
    first: _Spent = {}
    last: _Spent = {}
    while time.monotonic() < until:
        job = job or next(iter(_jobs(network) - before), "")
        done = _done(network, job)
        if done >= 1 and not first:
            first = _spent(network, process.pid)
        if process.poll() is not None:
            break
        if first:
            # Apps are stopped as soon as the last sum is there: what was seen of them last counts.
            last |= _spent(network, process.pid)
        if done >= exchanges:
            break
        time.sleep(_LOOK_S)
    if not last:
        raise BenchmarkError("a training ended before it could be watched")
    return job, first, last


def _done(network: Network, job: str) -> int:
    path = network.analyst / "jobs" / f"{job}.training" / "exchanges.jsonl"
    return path.read_bytes().count(b"\n") if job and path.exists() else 0


def _jobs(network: Network) -> set[str]:
    return {path.stem for path in (network.analyst / "jobs").glob("*.json")}


def _spent(network: Network, analyst: int) -> _Spent:
    """Of every process; empty when one of them has just ended."""
    try:
        asking = psutil.Process(analyst)
        whose = [("analyst", one) for one in (asking, *asking.children(recursive=True))]
        whose.append(("broker", psutil.Process(network.broker.pid)))
        for name, daemon in network.nodes.items():
            node = psutil.Process(daemon.pid)
            whose.append((name, node))
            whose += [
                (name if _WORKER in child.cmdline() else f"app of {name}", child)
                for child in node.children(recursive=True)
            ]
        return {(who, process.pid): sum(process.cpu_times()[:2]) for who, process in whose}
    except psutil.Error:
        return {}


def _phases(network: Network, job: str, exchanges: int) -> dict[str, list[float]]:
    """Wall time of each phase of each exchange but the first: events are named in the module's text."""
    with _store(network) as connection:
        moments = {(event, number): at for event, number, at in connection.execute(_EVENTS, (job,))}
    found: dict[str, list[float]] = {phase: [] for phase in PHASES}
    for number in range(2, exchanges + 1):
        summed = moments.get(("consultation", number), moments.get(("summing", number)))
        marks = [
            moments["consultation", number - 1],
            moments["continuation", number],
            moments["completion", number],
            summed,
        ]
        analyst, nodes, rest = (
            later - earlier for earlier, later in itertools.pairwise(marks) if later is not None
        )
        for phase, seconds in zip(PHASES, (nodes, rest, analyst), strict=True):
            found[phase].append(seconds)
    return found


def _sent(network: Network, job: str) -> float:
    with _store(network) as connection:
        [row] = connection.execute("SELECT bytes_received FROM job WHERE id = ?", (job,))
    return float(row[0])


def _store(network: Network) -> closing[sqlite3.Connection]:
    uri = f"{(network.broker.home / 'broker.db').as_uri()}?mode=ro"
    return closing(sqlite3.connect(uri, uri=True, timeout=30))


def _check(model: Path, nodes: int, exchanges: int) -> None:
    with np.load(model) as found:
        values = found["model"]
    expected = 0.001 * exchanges * (nodes + 1) / 2
    farthest = float(np.abs(values - expected).max())
    if not farthest < 1e-4:
        raise WrongResult(f"federated: a model trained by {nodes} nodes is off by {farthest:.3g}")


def _schema_file(folder: Path) -> Path:
    path = folder / "numbers.toml"
    path.write_text(_SCHEMA)
    return path
