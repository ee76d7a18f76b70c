"""From text to the parser's tree, every limit checked, no library's error let through.

The tree is only ever *read*, node type by node type from an allow-list; what is executed is built anew.
"""

from __future__ import annotations

from typing import Final

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError
from sqlglot.tokenizer_core import TokenType

from kapok.errors import InvalidInput

__all__ = ["MOST_BYTES", "read_select", "refuse", "shown", "strict"]

MOST_BYTES: Final = 16 * 1024
MOST_DEPTH: Final = 16
MOST_LITERALS: Final = 1000
MOST_PREFIXES: Final = 32

_OPENING: Final = {TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE}
_CLOSING: Final = {TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE}
_PREFIXES: Final = {TokenType.NOT, TokenType.DASH, TokenType.PLUS, TokenType.TILDE}
_LITERALS: Final = {TokenType.NUMBER, TokenType.STRING}
_SHOWN_CHARACTERS: Final = 60


def shown(text: str) -> str:
    """A piece of the analyst's text for a message: short, escaped, in quotes."""
    return repr(text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…")


def refuse(message: str, remedy: str, code: str = "unsupported_sql") -> InvalidInput:
    """The error of a question that cannot be asked so."""
    return InvalidInput(message, code=code, remedy=remedy)


def strict(node: exp.Expr, *allowed: str) -> None:
    """Refuse a node that says more than the caller reads from it: nothing of a question is dropped silently.

    Raises:
        InvalidInput: ``unsupported_sql``.
    """
    for name, value in node.args.items():
        if name not in allowed and value not in (None, False, []):
            what, remedy = _EXTRAS.get(name.rstrip("_"), (name.rstrip("_").upper(), _FIRST_CUT))
            raise refuse(f"a question cannot have {what}", remedy)


_FIRST_CUT: Final = "write SELECT COUNT(*), COUNT(x), SUM(x), AVG(x) FROM dataset WHERE … GROUP BY columns"
_ONE_TABLE: Final = "ask one dataset; every holder has one table of it"
_EXTRAS: Final = {
    "order": ("ORDER BY", "groups come in the order of their domains; sort the answer yourself"),
    "having": ("HAVING", "filter the answer yourself"),
    "limit": ("LIMIT", "the number of lines follows from GROUP BY; cut the answer yourself"),
    "offset": ("OFFSET", "cut the answer yourself"),
    "distinct": ("DISTINCT", "group by the column instead, if it has a domain"),
    "joins": ("a join", _ONE_TABLE),
    "laterals": ("LATERAL", _ONE_TABLE),
    "with": ("WITH", "write one plain SELECT"),
    "query": ("a subquery", "write the values of IN (…) out"),
    "windows": ("a window", "group instead"),
    "qualify": ("QUALIFY", "filter the answer yourself"),
    "sample": ("a sample", "all rows that the filter keeps are counted"),
    "alias": ("another name for the dataset", "write the dataset's name and columns alone"),
    "all": ("GROUP BY ALL", "name the columns of GROUP BY"),
    "rollup": ("ROLLUP", "ask once for each grouping"),
    "cube": ("CUBE", "ask once for each grouping"),
    "grouping_sets": ("GROUPING SETS", "ask once for each grouping"),
    "db": ("a schema before a name", "write the name alone"),
    "catalog": ("a catalogue before a name", "write the name alone"),
    "symmetric": ("BETWEEN SYMMETRIC", "put the smaller bound first"),
    "expressions": ("a second argument", "ask one column at a time"),
    "locks": ("FOR UPDATE", "leave it out: a question changes nothing"),
    "into": ("INTO", "leave it out: the answer comes to you"),
    "hint": ("a hint", "leave it out"),
}


def _check_text(sql: str) -> None:
    if not isinstance(sql, str) or not sql.strip():
        raise refuse("the question is empty", _FIRST_CUT, "bad_sql")
    if len(sql) > MOST_BYTES or len(sql.encode(errors="replace")) > MOST_BYTES:
        raise refuse(
            "the question is too long", f"write at most {MOST_BYTES} bytes; ask twice", "question_too_long"
        )
    if any(
        (char < " " and char not in "\t\n\r") or "\ud800" <= char <= "\udfff" or char == "\x7f"
        for char in sql
    ):
        raise refuse("the question has control characters", "remove them", "bad_sql")


def _check_tokens(sql: str) -> None:
    depth = prefixes = literals = 0
    tokens = sqlglot.tokenize(sql)
    for place, token in enumerate(tokens):
        kind = token.token_type
        if token.comments or kind is TokenType.HINT:
            raise refuse("a question cannot have comments", "leave them out: nobody would see them")
        if kind is TokenType.SEMICOLON and place != len(tokens) - 1:
            raise refuse("that is more than one statement", "ask one SELECT at a time")
        depth += (kind in _OPENING) - (kind in _CLOSING)
        prefixes = prefixes + 1 if kind in _PREFIXES else 0
        literals += kind in _LITERALS
        if depth > MOST_DEPTH or prefixes > MOST_PREFIXES:
            raise refuse(
                "the question is nested too deeply", f"use at most {MOST_DEPTH} levels", "question_too_long"
            )
        if literals > MOST_LITERALS:
            raise refuse(
                "the question has too many literals", f"use at most {MOST_LITERALS}", "question_too_long"
            )
    if not tokens or tokens[0].token_type is not TokenType.SELECT:
        raise refuse("a question begins with SELECT", _FIRST_CUT)


def read_select(sql: str) -> exp.Select:
    """Parse the text into one SELECT, unchecked beyond its size and kind.

    Raises:
        InvalidInput: ``bad_sql``, ``question_too_long`` or ``unsupported_sql``.
    """
    _check_text(sql)
    try:
        _check_tokens(sql)
        statements = [statement for statement in sqlglot.parse(sql) if statement is not None]
    except ParseError as error:
        raise refuse(_where(error), _FIRST_CUT, "bad_sql") from None
    except SqlglotError:
        raise refuse(
            "the question has an unclosed quote or a stray character", _FIRST_CUT, "bad_sql"
        ) from None
    except RecursionError:
        raise refuse(
            "the question is nested too deeply", f"use at most {MOST_DEPTH} levels", "question_too_long"
        ) from None
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        # The parser is another project's: what it trips over is bad SQL to us, never a crash.
        raise refuse("the question cannot be read", _FIRST_CUT, "bad_sql") from None
    if len(statements) != 1 or type(statements[0]) is not exp.Select:
        raise refuse("a question is one SELECT", "leave UNION, INTERSECT, EXCEPT and the like out")
    return statements[0]


def _where(error: ParseError) -> str:
    place = error.errors[0] if error.errors else {}
    near, line, column = place.get("highlight"), place.get("line"), place.get("col")
    if not near or line is None:
        return "the question cannot be read as SQL"
    return f"the question cannot be read as SQL near {shown(str(near))}, line {line}, column {column}"
