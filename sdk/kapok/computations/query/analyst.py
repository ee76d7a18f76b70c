"""The analyst's half: the sum of all holders' words → an answer with every suppressed cell labelled.

A cell is shown exactly if the sum of its flags is 0: if every holder showed it. A flag above 0 tells that
somebody suppressed, not who or how many, and the other words of the cell then mean nothing and are not
looked at.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from kapok.computations.query.params import Item, OutputKind, Question
from kapok.documents.dataset import Dataset
from kapok.errors import PeerProtocolError
from kapok.protocols.secure_sum.params import MOST_MEMBERS

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Answer", "AnswerColumn", "Value", "answer"]

Value: TypeAlias = int | Decimal | float | str | bool | None
ValueType = Literal["int64", "decimal", "float64", "text", "boolean"]

_LARGEST_INT64: Final = 2**63 - 1
_ARROW_DIGITS: Final = 38


@dataclass(frozen=True, slots=True)
class AnswerColumn:
    """One column of an answer.

    Attributes:
        name: As the question calls it.
        kind: ``group``, ``rows``, ``count``, ``sum`` or ``avg``.
        type: Of its values: counts and sums of integers ``int64``, or ``decimal`` where the schema's bounds
            allow a sum beyond 64 bits; sums of decimals ``decimal``, exact to the resolution; averages
            ``float64``, correctly rounded.
        decimals: Digits after the point of a ``decimal``.
        column: The dataset's column, None for COUNT(*).
        unit: The column's unit, where the value has it.
    """

    name: str
    kind: OutputKind
    type: ValueType
    decimals: int
    column: str | None
    unit: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the analyst gets.

    Attributes:
        columns: In the order of SELECT.
        rows: One for each group, in the order of the domains; one if nothing is grouped. None where a cell is
            suppressed, and where SQL gives null: a sum or average of no known value.
        suppressed: Which cells some holder suppressed: (index of the row, name of the column).
    """

    columns: tuple[AnswerColumn, ...]
    rows: tuple[tuple[Value, ...], ...]
    suppressed: tuple[tuple[int, str], ...]

    def to_dicts(self) -> list[dict[str, Value]]:
        """The rows as dictionaries."""
        names = [column.name for column in self.columns]
        return [dict(zip(names, row, strict=True)) for row in self.rows]

    def to_arrow(self) -> pa.Table:
        """The answer as an Arrow table.

        Its schema's metadata has ``kapok.suppressed``, a JSON list of [row, column name]; each field's
        metadata has ``kapok.kind``, and where known ``kapok.column`` and ``kapok.unit``.
        """
        import pyarrow as pa

        fields, arrays = [], []
        for place, column in enumerate(self.columns):
            kind = _arrow_type(pa, column)
            facts = {"kapok.kind": column.kind, "kapok.column": column.column, "kapok.unit": column.unit}
            metadata = {name: fact for name, fact in facts.items() if fact}
            fields.append(pa.field(column.name, kind, metadata=metadata))
            arrays.append(_arrow_array(pa, kind, [row[place] for row in self.rows]))
        schema = pa.schema(fields, metadata={"kapok.suppressed": json.dumps(self.suppressed)})
        return pa.Table.from_arrays(arrays, schema=schema)


def _arrow_array(pa: Any, kind: Any, values: Sequence[Value]) -> Any:
    """An Arrow array, by way of text: `pyarrow.array` would import pandas wherever that is installed.

    Nothing is lost: `repr` gives a float's shortest text that reads back as the same float.
    """
    builder = pa.lib.StringBuilder()
    for value in values:
        builder.append(f"{value:f}" if isinstance(value, Decimal) else None if value is None else str(value))
    return builder.finish().cast(kind)


def _arrow_type(pa: Any, column: AnswerColumn) -> Any:
    match column.type:
        case "int64":
            return pa.int64()
        case "decimal":
            return pa.decimal128(_ARROW_DIGITS, column.decimals)
        case "float64":
            return pa.float64()
        case "text":
            return pa.string()
        case "boolean":
            return pa.bool_()


