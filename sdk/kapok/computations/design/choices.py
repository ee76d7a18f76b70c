"""Conditions inside of a model's expressions: they choose rows without being a column of their own.

    age + 30 * I(person == 140)

has as many values as age, and outweighs nothing. But beside the model of age alone it would tell what is that
person's, digit for digit. So each holder looks at every such condition as at a column (`guards`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from kapok.computations.language.hints import refuse
from kapok.computations.language.syntax import Call, Case, Expression, Name, Number, walk

if TYPE_CHECKING:
    from kapok.computations.design.columns import Sources

__all__ = ["choices", "place_of"]

_MOST: Final = 128


def choices(roots: Iterable[Expression]) -> tuple[Expression, ...]:
    """The conditions of every CASE in some expressions, each once and without a NOT around it.

    Raises:
        InvalidInput: ``too_many_columns`` when they are more than a holder looks at; ``bad_model`` for
            NULLIF, which leaves out the rows of one value: holders look at the rows that are left.
    """
    found: dict[Expression, None] = {}
    for root in roots:
        for part in walk(root):
            if isinstance(part, Call) and part.name == "nullif":
                raise refuse(
                    "NULLIF in a model would leave out the rows of one value",
                    "leave it out; rows that lack something are dropped in any case",
                    "bad_model",
                )
            if isinstance(part, Case):
                for condition, _ in part.branches:
                    chosen = condition if part.operand is None else Call("=", (part.operand, condition))
                    found[_plain(chosen)] = None
    if len(found) > _MOST:
        raise refuse(
            f"the model has {len(found)} conditions inside of its terms, and {_MOST} are allowed",
            "use fewer, or factors with levels",
            "too_many_columns",
        )
    return tuple(found)


def _plain(condition: Expression) -> Expression:
    while isinstance(condition, Call) and condition.name == "not":
        [condition] = condition.arguments
    return condition


def place_of(condition: Expression, sources: Sources) -> int:
    """The place of a condition among the sources: 1 where it is met, 0 where it is not or is unknown.

    So no row is dropped for it.

    Raises:
        InvalidInput: ``type_mismatch`` when it is no condition.
    """
    sources.check_condition(condition)
    is_met = Case(None, ((condition, Number(1)),), Number(0))
    return sources.number("a condition", is_met, bare=isinstance(condition, Name))
