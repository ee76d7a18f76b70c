"""Which branch of a CASE each row of a sum takes: choices of rows inside an argument.

    SELECT SUM(CASE WHEN (one person) THEN cost ELSE 1 END) FROM stays
    SELECT SUM(CASE ward WHEN 'a' THEN 1 WHEN 'b' THEN 1000 ELSE 1000000 END) FROM stays

The values that branches give are the analyst's, and chosen well they tell how many rows each branch has, and
what it adds. So a branch is like a FILTER: its rows, and all others, must be none or as many as a cell, and
it must not take apart what complementary suppression hides together. NULLIF is a CASE with one branch.
"""

from __future__ import annotations

from dataclasses import dataclass

from kapok.computations.language.syntax import Call, Case, Expression, Number, parts_of
from kapok.computations.query.measures import Measure

__all__ = ["Branches", "branches_of", "summed_branches"]


@dataclass(frozen=True, slots=True)
class Branches:
    """The branches of one CASE.

    Attributes:
        number: An expression that tells each row's: from 1 for the first WHEN to `count` for all that is
            left; 0 where the CASE stands in a branch of another one that the row does not take.
        count: How many there are.
    """

    number: Expression
    count: int

    @property
    def conditions(self) -> tuple[Expression, ...]:
        """For each branch, that a row takes it."""
        return tuple(Call("=", (self.number, Number(branch, 0))) for branch in range(1, self.count + 1))


def branches_of(expression: Expression) -> tuple[Branches, ...]:
    """Those of every CASE and NULLIF in an expression."""
    found: dict[Branches, None] = {}
    waiting: list[tuple[Expression, tuple[tuple[Expression, Expression], ...]]] = [(expression, ())]
    while waiting:
        part, elsewhere = waiting.pop()
        match part:
            case Case(operand, listed, otherwise):
                tests = [test if operand is None else Call("=", (operand, test)) for test, _ in listed]
                values = [value for _, value in listed] + ([] if otherwise is None else [otherwise])
            case Call("nullif", (one, other)):
                tests, values = [Call("=", (one, other))], []
            case _:
                waiting += [(inner, elsewhere) for inner in parts_of(part)]
                continue
        count = len(tests) + 1
        taken = tuple((test, Number(branch, 0)) for branch, test in enumerate(tests, 1))
        number = Case(None, (*elsewhere, *taken), Number(count, 0))
        found[Branches(number, count)] = None
        waiting += [(test, elsewhere) for test in tests]
        for branch, value in enumerate(values, 1):
            left = (Call("<>", (number, Number(branch, 0))), Number(0, 0))
            waiting.append((value, (left,)))
    return tuple(found)


def summed_branches(measure: Measure, place: int) -> tuple[Branches, ...]:
    """Those whose rows the sum of one of a measure's arguments tells.

    What has two values only tells how many rows have each, which is looked at anyway.
    """
    if "ab"[place] not in measure.moments or measure.terms[place].two_values is not None:
        return ()
    return branches_of(measure.arguments[place])
