"""Statements that are compiled once: SQLAlchemy writes the SQL for either database, the driver runs it.

To run a statement through SQLAlchemy takes several times as long as SQLite takes for it; what is asked at
every message of a node goes this way instead. A `Prepared` is a constant of the module that asks it. It is
compiled when it is first needed, for each dialect and, of its lists, for each power of two: a list is filled
up with its last value, which changes nothing of what is IN it. So what is kept is little, whatever comes.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.sql import visitors

__all__ = ["Form", "Prepared", "Values"]

Values = Mapping[str, Any]
"""A statement's values by the names of its parameters, or of the columns that it writes."""

_NONE: Final[Values] = {}
# Of SQLite's 32,766 parameters of one statement; of PostgreSQL's there are twice as many.
_MOST_FILLED: Final = 16384
_Process = Callable[[Any], Any]


class Prepared:
    """One statement.

    Args:
        statement: As SQLAlchemy has it. What it reads are columns, and no mapped classes. A parameter that is
            ``expanding`` takes a list, for IN. Which columns an INSERT or UPDATE writes, the names of its
            values say.
    """

    def __init__(self, statement: sa.Executable) -> None:
        self._statement = statement
        self._lists = [
            bind.key
            for bind in visitors.iterate(statement)  # type: ignore[arg-type]
            if isinstance(bind, sa.BindParameter) and bind.expanding and bind.value is None
        ]
        self._forms: dict[Hashable, Form] = {}

    def form(self, dialect: Dialect, values: Values = _NONE) -> Form:
        """The compiled statement for such values."""
        sizes = {name: _power_of_two(len(values[name])) for name in self._lists}
        if sum(sizes.values()) > _MOST_FILLED:
            return Form(self._statement, dialect, values, {name: len(values[name]) for name in self._lists})
        key = (dialect.name, *values, *sizes.values())
        found = self._forms.get(key)
        if found is None:
            found = self._forms[key] = Form(self._statement, dialect, values, sizes)
        return found


class Form:
    """A statement that is compiled for a dialect and the sizes of its lists.

    Attributes:
        sql: As the driver takes it.
        row: Makes a row of what the driver gives; None where the statement reads nothing.
    """

    def __init__(
        self, statement: sa.Executable, dialect: Dialect, values: Values, sizes: Mapping[str, int]
    ) -> None:
        self._sizes = sizes
        values = self._filled(values)
        compiled: Any = statement.compile(  # type: ignore[attr-defined]
            dialect=dialect, column_keys=list(values)
        )
        state = compiled.construct_expanded_state(values)
        self.sql: str = state.statement
        origins = {
            name: (origin, index)
            for origin, names in state.parameter_expansion.items()
            for index, name in enumerate(names)
        }
        self._places: list[tuple[str, int | None, _Process]] = []
        self._constants: dict[str, Any] = {}
        for name in state.positiontup:
            origin, index = origins.get(name, (name, None))
            process = state.processors.get(name) or _as_it_is
            if origin not in values:
                self._constants[name] = process(state.parameters[name])
                origin, index, process = name, None, _as_it_is
            self._places.append((origin, index, process))
        plain = all(index is None and process is _as_it_is for _, index, process in self._places)
        self._names = [name for name, _, _ in self._places] if plain else None
        self.row = _row_maker(statement, dialect)

    def parameters(self, values: Values) -> tuple[Any, ...]:
        """The values in the order in which the SQL has them."""
        given = self._filled(values)
        if self._constants:
            given = {**given, **self._constants}
        if self._names is not None:
            return tuple([given[name] for name in self._names])
        return tuple(
            [
                process(given[name] if index is None else given[name][index])
                for name, index, process in self._places
            ]
        )

    def _filled(self, values: Values) -> Values:
        """The values with lists of these sizes."""
        if not self._sizes:
            return values
        lists = {
            name: [*values[name], *values[name][-1:] * (size - len(values[name]))]
            for name, size in self._sizes.items()
        }
        return {**values, **lists}


def _power_of_two(length: int) -> int:
    """The next that is not less; 0 for 0."""
    return 1 << (length - 1).bit_length() if length else 0


def _as_it_is(value: Any) -> Any:
    return value


def _row_maker(statement: Any, dialect: Dialect) -> Callable[[Sequence[Any]], Any] | None:
    """Makes named tuples. Where a database has no booleans its numbers are turned into some."""
    columns = getattr(statement, "exported_columns", ())
    if not columns:
        return None
    names = [str(column.key) for column in columns]
    row: Any = namedtuple("Row", names, rename=True)  # type: ignore[misc]
    make: Callable[[Sequence[Any]], Any] = row._make
    turned = [index for index, column in enumerate(columns) if isinstance(column.type, sa.Boolean)]
    if not turned or dialect.supports_native_boolean:
        return make

    def turn_and_make(values: Sequence[Any]) -> Any:
        row = list(values)
        for index in turned:
            row[index] = None if row[index] is None else bool(row[index])
        return make(row)

    return turn_and_make
