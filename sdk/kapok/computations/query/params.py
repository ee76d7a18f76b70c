"""A question, public to everybody it concerns, and the layout of its words."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from kapok.computations.query.conditions import Condition, fields_of
from kapok.documents.dataset import Dataset, DomainValue

__all__ = ["DatasetReference", "Item", "Measure", "OutputKind", "Question", "dataset_name_of"]

OutputKind: TypeAlias = Literal["group", "rows", "count", "sum", "avg"]
_OPERATIONS = {"rows": "count", "count": "count", "sum": "sum", "avg": "avg"}


@dataclass(frozen=True, slots=True)
class Item:
    """One column of the answer.

    Attributes:
        kind: ``group``: a column of GROUP BY; ``rows``: COUNT(*); else the aggregate of `column`.
        column: Name of the dataset's column, None for ``rows``.
        name: What the column is called in the answer.
    """

    kind: OutputKind
    column: str | None
    name: str

    @property
    def default_name(self) -> str:
        """The name without AS: the group's column, ``count``, ``count_x``, ``sum_x`` or ``avg_x``."""
        if self.column is None:
            return "count"
        return self.column if self.kind == "group" else f"{self.kind}_{self.column}"


@dataclass(frozen=True, slots=True)
class Measure:
    """What a holder computes for one cell: its rows, or one column's known values.

    Attributes:
        column: None for the rows.
        with_sum: Whether a sum stands between count and flag. An average travels as count and sum.
    """

    column: str | None
    with_sum: bool

    @property
    def words(self) -> int:
        """Count, the sum if asked, flag."""
        return 3 if self.with_sum else 2


@dataclass(frozen=True, slots=True)
class DatasetReference:
    """What stands after FROM: a name, and the beginning of a hash if ``"name@hash"`` was written."""

    name: str
    prefix: str | None


@dataclass(frozen=True, slots=True)
class Question:
    """A question over one dataset. Made by `parse` only, which checks all that is said here.

    Attributes:
        dataset: Its name.
        items: The answer's columns in the order of SELECT, no name twice, at least one aggregate.
        condition: Which rows are kept, None for all.
        group_by: Names of the grouping columns, none twice.
        axes: For each of them the values in order, null last if it is nullable.
    """

    dataset: str
    items: tuple[Item, ...]
    condition: Condition | None
    group_by: tuple[str, ...]
    axes: tuple[tuple[DomainValue, ...], ...]

    @classmethod
    def parse(cls, sql: str, dataset: Dataset) -> Question:
        """Read a SELECT over the dataset.

        Raises:
            InvalidInput: ``bad_sql``, ``unsupported_sql``, ``unknown_function``, ``unknown_dataset``,
                ``unknown_column``, ``no_domain``, ``outside_domain``, ``type_mismatch``,
                ``number_too_large``, ``not_grouped``, ``name_twice``, ``question_too_long`` or
                ``too_many_cells``, each with what to write instead.
        """
        from kapok.computations.query.parse import parse

        return parse(sql, dataset)

    @property
    def sql(self) -> str:
        """The canonical text. Parsing it gives an equal question; case, spaces and synonyms are gone."""
        from kapok.computations.query.writing import write

        return write(self)

    @property
    def text(self) -> str:
        """The canonical text, as `sql`."""
        return self.sql

    @property
    def substance(self) -> str:
        """What it asks, without what things are called and in which order: equal for the same words.

        Measures, condition and groups alone: names in the answer, their order and the dataset's name are not
        in it, since another name would make another question of it.
        """
        from kapok.computations.query.writing import write_substance

        return write_substance(self)

    @property
    def measures(self) -> tuple[Measure, ...]:
        """What a holder computes in each group, in the order of the words."""
        sums: dict[str | None, bool] = {}
        for item in self.items:
            if item.kind != "group":
                sums[item.column] = sums.get(item.column, False) or item.kind in ("sum", "avg")
        return tuple(Measure(column, with_sum) for column, with_sum in sums.items())

    @property
    def group_count(self) -> int:
        """Number of groups: the product of the domains' lengths, 1 without GROUP BY."""
        return math.prod(len(axis) for axis in self.axes)

    @property
    def words(self) -> int:
        """Number of words of one contribution."""
        return self.group_count * sum(measure.words for measure in self.measures)

    @property
    def rounds(self) -> int:
        """Most rounds that it takes."""
        return 1

    def groups(self) -> Iterator[tuple[DomainValue, ...]]:
        """The groups in the order of the words; one empty tuple without GROUP BY."""
        return itertools.product(*self.axes)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns that it reads, sorted: selected, grouped by or filtered on."""
        used = {item.column for item in self.items if item.column is not None} | set(self.group_by)
        if self.condition is not None:
            used |= set(fields_of(self.condition))
        return tuple(sorted(used))

    @property
    def operations(self) -> tuple[str, ...]:
        """Which of ``avg``, ``count``, ``sum`` it asks, sorted.

        Whoever is told an average is told the sum too, and with either the count of known values.
        """
        return tuple(sorted({_OPERATIONS[item.kind] for item in self.items if item.kind != "group"}))

    def describe(self) -> str:
        """The question as a sentence for a data holder."""
        from kapok.computations.query.describing import describe

        return describe(self)


def dataset_name_of(sql: str) -> DatasetReference:
    """Read only what stands after FROM: ``heart``, or ``"heart@9f2c"`` with the beginning of the hash.

    Raises:
        InvalidInput: as `Question.parse`, as far as the dataset need not be known for it.
    """
    from kapok.computations.query.parse import reference_of

    return reference_of(sql)
