"""A question end to end: `kapok demo --json`.

An authority, a broker, four nodes and an analyst are real processes over mutual TLS, which share all cores
that the harness was given; the demonstration itself compares the answers with the pooled truth.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from typing import Any

from benchmarks.errors import BenchmarkError, WrongResult
from benchmarks.machine import unpinned
from benchmarks.session import Session

__all__ = ["run"]


def run(session: Session) -> None:
    """The stages of the demonstration, a few times; once where the short form is asked for.

    Raises:
        WrongResult: a shown cell differs from the pooled truth.
        BenchmarkError: the demonstration did not run.
    """
    if session.threads > 1:
        return
    sizes = session.options.bits[:1] if session.options.short else session.options.bits
    for bits in sizes:
        found = [
            _demo(session, bits)
            for _ in range(1 if session.options.short else min(session.options.repeats, 3))
        ]
        _seconds(session, bits, found)
        _peaks(session, bits, found)


def _demo(session: Session, bits: int) -> dict[str, Any]:
    session.say(f"query: kapok demo with a key of {bits} bits")
    command = [sys.executable, "-m", "kapok.cli", "demo", "--json", "--bits", str(bits)]
    with unpinned():
        finished = subprocess.run(command, capture_output=True, check=False)
    if finished.returncode not in (0, 1):
        raise BenchmarkError(f"kapok demo failed: {finished.stderr.decode(errors='replace').strip()}")
    document: dict[str, Any] = json.loads(finished.stdout)
    if not document["agree"]:
        raise WrongResult("kapok demo: an answer differs from the pooled truth")
    return document


def _seconds(session: Session, bits: int, found: list[dict[str, Any]]) -> None:
    stages: dict[str, list[float]] = defaultdict(list)
    for document in found:
        for name, seconds in document["seconds"].items():
            stages[f"demo: {name}"].append(seconds)
        for question in document["seconds_per_question"]:
            for name, seconds in question.items():
                stages[f"a question: {name}"].append(seconds)
    for title, seconds in stages.items():
        session.fact("query/seconds", title, "s", seconds, parameters={"bits": bits}, note="wall time")


def _peaks(session: Session, bits: int, found: list[dict[str, Any]]) -> None:
    for title, names in (("a node", None), ("the broker", "broker"), ("the analyst", "analyst")):
        peaks = [
            peak
            for document in found
            for name, peak in document["peak_memory_bytes"].items()
            if peak is not None
            and (name == names or (names is None and name not in ("broker", "analyst", "authority")))
        ]
        if peaks:
            session.fact(
                "query/peak-memory", f"peak memory of {title}", "B", peaks, parameters={"bits": bits}
            )
