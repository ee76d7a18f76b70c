"""Which test of what, public to everybody it concerns.

TEST T|ANOVA|CHI2 OF e BY e FROM dataset [WHERE condition]
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from kapok.computations.derived.question import Derived, known_rows, select
from kapok.computations.design.reading import read_where
from kapok.computations.language.grammar import Reader
from kapok.computations.language.hints import refuse
from kapok.computations.language.syntax import Aggregate, Expression, Group, Selected
from kapok.computations.language.syntax import Statement as Select
from kapok.computations.language.writing import identifier, write
from kapok.documents.dataset import Dataset

__all__ = ["TESTS", "Comparison", "Statement", "text_of"]

TESTS: Final = ("t", "anova", "chi2")


@dataclass(frozen=True, slots=True)
class Statement:
    """What a text says, before anything is known of the dataset."""

    test: str
    value: Expression
    group: Expression
    dataset: str
    where: Expression | None


@dataclass(frozen=True, slots=True)
class Comparison(Derived):
    """A test over one dataset. Made by `parse` only.

    Attributes:
        statement: What it says.
    """

    statement: Statement = field(compare=False)

    @classmethod
    def parse(cls, text: str, dataset: Dataset) -> Comparison:
        """Read a test over the dataset.

        Raises:
            InvalidInput: ``bad_test``, ``no_domain`` of the group, and whatever is wrong with an expression
                or a text.
        """
        try:
            one = _read(text)
            return cls(text_of(one), select(_select(one, dataset), dataset), one)
        except RecursionError:
            raise refuse("it is nested too deeply", "simplify it", "question_too_long") from None


def _read(text: str) -> Statement:
    reader = Reader(text)
    reader.expect_word("test", "at the beginning")
    test = reader.identifier("the test")
    if test not in TESTS:
        raise refuse(f"there is no test called {test}", f"there are {', '.join(TESTS)}", "bad_test")
    reader.expect_word("of", "after the test")
    value = reader.expression()
    reader.expect_word("by", "before the groups")
    group = reader.expression()
    reader.expect_word("from", "after the groups")
    dataset = reader.identifier("the dataset's name")
    return Statement(test, value, group, dataset, read_where(reader))


def text_of(one: Statement) -> str:
    """The canonical text."""
    parts = [
        "TEST",
        one.test,
        "OF",
        write(one.value),
        "BY",
        write(one.group),
        "FROM",
        identifier(one.dataset),
    ]
    return " ".join([*parts, *([] if one.where is None else ["WHERE", write(one.where)])])


def _select(one: Statement, dataset: Dataset) -> Select:
    axes: tuple[Expression, ...] = (one.group,) if one.test != "chi2" else (one.value, one.group)
    asked = [Aggregate("count", ())]
    if one.test != "chi2":
        asked += [Aggregate("avg", (one.value,)), Aggregate("var_samp", (one.value,))]
    return Select(
        tuple(Selected(part, None) for part in (*axes, *asked)),
        (one.dataset, False),
        known_rows((one.value, one.group), one.where, dataset),
        tuple(Group("plain", ((axis,),)) for axis in axes),
    )
