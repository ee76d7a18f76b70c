"""Which aggregates a question needs, and the measures that holders compute for them, none twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

from kapok.computations.language.hints import refuse
from kapok.computations.language.syntax import Aggregate, Call, Expression, Name, walk
from kapok.computations.language.writing import in_order, write
from kapok.computations.query.aggregates import AGGREGATES, Moment
from kapok.computations.query.answers.formulas import Formula, Formulas
from kapok.computations.query.answers.values import ValueType, exact
from kapok.computations.query.grouping import bins_of
from kapok.computations.query.measures import Axis, Measure
from kapok.computations.query.params import Result
from kapok.computations.query.quantiles import QUANTILES, fraction_of, span_of
from kapok.computations.rows.arithmetic import number, of_boolean
from kapok.computations.rows.meaning import Meaning
from kapok.computations.rows.terms import Term
from kapok.documents.dataset import Dataset
from kapok.protocols.secure_sum.params import MOST_MEMBERS

__all__ = ["Asking"]

_ORDER: tuple[Moment, ...] = ("a", "b", "aa", "bb", "ab")
_OTHER: dict[Moment, Moment] = {"a": "b", "b": "a", "aa": "bb", "bb": "aa", "ab": "ab"}


class Asking:
    """What one question asks, collected while its expressions are read.

    Attributes:
        meaning: Types the expressions of rows.
        formulas: Reads the expressions of lines.
        axes: What is grouped by; set before expressions are read.
        results: The aggregates that were met.
        measures: Their measures by what they are.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self.meaning = Meaning(dataset)
        self.formulas = Formulas(self)
        self.axes: tuple[Axis, ...] = ()
        self.results: list[Result] = []
        self.measures: dict[str, Measure] = {}
        self._numbers: dict[Result, int] = {}

    def finished(self) -> tuple[Measure, ...]:
        """All measures, each with every sum that some aggregate needs of it."""
        return tuple(self.measures.values())

    def condition(self, expression: Expression, aliases: Mapping[str, Expression]) -> Formula:
        """The formula of HAVING.

        Raises:
            InvalidInput: ``type_mismatch`` when it is not true or false.
        """
        formula = self.formulas.read(expression, aliases)
        if formula.type.kind != "boolean":
            raise refuse(
                "HAVING is a condition", "compare an aggregate: HAVING COUNT(*) > 10", "type_mismatch"
            )
        return formula

    def key(self, expression: Expression) -> tuple[int, ValueType] | None:
        """The axis that an expression is, and its values' type."""
        for place, axis in enumerate(self.axes):
            if axis.expression == expression:
                term = axis.term
                unit = term.column.unit if term.column else ""
                if term.kind != "number":
                    return place, ValueType(term.kind, unit=unit)
                return place, exact(term.scale, max(abs(term.low), abs(term.high)) * term.scale, unit)
        return None

    def bins(self, place: int) -> tuple[Fraction, Fraction]:
        """Where the first bin of a histogram begins, and how wide each is."""
        return bins_of(self.axes[place].expression, self.meaning)

    def aggregate(self, aggregate: Aggregate) -> tuple[int, ValueType]:
        """The number of an aggregate, which is remembered, and its value's type.

        Raises:
            InvalidInput: see `kapok.computations.query.reading`.
        """
        if aggregate.name in QUANTILES:
            return self._quantile(aggregate)
        self._check(aggregate)
        arguments, condition = aggregate.arguments, aggregate.condition
        if aggregate.name == "count_if":
            condition = _both(condition, arguments[0])
            self.meaning.condition("COUNT_IF", arguments[0])
            arguments = ()
        elif aggregate.name == "count" and not aggregate.distinct:
            # What is always known is counted as the rows are.
            arguments = tuple(one for one in arguments if self._can_lack(one))
        ordered = tuple(sorted(arguments, key=lambda one: write(in_order(one))))
        swapped = ordered != arguments
        moments = AGGREGATES[aggregate.name].moments
        if swapped:
            turned = {_OTHER[moment] for moment in moments}
            moments = tuple(moment for moment in _ORDER if moment in turned)
        measure = self._measure(aggregate, ordered, condition, moments)
        name = "count_distinct" if aggregate.distinct else aggregate.name
        number = self._numbered(Result(name, self._placed(measure), swapped))
        return number, self._type(name, measure, swapped)

    def _numbered(self, result: Result) -> int:
        if result not in self._numbers:
            self._numbers[result] = len(self.results)
            self.results.append(result)
        return self._numbers[result]

    def _quantile(self, aggregate: Aggregate) -> tuple[int, ValueType]:
        """A quantile: of the rows in which its argument is known, which are counted as those of COUNT(x)."""
        fraction, argument = fraction_of(aggregate), aggregate.arguments[0]
        term = number(aggregate.name.upper(), self.meaning.term(argument))
        span_of(term)
        condition = aggregate.condition
        code = None if condition is None else self.meaning.condition("FILTER", condition).code
        measure = Measure((argument,), condition, (term,), code, (), columns=self._lacked((argument,)))
        name = "quantile_disc" if aggregate.name == "quantile_disc" else "quantile_cont"
        result = Result(name, self._placed(measure), fraction=fraction)
        unit = term.column.unit if term.column else ""
        kind = ValueType("number", unit=unit)
        if name == "quantile_disc":
            kind = exact(term.scale, max(abs(term.low), abs(term.high)) * term.scale, unit)
        return self._numbered(result), kind

    def _check(self, aggregate: Aggregate) -> None:
        name = aggregate.name.upper()
        if aggregate.name == "histogram":
            raise refuse("HISTOGRAM stands alone in the list of SELECT", "write SELECT HISTOGRAM(x, 10)")
        wanted = AGGREGATES[aggregate.name].arguments
        given = len(aggregate.arguments)
        if given != wanted and not (aggregate.name == "count" and given == 0 and not aggregate.distinct):
            what = "one argument" if wanted == 1 else f"{wanted} arguments"
            raise refuse(f"{name} takes {what}", "write a column or an expression of columns")
        if aggregate.distinct and aggregate.name != "count":
            raise refuse(
                f"{name}(DISTINCT …) cannot be added up over holders",
                "group by the column instead, if it has a domain",
            )

    def _can_lack(self, expression: Expression) -> bool:
        """Whether a row may have no value of it: of no column, too, where it is NULLIF(1, 1), say."""
        term = self.meaning.term(expression)
        lacks = term.nullable or term.kind == "null"
        return term.number is None and (lacks or any(isinstance(part, Name) for part in walk(expression)))

    def _measure(
        self,
        aggregate: Aggregate,
        arguments: tuple[Expression, ...],
        condition: Expression | None,
        moments: tuple[Moment, ...],
    ) -> Measure:
        terms = tuple(self._term(aggregate, one) for one in arguments)
        code = None if condition is None else self.meaning.condition("FILTER", condition).code
        if aggregate.distinct and terms[0].kind != "boolean" and terms[0].possible is None:
            raise refuse(
                f"{write(arguments[0])} can have too many values to tell them apart",
                "COUNT(DISTINCT x) needs a declared domain or narrow bounds: take coarser steps with FLOOR",
                "no_domain",
            )
        return Measure(
            arguments, condition, terms, code, moments, aggregate.distinct, self._lacked(arguments)
        )

    def _term(self, aggregate: Aggregate, expression: Expression) -> Term:
        term = self.meaning.term(expression)
        asked = AGGREGATES[aggregate.name]
        if aggregate.name in ("bool_and", "bool_or"):
            return of_boolean(self.meaning.condition(aggregate.name.upper(), expression))
        if not asked.numeric:
            return term
        if term.kind == "boolean":
            return of_boolean(term)
        if term.kind != "number" and term.column is not None:
            raise refuse(
                f"{aggregate.name.upper()} needs numbers, and column {term.column.name} is a {term.kind}",
                f"ask COUNT({term.column.name}), or "
                + ("group by it" if term.kind == "text" else f"a part of it, e.g. YEAR({term.column.name})"),
                "type_mismatch",
            )
        return number(aggregate.name.upper(), term)

    def _lacked(self, arguments: tuple[Expression, ...]) -> frozenset[str]:
        names = {part.name for one in arguments for part in walk(one) if isinstance(part, Name)}
        return frozenset(name for name in names if self._dataset.column(name).nullable)

    def _placed(self, measure: Measure) -> int:
        """The number of the measure, with the sums of all equal ones in it."""
        known = self.measures.get(measure.text)
        if known is not None:
            asked = {*known.moments, *measure.moments}
            # One that only counts knows its arguments as they are, be they no numbers.
            measure = replace(
                known if known.moments else measure,
                moments=tuple(moment for moment in _ORDER if moment in asked),
            )
        self.measures[measure.text] = measure
        return list(self.measures).index(measure.text)

    def _type(self, name: str, measure: Measure, swapped: bool) -> ValueType:
        rows = Fraction(self._dataset.rows_max * MOST_MEMBERS)
        if name in ("count", "count_if", "count_distinct", "regr_count"):
            return ValueType("number", 0, rows)
        if name in ("bool_and", "bool_or"):
            return ValueType("boolean")
        term = measure.terms[-1 if swapped else 0]
        unit = term.column.unit if term.column else ""
        if name == "sum":
            return exact(term.scale, max(abs(term.low), abs(term.high)) * term.scale * rows, unit)
        return ValueType(
            "number", unit=unit if name in ("avg", "stddev_samp", "stddev_pop", "regr_avgy") else ""
        )


def _both(one: Expression | None, other: Expression) -> Expression:
    return other if one is None else Call("and", (one, other))
