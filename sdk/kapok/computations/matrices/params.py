"""Which matrix of what, public to everybody it concerns.

MATRIX CORRELATION|COVARIANCE|COMPONENTS|SCALED_COMPONENTS OF e, e, … FROM dataset [WHERE condition]
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Final, TypeVar

from kapok.computations.derived.question import Derived, known_rows, select
from kapok.computations.design.reading import read_where
from kapok.computations.language.grammar import Reader
from kapok.computations.language.hints import refuse
from kapok.computations.language.syntax import Aggregate, Expression, Selected
from kapok.computations.language.syntax import Statement as Select
from kapok.computations.language.writing import identifier, write
from kapok.documents.dataset import Dataset

__all__ = ["FORMS", "Matrix", "Statement", "asked_of", "text_of"]

FORMS: Final = ("correlation", "covariance", "components", "scaled_components")
_OF_FIRST: Final = ("regr_count", "regr_avgy", "regr_avgx", "regr_syy", "regr_sxx")
"""What is asked of the first column with each other one, beside the sum of products."""

_MOST_COLUMNS: Final = 32
_Column = TypeVar("_Column")


@dataclass(frozen=True, slots=True)
class Statement:
    """What a text says, before anything is known of the dataset."""

    form: str
    columns: tuple[Expression, ...]
    dataset: str
    where: Expression | None


@dataclass(frozen=True, slots=True)
class Matrix(Derived):
    """A matrix over one dataset. Made by `parse` only.

    Attributes:
        statement: What it says.
    """

    statement: Statement = field(compare=False)

    @classmethod
    def parse(cls, text: str, dataset: Dataset) -> Matrix:
        """Read a matrix over the dataset.

        Raises:
            InvalidInput: ``bad_matrix``, and whatever is wrong with an expression or a text.
        """
        try:
            one = _read(text)
            return cls(text_of(one), select(_select(one, dataset), dataset), one)
        except RecursionError:
            raise refuse("it is nested too deeply", "simplify it", "question_too_long") from None


def _read(text: str) -> Statement:
    reader = Reader(text)
    reader.expect_word("matrix", "at the beginning")
    form = reader.identifier("the matrix")
    if form not in FORMS:
        raise refuse(f"there is no matrix called {form}", f"there are {', '.join(FORMS)}", "bad_matrix")
    reader.expect_word("of", "after it")
    columns = [reader.expression()]
    while reader.take_sign(","):
        columns.append(reader.expression())
    if not 1 < len(columns) <= _MOST_COLUMNS or len(set(columns)) != len(columns):
        raise refuse(
            f"a matrix is of 2 to {_MOST_COLUMNS} columns, none of them twice", "list them", "bad_matrix"
        )
    reader.expect_word("from", "after the columns")
    dataset = reader.identifier("the dataset's name")
    return Statement(form, tuple(columns), dataset, read_where(reader))


def text_of(one: Statement) -> str:
    """The canonical text."""
    parts = ["MATRIX", one.form, "OF", ", ".join(map(write, one.columns)), "FROM", identifier(one.dataset)]
    return " ".join([*parts, *([] if one.where is None else ["WHERE", write(one.where)])])


def _select(one: Statement, dataset: Dataset) -> Select:
    return Select(
        tuple(Selected(Aggregate(name, pair), None) for pair, name in asked_of(one.columns)),
        (one.dataset, False),
        known_rows(one.columns, one.where, dataset),
    )


def asked_of(columns: Sequence[_Column]) -> Iterator[tuple[tuple[_Column, _Column], str]]:
    """For each pair the sum of products, and of the first column's pairs all sums besides."""
    for pair in combinations(columns, 2):
        for name in (*_OF_FIRST, "regr_sxy") if pair[0] == columns[0] else ("regr_sxy",):
            yield pair, name
