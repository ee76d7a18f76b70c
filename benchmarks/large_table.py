"""A node's own half over large tables: seconds, and peak memory, as tables grow.

    python -m benchmarks.large_table [ROWS ...] [--folder FOLDER]

Rows are generated into ten Parquet files, which are deleted afterwards. Each table is checked and asked in a
process of its own, as a node does it: strict casts of every cell, then the one SELECT of a grouped question,
then one round of a logistic regression and one of proportional hazards.
The answer is compared with what DuckDB says of the files. No suite runs this: 100 million rows take minutes.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import duckdb

from benchmarks.errors import WrongResult
from kapok.computations import Thresholds, computation
from kapok.computations.engines import unheard
from kapok.computations.query.analyst import answer
from kapok.computations.query.holder import contribute
from kapok.computations.query.reading import read_question
from kapok.documents.dataset import Column, Dataset
from kapok.nodes.settings import EngineLimits, ParquetSource
from kapok.nodes.sources import Table
from kapok.nodes.sources.version import VersionKey

CARRIERS: Final = tuple("abcdefghijklmnop")
DATASET: Final = Dataset(
    name="big",
    columns=(
        Column(name="carrier", type="text", domain=CARRIERS),
        Column(name="month", type="integer", minimum=1, maximum=12),
        Column(name="day", type="date", minimum="2013-01-01", maximum="2013-12-31"),
        Column(name="delay", type="decimal", minimum="-100", maximum="1000", resolution="0.1", nullable=True),
        Column(name="distance", type="integer", minimum=0, maximum=5000),
    ),
    rows_max=10**9,
)
SQL: Final = "SELECT carrier, COUNT(*), AVG(delay), SUM(distance) FROM big WHERE month <= 6 GROUP BY carrier"
MODELS: Final = {
    "glm": "GLM delay > 400 ON 1, distance, month BY distance, month POWERS 2 FAMILY binomial LINK logit "
    "ROUNDS 25 FROM big",
    "cox": f"COX distance EVENT delay > 100 ON month POWERS 3 GRID {tuple(range(500, 5500, 500))} "
    "ROUNDS 15 FROM big",
}
FILES: Final = 10
_ROW: Final = """
SELECT chr(97 + CAST(hash(range) % 16 AS INTEGER)) AS carrier,
    CAST(1 + hash(range + 1) % 12 AS INTEGER) AS month,
    DATE '2013-01-01' + CAST(hash(range + 2) % 365 AS INTEGER) AS day,
    CASE WHEN hash(range + 3) % 50 > 0
        THEN (CAST(hash(range + 4) % 10000 AS INTEGER) - 500) / 10.0::DOUBLE END AS delay,
    CAST(hash(range + 5) % 5000 AS INTEGER) AS distance
FROM range({start}, {stop})
"""


def write(folder: Path, rows: int) -> None:
    """Generate the files; the same rows each time."""
    with duckdb.connect(config={"memory_limit": "1GB", "threads": 2}) as connection:
        for number in range(FILES):
            start, stop = rows * number // FILES, rows * (number + 1) // FILES
            select = _ROW.format(start=start, stop=stop)
            connection.execute(f"COPY ({select}) TO '{folder / f'{number}.parquet'}' (FORMAT parquet)")


def ask(folder: Path) -> dict[str, Any]:
    """Check the table and ask it, and say what that took; the answer as well."""
    limits = EngineLimits(threads=2, memory_mib=512)
    table = Table(DATASET, ParquetSource(folder), limits, VersionKey(b"k" * 32))
    began, began_cpu = time.perf_counter(), time.process_time()
    report = table.check()
    checked, checked_cpu = time.perf_counter(), time.process_time()
    if not report.ok:
        raise WrongResult("; ".join(map(str, report.problems)))
    question = read_question(SQL, DATASET)
    with table.reading() as reading:
        if reading.engine is None:
            raise WrongResult("; ".join(reading.unfit))
        words = contribute(question, DATASET, reading.engine, Thresholds(1, 1))
    asked, asked_cpu = time.perf_counter(), time.process_time()
    found = answer(question, DATASET, words.to_integers())
    rounds = {name: _round(table, name) for name in MODELS}
    return {
        "rows": report.rows,
        "check_s": checked - began,
        "question_s": asked - checked,
        "check_cpu_s": checked_cpu - began_cpu,
        "question_cpu_s": asked_cpu - checked_cpu,
        "rounds": rounds,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
        "answer": [[str(cell) for cell in row[:2]] + [str(row[-1])] for row in found.rows],
    }


def _round(table: Table, name: str) -> tuple[float, float]:
    """Seconds that the first round of a model takes, and of the processors."""
    kind = computation(name)
    model: Any = kind.parse(MODELS[name], DATASET)
    with table.reading() as reading:
        if reading.engine is None:
            raise WrongResult("; ".join(reading.unfit))
        began, began_cpu = time.perf_counter(), time.process_time()
        sums = kind.contribute(model, DATASET, reading.engine, Thresholds(1, 1), unheard).to_integers()
        took = time.perf_counter() - began, time.process_time() - began_cpu
    if any(sums[: len(model.layout.flags)]):
        raise WrongResult(f"the model {name} was suppressed")
    return took


def expected(folder: Path) -> list[list[str]]:
    """Carrier, rows and distance, as DuckDB alone says."""
    select = SQL.replace("FROM big", f"FROM '{folder}/*.parquet'").replace("AVG(delay), ", "")
    with duckdb.connect(config={"memory_limit": "1GB", "threads": 2}) as connection:
        return [[str(cell) for cell in row] for row in connection.execute(f"{select} ORDER BY 1").fetchall()]


def main() -> None:
    """Measure each size and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large_table")
    parser.add_argument("rows", nargs="*", type=int, default=[10_000_000, 100_000_000])
    parser.add_argument("--folder", type=Path, help="where the files are written; else the system's own")
    parser.add_argument("--ask", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ask:
        print(json.dumps(ask(options.ask)))
        return
    print("Elapsed, and in brackets of the processors.\n")
    print("| rows | files | check | question | a round of a regression | of hazards | peak memory |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for rows in options.rows:
        with tempfile.TemporaryDirectory(prefix="kapok-large-", dir=options.folder) as folder:
            write(Path(folder), rows)
            command = [sys.executable, "-m", "benchmarks.large_table", "--ask", folder]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            size = sum(file.stat().st_size for file in Path(folder).iterdir())
            if found["answer"] != expected(Path(folder)):
                raise WrongResult(f"the answer over {rows} rows is not DuckDB's")
        print(
            f"| {rows:,} | {size / 1e6:,.0f} MB | {found['check_s']:.1f} s ({found['check_cpu_s']:.1f} s) "
            f"| {found['question_s']:.1f} s ({found['question_cpu_s']:.1f} s) "
            + "".join(f"| {wall:.1f} s ({cpu:.1f} s) " for wall, cpu in found["rounds"].values())
            + f"| {found['peak_mb']:,.0f} MB |",
            flush=True,
        )


if __name__ == "__main__":
    main()
