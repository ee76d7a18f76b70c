"""An analyst's own rows as a holder's engine would give them: for predictions.

What a holder's rows are rounded to, these are too: whole steps of the schema's resolution. Their values may
lie beyond the schema's bounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from kapok.computations.rows.evaluation import Known, evaluated
from kapok.errors import InvalidInput

if TYPE_CHECKING:
    import numpy.typing as npt

    from kapok.computations.design.columns import Floats, Source
    from kapok.documents.dataset import Column, Dataset

__all__ = ["OwnRows"]

_EPOCH = datetime(1970, 1, 1)


class OwnRows:
    """Rows in memory, column by column."""

    def __init__(self, rows: Any, names: Sequence[str], dataset: Dataset) -> None:
        """Encode the columns that are needed.

        Args:
            rows: A pandas data frame, an Arrow table, or a mapping of names to lists.
            names: Of the columns.
            dataset: The schema that says what they are.

        Raises:
            InvalidInput: ``missing_column``, ``bad_cell`` or ``bad_rows``.
        """
        given = {name: _listed(rows, name) for name in names}
        lengths = {len(values) for values in given.values()}
        if len(lengths) > 1:
            raise InvalidInput(
                "the columns are of different lengths", code="bad_rows", remedy="give one value for each row"
            )
        self.count = lengths.pop() if lengths else len(rows)
        self._columns = {name: _encoded(dataset.column(name), values) for name, values in given.items()}

    def values(self, sources: Sequence[Source]) -> tuple[list[Floats], npt.NDArray[np.bool_]]:
        """The values of each source in each row, 0 where it lacks something, and which rows lack nothing."""
        known = np.ones(self.count, dtype=bool)
        found: list[Floats] = []
        for source in sources:
            one = evaluated(source.term.code, self._columns, self.count)
            known &= one.known
            found.append(source.value(np.where(one.known, one.values, 0).astype(np.int64)))
        return found, known


def _listed(rows: Any, name: str) -> list[Any]:
    try:
        column = rows[name]
    except (KeyError, TypeError, IndexError):
        raise InvalidInput(
            f"the rows have no column {name}",
            code="missing_column",
            remedy="give a data frame, an Arrow table or a mapping with the model's columns",
        ) from None
    if hasattr(column, "isna"):
        # pandas has several things that stand for nothing.
        return [
            None if is_missing else value for value, is_missing in zip(column, column.isna(), strict=True)
        ]
    return list(column.to_pylist() if hasattr(column, "to_pylist") else column)


def _encoded(column: Column, values: list[Any]) -> Known:
    known = np.array([value is not None and value == value for value in values], dtype=bool)
    blank: Any = "" if column.type == "text" else 0
    found = [blank] * len(values)
    for place in np.flatnonzero(known):
        value = values[place]
        try:
            found[place] = _steps(column, value)
        except (TypeError, ValueError, OverflowError, AttributeError):
            raise InvalidInput(
                f"row {place + 1} of column {column.name} is no {column.type}",
                code="bad_cell",
                remedy="give it the type that the schema says; leave out what is not known",
            ) from None
    kind: Any = {"text": object, "boolean": bool}.get(column.type, np.int64)
    return Known(np.array(found, dtype=kind), known)


def _steps(column: Column, value: Any) -> Any:
    match column.type:
        case "text":
            return str(value)
        case "boolean":
            return bool(value)
        case "date":
            day = date.fromisoformat(value) if isinstance(value, str) else value
            return (date(day.year, day.month, day.day) - _EPOCH.date()).days
        case "timestamp":
            moment = datetime.fromisoformat(value) if isinstance(value, str) else value
            return int((moment - _EPOCH).total_seconds() // 1)
        case _:
            steps = float(value) * 10**column.decimals
            if abs(steps) >= 2**63:
                raise OverflowError
            return round(steps)
