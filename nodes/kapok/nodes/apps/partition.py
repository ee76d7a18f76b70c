"""The part of a holder's table that an app sees: the approved columns, as a Parquet file of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
from pyarrow import parquet

from kapok.computations.engines import SOURCE, Engine
from kapok.documents.dataset import Dataset
from kapok.nodes.sources.spelling import quoted

__all__ = ["write_partition"]

_TYPES: Final = {
    "integer": ("BIGINT", pa.int64()),
    "decimal": ("FLOAT8", pa.float64()),
    "text": ("VARCHAR", pa.string()),
    "boolean": ("BOOLEAN", pa.bool_()),
    "date": ("DATE", pa.date32()),
    "timestamp": ("TIMESTAMP", pa.timestamp("us")),
}
"""For each type of a schema: the type that both engines give it, and the file's."""


def write_partition(engine: Engine, dataset: Dataset, columns: Sequence[str], path: Path) -> int:
    """Write the rows of a table, with some of its columns, for an app to read; a few thousand at a time.

    Empty cells stay empty; rules about faulty cells have been applied. The file is for a private folder, and
    may be read by whoever reaches it there, for the app may be another user.

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
    kinds = {column.name: _TYPES[column.type] for column in dataset.columns}
    schema = pa.schema([(name, kinds[name][1]) for name in columns])
    wanted = ", ".join(f"CAST({quoted(name)} AS {kinds[name][0]}) AS {quoted(name)}" for name in columns)
    rows = 0
    with path.open("xb") as file, parquet.ParquetWriter(file, schema) as writer:
        for batch in engine.batches(f"SELECT {wanted} FROM {SOURCE}"):  # noqa: S608 - quoted names
            rows += batch.num_rows
            cast = [column.cast(field.type) for column, field in zip(batch.columns, schema, strict=True)]
            writer.write_batch(pa.record_batch(cast, schema=schema))
    path.chmod(0o644)
    return rows
