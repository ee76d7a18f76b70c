"""A generalised linear model, public to everybody it concerns, and the layout of its words.

    GLM e ON term, term, … FAMILY name [DISPERSION number] LINK name [OFFSET e] [WEIGHTS e] [RIDGE number]
    ROUNDS number FROM dataset [COMPLETE (column, …)]

What a term is: `kapok.computations.design.reading`. What an analyst writes is a formula (`formula`); this is
what travels, what nodes judge and what their officers read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from kapok.computations.design.choices import choices, place_of
from kapok.computations.design.columns import Design, Source, Sources
from kapok.computations.design.features import Term, expressions, written
from kapok.computations.design.reading import read_terms, value_of
from kapok.computations.design.sums import Scale
from kapok.computations.glm.families import FAMILIES, LINKS, Family, Link
from kapok.computations.language.grammar import Reader
from kapok.computations.language.hints import refuse
from kapok.computations.language.syntax import Call, Expression, Name, Number, walk
from kapok.computations.language.vocabulary import FUNCTIONS
from kapok.computations.language.writing import identifier, write
from kapok.computations.widths import random_bits, word_bits
from kapok.documents.dataset import Dataset
from kapok.errors import InvalidInput, near

__all__ = ["RULES", "Layout", "Model", "Statement", "read_statement", "text_of"]

MOST_ROUNDS: Final = 100
_MARGIN: Final = 2.0**24
"""How much more a row may add to a sum on the way than the response's bounds let it at the end."""

RULES: Final = ("table", "few_rows", "parameters", "leverage", "dominance")
"""What else can suppress a model than one of its columns; see `kapok.computations.design.guards`."""

_COUNTS: Final = 3
_SINGLE: Final = 7


@dataclass(frozen=True, slots=True)
class Statement:
    """What a model's text says, before anything is known of the dataset.

    Attributes:
        complete: Further columns that a row must not lack, sorted.
    """

    response: Expression
    terms: tuple[Term, ...]
    family: str
    dispersion: Number | None
    link: str
    offset: Expression | None
    weights: Expression | None
    ridge: Number | None
    rounds: int
    dataset: str
    complete: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """Which word is what.

    Attributes:
        flags: What each flag is of: a rule, or a rule and a column.
        columns: Number of the matrix's columns.
    """

    flags: tuple[str, ...]
    columns: int

    @property
    def pairs(self) -> int:
        """Entries of the upper triangle of XᵀWX."""
        return self.columns * (self.columns + 1) // 2

    @property
    def words(self) -> int:
        """Flags, counts, XᵀWX, score, and the sums that are single numbers."""
        return len(self.flags) + _COUNTS + self.pairs + self.columns + _SINGLE


