"""From a formula, as R, DataSHIELD and statsmodels have them, to a model's terms. At the analyst only.

    "num > 0 ~ age + C(cp) + sex:oldpeak"

formulaic reads the operators ``+ - : * / ^ **`` into terms and evaluates nothing. What a term's factors say
is read by Python's own parser, and turned into Kapok's expressions one known node at a time: what is not
known here is refused, so that no formula hides code. Nothing of this is imported at a node.

    age, I(x > 3), log(x)          a number, or a condition as 0 and 1
    ward, C(cp), C(cp, levels=[4, 1], reference=4)
                                   a factor: a text by itself, a number by C(); its levels are the schema's
                                   domain, and the others are compared with the first
    poly(x, 3, raw=True)           x, x², x³
    ns(x, knots=[30, 50, 70])      a natural cubic spline, outer knots included
    offset(log(n))                 added as it is

A factor leaves its reference level out exactly if the term without it is in the model (as in R, source:
Chambers and Hastie (1992), Statistical Models in S, 2.4.1).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from kapok.computations.design.features import INTERCEPT, Feature, Levels, Plain, Powers, Spline, Term
from kapok.computations.language.hints import refuse, shown
from kapok.computations.language.literals import number_of
from kapok.computations.language.syntax import Call, Case, Expression, Name, Number, Text
from kapok.computations.language.vocabulary import FUNCTIONS
from kapok.documents.dataset import Column
from kapok.errors import InvalidInput, near

if TYPE_CHECKING:
    from kapok.documents.dataset import Dataset

__all__ = ["Formula", "expression_of", "read_formula"]

_MOST_CHARACTERS: Final = 4000
_MOST_LEVELS_DEEP: Final = 40
_MOST_SAID: Final = 120
_BINARY: Final = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Mod: "%"}
_COMPARISONS: Final = {ast.Eq: "=", ast.NotEq: "<>", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}
_CONDITIONS: Final = frozenset({*_COMPARISONS.values(), "and", "or", "not", "in"})
_SYNONYMS: Final = {"log": "ln", "pow": "power", "max": "greatest", "min": "least"}
_SPLINES: Final = frozenset({"ns", "rcs"})
_INSTEAD: Final = {
    **dict.fromkeys(
        ("bs", "cr", "cs", "cc", "te"), "write ns(x, knots=[…]), a natural spline of given knots"
    ),
    **dict.fromkeys(
        ("scale", "center", "standardize"), "leave it out: it depends on all data, a fit does not"
    ),
}
_SIGNS: Final = (
    (
        re.compile(r"\|"),
        "a formula has no | here: there are no random effects, instruments or strata",
        "write the groups as a factor, C(g); an or of conditions stands in I(…)",
    ),
    (
        re.compile(r"(?<![\w)\]])\.(?!\d)"),
        "a dot would stand for all other columns, and rows that lack any of them would be dropped",
        "name the columns that the model is to have",
    ),
)
"""What formulaic reads otherwise than it is meant, and what to say then."""
_ANSI: Final = re.compile(r"\x1b\[[0-9;]*m|[⧛⧚]|\[[0-9;]+m")


@dataclass(frozen=True, slots=True)
class Formula:
    """What a formula says.

    Attributes:
        response: Left of the tilde; None where there is nothing.
        terms: Right of it, the intercept first.
        offset: The sum of what stands in offset(…); None without.
    """

    response: Expression | None
    terms: tuple[Term, ...]
    offset: Expression | None


def read_formula(formula: str, dataset: Dataset) -> Formula:
    """Read a formula over a dataset's columns.

    Raises:
        InvalidInput: ``bad_formula``, ``unknown_column``, ``unknown_function``, ``no_domain``.
    """
    if not isinstance(formula, str) or not formula.strip() or len(formula) > _MOST_CHARACTERS:
        raise _bad("there is no formula, or it is too long", "write one as in num > 0 ~ age + sex")
    left, tilde, right = formula.partition("~")
    if not tilde:
        left, right = "", formula
    if "~" in right:
        raise _bad("the formula has two tildes", "write one response, ~ and terms")
    if not right.strip():
        raise _bad("the formula has no terms", "write 1 for a constant alone, as in num > 0 ~ 1")
    offsets: list[Expression] = []
    terms: list[Term] = []
    for factors in _parsed(right):
        features = [_feature(factor, dataset, offsets) for factor in factors]
        kept = tuple(feature for feature in features if feature is not None)
        if len(kept) != len(features):
            if kept:
                raise _bad("offset(…) stands in an interaction", "add it as a term of its own")
            continue
        terms.append(kept)
    terms = _coded(terms)
    offset = None
    for one in offsets:
        offset = one if offset is None else Call("+", (offset, one))
    return Formula(expression_of(left, dataset) if left.strip() else None, tuple(terms), offset)


def expression_of(text: str, dataset: Dataset) -> Expression:
    """Read what stands in one factor, or left of the tilde, as Python writes it.

    Raises:
        InvalidInput: as `read_formula`.
    """
    return _Reading(dataset).expression(_tree(text))


def _parsed(right: str) -> list[list[str]]:
    """The factors of each term, as text; the intercept has none."""
    from formulaic.errors import FormulaicError
    from formulaic.parser import DefaultFormulaParser

    try:
        terms = DefaultFormulaParser().get_terms(right)
        found = [[str(factor.expr) for factor in term.factors] for term in terms]
    except (FormulaicError, SyntaxError, AttributeError, TypeError, ValueError, RecursionError) as error:
        # formulaic raises its own errors, and Python's where it parses a factor or has no use for a part.
        for sign, what, remedy in _SIGNS:
            if sign.search(right):
                raise _bad(what, remedy) from None
        said = _ANSI.sub("", str(error)).split("\n", 1)[0].strip().rstrip(".")
        is_told = isinstance(error, FormulaicError | SyntaxError) and len(said) <= _MOST_SAID
        raise _bad(
            f"the formula cannot be read: {said}" if is_told else "the formula cannot be read",
            "name each term, and join them by + - : *; put comparisons and arithmetic into I(…), as in "
            "I(age > 60)",
        ) from None
    return [[] if factors == ["1"] else factors for factors in found if factors != ["0"]]


def _tree(text: str) -> ast.expr:
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _bad(f"{shown(text.strip())} cannot be read", "write an expression as in num > 0") from None


def _feature(text: str, dataset: Dataset, offsets: list[Expression]) -> Feature | None:
    """What a factor is; None of an offset, which is noted."""
    tree, reading = _tree(text), _Reading(dataset)
    called = tree.func.id if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) else ""
    if isinstance(tree, ast.Call):
        arguments = _Arguments(tree)
        if called == "offset":
            offsets.append(reading.expression(arguments.one("offset")))
            return None
        if called == "C":
            return _factor(arguments, reading)
        if called == "poly":
            return _polynomial(arguments, reading)
        if called in _SPLINES:
            knots = tuple(reading.number(knot) for knot in arguments.listed("knots"))
            return Spline(reading.expression(arguments.one(called)), knots)
        if called in _INSTEAD:
            raise _bad(f"{called}() is not here", _INSTEAD[called])
    expression = reading.expression(tree)
    if isinstance(expression, Name) and dataset.column(expression.name).type == "text":
        return _with_domain(expression, dataset.column(expression.name), None)
    return Plain(expression)


def _factor(arguments: _Arguments, reading: _Reading) -> Levels:
    expression = reading.expression(arguments.first("C"))
    column = reading.dataset.column(expression.name) if isinstance(expression, Name) else None
    reference = arguments.named("reference", "ref")
    for extra in arguments.rest:
        # patsy and formulaic: Treatment(2), contr.treatment(base=2)
        if not isinstance(extra, ast.Call) or not ast.unparse(extra.func).lower().endswith("treatment"):
            raise _bad(
                "C() takes a column, levels= and reference=", "as in C(cp, levels=[1, 2], reference=1)"
            )
        inner = _Arguments(extra)
        reference = inner.rest_or_named("reference", "base")
    chosen = None if reference is None else reading.level(reference)
    listed = arguments.named("levels")
    if listed is None:
        if column is None:
            raise _bad("C() of an expression needs its levels", "write C(…, levels=[…])")
        return _with_domain(expression, column, chosen)
    if not isinstance(listed, ast.List | ast.Tuple):
        raise _bad("levels= is a list", "as in levels=[1, 2, 3]")
    levels = tuple(reading.level(one) for one in listed.elts)
    return Levels(expression, levels, levels[0] if chosen is None and levels else chosen)


def _with_domain(expression: Expression, column: Column, reference: Number | Text | None) -> Levels:
    groups = (0, 1) if column.type == "boolean" else column.domain
    if groups is None:
        raise InvalidInput(
            f"column {column.name} has no domain, so its levels are not known beforehand",
            code="no_domain",
            remedy=f"list them: C({column.name}, levels=[…])",
        )
    levels = tuple(Text(value) if isinstance(value, str) else Number(int(value)) for value in groups)
    return Levels(expression, levels, reference or levels[0])


def _polynomial(arguments: _Arguments, reading: _Reading) -> Powers:
    raw = arguments.named("raw")
    if not (isinstance(raw, ast.Constant) and raw.value is True):
        raise _bad(
            "orthogonal polynomials depend on all data",
            "write poly(x, 2, raw=True): the fit is the same, its coefficients are of x and x²",
        )
    degree = arguments.rest[0] if arguments.rest else arguments.named("degree")
    if not (isinstance(degree, ast.Constant) and type(degree.value) is int):
        raise _bad("the degree of poly() is a whole number", "as in poly(x, 2, raw=True)")
    return Powers(reading.expression(arguments.first("poly")), degree.value)


class _Arguments:
    """What a call of the formula is given."""

    def __init__(self, call: ast.Call) -> None:
        self._name = ast.unparse(call.func)
        self._placed = call.args
        self._named = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
        if len(self._named) != len(call.keywords) or any(isinstance(one, ast.Starred) for one in call.args):
            raise _bad(f"{self._name}() has a star", "write its arguments out")

    def first(self, name: str) -> ast.expr:
        if not self._placed:
            raise _bad(f"{name}() is given nothing", "name a column")
        return self._placed[0]

    def one(self, name: str) -> ast.expr:
        if len(self._placed) != 1:
            raise _bad(f"{name}() takes one column or expression", "write one")
        return self._placed[0]

    @property
    def rest(self) -> list[ast.expr]:
        return self._placed[1:]

    def named(self, *names: str) -> ast.expr | None:
        return next((self._named[name] for name in names if name in self._named), None)

    def rest_or_named(self, *names: str) -> ast.expr | None:
        return self._placed[0] if self._placed else self.named(*names)

    def listed(self, name: str) -> Sequence[ast.expr]:
        found = self.named(name)
        if not isinstance(found, ast.List | ast.Tuple):
            raise _bad(f"{self._name}() needs {name}=[…]", f"as in {self._name}(x, {name}=[30, 50, 70])")
        return found.elts


class _Reading:
    """Python's expressions as Kapok's."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def number(self, tree: ast.expr) -> Number:
        """A number that is written out."""
        found = self.expression(tree)
        if not isinstance(found, Number):
            raise _bad("a number is missing", "write it as digits")
        return found

    def level(self, tree: ast.expr) -> Number | Text:
        """A level that is written out."""
        found = self.expression(tree)
        if not isinstance(found, Number | Text):
            raise _bad("a level is a number or a text", "write it out")
        return found

    def expression(self, tree: ast.AST, depth: int = 0) -> Expression:
        """The expression."""
        if depth > _MOST_LEVELS_DEEP:
            raise _bad("the formula is nested too deeply", "simplify it")

        def inner(part: ast.AST) -> Expression:
            return self.expression(part, depth + 1)

        match tree:
            case ast.Name(name):
                return Name(self.dataset.column(name).name)
            case ast.Constant(value):
                return self._constant(value)
            case ast.UnaryOp(ast.USub(), operand):
                found = inner(operand)
                return (
                    Number(-found.units, found.decimals)
                    if isinstance(found, Number)
                    else Call("neg", (found,))
                )
            case ast.UnaryOp(ast.UAdd(), operand):
                return inner(operand)
            case ast.UnaryOp(ast.Not() | ast.Invert(), operand):
                return Call("not", (inner(operand),))
            case ast.BinOp(left, ast.Pow(), right):
                return Call("power", (self._number(inner(left)), inner(right)))
            case ast.BinOp(left, ast.BitAnd() | ast.BitOr() as sign, right):
                return _joined("and" if isinstance(sign, ast.BitAnd) else "or", [inner(left), inner(right)])
            case ast.BinOp(left, sign, right) if type(sign) in _BINARY:
                return Call(_BINARY[type(sign)], (self._number(inner(left)), self._number(inner(right))))
            case ast.BoolOp(sign, parts):
                return _joined("and" if isinstance(sign, ast.And) else "or", map(inner, parts))
            case ast.Compare(left, signs, rights):
                return self._compared(inner(left), signs, rights, inner)
            case ast.IfExp(test, then, otherwise):
                return Case(None, ((inner(test), inner(then)),), inner(otherwise))
            case ast.Call(func, arguments, keywords) if not keywords:
                return self._called(func, [inner(one) for one in arguments])
            case _:
                raise _bad(
                    f"{shown(ast.unparse(tree))} cannot stand in a formula"
                    if isinstance(tree, ast.expr)
                    else "this cannot stand in a formula",
                    "there are columns, numbers, comparisons, arithmetic and functions of one row",
                )

    def _number(self, expression: Expression) -> Expression:
        """The expression; of a condition 1 and 0, as Python calculates with it."""
        match expression:
            case Call(name) if name in _CONDITIONS:
                is_condition = True
            case Name(name):
                is_condition = self.dataset.column(name).type == "boolean"
            case _:
                is_condition = False
        if not is_condition:
            return expression
        return Case(None, ((expression, Number(1)), (Call("not", (expression,)), Number(0))), None)

    def _constant(self, value: Any) -> Expression:
        match value:
            case bool():
                return Number(int(value))
            case int() | float():
                # Digits as they are read back, without an exponent.
                return number_of(f"{Decimal(repr(value)):f}")
            case str():
                return Text(value)
            case _:
                raise _bad("a constant is a number or a text", "write it so")

    def _compared(
        self, left: Expression, signs: list[ast.cmpop], rights: list[ast.expr], inner: Any
    ) -> Expression:
        found: list[Expression] = []
        for sign, right in zip(signs, rights, strict=True):
            if isinstance(sign, ast.In | ast.NotIn) and isinstance(right, ast.List | ast.Tuple | ast.Set):
                member: Expression = Call("in", (left, *map(inner, right.elts)))
                found.append(Call("not", (member,)) if isinstance(sign, ast.NotIn) else member)
                continue
            if type(sign) not in _COMPARISONS:
                raise _bad("that comparison is not here", "compare with == != < <= > >= in")
            other = inner(right)
            found.append(Call(_COMPARISONS[type(sign)], (left, other)))
            left = other
        return found[0] if len(found) == 1 else _joined("and", found)

    def _called(self, func: ast.expr, arguments: list[Expression]) -> Expression:
        name = func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else ""
        if isinstance(func, ast.Attribute) and not (
            isinstance(func.value, ast.Name) and func.value.id in ("np", "numpy")
        ):
            name = ast.unparse(func)
        if name == "I" and len(arguments) == 1:
            return arguments[0]
        name = _SYNONYMS.get(name.lower(), name.lower())
        if name not in FUNCTIONS:
            meant = near(name, sorted(FUNCTIONS))
            raise InvalidInput(
                f"there is no function {shown(name)} in a formula",
                code="unknown_function",
                remedy=f"did you mean {meant[0]}?"
                if meant
                else "there are log, sqrt, exp, abs, floor and others",
            )
        return Call(name, tuple(arguments))


def _joined(name: str, parts: Iterable[Expression]) -> Call:
    """AND or OR, none of whose parts is of the same operator."""
    flat: list[Expression] = []
    for part in parts:
        flat.extend(part.arguments if isinstance(part, Call) and part.name == name else [part])
    return Call(name, tuple(flat))


def _coded(terms: list[Term]) -> list[Term]:
    """Every factor with its reference level where the term without it is not in the model."""
    present = {frozenset(term) for term in terms}
    found = []
    for term in terms:
        features = [
            replace(feature, without=None)
            if isinstance(feature, Levels) and frozenset(term) - {feature} not in present
            else feature
            for feature in term
        ]
        found.append(tuple(features))
    return sorted(found, key=lambda term: (term != INTERCEPT, len(term)))


def _bad(what: str, remedy: str) -> InvalidInput:
    return refuse(what, remedy, "bad_formula")
