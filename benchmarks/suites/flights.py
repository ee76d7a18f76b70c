"""Questions over the flights of three airports, end to end: real processes, mutual TLS, 336,776 rows.

Five processes share all cores that the harness was given. The files are those of `examples/flights`; every
answer is compared with what DuckDB says over all of them.
"""

from __future__ import annotations

import json
import math
import shutil
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.errors import BadArgument, WrongResult
from benchmarks.machine import unpinned
from benchmarks.records import Aim
from benchmarks.session import Session

__all__ = ["AIRPORTS", "QUESTIONS", "file_of", "run"]

AIRPORTS: Final = ("EWR", "JFK", "LGA")
QUESTIONS: Final = {
    "delays by carrier": "SELECT carrier, COUNT(*), AVG(arr_delay), STDDEV_SAMP(arr_delay), "
    "CORR(arr_delay, distance) FROM flights GROUP BY carrier",
    "flights by month": "SELECT month, COUNT(*), AVG(dep_delay) FROM flights GROUP BY month",
    "one count": "SELECT COUNT(*) FROM flights WHERE arr_delay > 60",
}
MODELS: Final = {
    "linear regression": ("arr_delay ~ dep_delay + distance", "gaussian"),
    "logistic regression": ("I(arr_delay > 15) ~ dep_delay + distance", "binomial"),
}
_SCHEMA: Final = Path(__file__).parents[2] / "examples" / "flights" / "flights.toml"
_AIM_S: Final = 1.0
_MODEL_AIM_S: Final = 5.0
_TOLERANCE: Final = 1e-9
_SCORE: Final = 1e-6


@dataclass(frozen=True, slots=True)
class _Airport:
    """An airport's node over one file."""

    name: str
    path: Path

    def furnish(self, home: Path, broker: str, dataset_hash: str) -> None:
        from kapok.demo.scenario import ANALYST_PATTERN

        (home / "node.toml").write_text(
            f'broker = "{broker}"\n[datasets.flights]\nhash = "{dataset_hash}"\n'
            f'[datasets.flights.source]\nformat = "parquet"\npath = "{self.path}"\n',
            encoding="utf-8",
        )
        (home / "policy.toml").write_text(
            f'[[rule]]\nanalysts = ["{ANALYST_PATTERN}"]\ndataset = "flights"\n'
            'operations = ["count", "sum", "avg", "variance", "covariance", "glm"]\ncolumns = ["*"]\n'
            'questions = 1000\nmin_rows = 20\nmin_cell = 10\nseals = ["paillier", "pad"]\n'
            'approval = "automatic"\n',
            encoding="utf-8",
        )


def file_of(folder: Path, airport: str) -> Path:
    """Where an airport's file lies."""
    return folder / f"flights_{airport}.parquet"


def run(session: Session) -> None:
    """Ask each question a few times of three nodes that are up.

    Raises:
        BadArgument: the files are not there.
        WrongResult: a shown cell differs from the pooled truth.
    """
    if session.threads > 1 or session.options.flights is None:
        return
    folder = Path(session.options.flights).resolve()
    missing = [
        str(file_of(folder, airport)) for airport in AIRPORTS if not file_of(folder, airport).is_file()
    ]
    if missing:
        raise BadArgument(
            f"--flights: there is no {missing[0]}; examples/flights/README.md says how to get it"
        )
    for bits in session.options.bits:
        with unpinned(), tempfile.TemporaryDirectory() as scratch:
            _measure(session, bits, folder, Path(scratch))


def _measure(session: Session, bits: int, folder: Path, scratch: Path) -> None:
    from kapok.demo.network import Network
    from kapok.demo.scenario import Scenario

    def schema_file(target: Path) -> Path:
        return Path(shutil.copy(_SCHEMA, target))

    airports = tuple(_Airport(name.lower(), file_of(folder, name)) for name in AIRPORTS)
    session.say(f"flights: three airports and a key of {bits} bits come up")
    with Network(scratch / "net", Scenario("flights", schema_file, airports), bits=bits) as network:
        network.kapok("key", "rotate")
        for title, sql in QUESTIONS.items():
            truth = _pooled(sql, folder)
            stages: dict[str, list[float]] = defaultdict(list)
            for _ in range(session.options.repeats + 1):
                began = time.monotonic()
                finished = network.kapok("query", sql, "--json")
                took = time.monotonic() - began
                if finished.status != 0:
                    raise WrongResult(f"{title}: {finished.stderr.strip()}")
                document = json.loads(finished.stdout)
                _compare(title, document, truth)
                for name, seconds in (("asked", document["seconds"]), ("command", took)):
                    stages[name].append(seconds)
            _facts(session, title, bits, stages, _AIM_S)
        asked: dict[int, list[float]] = {}
        for title, (formula, family) in MODELS.items():
            stages = defaultdict(list)
            for _ in range(session.options.repeats + 1):
                began = time.monotonic()
                finished = network.kapok("glm", formula, "--dataset", "flights", "--family", family, "--json")
                took = time.monotonic() - began
                if finished.status != 0:
                    raise WrongResult(f"{title}: {finished.stderr.strip()}")
                document = json.loads(finished.stdout)
                _compare_fit(title, document["fit"], folder)
                for name, seconds in (("asked", document["seconds"]), ("command", took)):
                    stages[name].append(seconds)
            rounds = document["fit"]["rounds"]
            _facts(session, f"{title}, {rounds} rounds", bits, stages, _MODEL_AIM_S)
            asked[rounds] = stages["asked"][1:]
        _round_facts(session, bits, folder, asked)