@dataclass(frozen=True, slots=True)
class Model:
    """A model over one dataset. Made by `parse` only, which checks all that is said here.

    Attributes:
        statement: What it says.
        sources: What an engine computes of each row.
        design: The matrix.
        response: Place of the response among the sources.
        offset: Place of the offset; None without.
        weights: Place of the weights; None without.
        choices: Places of the conditions inside of expressions.
        scale: How sums become words.
        largest: What one row adds to a sum at most.
    """

    statement: Statement
    sources: tuple[Source, ...] = field(compare=False)
    design: Design = field(compare=False)
    response: int = field(compare=False)
    offset: int | None = field(compare=False)
    weights: int | None = field(compare=False)
    choices: tuple[int, ...] = field(compare=False)
    scale: Scale = field(compare=False)
    largest: float = field(compare=False)

    @classmethod
    def parse(cls, text: str, dataset: Dataset) -> Model:
        """Read a model over the dataset.

        Raises:
            InvalidInput: ``bad_model``, ``unknown_family``, ``unknown_link``, ``response_out_of_range``,
                ``bad_weights``, ``unknown_level``, ``constant_column``, ``too_many_columns``,
                ``unknown_dataset``, ``unknown_column``, ``type_mismatch``, ``number_too_large`` and what
                is wrong with a text, each with what to write instead.
        """
        try:
            return _compiled(read_statement(text), dataset)
        except RecursionError:
            raise refuse("the model is nested too deeply", "simplify it", "question_too_long") from None

    @property
    def text(self) -> str:
        """The canonical text: parsing it again gives an equal model."""
        return text_of(self.statement)

    @property
    def substance(self) -> str:
        """What it asks: as its text, for nothing in it has a name of its own."""
        return self.text

    @property
    def family(self) -> Family:
        """The distribution of the response."""
        return FAMILIES[self.statement.family]

    @property
    def link(self) -> Link:
        """The link."""
        return LINKS[self.statement.link]

    @property
    def dispersion(self) -> float:
        """Of a negative binomial; 0 of all others."""
        return 0.0 if self.statement.dispersion is None else float(value_of(self.statement.dispersion))

    @property
    def ridge(self) -> float:
        """λ of the penalty λ/2 Σ β² on all coefficients but the intercept's; 0 without."""
        return 0.0 if self.statement.ridge is None else float(value_of(self.statement.ridge))

    @property
    def watched(self) -> tuple[str, ...]:
        """Names of the columns that the holders look at for values of few rows."""
        names = [column.name for column in self.design.columns if column.parts]
        names.append(write(self.statement.response))
        for what, expression in (("offset", self.statement.offset), ("weights", self.statement.weights)):
            if expression is not None:
                names.append(f"{what} {write(expression)}")
        names += [f"condition {write(one)}" for one in choices(_numbers(self.statement))]
        return tuple(names)

    @property
    def layout(self) -> Layout:
        """Which word is what."""
        flags = (*RULES, *(f"nearly_constant: {name}" for name in self.watched))
        return Layout(flags, len(self.design.columns))

    @property
    def words(self) -> int:
        """Number of words of one contribution, in every round."""
        return self.layout.words

    @property
    def rounds(self) -> int:
        """Most rounds that it takes; it ends earlier once it has converged."""
        return self.statement.rounds

    @property
    def random_bits(self) -> int:
        """Width of the random words that stand for what is suppressed."""
        return random_bits(self.scale.bound)

    @property
    def word_bits(self) -> int:
        """Width of a word."""
        return word_bits(self.scale.bound)

    def _expressions(self) -> Iterator[Expression]:
        yield from _numbers(self.statement)
        yield from map(Name, self.statement.complete)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns that it reads, sorted."""
        found = {part.name for root in self._expressions() for part in walk(root) if isinstance(part, Name)}
        return tuple(sorted(found))

    @property
    def predictors(self) -> tuple[int, ...]:
        """Places of the sources that a prediction takes: those of the columns, and the offset's."""
        places = {part.source for column in self.design.columns for part in column.parts}
        return tuple(sorted(places if self.offset is None else places | {self.offset}))

    @property
    def needed(self) -> tuple[str, ...]:
        """Names of the columns that a prediction takes, sorted."""
        roots = [*expressions(self.statement.terms)]
        roots += [] if self.statement.offset is None else [self.statement.offset]
        return tuple(sorted({part.name for root in roots for part in walk(root) if isinstance(part, Name)}))

    @property
    def functions(self) -> tuple[str, ...]:
        """Names of the functions that are applied to single rows, sorted."""
        calls = {part.name for root in self._expressions() for part in walk(root) if isinstance(part, Call)}
        return tuple(sorted(calls & FUNCTIONS))

    @property
    def operations(self) -> tuple[str, ...]:
        """As policies list it."""
        return ("glm",)

    def describe(self) -> str:
        """The model as a sentence for a data holder."""
        one = self.statement
        names = [column.name for column in self.design.columns if column.parts]
        shown = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
        extra = f", offset {write(one.offset)}" if one.offset is not None else ""
        extra += f", weights {write(one.weights)}" if one.weights is not None else ""
        return (
            f"Fits a {one.family.replace('_', ' ')} regression ({one.link.replace('_', ' ')} link) of "
            f"{write(one.response)} on {shown or 'a constant alone'}{extra}, over all rows of {one.dataset} "
            f"that lack nothing, in at most {one.rounds} rounds; each adds up products of "
            f"{len(self.design.columns)} columns at coefficients that the analyst has found."
        )


def _numbers(one: Statement) -> Iterator[Expression]:
    """What is computed of each row."""
    yield from (one.response, *expressions(one.terms))
    yield from (found for found in (one.offset, one.weights) if found is not None)


def read_statement(text: str) -> Statement:
    """Read a model's text.

    Raises:
        InvalidInput: ``bad_sql``, ``bad_model``, ``unknown_function`` or another code of a bad expression.
    """
    reader = Reader(text)
    reader.expect_word("glm", "at the beginning of a model")
    response = reader.expression()
    reader.expect_word("on", "after the response")
    terms = read_terms(reader)
    reader.expect_word("family", "after the terms")
    family = reader.identifier("the family")
    dispersion = _number(reader, "DISPERSION") if reader.take_word("dispersion") else None
    reader.expect_word("link", "after the family")
    link = reader.identifier("the link")
    offset = reader.expression() if reader.take_word("offset") else None
    weights = reader.expression() if reader.take_word("weights") else None
    ridge = _number(reader, "RIDGE") if reader.take_word("ridge") else None
    reader.expect_word("rounds", "after the model")
    rounds = _number(reader, "ROUNDS")
    reader.expect_word("from", "at the end of a model")
    dataset = reader.identifier("the dataset's name")
    complete = _complete(reader) if reader.take_word("complete") else ()
    if reader.token.kind != "end":
        raise reader.unexpected("the model ends after the dataset's name")
    if rounds.decimals or not 2 <= rounds.units <= MOST_ROUNDS:
        raise refuse(f"a model takes 2 to {MOST_ROUNDS} rounds", "ask for so many", "bad_model")
    return Statement(
        response, terms, family, dispersion, link, offset, weights, ridge, rounds.units, dataset, complete
    )


