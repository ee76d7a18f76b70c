"""A holder's rows, as an engine gives them: blocks of complete rows, in bounded memory.

    SELECT CAST(… AS BIGINT) AS c0, … FROM (SELECT … FROM source) AS t

A row that lacks any of it is dropped, and counted. Rows are read again for a second look where they do not
fit in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import numpy as np
from sqlglot import exp

from kapok.computations.encoding import encoded
from kapok.computations.rows.engine_terms import ROWS, Writer

if TYPE_CHECKING:
    import pyarrow as pa

    from kapok.computations.design.columns import Floats, Source
    from kapok.computations.engines import Engine
    from kapok.documents.dataset import Dataset

__all__ = ["Blocks", "Kept", "engine_sql"]

_BLOCK_ROWS: Final = 16_384
_MOST_BYTES: Final = 2**27
_Block = TypeVar("_Block")


def engine_sql(sources: Sequence[Source], columns: tuple[str, ...], dataset: Dataset, dialect: str) -> str:
    """The SELECT of what a model needs of each row.

    Args:
        sources: What is computed.
        columns: Names of the columns that it reads.
        dataset: Its schema.
        dialect: Name of the SQL dialect as sqlglot knows it.
    """
    writer = Writer(dialect)
    listed = [
        exp.alias_(exp.cast(writer.written(source.term.code), "BIGINT"), f"c{place}")
        for place, source in enumerate(sources)
    ]
    rows = encoded(dataset, columns).subquery(ROWS)
    return exp.select(*listed).from_(rows).sql(dialect=dialect)


@dataclass(slots=True)
class Blocks:
    """The complete rows of one SELECT.

    Attributes:
        engine: Beside the data.
        select_sql: As `engine_sql` writes it.
        sources: What its columns are.
        dropped: Rows so far that lacked something.
    """

    engine: Engine
    select_sql: str
    sources: Sequence[Source]
    dropped: int = field(default=0, init=False)

    def __iter__(self) -> Iterator[list[Floats]]:
        """For each block the values of each source, all of one length, at most some 30,000."""
        self.dropped = 0
        waiting: list[list[Floats]] = []
        rows = 0
        for batch in self.engine.batches(self.select_sql):
            for start in range(0, batch.num_rows, _BLOCK_ROWS):
                waiting.append(self._complete(batch.slice(start, _BLOCK_ROWS)))
                rows += len(waiting[-1][0])
                if rows >= _BLOCK_ROWS:
                    yield _joined(waiting)
                    waiting, rows = [], 0
        if rows:
            yield _joined(waiting)

    def _complete(self, batch: pa.RecordBatch) -> list[Floats]:
        known = np.ones(batch.num_rows, dtype=bool)
        for column in batch.columns:
            if column.null_count:
                known &= column.is_valid().to_numpy(zero_copy_only=False)
        kept = int(known.sum())
        self.dropped += batch.num_rows - kept
        found = []
        for source, column in zip(self.sources, batch.columns, strict=True):
            steps = column.fill_null(0).to_numpy(zero_copy_only=False)
            found.append(source.value(steps if kept == batch.num_rows else steps[known]))
        return found


def _joined(blocks: list[list[Floats]]) -> list[Floats]:
    if len(blocks) == 1:
        return blocks[0]
    return [np.concatenate(parts) for parts in zip(*blocks, strict=True)]


class Kept(Generic[_Block]):
    """What was made of each block, for a second look: kept while it fits, and else made again."""

    def __init__(self, make: Callable[[], Iterator[_Block]], size: Callable[[_Block], int]) -> None:
        """Nothing is made yet.

        Args:
            make: Gives everything from the beginning.
            size: Bytes of one of them.
        """
        self._make, self._size = make, size
        self._kept: list[_Block] | None = None

    def first(self) -> Iterator[_Block]:
        """The first look."""
        kept: list[_Block] = []
        room = _MOST_BYTES
        for block in self._make():
            room -= self._size(block)
            if room >= 0:
                kept.append(block)
            else:
                kept.clear()
            yield block
        self._kept = kept if room >= 0 else None

    def again(self) -> Iterator[_Block]:
        """The second look."""
        return self._make() if self._kept is None else iter(self._kept)
