"""Kinds of questions by name, imported when first asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Protocol

from kapok.documents.dataset import Dataset
from kapok.errors import InvalidInput

if TYPE_CHECKING:
    from kapok.computations.engines import Engine, Note, Thresholds
    from kapok.protocols.words import WordVector

__all__ = ["Asked", "Computation", "computation", "known_operations"]

_MODULES: Final = {"query": "kapok.computations.query.entry"}


class Asked(Protocol):
    """A question of any kind, as policies, journals and people see it."""

    @property
    def text(self) -> str:
        """Its canonical text: parsing it again gives an equal question."""
        ...

    @property
    def substance(self) -> str:
        """What it asks, whatever things in it are called: what asks the same twice has it in common."""
        ...

    @property
    def words(self) -> int:
        """Number of words of one contribution: follows from question and schema alone."""
        ...

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns that it reads, sorted."""
        ...

    @property
    def operations(self) -> tuple[str, ...]:
        """Names of what it does with them, sorted."""
        ...

    def describe(self) -> str:
        """The question as a sentence for a data holder."""
        ...


@dataclass(frozen=True, slots=True)
class Computation:
    """One kind of question.

    Attributes:
        name: As in a job specification.
        rounds_max: Most rounds that one job may take.
        operations: Names of all that such a question may do with columns, as policies list them.
        parse: Text and dataset → question; raises `InvalidInput`.
        contribute: Question, dataset, engine, thresholds and a note for the holder's own log → this holder's
            words; never fails because of data.
        answer: Question, dataset and the sum of all words → answer.
    """

    name: str
    rounds_max: int
    operations: tuple[str, ...]
    parse: Callable[[str, Dataset], Asked]
    contribute: Callable[[Any, Dataset, Engine, Thresholds, Note], WordVector]
    answer: Callable[[Any, Dataset, Sequence[int]], Any]


def computation(name: str) -> Computation:
    """Find a kind of question.

    Raises:
        InvalidInput: ``unknown_computation``.
    """
    module = _MODULES.get(name)
    if module is None:
        raise InvalidInput(
            f"there is no computation called {name!r}",
            code="unknown_computation",
            remedy="this version has " + ", ".join(sorted(_MODULES)),
        )
    found: Computation = import_module(module).COMPUTATION
    return found


def known_operations() -> frozenset[str]:
    """Names of the operations of all kinds of questions."""
    return frozenset(name for kind in _MODULES for name in computation(kind).operations)
