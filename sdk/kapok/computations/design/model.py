"""What every model over a matrix is as a question, whatever is summed of its rows."""

from __future__ import annotations

import abc
from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from kapok.computations.design.reading import value_of
from kapok.computations.language.hints import refuse
from kapok.computations.language.syntax import Call, Expression, Name, Number, walk
from kapok.computations.language.vocabulary import FUNCTIONS
from kapok.computations.widths import random_bits, word_bits

if TYPE_CHECKING:
    from kapok.computations.design.columns import Design, Source, Unlisted
    from kapok.computations.design.sums import Scale
    from kapok.documents.dataset import Dataset

__all__ = ["ModelQuestion", "check_dataset"]


class _Said(Protocol):
    """What a model's text says, of whatever kind."""

    @property
    def ridge(self) -> Number | None: ...
    @property
    def rounds(self) -> int: ...


class _Layout(Protocol):
    @property
    def flags(self) -> tuple[str, ...]: ...
    @property
    def words(self) -> int: ...


class ModelQuestion(abc.ABC):
    """A model as policies, journals and people see it.

    Attributes:
        statement: What it says.
        sources: What an engine computes of each row.
        design: The matrix.
        where: Place of the condition of the rows that count; None without.
        unlisted: What factors leave out.
        scale: How sums become words.
    """

    __slots__ = ()
    statement: _Said
    sources: tuple[Source, ...]
    design: Design
    where: int | None
    unlisted: tuple[Unlisted, ...]
    scale: Scale

    @property
    @abc.abstractmethod
    def text(self) -> str:
        """The canonical text: parsing it again gives an equal model."""

    @property
    @abc.abstractmethod
    def layout(self) -> _Layout:
        """Which word is what."""

    @property
    @abc.abstractmethod
    def roots(self) -> Iterable[Expression]:
        """All that is computed of each row, or looked at."""

    @property
    def substance(self) -> str:
        """What it asks: as its text, for nothing in it has a name of its own."""
        return self.text

    @property
    def ridge(self) -> float:
        """λ of the penalty λ/2 Σ β² on all coefficients but a constant's; 0 without."""
        return 0.0 if self.statement.ridge is None else float(value_of(self.statement.ridge))

    @property
    def rounds(self) -> int:
        """Most rounds that it takes; it ends earlier once it has converged."""
        return self.statement.rounds

    @property
    def words(self) -> int:
        """Number of words of one contribution, in every round."""
        return self.layout.words

    @property
    def random_bits(self) -> int:
        """Width of the random words that stand for what is suppressed."""
        return random_bits(self.scale.bound)

    @property
    def word_bits(self) -> int:
        """Width of a word."""
        return word_bits(self.scale.bound)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns that it reads, sorted."""
        names = {part.name for root in self.roots for part in walk(root) if isinstance(part, Name)}
        return tuple(sorted(names))

    @property
    def functions(self) -> tuple[str, ...]:
        """Names of the functions that are applied to single rows, sorted."""
        calls = {part.name for root in self.roots for part in walk(root) if isinstance(part, Call)}
        return tuple(sorted(calls & FUNCTIONS))


def check_dataset(named: str, dataset: Dataset) -> None:
    """That a model is of this dataset.

    Raises:
        InvalidInput: ``unknown_dataset``.
    """
    if named != dataset.name:
        raise refuse(
            f"the model is of {named}, not {dataset.name}", f"write FROM {dataset.name}", "unknown_dataset"
        )
