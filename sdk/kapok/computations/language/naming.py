"""What the columns of an answer are called where the question does not say.

A column keeps its name; an aggregate of columns is called ``avg_age``, and everything else after how it is
written: ``AVG(LN(age))`` is ``avg_ln_age``, ``SUM(a) / COUNT(*)`` is ``sum_a_per_count``. A name that is
taken gets a number. Names follow from the list alone, so every party finds the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from kapok.computations.language.syntax import Aggregate, Expression, Name, Selected
from kapok.computations.language.writing import write

__all__ = ["names_of", "without_idle_names"]

_MOST_NAME: Final = 63
_SIGNS: Final = {
    "<>": "ne", "<=": "le", ">=": "ge", "=": "eq", "<": "lt", ">": "gt",
    "*": "times", "/": "per", "+": "plus", "-": "minus", "%": "mod", "||": "then",
}  # fmt: skip
_SIGN: Final = re.compile("|".join(re.escape(sign) for sign in sorted(_SIGNS, key=len, reverse=True)))


def names_of(selected: Sequence[Selected]) -> tuple[str, ...]:
    """What each item is called: its AS, or a name of its own that no other has."""
    taken = {item.alias for item in selected if item.alias is not None}
    found = []
    for place, item in enumerate(selected, 1):
        name = item.alias
        if name is None:
            name = _name(item.expression, place)
            # A column keeps its name: whoever selects it twice is told.
            name = name if isinstance(item.expression, Name) else _free(name, taken)
            taken.add(name)
        found.append(name)
    return tuple(found)


def without_idle_names(selected: Sequence[Selected]) -> tuple[Selected, ...]:
    """The items without an AS that says what they would be called anyway, whatever the others are called."""
    given = [_name(item.expression, place) for place, item in enumerate(selected, 1)]
    aliases = [item.alias for item in selected]
    return tuple(
        replace(item, alias=None)
        if item.alias == name and given.count(name) == 1 and aliases.count(name) == 1
        else item
        for item, name in zip(selected, given, strict=True)
    )


def _name(expression: Expression, place: int) -> str:
    match expression:
        case Name(name):
            return name
        case Aggregate(name, arguments, distinct, _):
            words = [name, *(["distinct"] if distinct else []), *map(_words, arguments)]
            return "_".join(words)[:_MOST_NAME].rstrip("_")
        case _:
            spoken = _words(expression)[:_MOST_NAME].rstrip("_")
            return spoken if spoken[:1].isalpha() else f"column_{place}"


def _words(expression: Expression) -> str:
    """How it is written, signs as words."""
    spoken = _SIGN.sub(lambda sign: f" {_SIGNS[sign[0]]} ", write(expression).lower().replace("(*)", ""))
    return "_".join(re.findall(r"[a-z0-9]+", spoken))


def _free(name: str, taken: set[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name[: _MOST_NAME - 4]}_{number}"
    return free
