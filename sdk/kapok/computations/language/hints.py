"""What is said of SQL that a question does not have: what it is, and what to write instead."""

from __future__ import annotations

from typing import Final

from kapok.computations.language.vocabulary import AGGREGATES, FUNCTIONS, SYNONYMS
from kapok.errors import InvalidInput, near

__all__ = ["SHAPE", "of_function", "of_part", "of_sign", "of_word", "refuse", "shown"]

SHAPE: Final = "write SELECT COUNT(*), AVG(x) FROM dataset WHERE … GROUP BY … ORDER BY …"

_SHOWN_CHARACTERS: Final = 60
_ONE_TABLE: Final = "ask one dataset; every holder has one table of it"
_ONE_SELECT: Final = ("UNION, INTERSECT or EXCEPT", "a question is one SELECT: ask twice")
_PATTERNS: Final = ("regular expressions", "compare texts with LIKE, STARTS_WITH, CONTAINS or IN ('…', '…')")
_NO_SUBQUERY: Final = ("a subquery", "write values out, and ask twice if you must")
_NO_WINDOW: Final = ("a window", "no rows leave a holder, so none has neighbours: use GROUP BY")
_PARTS: Final = {
    "distinct": ("DISTINCT rows", "group by the columns instead, or ask COUNT(DISTINCT x)"),
    "joins": ("a join", _ONE_TABLE),
    "with": ("WITH", "write one plain SELECT"),
    "alias": ("another name for the dataset", "write the dataset's name and columns alone"),
    "db": ("a schema before a name", "write the name alone"),
}
_WORDS: Final = {
    **dict.fromkeys(
        ("join", "inner", "left", "right", "full", "cross", "natural", "outer", "on", "using", "lateral"),
        _PARTS["joins"],
    ),
    **dict.fromkeys(("similar", "rlike", "regexp", "glob"), _PATTERNS),
    **dict.fromkeys(("union", "intersect", "except", "minus"), _ONE_SELECT),
    **dict.fromkeys(("exists", "any", "some", "values", "unnest", "select"), _NO_SUBQUERY),
    **dict.fromkeys(("over", "window", "partition", "within", "qualify"), _NO_WINDOW),
    **dict.fromkeys(
        ("cast", "convert", "try_cast", "collate"),
        ("a cast", "compare columns with literals of their own type; ROUND, FLOOR and LENGTH give numbers"),
    ),
    "with": _PARTS["with"],
    "distinct": _PARTS["distinct"],
    "fetch": ("FETCH", "write LIMIT"),
    "tablesample": ("a sample", "all rows that WHERE keeps are counted"),
    "symmetric": ("BETWEEN SYMMETRIC", "put the smaller bound first"),
    "for": ("FOR", "leave it out: a question changes nothing"),
    "into": ("INTO", "leave it out: the answer comes to you"),
    "all": ("ALL", "leave it out; name what GROUP BY groups by"),
}
_SIGNS: Final = {
    **dict.fromkeys(("?", ":", "@", "$", ":="), ("parameters", "write the value itself")),
    "::": _WORDS["cast"],
    "**": ("**", "write POWER(x, 2)"),
    "^": ("^", "write POWER(x, 2)"),
}
_INSTEAD: Final = {
    "max": "the largest value is a single row's: count rows above a bound, or take a HISTOGRAM, instead",
    "min": "the least value is a single row's: count rows below a bound, or take a HISTOGRAM, instead",
    "quantile": "write QUANTILE_CONT(x, 0.9) or QUANTILE_DISC(x, 0.9)",
    "any_value": "it would be a single row's value: group by the column",
    "row_number": _NO_WINDOW[1],
    "rank": _NO_WINDOW[1],
    "lag": _NO_WINDOW[1],
    "lead": _NO_WINDOW[1],
    **dict.fromkeys(
        ("list", "array_agg", "string_agg", "group_concat"), "no rows leave a holder: count them"
    ),
    **dict.fromkeys(("cast", "convert", "try_cast"), _WORDS["cast"][1]),
    **dict.fromkeys(("now", "today"), "write DATE '2013-01-31': an answer must not depend on the time"),
}


def shown(text: str) -> str:
    """A piece of the analyst's text for a message: short, escaped, in quotes."""
    return repr(text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…")


def refuse(message: str, remedy: str, code: str = "unsupported_sql") -> InvalidInput:
    """The error of a question that cannot be asked so."""
    return InvalidInput(message, code=code, remedy=remedy)


def of_part(name: str) -> InvalidInput:
    """The error of a part of a SELECT that a question does not have."""
    what, remedy = _PARTS[name]
    return refuse(f"a question cannot have {what}", remedy)


def of_word(word: str) -> InvalidInput:
    """The error of a word of SQL, in lower case, that a question does not have there."""
    if word.startswith(("current_", "localtime")):
        return of_function(word)
    found = _WORDS.get(word)
    if found is None:
        return refuse(f"{word.upper()} cannot stand there", f'{SHAPE}, or "{word}" if it is a name')
    return refuse(f"a question cannot have {found[0]}", found[1])


def of_sign(sign: str) -> InvalidInput:
    """The error of a sign that a question does not have."""
    what, remedy = _SIGNS.get(sign, (shown(sign), "there are comparisons, AND, OR, NOT and + - * / % ||"))
    return refuse(f"a question cannot have {what}", remedy)


def of_function(name: str) -> InvalidInput:
    """The error of a function that a question does not have."""
    lower = name.lower()
    remedy = _INSTEAD.get(lower)
    if lower.startswith(("current_", "localtime")):
        remedy = _INSTEAD["now"]
    if remedy is None:
        meant = near(lower, sorted(AGGREGATES | FUNCTIONS | SYNONYMS.keys()))
        remedy = f"did you mean {meant[0].upper()}?" if meant else f"there are {_some()} and others"
    return refuse(f"there is no function {shown(name.upper())} here", remedy, "unknown_function")


def _some() -> str:
    return "COUNT, SUM, AVG, STDDEV_SAMP, CORR, ROUND, FLOOR, COALESCE, UPPER, YEAR, DATE_TRUNC"
