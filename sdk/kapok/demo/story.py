"""Tells the demonstration: brings the network up, asks, compares with the truth, shows who saw what."""

from __future__ import annotations

import dataclasses
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from kapok.client.jobs import JobFolder
from kapok.client.result import Result
from kapok.computations.query.reading import read_question
from kapok.demo import telling
from kapok.demo.comparison import Asked, compare
from kapok.demo.hospitals import QUESTIONS
from kapok.demo.ledger import HOLDS, Entry, entry_of, of_analyst
from kapok.demo.network import Network
from kapok.demo.pooled import pooled_answer
from kapok.demo.witness import Sample, Witness
from kapok.documents.dataset import Dataset
from kapok.errors import InternalError, InvalidInput
from kapok.protocols.sizes import DEFAULT_KEY_BITS, GENERATED_KEY_BITS

__all__ = ["ask", "tell"]


def tell(*, keep: Path | None = None, bits: int = DEFAULT_KEY_BITS, as_json: bool = False) -> bool:
    """Run the whole demonstration and print it.

    Args:
        keep: Work there and leave everything; a temporary folder that is removed when None.
        bits: Of the analyst's result key.
        as_json: Print one JSON document, and nothing else.

    Returns:
        Whether every shown cell agrees with the pooled truth.

    Raises:
        InvalidInput: ``bad_key_bits``, ``not_empty``, ``bad_folder``.
        InternalError: a process did not do what it should.
    """
    if bits not in GENERATED_KEY_BITS:
        raise InvalidInput(
            f"{bits} bits are no size of a result key", code="bad_key_bits", remedy="use 2048, 3072 or 4096"
        )
    voice = telling.Voice(silent=as_json)
    began = time.monotonic()
    with _terminated_as_interrupted(), _folder(keep) as folder:
        with (
            Network(folder, bits=bits, tell=voice.step) as network,
            Witness(network.broker.home / "broker.db") as witness,
        ):
            asked = [_ask_aloud(network, sql, voice) for sql in QUESTIONS]
        seconds = network.seconds | {"questions": sum(one.seconds for one in asked)}
        entries = _entries(network, asked)
    seconds["total"] = time.monotonic() - began
    agree = all(one.comparison.agree for one in asked)
    if as_json:
        telling.print_document(_document(bits, asked, agree, seconds, entries, witness.best()))
    else:
        voice.ending(asked, agree, seconds, entries, witness.best(), keep)
    return agree


def ask(network: Network, sql: str, *options: str, show_progress: bool = False) -> Asked:
    """Ask one question with `kapok query` and compare the answer with the truth over all hospitals' files.

    Raises:
        InternalError: ``demo_failed``: there was no answer.
    """
    jobs = JobFolder(network.analyst / "jobs")
    before = set(jobs.known())
    began = time.monotonic()
    finished = network.kapok("query", sql, *options, show_progress=show_progress)
    seconds = time.monotonic() - began
    if finished.status != 0:
        raise InternalError(f"the question {sql} failed: {finished.stderr.strip()}", code="demo_failed")
    [job_id] = (one for one in jobs.known() if one not in before and jobs.load(one).sql == sql)
    answer = Result.load(jobs.answer_file(job_id)).to_document()
    schema = Dataset.from_toml(network.analyst / "heart.toml")
    files = sorted(network.folder.glob("holders/*/processed.*.data"))
    suppressed = frozenset((int(row), str(column)) for row, column in answer["suppressed"])
    comparison = compare(
        read_question(sql, schema), answer["rows"], suppressed, pooled_answer(sql, schema, files)
    )
    return Asked(
        sql=sql,
        answer=answer,
        shown=finished.stdout,
        comparison=comparison,
        seconds=seconds,
        peak_memory=finished.peak_memory,
    )


def _ask_aloud(network: Network, sql: str, voice: telling.Voice) -> Asked:
    voice.question(sql)
    asked = ask(network, sql, show_progress=not voice.silent)
    voice.answer(asked)
    return asked


def _entries(network: Network, asked: Sequence[Asked]) -> list[Entry]:
    hospitals = [entry_of(node, HOLDS["hospital"]) for node in network.nodes.values()]
    return [
        entry_of(network.authority, HOLDS["authority"]),
        entry_of(network.broker, HOLDS["broker"]),
        *hospitals,
        of_analyst((one.answer for one in asked), (one.peak_memory for one in asked)),
    ]


def _document(
    bits: int,
    asked: Sequence[Asked],
    agree: bool,
    seconds: dict[str, float],
    entries: Sequence[Entry],
    sample: Sample | None,
) -> dict[str, Any]:
    return {
        "agree": agree,
        "max_abs_difference": max(one.comparison.max_abs_difference for one in asked),
        "key_bits": bits,
        "answers": [one.answer for one in asked],
        "pooled_answers": [
            {"question": one.sql, "rows": one.comparison.pooled, "cells_compared": one.comparison.shown}
            for one in asked
        ],
        "seconds": seconds,
        "seconds_per_question": [one.answer["stages"] | {"total": one.answer["seconds"]} for one in asked],
        "bytes_sent": {entry.name: entry.bytes_sent for entry in entries},
        "bytes_received": {entry.name: entry.bytes_received for entry in entries},
        "messages_sent": {entry.name: entry.messages_sent for entry in entries},
        "peak_memory_bytes": {entry.name: entry.peak_memory for entry in entries},
        "broker_stored": dataclasses.asdict(sample) if sample else None,
    }


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="kapok-demo-", ignore_cleanup_errors=True) as folder:
            yield Path(folder)
        return
    _make_empty(keep)
    yield keep.absolute()


def _make_empty(keep: Path) -> None:
    try:
        empty = not keep.exists() or (keep.is_dir() and not any(keep.iterdir()))
        if empty:
            keep.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(
            f"the folder {keep} cannot be made: {error.strerror}", code="bad_folder", remedy="name another"
        ) from None
    if not empty:
        raise InvalidInput(
            f"{keep} is not an empty folder", code="not_empty", remedy="name one that is empty or not there"
        )


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Let SIGTERM end the demonstration like Ctrl-C: every process that it started is ended."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