@dataclass(frozen=True, slots=True)
class _Opened:
    """One measure of one group in the sum: None everywhere if somebody suppressed it."""

    count: int | None
    total: int | None


def answer(question: Question, dataset: Dataset, words: Sequence[int]) -> Answer:
    """Read the sum of all holders' words.

    Args:
        question: As asked.
        dataset: Its schema.
        words: `question.words` signed integers.

    Returns:
        The answer. Where the schema shows empty cells, groups in which all measures are zero are left out,
        as SQL leaves out groups without rows; a group of which only never-known columns were asked is left
        out with them.

    Raises:
        PeerProtocolError: ``impossible_sum`` when no holders within the schema can have sent such words.
    """
    if len(words) != question.words:
        raise _impossible(f"it has {len(words)} words, not {question.words}")
    columns = tuple(_column(item, dataset) for item in question.items)
    places = {measure.column: place for place, measure in enumerate(question.measures)}
    rest = iter(words)
    rows: list[tuple[Value, ...]] = []
    suppressed: list[tuple[int, str]] = []
    for key in question.groups():
        cells = [_open(measure.column, measure.with_sum, rest, dataset) for measure in question.measures]
        if question.group_by and all(cell.count == 0 for cell in cells):
            continue
        labels = dict(zip(question.group_by, key, strict=True))
        values: list[Value] = []
        for item, column in zip(question.items, columns, strict=True):
            if item.kind == "group":
                values.append(labels[item.column or ""])
                continue
            cell = cells[places[item.column]]
            if cell.count is None:
                suppressed.append((len(rows), item.name))
            values.append(_value(column, dataset, cell))
        rows.append(tuple(values))
    return Answer(columns, tuple(rows), tuple(suppressed))


def _open(column: str | None, with_sum: bool, rest: Any, dataset: Dataset) -> _Opened:
    count = next(rest)
    total = next(rest) if with_sum else None
    flag = next(rest)
    if flag < 0 or flag >= MOST_MEMBERS << dataset.random_bits:
        raise _impossible("a flag is out of range")
    if flag:
        return _Opened(None, None)
    if not 0 <= count <= MOST_MEMBERS * dataset.rows_max:
        raise _impossible("a count is out of range")
    if total is not None and column is not None:
        least, largest = dataset.column(column).step_bounds
        if not least * count <= total <= largest * count:
            raise _impossible(f"the sum of {column} is outside what its bounds allow")
    return _Opened(count, total)


def _impossible(why: str) -> PeerProtocolError:
    return PeerProtocolError(
        f"no holders within the dataset's schema can have sent this sum: {why}",
        code="impossible_sum",
        remedy="a node's software or data does not follow the schema; ask the holders to run their checks",
    )


def _column(item: Item, dataset: Dataset) -> AnswerColumn:
    if item.column is None:
        return AnswerColumn(item.name, item.kind, "int64", 0, None, "")
    column = dataset.column(item.column)
    unit = "" if item.kind == "count" else column.unit
    kind: ValueType = "int64"
    decimals = 0
    if item.kind == "group":
        kind = "text" if column.type == "text" else "boolean" if column.type == "boolean" else "int64"
    elif item.kind == "avg":
        kind = "float64"
    elif item.kind == "sum":
        largest = max(map(abs, column.step_bounds)) * dataset.rows_max * MOST_MEMBERS
        # The type follows from the schema, never from the value.
        if column.type == "decimal" or largest > _LARGEST_INT64:
            kind, decimals = "decimal", column.decimals
    return AnswerColumn(item.name, item.kind, kind, decimals, item.column, unit)


def _value(column: AnswerColumn, dataset: Dataset, cell: _Opened) -> Value:
    if cell.count is None or column.kind in ("rows", "count"):
        return cell.count
    if cell.count == 0 or cell.total is None:
        return None
    if column.kind == "avg":
        # True division of integers rounds correctly, however large they are.
        scale: int = 10 ** dataset.column(column.column or "").decimals
        return cell.total / (cell.count * scale)
    if column.type == "int64":
        return cell.total
    digits = tuple(map(int, str(abs(cell.total))))
    return Decimal((int(cell.total < 0), digits, -column.decimals))
