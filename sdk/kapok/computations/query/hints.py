"""What is said of SQL that a question does not have: what it is, and what to write instead."""

from __future__ import annotations

from typing import Final

from kapok.errors import InvalidInput, near

__all__ = ["ASKABLE", "FIRST_CUT", "of_function", "of_part", "of_sign", "of_word", "refuse", "shown"]

FIRST_CUT: Final = "write SELECT COUNT(*), COUNT(x), SUM(x), AVG(x) FROM dataset WHERE … GROUP BY columns"
ASKABLE: Final = "a question has COUNT(*), COUNT(x), SUM(x) and AVG(x)"

_SHOWN_CHARACTERS: Final = 60
_ONE_TABLE: Final = "ask one dataset; every holder has one table of it"
_ONE_SELECT: Final = ("UNION, INTERSECT or EXCEPT", "a question is one SELECT: ask twice")
_WHOLE_TEXTS: Final = ("LIKE and its kin", "texts are compared whole: write x IN ('…', '…')")
_NO_SUBQUERY: Final = ("a subquery", "write values out, and ask twice if you must")
_NO_WINDOW: Final = ("OVER, FILTER or a window", "use GROUP BY and WHERE")
_EACH_GROUPING: Final = "ask once for each grouping"
_PARTS: Final = {
    "order": ("ORDER BY", "groups come in the order of their domains; sort the answer yourself"),
    "having": ("HAVING", "filter the answer yourself"),
    "limit": ("LIMIT", "the number of lines follows from GROUP BY; cut the answer yourself"),
    "offset": ("OFFSET", "cut the answer yourself"),
    "fetch": ("FETCH", "cut the answer yourself"),
    "distinct": ("DISTINCT", "group by the column instead, if it has a domain"),
    "joins": ("a join", _ONE_TABLE),
    "laterals": ("LATERAL", _ONE_TABLE),
    "with": ("WITH", "write one plain SELECT"),
    "query": _NO_SUBQUERY,
    "windows": _NO_WINDOW,
    "qualify": ("QUALIFY", "filter the answer yourself"),
    "sample": ("a sample", "all rows that the filter keeps are counted"),
    "alias": ("another name for the dataset", "write the dataset's name and columns alone"),
    "rollup": ("ROLLUP", _EACH_GROUPING),
    "cube": ("CUBE", _EACH_GROUPING),
    "grouping_sets": ("GROUPING SETS", _EACH_GROUPING),
    "db": ("a schema before a name", "write the name alone"),
    "catalog": ("a catalogue before a name", "write the name alone"),
    "symmetric": ("BETWEEN SYMMETRIC", "put the smaller bound first"),
    "expressions": ("a second argument", "ask one column at a time"),
    "locks": ("FOR", "leave it out: a question changes nothing"),
    "into": ("INTO", "leave it out: the answer comes to you"),
    "case": ("CASE", "use WHERE, and ask once for each case"),
    "cast": ("a cast", "compare columns with literals of their own type"),
}
_WORDS: Final = {
    **dict.fromkeys(
        ("join", "inner", "left", "right", "full", "cross", "natural", "outer", "on", "using"),
        _PARTS["joins"],
    ),
    **dict.fromkeys(("like", "ilike", "similar", "similar to", "rlike", "regexp", "glob"), _WHOLE_TEXTS),
    **dict.fromkeys(("union", "intersect", "except"), _ONE_SELECT),
    **dict.fromkeys(("exists", "any", "some", "values", "unnest"), _NO_SUBQUERY),
    **dict.fromkeys(("over", "filter", "window", "partition by", "within"), _NO_WINDOW),
    **dict.fromkeys(("convert", "try_cast", "interval", "collate"), _PARTS["cast"]),
    "order by": _PARTS["order"],
    "lateral": _PARTS["laterals"],
    "tablesample": _PARTS["sample"],
    "grouping sets": _PARTS["grouping_sets"],
    "for": _PARTS["locks"],
    "all": ("ALL", "leave it out; name the columns of GROUP BY"),
}
_SIGNS: Final = {
    **dict.fromkeys(("/", "//", "%"), ("division", "multiply the other side of the comparison instead")),
    **dict.fromkeys(("?", ":", "@", "$", ":="), ("parameters", "write the value itself")),
    "::": _PARTS["cast"],
}
_INSTEAD: Final = {
    "max": "the largest value is a single row's: count rows above a bound with WHERE instead",
    "min": "the least value is a single row's: count rows below a bound with WHERE instead",
    "median": "count rows below a bound with WHERE instead",
}


def shown(text: str) -> str:
    """A piece of the analyst's text for a message: short, escaped, in quotes."""
    return repr(text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…")


def refuse(message: str, remedy: str, code: str = "unsupported_sql") -> InvalidInput:
    """The error of a question that cannot be asked so."""
    return InvalidInput(message, code=code, remedy=remedy)


def of_part(name: str) -> InvalidInput:
    """The error of a part of the parser's tree that a question does not have."""
    what, remedy = _PARTS.get(name, (name.upper(), FIRST_CUT))
    return refuse(f"a question cannot have {what}", remedy)


def of_word(word: str) -> InvalidInput:
    """The error of a word of SQL, in lower case, that a question does not have."""
    if word.startswith(("current_", "localtime")):
        return of_function(word)
    found = _WORDS.get(word) or _PARTS.get(word)
    if found is None:
        quoted = f', or "{word}" if it is a name' if " " not in word else ""
        return refuse(f"{word.upper()} is not part of a question", FIRST_CUT + quoted)
    return refuse(f"a question cannot have {found[0]}", found[1])


def of_sign(sign: str) -> InvalidInput:
    """The error of a sign that a question does not have."""
    what, remedy = _SIGNS.get(sign, (shown(sign), "WHERE has comparisons, AND, OR, NOT, IN, and + - *"))
    return refuse(f"a question cannot have {what}", remedy)


def of_function(name: str) -> InvalidInput:
    """The error of a function that a question does not have."""
    meant = near(name.lower(), ["count", "sum", "avg"])
    remedy = _INSTEAD.get(name.lower(), f"did you mean {meant[0].upper()}?" if meant else ASKABLE)
    return refuse(f"there is no function {shown(name.upper())} here", remedy, "unknown_function")
