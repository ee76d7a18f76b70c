"""The rows of one transaction: what was changed of those that it has read is written down.

The classes are SQLAlchemy's, as `schema` has them, and so are the statements. Its session is not used: with
it a row that is read and changed takes some thirty times as long as with SQLite alone.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Final, TypeVar

import sqlalchemy as sa

from kapok.broker.store.schema import Base
from kapok.persistence import Connection, Prepared, Values

__all__ = ["Rows", "all_of"]

Row = TypeVar("Row", bound=Base)

_NONE: Final[Values] = {}
_KEY: Final = "of_"


def all_of(kind: type[Base]) -> sa.Select[Any]:
    """Reads what a row has: long columns are no attributes of it, and have questions of their own."""
    return sa.select(*(kind.__table__.c[name] for name in _attributes(kind)))


class Rows:
    """The rows of one transaction: each is one object, however often it is asked for.

    What is changed of them is written before the next statement, and by `flush`.

    Args:
        connection: The transaction.
        read_only: What is changed of rows is not written.

    Attributes:
        dialect: Name of the database's dialect.
    """

    def __init__(self, connection: Connection, *, read_only: bool = False) -> None:
        self._connection, self._read_only = connection, read_only
        self.dialect = connection.dialect.name
        self._held: dict[tuple[type[Base], tuple[Any, ...]], _Held] = {}

    def get(self, kind: type[Row], *key: Any) -> Row | None:
        """The row of that key, if there is one."""
        held = self._held.get((kind, key))
        if held is not None and isinstance(held.row, kind):
            return held.row
        shape = _shape(kind)
        return self.first(kind, shape.by_key, shape.key_values(key))

    def first(self, kind: type[Row], query: Prepared, values: Values = _NONE) -> Row | None:
        """The first row of a kind that a query finds. It reads what `all_of` the kind does."""
        self.flush()
        read = self._connection.row(query, values)
        return None if read is None else self._hold(kind, tuple(read))

    def found(self, kind: type[Row], query: Prepared, values: Values = _NONE) -> list[Row]:
        """All rows of a kind that a query finds. It reads what `all_of` the kind does."""
        self.flush()
        return [self._hold(kind, tuple(read)) for read in self._connection.rows(query, values)]

    def tuples(self, query: Prepared, values: Values = _NONE) -> list[Any]:
        """What a query reads, as named tuples."""
        self.flush()
        return self._connection.rows(query, values)

    def column(self, query: Prepared, values: Values = _NONE) -> list[Any]:
        """The first column of what a query reads."""
        return [read[0] for read in self.tuples(query, values)]

    def value(self, query: Prepared, values: Values = _NONE) -> Any:
        """The first column of the first row that a query reads; None where there is none."""
        self.flush()
        return self._connection.value(query, values)

    def add(self, row: Base, **long: Any) -> None:
        """Write a new row and its long columns, and hold it; what it leaves out has its default."""
        self.flush()
        shape, now = _shape(type(row)), vars(row)
        for name, default in shape.defaults.items():
            now.setdefault(name, default)
        values = {name: now[name] for name in shape.names if name in now} | long
        if shape.numbered and shape.numbered not in values:
            now[shape.numbered] = self._connection.value(shape.insert_numbered, values)
        else:
            self._connection.change(shape.insert, values)
        self._held[type(row), tuple(now[name] for name in shape.keys)] = _Held(row, shape)

    def add_each(self, kind: type[Base], each: Sequence[Values]) -> None:
        """Write new rows, all of the same columns, that nobody holds."""
        self.flush()
        self._connection.change_each(_shape(kind).insert, each)

    def change(self, statement: Prepared, values: Values = _NONE, *, kind: type[Base] | None = None) -> None:
        """Write by a statement. Rows of the kind that are held are read again."""
        self.flush()
        self._connection.change(statement, values)
        if kind is not None:
            self._read_again(kind)

    def delete(self, row: Base) -> None:
        """Delete a row."""
        self.flush()
        shape = _shape(type(row))
        key = tuple(vars(row)[name] for name in shape.keys)
        self._connection.change(shape.delete, shape.key_values(key))
        self._held.pop((type(row), key), None)

    def flush(self) -> None:
        """Write what was changed of the rows that are held."""
        if self._read_only:
            return
        for held in self._held.values():
            if changed := held.changed():
                self._connection.change(held.shape.update, held.key | changed)

    def _hold(self, kind: type[Row], read: tuple[Any, ...]) -> Row:
        """The row of that key as it is held, or else with what was read."""
        shape = _shape(kind)
        key = (kind, tuple(read[place] for place in shape.key_places))
        held = self._held.get(key)
        if held is not None and isinstance(held.row, kind):
            return held.row
        row = kind()
        vars(row).update(zip(shape.names, read, strict=True))
        self._held[key] = _Held(row, shape)
        return row

    def _read_again(self, kind: type[Base]) -> None:
        for place, held in [one for one in self._held.items() if one[0][0] is kind]:
            read = self._connection.row(held.shape.by_key, held.key)
            if read is None:
                del self._held[place]
            else:
                held.take(read)


class _Held:
    """A row that is held, and what of it is on record.

    Attributes:
        row: The row.
        shape: Of its kind.
        key: The values of its key.
    """

    __slots__ = ("_on_record", "key", "row", "shape")

    def __init__(self, row: Any, shape: _Shape) -> None:
        self.row, self.shape = row, shape
        self._on_record = self._values()
        self.key = shape.key_values([vars(row)[name] for name in shape.keys])

    def changed(self) -> dict[str, Any]:
        """What is not on record yet; it is taken to be from now on."""
        now = self._values()
        if now == self._on_record:
            return {}
        before, self._on_record = self._on_record, now
        names = self.shape.names
        return {name: new for name, new, old in zip(names, now, before, strict=True) if new != old}

    def take(self, read: Sequence[Any]) -> None:
        """Let the row be as it was read just now."""
        vars(self.row).update(zip(self.shape.names, read, strict=True))
        self._on_record = self._values()

    def _values(self) -> tuple[Any, ...]:
        now = vars(self.row)
        return tuple([now[name] for name in self.shape.names])


class _Shape:
    """What there is to know of a kind of row.

    Attributes:
        names: The columns that `all_of` reads.
        keys: The columns of the key.
        key_places: Where they are among `names`.
        numbered: The column that the database numbers; empty without one.
        defaults: Values of columns that a new row leaves out.
        by_key: Reads one.
        insert: Writes a new one.
        insert_numbered: The same, and reads the number that it was given.
        update: Writes columns of one.
        delete: Deletes one.
    """

    def __init__(self, kind: type[Base]) -> None:
        table: Any = kind.__table__
        self.names = _attributes(kind)
        self.keys = [column.key for column in table.primary_key]
        self.key_places = [self.names.index(name) for name in self.keys]
        number = table.autoincrement_column
        self.numbered: str = "" if number is None else number.key
        self.defaults = {
            name: None if table.c[name].default is None else table.c[name].default.arg
            for name in self.names
            if name != self.numbered
        }
        of_this = [table.c[name] == sa.bindparam(f"{_KEY}{name}") for name in self.keys]
        self.by_key = Prepared(all_of(kind).where(*of_this))
        self.insert = Prepared(table.insert())
        self.insert_numbered = Prepared(table.insert().returning(number)) if self.numbered else self.insert
        self.update = Prepared(table.update().where(*of_this))
        self.delete = Prepared(table.delete().where(*of_this))

    def key_values(self, key: Sequence[Any]) -> dict[str, Any]:
        """The parameters that name one row."""
        return {f"{_KEY}{name}": value for name, value in zip(self.keys, key, strict=True)}


@functools.cache
def _shape(kind: type[Base]) -> _Shape:
    return _Shape(kind)


def _attributes(kind: type[Base]) -> list[str]:
    mapped = sa.inspect(kind).column_attrs.keys()
    return [column.key for column in kind.__table__.c if column.key in mapped]
