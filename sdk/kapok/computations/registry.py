"""Kinds of questions by name, imported when first asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from kapok.documents.dataset import Dataset
from kapok.errors import InternalError, InvalidInput

if TYPE_CHECKING:
    import pyarrow as pa

    from kapok.computations.engines import Engine, Note, Thresholds
    from kapok.protocols.words import WordVector

__all__ = [
    "Answered",
    "Asked",
    "Computation",
    "Next",
    "Steps",
    "computation",
    "known_functions",
    "known_operations",
]

_MODULES: Final = {
    "comparison": "kapok.computations.comparison.entry",
    "cox": "kapok.computations.cox.entry",
    "federated": "kapok.computations.federated.entry",
    "glm": "kapok.computations.glm.entry",
    "matrices": "kapok.computations.matrices.entry",
    "meta": "kapok.computations.meta.entry",
    "query": "kapok.computations.query.entry",
    "survival": "kapok.computations.survival.entry",
}


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
    def rounds(self) -> int:
        """Most rounds that it takes: follows from question and schema alone. 1 where one sum answers it."""
        ...

    @property
    def word_bits(self) -> int:
        """Width of these words, as its largest sum needs it."""
        ...

    @property
    def random_bits(self) -> int:
        """Width of the random words that stand for what is suppressed."""
        ...

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns that it reads, sorted."""
        ...

    @property
    def operations(self) -> tuple[str, ...]:
        """Names of what it does with them, sorted."""
        ...

    @property
    def functions(self) -> tuple[str, ...]:
        """Names of the functions that it applies to single rows, lower case, sorted."""
        ...

    def describe(self) -> str:
        """The question as a sentence for a data holder."""
        ...


class Answered(Protocol):
    """What an analyst makes of the last sum."""

    @property
    def suppressed(self) -> tuple[tuple[int, str], ...]:
        """Row number, from 0, and column name of every cell that somebody does not show."""
        ...

    def to_arrow(self) -> pa.Table:
        """All of it as one table; what is no cell stands in its metadata."""
        ...


@dataclass(frozen=True, slots=True)
class Next:
    """What an analyst makes of a round's sum when another round is wanted.

    Attributes:
        parameters: What the holders of the roster are to be told, in the computation's own encoding. It shows
            them something of the sum.
        state: What the analyst keeps for itself until the next sum, in the computation's own encoding.
    """

    parameters: bytes = field(repr=False)
    state: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Steps:
    """How a computation goes on after the first round, for questions that take several.

    The first round is computed from the question alone, by `Computation.contribute`.

    Attributes:
        read: Question, dataset and the bytes of `Next.parameters` → parameters; what a holder checks of them
            before it computes. Raises `InvalidInput`, which says nothing of what is in them.
        contribute: Question, dataset, parameters, engine, thresholds and note → this holder's words, as many
            as in the first round; never fails because of data.
        advance: Question, dataset, state (None after the first round) and the sum of all words → `Next`, or
            the answer. It must not depend on anything else: after a restart it is done again. None where a
            program at the analyst says what comes next, from before the first round on.
        substance: Parameters, as they were read → bytes that stand for them, however they were written; None
            where there is one way alone to write them.
    """

    read: Callable[[Any, Dataset, bytes], Any]
    contribute: Callable[[Any, Dataset, Any, Any, Thresholds, Note], WordVector]
    advance: Callable[[Any, Dataset, bytes | None, Sequence[int]], Any] | None
    substance: Callable[[Any], bytes] | None = None


@dataclass(frozen=True, slots=True)
class Computation:
    """One kind of question.

    Attributes:
        name: As in a job specification.
        operations: Names of all that such a question may do with columns, as policies list them.
        parse: Text and dataset → question; raises `InvalidInput`.
        contribute: Question, dataset, engine, thresholds and a note for the holder's own log → this holder's
            words; never fails because of data.
        answer: Question, dataset and the sum of all words → answer; for questions of one round.
        steps: How to go on with questions of several rounds; None where there are none.
        functions: Names of all that it may apply to single rows, lower case, as policies list them.
        over: What the holder's half computes over: its ``table``, through an engine, or an ``app`` that was
            started over it.
        more_parties: How many organisations it takes beyond a policy's `min_parties`: above 0 where a few
            holders' numbers can be solved for from the sums.
        view: What people are shown of a result whose `to_arrow` gives what the answer's did; None where it is
            a plain table.
    """

    name: str
    operations: tuple[str, ...]
    parse: Callable[[str, Dataset], Asked]
    contribute: Callable[[Any, Dataset, Engine, Thresholds, Note], WordVector]
    answer: Callable[[Any, Dataset, Sequence[int]], Answered]
    steps: Steps | None = None
    functions: tuple[str, ...] = ()
    over: Literal["table", "app"] = "table"
    view: Callable[[Any], Any] | None = None
    more_parties: int = 0

    @property
    def steered(self) -> bool:
        """Whether the first round has parameters, too: a program at the analyst says what each round does."""
        return self.steps is not None and self.steps.advance is None

    def go_on(self) -> Steps:
        """How to go on after the first round.

        Raises:
            InternalError: a question that takes several rounds has no steps.
        """
        if self.steps is None:
            raise InternalError(f"the computation {self.name} knows no second round")
        return self.steps


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


def known_functions() -> frozenset[str]:
    """Names of the functions of single rows of all kinds of questions."""
    return frozenset(name for kind in _MODULES for name in computation(kind).functions)
