"""A table as apps expect it from Hugging Face's `datasets.Dataset`: its commonest part, over Arrow.

Splits and shuffles draw from NumPy's generator in the same order as there, so that a seed gives the same
rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

import numpy as np
import pyarrow as pa

__all__ = ["Rows"]


class Rows:
    """Rows of a table, in the format that was asked for: Python's own, ``numpy``, ``pandas`` or ``torch``."""

    def __init__(
        self,
        table: pa.Table,
        form: str | None = None,
        transform: Callable[[dict[str, Any]], Any] | None = None,
    ) -> None:
        self._table, self._form, self._transform = table, form, transform

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __iter__(self) -> Iterator[Any]:
        return (self[number] for number in range(len(self)))

    def __getitem__(self, key: str | int | slice | Sequence[int]) -> Any:
        if isinstance(key, str):
            return self._column(self._table[key])
        if isinstance(key, int):
            if not -len(self) <= key < len(self):
                raise IndexError(f"row {key} of {len(self)}")
            found = self._formatted(self._table.slice(key % len(self), 1))
            if self._form == "pandas":
                return found
            return {name: column[0] for name, column in found.items()}
        numbers = range(len(self))[key] if isinstance(key, slice) else key
        return self._formatted(self._table.take(pa.array(list(numbers), type=pa.int64())))

    @property
    def column_names(self) -> list[str]:
        """Names of the columns."""
        return list(self._table.column_names)

    @property
    def features(self) -> dict[str, Any]:
        """Arrow's type of each column."""
        return {one.name: one.type for one in self._table.schema}

    @property
    def num_rows(self) -> int:
        """How many there are."""
        return len(self)

    def with_format(self, type: str | None = None, columns: Sequence[str] | None = None) -> Self:  # noqa: A002
        """The same rows in another format."""
        table = self._table if columns is None else self._table.select(list(columns))
        return self.__class__(table, type)

    def set_format(self, type: str | None = None, columns: Sequence[str] | None = None) -> None:  # noqa: A002
        """As `with_format`, in place."""
        self.__init__(*vars(self.with_format(type, columns)).values())  # type: ignore[misc]

    def with_transform(self, transform: Callable[[dict[str, Any]], Any]) -> Self:
        """The same rows, each batch of which goes through a function when it is read."""
        return self.__class__(self._table, self._form, transform)

    def train_test_split(
        self,
        test_size: float | int | None = None,
        train_size: float | int | None = None,
        shuffle: bool = True,
        seed: int | None = None,
        **_: Any,
    ) -> dict[str, Self]:
        """Two parts, ``train`` and ``test``; a quarter is for tests where no size is given."""
        rows = len(self)
        if test_size is None and train_size is None:
            test_size = 0.25
        if test_size is None:
            train = _share(train_size, rows, math.floor)
            test = rows - train
        else:
            test = _share(test_size, rows, math.ceil)
            train = rows - test if train_size is None else _share(train_size, rows, math.floor)
        if train + test > rows:
            raise ValueError("the two parts are more than all rows")
        order = np.random.default_rng(seed).permutation(rows) if shuffle else None
        if order is None:
            return {"train": self.select(range(train)), "test": self.select(range(train, train + test))}
        return {"train": self.select(order[test : test + train]), "test": self.select(order[:test])}

    def shuffle(self, seed: int | None = None, **_: Any) -> Self:
        """The rows in another order."""
        return self.select(np.random.default_rng(seed).permutation(len(self)))

    def select(self, indices: Sequence[int] | Any) -> Self:
        """The rows of these numbers."""
        return self._with(self._table.take(pa.array(np.asarray(list(indices), dtype=np.int64))))

    def filter(self, function: Callable[[Any], bool], **_: Any) -> Self:
        """The rows of which a function says so."""
        return self.select([number for number, row in enumerate(self._table.to_pylist()) if function(row)])

    def map(
        self, function: Callable[[Any], Any], batched: bool = False, remove_columns: Any = None, **_: Any
    ) -> Self:
        """Each row, or all of them as a batch, with what a function adds or replaces."""
        plain = self.__class__(self._table)
        if batched:
            made = function(plain[:])
        else:
            answers = [function(row) for row in plain]
            made = {name: [answer[name] for answer in answers] for name in (answers[0] if answers else {})}
        kept = {name: self._table[name] for name in self.column_names if name not in _names(remove_columns)}
        return self._with(pa.table(kept | {name: pa.array(column) for name, column in made.items()}))

    def rename_column(self, original_column_name: str, new_column_name: str) -> Self:
        """The same rows with another name for a column."""
        names = {original_column_name: new_column_name}
        return self._with(self._table.rename_columns([names.get(name, name) for name in self.column_names]))

    def remove_columns(self, column_names: str | Sequence[str]) -> Self:
        """The same rows without some columns."""
        return self._with(self._table.drop_columns(_names(column_names)))

    def select_columns(self, column_names: str | Sequence[str]) -> Self:
        """The same rows with some columns alone."""
        return self._with(self._table.select(_names(column_names)))

    def unique(self, column: str) -> list[Any]:
        """The values of a column, each once, in the order in which they come."""
        return list(self._table[column].unique().to_pylist())

    def to_pandas(self) -> Any:
        """The rows as a pandas DataFrame."""
        return self._table.to_pandas()

    def to_dict(self) -> dict[str, list[Any]]:
        """The columns as lists."""
        return dict(self._table.to_pydict())

    def _with(self, table: pa.Table) -> Self:
        return self.__class__(table, self._form, self._transform)

    def _formatted(self, table: pa.Table) -> Any:
        if self._form == "pandas":
            return table.to_pandas()
        found = {name: self._column(table[name]) for name in table.column_names}
        return found if self._transform is None else self._transform(found)

    def _column(self, column: pa.ChunkedArray) -> Any:
        if self._form is None:
            return column.to_pylist()
        if self._form == "pandas":
            return column.to_pandas()
        array = column.to_numpy()
        if self._form in ("numpy", "np"):
            return array
        if self._form in ("torch", "pt"):
            import torch  # type: ignore[import-not-found, unused-ignore]

            return torch.tensor(array)
        raise ValueError(
            f"the format {self._form!r} is not served at a Kapok node: numpy, pandas or torch are"
        )


def _share(size: float | int | None, rows: int, rounded: Callable[[float], int]) -> int:
    """How many rows a size means: a part of them, or their number."""
    if isinstance(size, float):
        return rounded(size * rows)
    return size or 0


def _names(names: Any) -> list[str]:
    return [names] if isinstance(names, str) else list(names or ())
