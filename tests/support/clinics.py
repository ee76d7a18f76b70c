"""A network of clinics that train one small app, as real processes; and the same training as a plain loop."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kapok.client.exchanges import Exchange, Exchanges
from kapok.demo.network import Network, _set
from kapok.demo.scenario import ANALYST_PATTERN, Scenario, party_of
from kapok.flower.building import build_bundle
from kapok.nodes.apps.bundles import Bundles
from kapok.nodes.settings import load_settings

APP = Path(__file__).parent / "clinic_app"
STRATEGIES = ("FedAvg", "FedProx", "FedAvgM", "FedAdam", "FedYogi", "FedAdagrad")
PATIENCE_S = 300.0
_SCHEMA = """
name = "clinics"
rows_max = 1000

[[columns]]
name = "x"
type = "decimal"
minimum = -10.0
maximum = 10.0
resolution = "0.001"

[[columns]]
name = "y"
type = "decimal"
minimum = -100.0
maximum = 100.0
resolution = "0.001"
"""
_POLICY = """
[[rule]]
analysts = ["{analyst}"]
dataset = "clinics"
operations = ["count", "federated"]
columns = ["*"]
questions = 100
min_rows = 5
min_cell = 5
seals = ["pad"]
cohort = "{cohort}"
approval = "automatic"

[[app]]
hash = "{app}"
analysts = ["{analyst}"]
dataset = "clinics"
columns = ["*"]
allow = ["num-server-rounds=1..100", "pause=0.0..60.0", "min-nodes=2..100", "strategy={strategies}"]
"""


def rows_of(name: str) -> np.ndarray:
    """A clinic's x and y, its own by its name."""
    generator = np.random.default_rng(list(name.encode()))
    x = generator.uniform(-1.0, 1.0, generator.integers(20, 60)).round(3)
    return np.column_stack([x, (2.0 * x - 1.0 + generator.normal(0.0, 0.3, len(x))).round(3)])


@dataclass(frozen=True)
class Clinic:
    """A clinic that lets anybody of the university run the one app."""

    name: str
    cohort: str
    app: bytes

    def furnish(self, home: Path, broker: str, dataset_hash: str) -> None:
        lines = ["x,y", *(f"{x:.3f},{y:.3f}" for x, y in rows_of(self.name))]
        (home / "rows.csv").write_text("\n".join(lines) + "\n")
        (home / "node.toml").write_text(
            f'broker = "{broker}"\n[datasets.clinics]\nhash = "{dataset_hash}"\n'
            '[datasets.clinics.source]\nformat = "csv"\npath = "rows.csv"\n'
        )
        (home / "policy.toml").write_text(
            _POLICY.format(
                analyst=ANALYST_PATTERN,
                cohort=self.cohort,
                app=hashlib.sha256(self.app).hexdigest(),
                strategies="|".join(STRATEGIES),
            )
        )
        Bundles(load_settings(home).apps_folder / "bundles").add(self.app)


def _schema_file(folder: Path) -> Path:
    (folder / "clinics.toml").write_text(_SCHEMA)
    return folder / "clinics.toml"


@contextlib.contextmanager
def clinics(folder: Path, names: Sequence[str], cohort: str, **limits: float) -> Iterator[Network]:
    """A network of clinics that have the app, with these limits of the broker."""
    content = build_bundle(APP)
    holders = tuple(Clinic(name, cohort, content) for name in names)
    with Network(folder / "network", Scenario("clinics", _schema_file, holders), bits=2048) as network:
        for key, value in limits.items():
            _set(network.broker.home / "broker.toml", key, value)
        network.broker.stop()
        network.broker.start()
        network.broker.wait_ready()
        network.wait_until_joined()
        yield network


def plain_loop(exchanges: Sequence[Exchange], nodes: Sequence[str]) -> tuple[np.ndarray, list[float]]:
    """The model and the losses of a training in which just these nodes took part in each exchange.

    Args:
        exchanges: With who took part.
        nodes: All that were asked, sorted: a clinic's random numbers go by its place among them, and by how
            many exchanges it has taken part in, which it keeps from one to the next.
    """
    spec = importlib.util.spec_from_file_location("clinic_task", APP / "clinic" / "task.py")
    assert spec is not None
    assert spec.loader is not None
    task = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(task)
    model, losses, done = np.zeros(2), [], dict.fromkeys(range(len(nodes)), 0)
    for exchange in exchanges:
        tables = {nodes.index(party): rows_of(party.split("/")[4]).T for party in exchange.parties}
        weights = [len(x) for x, _ in tables.values()]
        for place in tables:
            done[place] += 1
        if exchange.kind == "train":
            fitted = [
                task.fit(x, y, model, task.generator_of(7, done[place], place))
                for place, (x, y) in tables.items()
            ]
            model = np.average(fitted, axis=0, weights=weights)
        else:
            found = [task.loss(x, y, model) for x, y in tables.values()]
            losses.append(float(np.average(found, weights=weights)))
    return model, losses


@dataclass
class Watched:
    """A training under way, seen from outside: by the broker's store and the analyst's folder."""

    network: Network
    before: frozenset[str]

    @classmethod
    def of(cls, network: Network) -> Watched:
        return cls(network, frozenset(path.stem for path in (network.analyst / "jobs").glob("*.json")))

    @property
    def job(self) -> str:
        """The job that was begun since; empty while there is none."""
        jobs = {path.stem for path in (self.network.analyst / "jobs").glob("*.json")} - self.before
        return next(iter(jobs), "")

    @property
    def exchanges(self) -> list[Exchange]:
        """Those that are done."""
        return Exchanges(self.network.analyst / "jobs" / f"{self.job}.training").done() if self.job else []

    @property
    def at(self) -> tuple[int, str]:
        """Round and state, as the broker has them."""
        uri = f"{(self.network.broker.home / 'broker.db').as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=30)) as connection:
            row = connection.execute("SELECT round, state FROM job WHERE id = ?", (self.job,)).fetchone()
        return (int(row[0]), str(row[1])) if row else (0, "")

    def releases(self) -> dict[int, set[tuple[int, str]]]:
        """For each round, which attempts for which names any node's journal has a release of."""
        found: dict[int, set[tuple[int, str]]] = {}
        for node in self.network.nodes.values():
            uri = f"{(node.home / 'state' / 'journal.db').as_uri()}?mode=ro"
            with closing(sqlite3.connect(uri, uri=True, timeout=30)) as connection:
                rows = connection.execute(
                    "SELECT round, attempt, names FROM release WHERE job_id = ?", (self.job,)
                )
                for number, attempt, names in rows:
                    found.setdefault(number, set()).add((attempt, names))
        return found


def until(ask: Callable[[], Any], patience_s: float = PATIENCE_S) -> Any:
    """Ask again and again until the answer is true; give it back."""
    end = time.monotonic() + patience_s
    while not (answer := ask()):
        assert time.monotonic() < end, "that did not come about in time"
        time.sleep(0.02)
    return answer


def everybody(names: Sequence[str]) -> tuple[str, ...]:
    """The names of these clinics' nodes, sorted."""
    return tuple(sorted(map(party_of, names)))


def document(text: str) -> Any:
    """What a command printed with --json."""
    return json.loads(text)
