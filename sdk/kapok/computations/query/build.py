"""The SELECT that a holder's engine runs, built anew from Kapok's own types in the engine's dialect.

Inside stands a projection of the used columns to whole steps (`kapok.computations.encoding`), around it one
of everything that is computed for a row, and outside nothing but counts and sums of whole numbers:

    SELECT g0, k0, COUNT(*), SUM(CASE WHEN k0 THEN a0 - 60 END), …
    FROM (SELECT t.sex AS g0, t.age IS NOT NULL AS k0, t.age AS a0
          FROM (SELECT CAST(sex AS BIGINT) AS sex, … FROM source) AS t WHERE …) AS r
    GROUP BY 1, 2

A row of the result is an *atom*: rows of one finest group of which each measure has all or none. So sums
over groups are of whole atoms, and so are the differences between measures.
"""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from kapok.computations.encoding import encoded
from kapok.computations.query.disclosure.backgrounds import looked_at
from kapok.computations.query.disclosure.branches import summed_branches
from kapok.computations.query.measures import Measure, centre, half
from kapok.computations.query.params import Question
from kapok.computations.rows.engine_terms import ROWS, Writer
from kapok.computations.rows.meaning import Meaning
from kapok.computations.rows.terms import INT64, Term
from kapok.documents.dataset import Dataset

__all__ = ["KEPT", "engine_sql"]

KEPT: Final = "r"
"""What the rows that a filter keeps are called in the SELECT around them."""


def engine_sql(
    question: Question, dataset: Dataset, dialect: str, largest: int = 0, extremes: int = 0
) -> str:
    """The engine's SELECT.

    Args:
        question: What is asked.
        dataset: Its schema.
        dialect: Name of the SQL dialect as sqlglot knows it.
        largest: How many of the largest magnitudes each atom brings of each argument that is summed.
        extremes: How many of the smallest and of the largest values it brings of those of them that the
            question computes or a condition looks at (see `backgrounds`).

    Returns:
        SQL text whose result has for each atom: the value of each axis; for each measure that not all rows
        have whether these rows have it, and then, where it is spread, their value; COUNT(*); and for each
        measure its moments, and for each argument that is summed how many rows contribute to it and, with
        `largest`, the sum of the magnitudes and a list of the largest; how many rows take each branch inside
        it (see `branches`); with `extremes`, the lists of the smallest and of the largest values.
    """
    return _Builder(question, dataset, dialect, largest, extremes).select().sql(dialect=dialect)