def _complete(reader: Reader) -> tuple[str, ...]:
    reader.expect_sign("(", "after COMPLETE")
    names = {reader.identifier("a column")}
    while reader.take_sign(","):
        names.add(reader.identifier("a column"))
    reader.expect_sign(")", "after the columns of COMPLETE")
    return tuple(sorted(names))


def _number(reader: Reader, what: str) -> Number:
    found = reader.expression()
    if not isinstance(found, Number) or found.units <= 0:
        raise refuse(f"{what} takes a number above 0", "write it as digits", "bad_model")
    return found


def text_of(one: Statement) -> str:
    """The canonical text of a model."""
    parts = ["GLM", write(one.response), "ON", written(one.terms), "FAMILY", one.family]
    parts += [] if one.dispersion is None else ["DISPERSION", write(one.dispersion)]
    parts += ["LINK", one.link]
    for word, found in (("OFFSET", one.offset), ("WEIGHTS", one.weights), ("RIDGE", one.ridge)):
        parts += [] if found is None else [word, write(found)]
    parts += ["ROUNDS", str(one.rounds), "FROM", identifier(one.dataset)]
    return " ".join(
        [*parts, *([f"COMPLETE ({', '.join(map(identifier, one.complete))})"] if one.complete else [])]
    )


def _compiled(one: Statement, dataset: Dataset) -> Model:
    if one.dataset != dataset.name:
        raise refuse(
            f"the model is of {one.dataset}, not {dataset.name}",
            f"write FROM {dataset.name}",
            "unknown_dataset",
        )
    family = _family(one)
    sources = Sources(dataset)
    design = Design.of(one.terms, sources)
    response = sources.number("a model", one.response)
    bounds = sources.listed[response].bounds
    if not family.admits(bounds):
        raise refuse(
            f"{write(one.response)} can be {bounds.low:g} to {bounds.high:g}, and a {one.family} response is "
            + _range(family),
            "take another family, or make a condition of it, as in num > 0",
            "response_out_of_range",
        )
    if bounds.low == bounds.high:
        raise refuse(f"{write(one.response)} is always {bounds.low:g}", "model something else", "bad_model")
    offset = None if one.offset is None else sources.number("an offset", one.offset)
    weights = None if one.weights is None else sources.number("weights", one.weights)
    heaviest = 1.0
    if weights is not None:
        heaviest = sources.listed[weights].bounds.high
        if sources.listed[weights].bounds.low < 0 or heaviest <= 0:
            raise refuse("weights cannot be negative, or all zero", "take others", "bad_weights")
    for name in one.complete:
        sources.known(Name(name))
    chosen = tuple(place_of(condition, sources) for condition in choices(_numbers(one)))
    largest = heaviest * max(1.0, bounds.largest) ** 2 * _MARGIN
    return Model(
        one,
        tuple(sources.listed),
        design,
        response,
        offset,
        weights,
        chosen,
        Scale(dataset.rows_max, largest),
        largest,
    )


def _family(one: Statement) -> Family:
    family = FAMILIES.get(one.family)
    if family is None:
        raise _unknown("family", one.family, list(FAMILIES))
    if one.link not in family.links:
        raise _unknown(f"link of a {one.family} model", one.link, list(family.links), "unknown_link")
    if (one.dispersion is not None) != (one.family == "negative_binomial"):
        raise refuse(
            "the dispersion is given for a negative binomial, and for nothing else",
            "say it, as in dispersion 1.5, or leave it out",
            "bad_model",
        )
    return family


def _unknown(what: str, name: str, known: list[str], code: str = "unknown_family") -> InvalidInput:
    meant = near(name, known)
    hint = f"did you mean {meant[0]}? " if meant else ""
    return refuse(f"there is no {what} called {name}", f"{hint}there are {', '.join(known)}", code)


def _range(family: Family) -> str:
    low = f"{'above' if family.strict else 'at least'} {family.low:g}"
    return low if family.high == float("inf") else f"{low} and at most {family.high:g}"
