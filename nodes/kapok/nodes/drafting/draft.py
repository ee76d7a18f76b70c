"""Draft a schema from a file."""

from __future__ import annotations

import secrets
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from kapok.documents.dataset import MOST_COLUMNS, Dataset
from kapok.errors import InvalidInput, plain
from kapok.nodes.drafting.columns import kind_of, propose, schema_name
from kapok.nodes.drafting.facts import facts_of, null_words_of
from kapok.nodes.drafting.file import bad_file, source_of
from kapok.nodes.drafting.round import rounded_up
from kapok.nodes.drafting.writing import write
from kapok.nodes.settings import CsvSource, EngineLimits
from kapok.nodes.sources.engine import Unreadable
from kapok.nodes.sources.files import FilesEngine, open_files
from kapok.nodes.sources.formats import Files
from kapok.nodes.sources.version import FileDigests, VersionKey

__all__ = ["Draft", "draft"]

_MEND: Final = "mend the file, or say how it is read: `kapok dataset draft --help`"
_NO_COLUMN: Final = "name a table of rows; a list of codes is named in a schema, as domain_file"
_MOST_SAID: Final = 3
_LIMITS: Final = EngineLimits(threads=2, memory_mib=1024, timeout_s=3600)


@dataclass(frozen=True, slots=True)
class Draft:
    """A drafted schema.

    Attributes:
        dataset: What the text says.
        left_out: Names in the file of the columns for which it has none.
        text: TOML with comments.
    """

    dataset: Dataset
    left_out: tuple[str, ...]
    text: str


def draft(
    path: Path,
    *,
    name: str | None = None,
    rows_max: int | None = None,
    columns: tuple[str, ...] = (),
    delimiter: str | None = None,
    nulls: tuple[str, ...] = (),
) -> Draft:
    """Draft a schema that the file's own table fits, but for rare values that it does not tell.

    Args:
        path: A CSV, Parquet or Arrow file.
        name: Of the dataset; None to take the file's.
        rows_max: The largest number of rows of a holder; None to take a round number above the file's.
        columns: Names of a CSV file's columns; empty when its first line has them.
        delimiter: Of a CSV file; None to find it.
        nulls: Cells of a CSV file that mean unknown; empty to find them.

    Raises:
        NotFound: ``no_such_file``.
        InvalidInput: ``source_unreadable`` when the file cannot be read, has no rows or no column of which
            a schema could speak; ``bad_dataset`` when name or number of rows cannot be used.
    """
    source = source_of(path, columns, delimiter, nulls)
    try:
        reader = _Reader()
        with reader.opened(source) as engine:
            engine.check_whole()
            if len(engine.columns) > MOST_COLUMNS:
                raise Unreadable(f"it has more than {MOST_COLUMNS} columns")
        if isinstance(source, CsvSource) and not nulls:
            source = msgspec.structs.replace(source, null=_null_words(source, reader))
        with reader.opened(source) as engine:
            found = facts_of(engine)
            proposals = propose(engine, found)
    except InvalidInput as error:
        raise bad_file(path, f"cannot be read: {error.message}", _MEND) from None
    rows = found[0].known + found[0].nulls
    if not rows:
        raise bad_file(path, "has no rows", "name a file with a table")
    if rows_max is not None and rows_max < rows:
        raise bad_file(path, f"has more than {rows_max} rows", "give a larger --rows-max, or leave it out")
    usable = tuple(one.column for one in proposals if one.column is not None)
    if not usable:
        reasons = "; ".join(f"{plain(one.source_name)}: {one.notes[-1]}" for one in proposals[:_MOST_SAID])
        raise bad_file(path, f"has no column that a schema could have: {reasons}", _NO_COLUMN)
    dataset = Dataset(
        name=schema_name(path.stem, set()) if name is None else name,
        columns=usable,
        rows_max=rounded_up(rows) if rows_max is None else rows_max,
    )
    left_out = tuple(one.source_name for one in proposals if one.column is None)
    return Draft(dataset, left_out, write(dataset, proposals, source))


class _Reader:
    """Opens one file several times, as a node does; what a node needs besides is of no use here."""

    def __init__(self) -> None:
        self._key, self._digests = VersionKey(secrets.token_bytes(32)), FileDigests()

    def opened(self, source: Files) -> AbstractContextManager[FilesEngine]:
        return open_files(source, _LIMITS, self._key, self._digests)


def _null_words(source: CsvSource, reader: _Reader) -> tuple[str, ...]:
    """The words for "unknown" in columns that otherwise hold no texts: there they can be nothing else."""
    with reader.opened(source) as engine:
        words = null_words_of(engine)
    every = frozenset[str]().union(*words.values())
    if not every - {""}:
        return ("",)
    with reader.opened(msgspec.structs.replace(source, null=tuple(every))) as engine:
        others = [words[facts.name] for facts in facts_of(engine) if kind_of(facts)[0] != "text"]
    return tuple(sorted(every & {""}.union(*others))) or ("",)
