"""The pooled truth: what DuckDB answers over all four files; the demonstration alone has them together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kapok.documents.dataset import Dataset
from kapok.errors import NotFound

__all__ = ["pooled_answer"]

_TYPES = {"integer": "BIGINT", "text": "VARCHAR", "boolean": "BOOLEAN"}


def pooled_answer(sql: str, schema: Dataset, files: Sequence[Path]) -> list[tuple[Any, ...]]:
    """Ask DuckDB the same question over the union of the files, as the schema types them.

    Args:
        sql: A question over the dataset.
        schema: Says what the columns are.
        files: Comma separated, no header, ``?`` for unknown.

    Returns:
        The rows, in no particular order.

    Raises:
        NotFound: ``no_duckdb``: it is not installed.
    """
    try:
        import duckdb
    except ModuleNotFoundError:
        raise NotFound(
            "the demonstration needs DuckDB", code="no_duckdb", remedy="pip install 'kapok[node,broker]'"
        ) from None
    names = [column.name for column in schema.columns]
    with duckdb.connect() as connection:
        casts = ", ".join(
            f"CAST({column.name} AS {_type(column.type)}) AS {column.name}" for column in schema.columns
        )
        connection.execute(
            f"CREATE TABLE {schema.name} AS SELECT {casts} FROM "  # noqa: S608 - names of a validated schema
            "read_csv($files, header = false, all_varchar = true, nullstr = '?', names = $names)",
            {"files": [str(file) for file in files], "names": names},
        )
        return connection.execute(sql).fetchall()


def _type(name: str) -> str:
    return _TYPES.get(name, "DECIMAL(18, 6)")
