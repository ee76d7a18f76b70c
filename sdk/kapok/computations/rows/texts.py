"""Functions of texts.

The texts that a column can have are public, so each function is found here for each of them, and an engine
only looks its result up: engines that differ in what they make of letters cannot differ in an answer. The
same functions are applied to the texts of an answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial, reduce
from typing import Final

from kapok.computations.language.hints import refuse
from kapok.computations.rows.arithmetic import whole_number
from kapok.computations.rows.conditions import first_known, table
from kapok.computations.rows.operations import Operation, Quoted
from kapok.computations.rows.terms import MOST_VALUES, Term, mismatch, text

__all__ = ["TEXT_FUNCTIONS", "concat", "join", "of_text", "text_function"]

_MOST_TEXT: Final = 1000

TEXT_FUNCTIONS: Final = frozenset(
    {
        *("upper", "lower", "length", "substr", "left", "right", "trim", "ltrim", "rtrim", "replace"),
        *("starts_with", "ends_with", "contains", "like", "ilike"),
    }
)
"""Functions whose first argument is a text, and all others are literals."""


def text_function(name: str, arguments: tuple[str | int, ...]) -> Callable[[str], str | int | bool]:
    """One of `TEXT_FUNCTIONS` with its literals, as a function of a text.

    Lengths and places are counted in Unicode's characters; capital letters are those of each character alone.
    """
    match name, arguments:
        case "upper", ():
            return lambda value: "".join(_single(char, char.upper()) for char in value)
        case "lower", ():
            return lambda value: "".join(_single(char, char.lower()) for char in value)
        case "length", ():
            return len
        case "substr", (int(start), *rest):
            return lambda value: _substring(value, start, *map(int, rest))
        case "left", (int(count),):
            return lambda value: value[:count]
        case "right", (int(count),):
            return lambda value: value[-count:] if count else ""
        case "trim" | "ltrim" | "rtrim", _:
            return partial(_trimmed, name, str(arguments[0]) if arguments else " ")
        case "replace", (str(old), str(new)):
            return lambda value: value.replace(old, new) if old else value
        case "starts_with", (str(part),):
            return lambda value: value.startswith(part)
        case "ends_with", (str(part),):
            return lambda value: value.endswith(part)
        case "contains", (str(part),):
            return lambda value: part in value
        case _, (str(written),):
            pattern = _like(written, ignore_case=name == "ilike")
            return lambda value: pattern.fullmatch(value) is not None
        case _:
            raise AssertionError("the arguments were checked")


def _substring(value: str, start: int, count: int | None = None) -> str:
    begin = start - 1 if start > 0 else max(len(value) + start, 0)
    return value[begin:] if count is None else value[begin : begin + count]


def _trimmed(name: str, signs: str, value: str) -> str:
    left = value if name == "rtrim" else value.lstrip(signs)
    return left if name == "ltrim" else left.rstrip(signs)


def _single(char: str, changed: str) -> str:
    """Letters that become several stay as they are: ß."""
    return changed if len(changed) == 1 else char


def _like(pattern: str, *, ignore_case: bool) -> re.Pattern[str]:
    """LIKE: % is any text, _ any character.

    Runs of % are one, and what stands between is looked for from the left: no pattern takes long.
    """
    parts = re.split(r"%+", pattern)
    pieces = ["".join("." if char == "_" else re.escape(char) for char in part) for part in parts]
    # Each piece is found at its first place and never looked for again: an atomic group.
    middle = "".join(f"(?>.*?{piece})" for piece in pieces[1:-1] if piece)
    last = "" if len(pieces) == 1 else middle + ".*" + pieces[-1]
    return re.compile(pieces[0] + last, re.DOTALL | (re.IGNORECASE if ignore_case else 0))


_SHAPES: Final[dict[str, tuple[tuple[type, ...], int]]] = {
    # The kinds of the arguments after the first, and how many of them must be there.
    **dict.fromkeys(("upper", "lower", "length"), ((), 0)),
    "substr": ((int, int), 1),
    **dict.fromkeys(("left", "right"), ((int,), 1)),
    **dict.fromkeys(("trim", "ltrim", "rtrim"), ((str,), 0)),
    "replace": ((str, str), 2),
    **dict.fromkeys(("starts_with", "ends_with", "contains", "like", "ilike"), ((str,), 1)),
}


def checked_arguments(name: str, rest: tuple[Term, ...]) -> tuple[str | int, ...]:
    """The literals after the first argument.

    Raises:
        InvalidInput: ``type_mismatch``.
    """
    kinds, least = _SHAPES[name]
    shown = name.upper()
    if not least <= len(rest) <= len(kinds):
        raise refuse(f"{shown} takes {least} to {len(kinds)} arguments after the text", "see its description")
    found: list[str | int] = []
    for kind, term in zip(kinds, rest, strict=False):
        if kind is int:
            number = whole_number(shown, term)
            if number < 0 and (name != "substr" or found):
                raise refuse(f"{shown} takes no negative number", "count from the start", "type_mismatch")
            if name == "substr" and not found and number == 0:
                raise refuse("SUBSTR counts from 1", "begin at 1, or at -1 from the end", "type_mismatch")
            found.append(number)
        elif isinstance(term.code, Quoted):
            found.append(term.code.value)
        else:
            raise refuse(f"{shown} takes a text in quotes after the first", "write it out", "type_mismatch")
    return tuple(found)


def of_text(name: str, term: Term, *rest: Term) -> Term:
    """One of `TEXT_FUNCTIONS` of a term.

    Raises:
        InvalidInput: ``type_mismatch`` or ``unsupported_sql``.
    """
    if term.kind != "text":
        raise mismatch(name.upper(), term, "a text")
    function = text_function(name, checked_arguments(name, rest))
    return table(term, lambda value: _short(function(value)))


def _short(result: str | int | bool) -> str | int | bool:
    if isinstance(result, str) and len(result) > _MOST_TEXT:
        raise refuse("a text becomes too long", f"use at most {_MOST_TEXT} characters", "question_too_long")
    return result


def join(*terms: Term) -> Term:
    """Texts one after the other; unknown where one of them is.

    Raises:
        InvalidInput: ``type_mismatch``, or ``question_too_long``: too many texts can come of it.
    """
    for term in terms:
        if term.kind != "text":
            raise mismatch("||", term, "texts")
    return reduce(_pair, terms)


def _pair(left: Term, right: Term) -> Term:
    for literal, other, before in ((left, right, True), (right, left, False)):
        if isinstance(literal.code, Quoted):
            written = literal.code.value
            return table(other, lambda value: _short(written + value if before else value + written))  # noqa: B023
    firsts, seconds = left.values or (), right.values or ()
    if len(firsts) * len(seconds) > MOST_VALUES:
        raise refuse(
            "two texts together can have too many values", "group by each of the two", "question_too_long"
        )
    both = (str(_short(f"{one}{other}")) for one in firsts for other in seconds)
    code = Operation("||", (left.code, right.code))
    return Term("text", code, left.nullable or right.nullable, values=tuple(dict.fromkeys(both)))


def concat(*terms: Term) -> Term:
    """CONCAT: as `join`, what is unknown counting as the empty text."""
    return join(
        *(first_known(term, text("")) if term.nullable and term.kind == "text" else term for term in terms)
    )
