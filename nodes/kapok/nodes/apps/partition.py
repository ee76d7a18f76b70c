"""The part of a holder's table that an app sees: the approved columns, as a Parquet file of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from pyarrow import parquet

from kapok.computations.engines import Engine
from kapok.documents.dataset import Dataset
from kapok.nodes.sources.spelling import quoted

__all__ = ["write_partition"]

_TYPES: Final[dict[str, tuple[pa.DataType, Callable[[Any], Any]]]] = {
    "integer": (pa.int64(), int),
    "decimal": (pa.float64(), float),
    "text": (pa.string(), str),
    "boolean": (pa.bool_(), bool),
    "date": (pa.date32(), lambda day: day),
    "timestamp": (pa.timestamp("us"), lambda moment: moment),
}


def write_partition(engine: Engine, dataset: Dataset, columns: Sequence[str], path: Path) -> int:
    """Write the rows of a table, with some of its columns, for an app to read.

    Empty cells stay empty; rules about faulty cells have been applied. The file is for a private folder,
    and may be read by whoever reaches it there, for the app may be another user.

    Args:
        engine: Beside the table.
        dataset: Its schema.
        columns: Names of the columns, in the order in which the app sees them.
        path: Of the new file.

    Returns:
        The number of rows.

    Raises:
        InvalidInput: what the engine raises.
    """
    rows = engine.fetch(f"SELECT {', '.join(map(quoted, columns))} FROM source")  # noqa: S608 - quoted names
    kinds = {column.name: _TYPES[column.type] for column in dataset.columns}
    arrays = []
    for place, name in enumerate(columns):
        kind, read = kinds[name]
        arrays.append(pa.array([None if row[place] is None else read(row[place]) for row in rows], type=kind))
    with path.open("xb") as file:
        parquet.write_table(pa.table(arrays, names=list(columns)), file)
    path.chmod(0o644)
    return len(rows)
