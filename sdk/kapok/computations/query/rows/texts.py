"""Functions of texts.

The texts that a column can have are public, so each function is found here for each of them, and an engine
only looks its result up: engines that differ in what they make of letters cannot differ in an answer. The
same functions are applied to the texts of an answer.
"""

from __future__ import annotations

import re
from functools import reduce
from typing import Final

from kapok.computations.query.language.hints import refuse
from kapok.computations.query.rows.arithmetic import whole_number
from kapok.computations.query.rows.conditions import first_known, table
from kapok.computations.query.rows.operations import Operation, Quoted
from kapok.computations.query.rows.terms import MOST_VALUES, Term, mismatch, text

__all__ = ["TEXT_FUNCTIONS", "concat", "join", "of_text", "text_function"]

_MOST_TEXT: Final = 1000

TEXT_FUNCTIONS: Final = frozenset(
    {
        *("upper", "lower", "length", "substr", "left", "right", "trim", "ltrim", "rtrim", "replace"),
        *("starts_with", "ends_with", "contains", "like", "ilike"),
    }
)
"""Functions whose first argument is a text, and all others are literals."""


def text_function(name: str, value: str, arguments: tuple[str | int, ...]) -> str | int | bool:
    """One of `TEXT_FUNCTIONS` of a text.

    Lengths and places are counted in Unicode's characters; capital letters are those of each character alone.
    """
    match name, arguments:
        case "upper", ():
            return "".join(_single(char, char.upper()) for char in value)
        case "lower", ():
            return "".join(_single(char, char.lower()) for char in value)
        case "length", ():
            return len(value)
        case "substr", (int(start), *rest):
            begin = start - 1 if start > 0 else max(len(value) + start, 0)
            return value[begin : begin + int(rest[0])] if rest else value[begin:]
        case "left", (int(count),):
            return value[:count]
        case "right", (int(count),):
            return value[-count:] if count else ""
        case "trim" | "ltrim" | "rtrim", _:
            signs = str(arguments[0]) if arguments else " "
            left = value if name == "rtrim" else value.lstrip(signs)
            return left if name == "ltrim" else left.rstrip(signs)
        case "replace", (str(old), str(new)):
            return value.replace(old, new) if old else value
        case "starts_with", (str(part),):
            return value.startswith(part)
        case "ends_with", (str(part),):
            return value.endswith(part)
        case "contains", (str(part),):
            return part in value
        case _, (str(pattern),):
            return _like(pattern, ignore_case=name == "ilike").fullmatch(value) is not None
        case _:
            raise AssertionError("the arguments were checked")


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
    arguments = checked_arguments(name, rest)
    return table(term, lambda value: _short(text_function(name, value, arguments)))


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
