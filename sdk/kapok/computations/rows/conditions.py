"""Conditions and choices of terms: comparisons, lists, AND, OR, NOT, CASE, COALESCE, NULLIF.

A number is compared with a literal by comparing its steps with the whole number next to it, so that no
literal, however fine, makes anything large.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from math import ceil, floor
from typing import Final

from kapok.computations.language.hints import refuse, shown
from kapok.computations.language.literals import day_of, moment_of, number_text
from kapok.computations.language.syntax import COMPARISONS, Number
from kapok.computations.rows.operations import (
    Choice,
    Code,
    Fact,
    Nothing,
    Operation,
    Quoted,
    Table,
    Whole,
)
from kapok.computations.rows.terms import Term, aligned, boolean, constant, mismatch
from kapok.documents.dataset import Column
from kapok.errors import near

__all__ = [
    "choose",
    "compare",
    "condition",
    "first_known",
    "is_fixed",
    "joined",
    "member",
    "null_if",
    "same_moments",
    "table",
    "tested",
]

_MOST_SEARCHED: Final = 200
_MOST_SHOWN: Final = 20


def condition(what: str, term: Term) -> Term:
    """The term, if it is true or false.

    Raises:
        InvalidInput: ``type_mismatch``.
    """
    if term.kind != "boolean":
        if term.column is not None:
            raise refuse(
                f"column {term.column.name} is not true or false by itself",
                f"compare it, e.g. {term.column.name} = … or {term.column.name} IS NOT NULL",
                "type_mismatch",
            )
        raise mismatch(what, term, "a condition")
    return term


def joined(name: str, *terms: Term) -> Term:
    """AND, OR or NOT."""
    parts = [condition(name.upper(), term) for term in terms]
    return boolean(
        Operation(name, tuple(part.code for part in parts)), nullable=any(part.nullable for part in parts)
    )


def is_fixed(term: Term) -> bool:
    """Whether it is the same in every row, as a literal is, and a comparison that nothing can make true."""
    return isinstance(term.code, Whole | Quoted | Fact) or term.kind == "null"


def tested(name: str, term: Term) -> Term:
    """IS NULL, IS TRUE or IS FALSE: never unknown."""
    if name == "is null":
        if is_fixed(term):
            raise refuse("IS NULL needs a column", "a literal is never null", "type_mismatch")
        return boolean(Operation(name, (term.code,)), nullable=False)
    return boolean(Operation(name, (condition(name.upper(), term).code,)), nullable=False)


def compare(sign: str, left: Term, right: Term) -> Term:
    """A comparison; unknown where one side is.

    Raises:
        InvalidInput: ``type_mismatch``, ``outside_domain`` or ``number_too_large``.
    """
    if "null" in (left.kind, right.kind):
        raise refuse("a comparison with NULL is never true", "write IS NULL or IS NOT NULL")
    left, right = _dated(left, right), _dated(right, left)
    if left.kind != right.kind and {left.kind, right.kind} != {"date", "timestamp"}:
        named = [f"column {term.column.name}" if term.column else "the other side" for term in (left, right)]
        raise refuse(
            f"{named[0]} is a {left.kind} and {named[1]} a {right.kind}",
            "numbers stand without quotes, texts in single quotes, booleans are TRUE and FALSE, "
            "dates DATE '2013-01-31'",
            "type_mismatch",
        )
    if left.kind == "boolean" and sign not in ("=", "<>"):
        raise refuse("TRUE and FALSE have no order here", "compare with = or <>", "type_mismatch")
    if sign in ("=", "<>"):
        _check_domain(left, right)
        _check_domain(right, left)
    if left.kind == "text":
        return _compare_texts(sign, left, right)
    left, right = same_moments(left, right)
    if left.kind == "boolean":
        return _plain(sign, left, right)
    if right.number is not None:
        return _compare_steps(sign, left, right.number)
    if left.number is not None:
        return _compare_steps(COMPARISONS[sign], right, left.number)
    return _plain(sign, *aligned(left, right))


def _dated(term: Term, other: Term) -> Term:
    """A text in quotes beside a date or a timestamp is one."""
    if not isinstance(term.code, Quoted) or other.kind not in ("date", "timestamp"):
        return term
    if other.kind == "date":
        return constant(day_of(term.code.value).days, "date")
    return constant(moment_of(term.code.value).seconds, "timestamp")


def same_moments(*terms: Term) -> tuple[Term, ...]:
    """Days as the moments of their midnights, where there are moments beside them."""
    if {term.kind for term in terms} != {"date", "timestamp"}:
        return terms
    return tuple(
        replace(term, kind="timestamp", scale=term.scale * 86_400, column=None)
        if term.kind == "date"
        else term
        for term in terms
    )


def _plain(sign: str, left: Term, right: Term) -> Term:
    code = Operation(sign, (left.code, right.code))
    return boolean(code, nullable=left.nullable or right.nullable)


def _compare_steps(sign: str, term: Term, value: Fraction) -> Term:
    """Steps compared with the whole number that says the same as the value."""
    exact = value / term.scale
    if term.number is not None:
        own = term.low
        found = {
            "=": own == exact,
            "<>": own != exact,
            "<": own < exact,
            "<=": own <= exact,
            ">": own > exact,
            ">=": own >= exact,
        }
        return boolean(Fact(found[sign]), nullable=False)
    if sign in ("=", "<>") and exact.denominator != 1:
        return _always(term, sign == "<>")
    border = floor(exact) if sign in ("<=", ">") else ceil(exact)
    if not term.low <= border <= term.high:
        below = border < term.low
        return _always(term, {"=": False, "<>": True}.get(sign, below == (sign in (">", ">="))))
    return boolean(Operation(sign, (term.code, Whole(border))), nullable=term.nullable)


def _always(term: Term, truth: bool) -> Term:
    """True or false wherever the term is known."""
    if not term.nullable:
        return boolean(Fact(truth), nullable=False)
    known = Operation("not", (Operation("is null", (term.code,)),))
    return boolean(Choice(((known, Fact(truth)),), None), nullable=True)


def _compare_texts(sign: str, left: Term, right: Term) -> Term:
    if sign in ("=", "<>"):
        if isinstance(left.code, Quoted) and isinstance(right.code, Quoted):
            raise refuse("a comparison needs a column", "compare a column with the literal", "type_mismatch")
        return _plain(sign, left, right)
    if isinstance(left.code, Quoted):
        left, right, sign = right, left, COMPARISONS[sign]
    # Texts have the order of their characters' numbers, on every engine, for it is found here.
    everything = sorted({*map(str, left.values or ()), *map(str, right.values or ())})
    ranks = {text: rank for rank, text in enumerate(everything)}
    if isinstance(right.code, Quoted):
        border = ranks[right.code.value]
        return table(left, lambda text: _ordered(sign, ranks[text], border))
    one, other = (table(term, lambda text: ranks[text]) for term in (left, right))
    return _plain(sign, one, other)


def _ordered(sign: str, left: int, right: int) -> bool:
    return {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[sign]


def table(term: Term, function: Callable[[str], str | int | bool]) -> Term:
    """A function of a text, found for each text that the term can be.

    Args:
        term: A text.
        function: Gives a text, a whole number or a boolean of a text.
    """
    results: dict[str, str | int | bool] = {value: function(value) for value in map(str, term.values or ())}
    if isinstance(term.code, Quoted):
        return _valued(term, _literal(results[term.code.value]), tuple(results.values()))
    inputs: dict[str | int | bool, list[Whole | Quoted]] = {}
    for value, result in results.items():
        inputs.setdefault(result, []).append(Quoted(value))
    if all(value == result for value, result in results.items()):
        return replace(term, column=None)
    rows = tuple((_literal(result), tuple(those)) for result, those in inputs.items())
    return _valued(term, Table(term.code, rows), tuple(inputs))


def _literal(value: str | int | bool) -> Whole | Quoted | Fact:
    if isinstance(value, bool):
        return Fact(value)
    return Whole(value) if isinstance(value, int) else Quoted(value)


def _valued(term: Term, code: Code, results: Sequence[str | int | bool]) -> Term:
    if all(isinstance(result, bool) for result in results):
        return boolean(code, nullable=term.nullable)
    numbers = sorted({result for result in results if isinstance(result, int)})
    if numbers:
        return Term("number", code, term.nullable, numbers[0], numbers[-1], values=tuple(numbers))
    texts = tuple(dict.fromkeys(map(str, results)))
    return Term("text", code, term.nullable, values=texts)


def member(tested_term: Term, *values: Term) -> Term:
    """Whether a term is one of a list of literals.

    Raises:
        InvalidInput: ``type_mismatch``, ``outside_domain`` or ``unsupported_sql``.
    """
    listed: list[Code] = []
    values = tuple(_dated(value, tested_term) for value in values)
    for value in values:
        if value.kind == "null":
            raise refuse("a comparison with NULL is never true", "write IS NULL or IS NOT NULL")
        if not isinstance(value.code, Whole | Quoted | Fact):
            raise refuse("IN lists literals only", "compare columns with = and OR")
        one = compare("=", tested_term, value).code
        if isinstance(one, Operation) and one.name == "=" and isinstance(one.parts[1], Whole | Quoted | Fact):
            listed.append(one.parts[1])
        elif one == Fact(True):
            return boolean(one, nullable=False)
    if not listed:
        return _always(tested_term, truth=False)
    code = Operation("in", (same_moments(tested_term, values[0])[0].code, *dict.fromkeys(listed)))
    return boolean(code, nullable=tested_term.nullable)


def _check_domain(term: Term, literal: Term) -> None:
    column = term.column
    if column is None or column.domain is None or not isinstance(literal.code, Whole | Quoted):
        return
    value = literal.code.value if isinstance(literal.code, Quoted) else literal.number
    if value in column.known:
        return
    raise _outside(column, literal)


def _outside(column: Column, literal: Term) -> Exception:
    domain = column.domain or ()
    known = [str(known) for known in domain[:_MOST_SEARCHED]]
    if isinstance(literal.code, Quoted):
        value, what = literal.code.value, shown(literal.code.value)
    else:
        value = what = _decimal(literal.number or Fraction(0))
    # To compare with each of a long domain would take the node, which parses what others wrote, too long.
    search = isinstance(literal.code, Quoted) and len(domain) <= _MOST_SEARCHED
    meant = near(value, known) if search else []
    guess = "did you mean " + " or ".join(map(repr, meant)) + "? " if meant else ""
    return refuse(
        f"{what} is not in the domain of {column.name}",
        f"{guess}the domain is {_listed(known, len(domain))}",
        "outside_domain",
    )


def _decimal(value: Fraction) -> str:
    decimals = 0
    while (value * 10**decimals).denominator > 1:
        decimals += 1
    return number_text(Number(int(value * 10**decimals), decimals))


def _listed(known: list[str], count: int) -> str:
    shown_of = ", ".join(known[:_MOST_SHOWN])
    return shown_of if count <= _MOST_SHOWN else f"{shown_of} and {count - _MOST_SHOWN:,} more"


def choose(branches: Sequence[tuple[Term, Term]], otherwise: Term | None) -> Term:
    """CASE: the value of the first branch whose condition is true.

    Raises:
        InvalidInput: ``type_mismatch`` or ``number_too_large``.
    """
    conditions = [condition("WHEN", test) for test, _ in branches]
    last = () if otherwise is None else (otherwise,)
    same = _unified("CASE", *(value for _, value in branches), *last)
    chosen = tuple((test.code, value.code) for test, value in zip(conditions, same, strict=False))
    code = Choice(chosen, None if otherwise is None else same[-1].code)
    nullable = otherwise is None or any(term.nullable for term in same)
    return _of_all(code, same, nullable=nullable)


def first_known(*terms: Term) -> Term:
    """COALESCE."""
    same = _unified("COALESCE", *terms)
    code = Operation("coalesce", tuple(term.code for term in same))
    return _of_all(code, same, nullable=all(term.nullable for term in same))


def null_if(term: Term, value: Term) -> Term:
    """NULLIF: the term, unknown where it equals the value."""
    equal = compare("=", term, value)
    code = Choice(((Operation("is true", (equal.code,)), Nothing()),), term.code)
    return replace(term, code=code, nullable=True, column=None)


def _unified(what: str, *terms: Term) -> tuple[Term, ...]:
    """All of one kind, and numbers in one scale; what is NULL stays so."""
    terms = same_moments_or_null(*terms)
    kinds = {term.kind for term in terms} - {"null"}
    if not kinds:
        raise refuse(f"{what} is always NULL", "give it a value", "type_mismatch")
    if len(kinds) > 1:
        raise refuse(
            f"{what} gives " + " and ".join(f"a {kind}" for kind in sorted(kinds)),
            "let all its values be of one kind",
            "type_mismatch",
        )
    known = [term for term in terms if term.kind != "null"]
    if kinds <= {"number", "date", "timestamp"}:
        known = list(aligned(*known))
    rest = iter(known)
    return tuple(term if term.kind == "null" else next(rest) for term in terms)


def same_moments_or_null(*terms: Term) -> tuple[Term, ...]:
    """As `same_moments`, with NULLs among them."""
    rest = iter(same_moments(*(term for term in terms if term.kind != "null")))
    return tuple(term if term.kind == "null" else next(rest) for term in terms)


def _of_all(code: Code, terms: Sequence[Term], *, nullable: bool) -> Term:
    known = [term for term in terms if term.kind != "null"]
    low, high = min(term.low for term in known), max(term.high for term in known)
    values: tuple[int, ...] | tuple[str, ...] | None = None
    if known[0].kind == "text":
        values = tuple(dict.fromkeys(str(value) for term in known for value in term.values or ()))
    elif any(isinstance(term.code, Whole) or term.values is not None for term in known):
        lists = [term.possible for term in known]
        if all(one is not None for one in lists):
            values = tuple(sorted({int(value) for one in lists if one is not None for value in one}))
    return Term(known[0].kind, code, nullable, low, high, known[0].scale, values)