def _round_facts(session: Session, bits: int, folder: Path, asked: dict[int, list[float]]) -> None:
    """What a further round takes, and what of it is the largest holder's own computing."""
    few, many = min(asked), max(asked)
    beyond = [(last - first) / (many - few) for first, last in zip(asked[few], asked[many], strict=True)]
    note = "asked with more rounds less asked with fewer, by the rounds between them"
    parameters = {"bits": bits}
    session.fact("query/flights", "a further round: all of it", "s", beyond, parameters=parameters, note=note)
    seconds = [_local_round(folder) for _ in range(session.options.repeats + 1)][1:]
    session.fact(
        "query/flights",
        "a further round: a holder's computing alone",
        "s",
        seconds,
        parameters=parameters,
        note="the largest airport's table, in this process, while nobody else computes",
    )


def _local_round(folder: Path) -> float:
    """Seconds that a later round of the logistic regression takes over the largest airport's table."""
    import numpy as np

    from kapok.computations.engines import Thresholds
    from kapok.computations.glm.coefficients import Coefficients
    from kapok.computations.glm.formula import model_text
    from kapok.computations.glm.holder import contribute_at
    from kapok.computations.glm.params import Model
    from kapok.documents.dataset import Dataset
    from kapok.nodes.settings import EngineLimits, ParquetSource
    from kapok.nodes.sources import Table
    from kapok.nodes.sources.version import VersionKey

    largest = max((file_of(folder, airport) for airport in AIRPORTS), key=lambda path: path.stat().st_size)
    dataset = Dataset.from_toml(_SCHEMA)
    formula, family = MODELS["logistic regression"]
    model = Model.parse(model_text(formula, dataset, family=family), dataset)
    table = Table(dataset, ParquetSource(largest), EngineLimits(), VersionKey(b"k" * 32))
    table.check()
    began = time.perf_counter()
    with table.reading() as reading:
        if reading.engine is None:
            raise WrongResult("; ".join(reading.unfit))
        contribute_at(model, dataset, Coefficients(np.zeros(3), 0.0), reading.engine, Thresholds(20, 10))
    return time.perf_counter() - began


def _compare_fit(title: str, fit: dict[str, Any], folder: Path) -> None:
    """That the score of the pooled rows is zero at the coefficients: what makes them the pooled fit's."""
    import duckdb
    import numpy as np

    files = [str(file_of(folder, airport)) for airport in AIRPORTS]
    with duckdb.connect() as connection:
        select = "SELECT arr_delay, dep_delay, distance FROM read_parquet($files) WHERE arr_delay IS NOT NULL"
        rows = connection.execute(select.replace("$files", str(files))).fetchnumpy()
    response = np.asarray(rows["arr_delay"], dtype=float)
    design = np.column_stack([np.ones(len(response)), rows["dep_delay"], rows["distance"]]).astype(float)
    mean = design @ np.array(fit["coefficients"])
    if fit["family"] == "binomial":
        response, mean = (response > 15).astype(float), 1 / (1 + np.exp(-mean))
    score = np.array(fit["errors"]) * (design.T @ (response - mean)) / fit["dispersion"]
    if fit["rows_used"] != len(response) or float(np.abs(score).max()) > _SCORE:
        raise WrongResult(f"{title}: the score of the pooled rows is not zero at the coefficients")


def _facts(session: Session, title: str, bits: int, stages: dict[str, list[float]], aim_s: float) -> None:
    notes = {
        "asked": ("from asking until the answer is open", Aim(of="value", most=aim_s)),
        "command": ("the whole process of the command", None),
    }
    for name, (note, aim) in notes.items():
        # The first is left out: everything on its way is read from disk then.
        session.fact(
            "query/flights",
            f"{title}: {name}",
            "s",
            stages[name][1:],
            parameters={"bits": bits},
            aim=aim,
            note=note,
        )


def _pooled(sql: str, folder: Path) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """Rows of the pooled answer by their first column, or all by nothing where there is one row.

    A correlation with what does not vary is no number to DuckDB, and null in SQL and in Kapok.
    """
    import duckdb

    with duckdb.connect() as connection:
        files = [str(file_of(folder, airport)) for airport in AIRPORTS]
        connection.execute(
            "CREATE VIEW flights AS SELECT * FROM read_parquet($files)".replace("$files", str(files))
        )
        found = connection.execute(sql).fetchall()
    rows = [tuple(None if cell != cell else cell for cell in row) for row in found]
    return {row[:1] if len(row) > 1 else (): row for row in rows}


def _compare(title: str, document: dict[str, Any], truth: dict[tuple[Any, ...], tuple[Any, ...]]) -> None:
    suppressed = {(row, name) for row, name in document["suppressed"]}
    for number, row in enumerate(document["rows"]):
        true = truth.get(tuple(row[:1]) if len(row) > 1 else ())
        for name, cell, other in zip(document["columns"], row, true or row, strict=True):
            if (number, name) in suppressed:
                continue
            same = cell == other or (
                isinstance(cell, float)
                and other is not None
                and math.isclose(cell, other, rel_tol=_TOLERANCE)
            )
            if true is None or not same:
                raise WrongResult(f"{title}: {name} of row {number} is {cell}, and {other} over all files")
