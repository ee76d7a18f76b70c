"""A question of another kind that is a SELECT underneath."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from kapok.computations.engines import Engine, Note, Thresholds, unheard
from kapok.computations.language.syntax import Call, Expression, Statement, parts_of
from kapok.computations.language.vocabulary import FUNCTIONS
from kapok.computations.language.writing import write_statement
from kapok.computations.query.analyst import Answer
from kapok.computations.query.analyst import answer as query_answer
from kapok.computations.query.holder import contribute as query_contribute
from kapok.computations.query.params import Question
from kapok.computations.query.reading import read_question
from kapok.computations.registry import Answered, Computation
from kapok.computations.rows.meaning import Meaning
from kapok.documents.dataset import Dataset
from kapok.protocols.words import WordVector

__all__ = ["Derived", "derived", "known_rows", "select"]


@dataclass(frozen=True, slots=True)
class Derived:
    """What is asked, and the SELECT that answers it.

    Attributes:
        text: Its canonical text.
        question: The SELECT.
    """

    text: str
    question: Question = field(compare=False)

    @property
    def substance(self) -> str:
        """That of the SELECT: who asked one has asked the other."""
        return self.question.substance

    @property
    def words(self) -> int:
        """Number of words of one contribution."""
        return self.question.words

    @property
    def rounds(self) -> int:
        """One."""
        return self.question.rounds

    @property
    def word_bits(self) -> int:
        """Width of a word."""
        return self.question.word_bits

    @property
    def random_bits(self) -> int:
        """Width of the random words that stand for what is suppressed."""
        return self.question.random_bits

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns that it reads, sorted."""
        return self.question.columns

    @property
    def operations(self) -> tuple[str, ...]:
        """Those of the SELECT."""
        return self.question.operations

    @property
    def functions(self) -> tuple[str, ...]:
        """Those of the SELECT."""
        return self.question.functions

    def describe(self) -> str:
        """The question as a sentence for a data holder: what it is for, and what it asks."""
        return f"{self.text}. It asks: {self.question.describe()}"


def select(statement: Statement, dataset: Dataset) -> Question:
    """The SELECT, read from its text as every other.

    Raises:
        InvalidInput: whatever is wrong with it.
    """
    return read_question(write_statement(statement), dataset)


def known_rows(
    expressions: Sequence[Expression], condition: Expression | None, dataset: Dataset
) -> Expression | None:
    """The condition of rows that lack none of the expressions, and that a given condition keeps."""
    meaning = Meaning(dataset)
    parts: list[Expression] = [
        Call("not", (Call("is null", (one,)),))
        for one in dict.fromkeys(expressions)
        if meaning.term(one).nullable
    ]
    if condition is not None:
        is_and = isinstance(condition, Call) and condition.name == "and"
        parts += parts_of(condition) if is_and else (condition,)
    return Call("and", tuple(parts)) if len(parts) > 1 else next(iter(parts), None)


def _contribute(
    asked: Any, dataset: Dataset, engine: Engine, thresholds: Thresholds, note: Note = unheard
) -> WordVector:
    return query_contribute(asked.question, dataset, engine, thresholds, note)


def derived(
    name: str,
    operations: tuple[str, ...],
    parse: Callable[[str, Dataset], Derived],
    report: Callable[[Any, Answer], Answered],
    view: Callable[[Any], Any],
) -> Computation:
    """The registry's entry of such a kind.

    Args:
        name: As in a job specification.
        operations: All that its SELECTs may ask.
        parse: Text and dataset → question.
        report: Question and the answer to its SELECT → the kind's own.
        view: What people are shown.
    """

    def answer(asked: Any, dataset: Dataset, words: Sequence[int]) -> Answered:
        return report(asked, query_answer(asked.question, dataset, words))

    return Computation(
        name=name,
        operations=operations,
        parse=parse,
        contribute=_contribute,
        answer=answer,
        functions=tuple(sorted(FUNCTIONS)),
        view=view,
    )
