"""A generalised linear model, public to everybody it concerns, and the layout of its words.

    GLM e ON term, term, … FAMILY name [DISPERSION number] LINK name [OFFSET e] [WEIGHTS e] [RIDGE number]
    ROUNDS number FROM dataset [COMPLETE (column, …)] [WHERE condition]

What a term is: `kapok.computations.design.reading`. What an analyst writes is a formula (`formula`); this is
what travels, what nodes judge and what their officers read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from kapok.computations.design.choices import choices, place_of
from kapok.computations.design.columns import Design, Source, Sources, Unlisted
from kapok.computations.design.features import Term, expressions, written
from kapok.computations.design.flags import OUTSIDE
from kapok.computations.design.model import ModelQuestion, check_dataset
from kapok.computations.design.reading import read_above_zero, read_rounds, read_terms, read_where, value_of
from kapok.computations.design.sums import Scale
from kapok.computations.glm.families import FAMILIES, LINKS, Family, Link
from kapok.computations.language.grammar import Reader
from kapok.computations.language.hints import refuse
from kapok.computations.language.syntax import Expression, Name, Number, walk
from kapok.computations.language.writing import identifier, write
from kapok.documents.dataset import Dataset
from kapok.errors import InvalidInput, near

__all__ = ["RULES", "Layout", "Model", "Statement", "read_statement", "text_of"]

_MARGIN: Final = 2.0**24
"""How much more a row may add to a sum on the way than the response's bounds let it at the end."""

RULES: Final = ("table", "few_rows", "parameters", "leverage", "dominance", OUTSIDE)
"""What else can suppress a model than one of its columns; see `kapok.computations.design.guards`."""

_COUNTS: Final = 2
_SINGLE: Final = 7


@dataclass(frozen=True, slots=True)
class Statement:
    """What a model's text says, before anything is known of the dataset.

    Attributes:
        complete: Further columns that a row must not lack, sorted.
        where: Which rows count; None: all.
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
    where: Expression | None = None


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
class Model(ModelQuestion):
    """A model over one dataset. Made by `parse` only, which checks all that is said here.

    Attributes:
        statement: What it says.
        sources: What an engine computes of each row.
        design: The matrix.
        response: Place of the response among the sources.
        offset: Place of the offset; None without.
        weights: Place of the weights; None without.
        choices: Places of the conditions inside of expressions.
        where: Place of the condition of the rows that count; None without.
        unlisted: What factors leave out.
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
    where: int | None = field(compare=False)
    unlisted: tuple[Unlisted, ...] = field(compare=False)
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
        names = [*self.watched, *(one.name for one in self.unlisted)]
        if self.statement.where is not None:
            names.append(f"condition {write(self.statement.where)}")
        return Layout((*RULES, *(f"nearly_constant: {name}" for name in names)), len(self.design.columns))

    @property
    def roots(self) -> Iterator[Expression]:
        """All that is computed of each row, or looked at."""
        yield from _numbers(self.statement)
        yield from map(Name, self.statement.complete)

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
        rows = f"all rows of {one.dataset}" + ("" if one.where is None else f" with {write(one.where)}")
        complete = f", nor {', '.join(one.complete)}" if one.complete else ""
        return (
            f"Fits a {one.family.replace('_', ' ')} regression ({one.link.replace('_', ' ')} link) of "
            f"{write(one.response)} on {shown or 'a constant alone'}{extra}, "
            f"over {rows} that lack nothing{complete}, in at most {one.rounds} rounds; each adds up products "
            f"of {len(self.design.columns)} columns at coefficients that the analyst has found."
        )


def _numbers(one: Statement) -> Iterator[Expression]:
    """What is computed of each row."""
    yield from (one.response, *expressions(one.terms))
    yield from (found for found in (one.offset, one.weights, one.where) if found is not None)


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
    dispersion = read_above_zero(reader, "DISPERSION") if reader.take_word("dispersion") else None
    reader.expect_word("link", "after the family")
    link = reader.identifier("the link")
    offset = reader.expression() if reader.take_word("offset") else None
    weights = reader.expression() if reader.take_word("weights") else None
    ridge = read_above_zero(reader, "RIDGE") if reader.take_word("ridge") else None
    rounds = read_rounds(reader)
    reader.expect_word("from", "at the end of a model")
    dataset = reader.identifier("the dataset's name")
    complete = _complete(reader) if reader.take_word("complete") else ()
    where = read_where(reader)
    return Statement(
        response, terms, family, dispersion, link, offset, weights, ridge, rounds, dataset, complete, where
    )


def _complete(reader: Reader) -> tuple[str, ...]:
    reader.expect_sign("(", "after COMPLETE")
    names = {reader.identifier("a column")}
    while reader.take_sign(","):
        names.add(reader.identifier("a column"))
    reader.expect_sign(")", "after the columns of COMPLETE")
    return tuple(sorted(names))


def text_of(one: Statement) -> str:
    """The canonical text of a model."""
    parts = ["GLM", write(one.response), "ON", written(one.terms), "FAMILY", one.family]
    parts += [] if one.dispersion is None else ["DISPERSION", write(one.dispersion)]
    parts += ["LINK", one.link]
    for word, found in (("OFFSET", one.offset), ("WEIGHTS", one.weights), ("RIDGE", one.ridge)):
        parts += [] if found is None else [word, write(found)]
    parts += ["ROUNDS", str(one.rounds), "FROM", identifier(one.dataset)]
    parts += [f"COMPLETE ({', '.join(map(identifier, one.complete))})"] if one.complete else []
    return " ".join([*parts, *([] if one.where is None else ["WHERE", write(one.where)])])


def _compiled(one: Statement, dataset: Dataset) -> Model:
    check_dataset(one.dataset, dataset)
    family = _family(one)
    sources = Sources(dataset)
    design = Design.of(one.terms, sources)
    response = sources.number("a model", one.response)
    bounds = sources.listed[response].bounds
    if not family.admits(bounds):
        raise refuse(
            f"{write(one.response)} can be {bounds.low:g} to {bounds.high:g}, and a {one.family} response is "
            + _range(family),
            _other_response(family),
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
            raise refuse(
                "by the schema's bounds weights can be negative, or are all zero",
                "publish the column with a least value of 0, or say max(w, 0)",
                "bad_weights",
            )
    for name in one.complete:
        sources.known(Name(name))
    chosen = tuple(place_of(condition, sources) for condition in choices(_numbers(one)))
    where = None if one.where is None else place_of(one.where, sources)
    largest = heaviest * max(1.0, bounds.largest) ** 2 * _MARGIN
    return Model(
        one,
        tuple(sources.listed),
        design,
        response,
        offset,
        weights,
        chosen,
        where,
        tuple(sources.unlisted),
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


def _other_response(family: Family) -> str:
    if family.high < float("inf"):
        return "take another family, or make a condition of it, as in num > 0"
    if family.strict:
        return "take another family; or publish the column with a least value above 0, or model max(y, 0.1)"
    return "take another family; or publish the column with a least value of 0"


def _range(family: Family) -> str:
    low = f"{'above' if family.strict else 'at least'} {family.low:g}"
    return low if family.high == float("inf") else f"{low} and at most {family.high:g}"