class _Builder:
    def __init__(
        self, question: Question, dataset: Dataset, dialect: str, largest: int, extremes: int
    ) -> None:
        self._question = question
        self._dataset = dataset
        self._meaning = Meaning(dataset)
        self._writer = Writer(dialect)
        self._largest = largest
        self._extremes = extremes
        self._inner: list[exp.Expr] = []
        self._keys: list[exp.Expr] = []
        self._sums: list[exp.Expr] = []

    def select(self) -> exp.Select:
        """The whole SELECT."""
        for place, axis in enumerate(self._question.axes):
            self._keys.append(self._named(f"g{place}", self._writer.written(axis.term.code)))
        for number, measure in enumerate(self._question.measures):
            self._measure(number, measure)
        rows = encoded(self._dataset, self._question.columns).subquery(ROWS, copy=False)
        inner = exp.select(*(self._inner or [exp.alias_(exp.Literal.number(1), "one")])).from_(
            rows, copy=False
        )
        if self._question.where is not None:
            inner = inner.where(self._writer.written(self._question.where), copy=False)
        outputs = [*self._keys, exp.Count(this=exp.Star()), *self._sums]
        select = exp.select(*outputs).from_(inner.subquery(KEPT, copy=False), copy=False)
        places = [exp.Literal.number(place) for place in range(1, len(self._keys) + 1)]
        return select.group_by(*places, copy=False) if places else select

    def _named(self, name: str, value: exp.Expr) -> exp.Expr:
        """Computed once for a row, and known outside by a name."""
        self._inner.append(exp.alias_(value, name))
        return exp.column(name, table=KEPT)

    def _measure(self, number: int, measure: Measure) -> None:
        if not measure.arguments and measure.code is None:
            return
        parts: list[exp.Expr] = []
        if measure.code is not None:
            held = exp.Is(
                this=exp.Paren(this=self._writer.written(measure.code)), expression=exp.Boolean(this=True)
            )
            parts.append(self._named(f"c{number}", held))
        if measure.arguments:
            parts.append(self._named(f"k{number}", self._known(measure)))
        self._keys += parts
        kept = parts[0] if len(parts) == 1 else exp.And(this=parts[0].copy(), expression=parts[1].copy())
        if measure.spread:
            value = self._named(f"v{number}", self._writer.written(measure.terms[0].code))
            self._keys.append(exp.Case().when(kept.copy(), value))
        if measure.moments:
            self._moments(number, measure, kept)

    def _known(self, measure: Measure) -> exp.Expr:
        """Whether all arguments are known."""
        tests = [
            exp.Not(this=exp.Is(this=exp.Paren(this=self._writer.written(term.code)), expression=exp.Null()))
            for term in measure.terms
        ]
        return tests[0] if len(tests) == 1 else exp.And(this=tests[0], expression=tests[1])

    def _moments(self, number: int, measure: Measure, kept: exp.Expr) -> None:
        columns = {}
        for name, term in zip("ab", measure.terms, strict=False):
            columns[name] = self._named(f"{name}{number}", self._writer.written(term.code))
        for moment in measure.moments:
            terms = [measure.terms["ab".index(name)] for name in moment]
            parts = [
                self._about_centre(columns[name].copy(), term)
                for name, term in zip(moment, terms, strict=True)
            ]
            value = parts[0]
            if len(parts) > 1:
                if half(terms[0]) * half(terms[1]) > INT64:
                    value = self._writer.wide(value)
                value = exp.Mul(this=exp.Paren(this=value), expression=exp.Paren(this=parts[1]))
            self._sums.append(exp.Sum(this=exp.Case().when(kept.copy(), value)))
        for name, term in zip("ab", measure.terms, strict=False):
            if name in measure.moments:
                self._sums += self._contributors(columns[name], term, kept)
                self._sums += self._branches(number, measure, "ab".index(name), kept)
                if self._extremes and looked_at(self._question, measure, "ab".index(name)):
                    value = exp.Case().when(kept.copy(), columns[name].copy())
                    self._sums += [
                        self._writer.smallest(value, self._extremes),
                        self._writer.largest(value.copy(), self._extremes),
                    ]

    def _about_centre(self, column: exp.Expr, term: Term) -> exp.Expr:
        middle = centre(term)
        return exp.Sub(this=column, expression=self._writer.whole(middle)) if middle else column

    def _branches(self, number: int, measure: Measure, place: int, kept: exp.Expr) -> list[exp.Expr]:
        """How many rows each branch inside an argument has."""
        counted: list[exp.Expr] = []
        for each, branches in enumerate(summed_branches(measure, place)):
            code = self._meaning.term(branches.number).code
            column = self._named(f"b{number}_{place}_{each}", self._writer.written(code))
            for branch in range(1, branches.count + 1):
                taken = exp.EQ(this=column.copy(), expression=self._writer.whole(branch))
                both = exp.And(this=exp.Paren(this=kept.copy()), expression=taken)
                counted.append(exp.Count(this=exp.Case().when(both, exp.Literal.number(1))))
        return counted

    def _contributors(self, column: exp.Expr, term: Term, kept: exp.Expr) -> list[exp.Expr]:
        both = term.two_values
        test: exp.Expr
        if both is not None:
            test = exp.EQ(this=column.copy(), expression=self._writer.whole(both[1]))
        else:
            test = exp.NEQ(this=column.copy(), expression=self._writer.whole(0))
        counted = exp.Count(
            this=exp.Case().when(
                exp.And(this=exp.Paren(this=kept.copy()), expression=test), exp.Literal.number(1)
            )
        )
        if not self._largest:
            return [counted]
        magnitude = exp.Case().when(kept.copy(), exp.Abs(this=column.copy()))
        return [counted, exp.Sum(this=magnitude), self._writer.largest(magnitude.copy(), self._largest)]
