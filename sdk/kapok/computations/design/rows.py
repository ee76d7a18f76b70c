"""A holder's rows, as an engine gives them: blocks of complete rows, in bounded memory.

    SELECT CAST(… AS BIGINT) AS c0, … FROM (SELECT … FROM source) AS t

A row that lacks any of it is dropped, and counted. Rows are read again for a second look where they do not
fit in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import numpy as np
from sqlglot import exp

from kapok.computations.encoding import encoded
from kapok.computations.rows.engine_terms import ROWS, Writer

if TYPE_CHECKING:
    import pyarrow as pa

    from kapok.computations.design.columns import Floats, Source, Unlisted
    from kapok.computations.engines import Engine
    from kapok.documents.dataset import Dataset

__all__ = ["Blocks", "Kept", "engine_sql"]

_BLOCK_ROWS: Final = 4_096  # what is made of them on the way fits in a processor's own memory
_MOST_BYTES: Final = 2**27
_Block = TypeVar("_Block")
_Part = TypeVar("_Part", bound="tuple[Any, ...]")


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
        where: Place of the condition of the rows that count, 1 or 0; None: all count.
        unlisted: What factors leave out.
        dropped: Rows so far that counted and lacked something.
        chosen, left: Rows so far that lacked nothing and counted, or did not.
        others: For each of `unlisted` how many rows so far had such a level, and lacked nothing else.
    """

    engine: Engine
    select_sql: str
    sources: Sequence[Source]
    where: int | None = None
    unlisted: Sequence[Unlisted] = ()
    dropped: int = field(default=0, init=False)
    chosen: int = field(default=0, init=False)
    left: int = field(default=0, init=False)
    others: list[int] = field(default_factory=list, init=False)

    def __iter__(self) -> Iterator[list[Floats]]:
        """For each block the values of each source, all of one length, at most some 8,000."""
        self.dropped = self.chosen = self.left = 0
        self.others = [0] * len(self.unlisted)
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
        factors = {one.factor for one in self.unlisted}
        known, others = np.ones((2, batch.num_rows), dtype=bool)
        for place, column in enumerate(batch.columns):
            if column.null_count:
                valid = column.is_valid().to_numpy(zero_copy_only=False)
                known &= valid
                others &= valid | (place in factors)
        if self.where is not None:
            counts = batch.column(self.where).to_numpy(zero_copy_only=False) != 0
            self.left += int((known & ~counts).sum())
            self.dropped += int((~known & counts).sum())
            known &= counts
            others &= counts
        else:
            self.dropped += batch.num_rows - int(known.sum())
        for number, one in enumerate(self.unlisted):
            is_other = batch.column(one.place).to_numpy(zero_copy_only=False) != 0
            self.others[number] += int((others & is_other).sum())
        kept = int(known.sum())
        self.chosen += kept
        found = []
        for source, column in zip(self.sources, batch.columns, strict=True):
            steps = column.fill_null(0).to_numpy(zero_copy_only=False)
            found.append(source.value(steps if kept == batch.num_rows else steps[known]))
        return found

    def few(self, min_cell: int) -> list[bool]:
        """For each factor with levels that it does not list, and then for the condition: whether few rows.

        Of such levels none or `min_cell` rows, and of those of an expression `min_cell`; the condition keeps
        as many and leaves out as many: none is too few as well.
        """
        found = [
            many < min_cell and not (many == 0 and (self.sources[one.place].bare or min_cell <= 1))
            for one, many in zip(self.unlisted, self.others, strict=True)
        ]
        if self.where is not None:
            found.append(min_cell > 1 and min(self.chosen, self.left) < min_cell)
        return found


def _joined(blocks: list[list[Floats]]) -> list[Floats]:
    if len(blocks) == 1:
        return blocks[0]
    return [np.concatenate(parts) for parts in zip(*blocks, strict=True)]


class Kept(Generic[_Block, _Part]):
    """What a second look needs of each block: kept while it fits, and else made again."""

    def __init__(self, make: Callable[[], Iterator[_Block]], part: Callable[[_Block], _Part]) -> None:
        """Nothing is made yet.

        Args:
            make: Gives all blocks from the beginning.
            part: What the second look needs of one.
        """
        self._make, self._part = make, part
        self._kept: list[_Part] | None = None

    def first(self) -> Iterator[_Block]:
        """The first look, at whole blocks."""
        kept: list[_Part] = []
        room = _MOST_BYTES
        for block in self._make():
            yield block
            part = self._part(block)
            room -= sum(array.nbytes for array in part)
            if room >= 0:
                kept.append(part)
            else:
                kept.clear()
        self._kept = kept if room >= 0 else None

    def again(self) -> Iterator[_Part]:
        """The second look."""
        return map(self._part, self._make()) if self._kept is None else iter(self._kept)
