"""From text to the parser's tree, every limit checked, no library's error let through.

The tree is only ever *read*, node type by node type from an allow-list; what is executed is built anew.
"""

from __future__ import annotations

from sqlglot import Dialect, exp
from sqlglot.errors import ParseError, SqlglotError

from kapok.computations.query.hints import FIRST_CUT, of_part, refuse, shown
from kapok.computations.query.lexing import MOST_BYTES, MOST_DEPTH, lex

__all__ = ["MOST_BYTES", "read_select", "strict"]


def strict(node: exp.Expr, *allowed: str) -> None:
    """Refuse a node that says more than the caller reads from it: nothing of a question is dropped silently.

    Raises:
        InvalidInput: ``unsupported_sql``.
    """
    for name, value in node.args.items():
        if name not in allowed and value not in (None, False, []):
            raise of_part(name.rstrip("_"))


def read_select(sql: str) -> exp.Select:
    """Parse the text into one SELECT, unchecked beyond its tokens, size and kind.

    Raises:
        InvalidInput: ``bad_sql``, ``question_too_long``, ``unsupported_sql`` or ``unknown_function``.
    """
    try:
        statements = _statements(sql)
    except ParseError as error:
        raise refuse(_where(error), FIRST_CUT, "bad_sql") from None
    except SqlglotError:
        raise refuse(
            "the question has an unclosed quote or a stray character", FIRST_CUT, "bad_sql"
        ) from None
    except RecursionError:
        raise refuse(
            "the question is nested too deeply", f"use at most {MOST_DEPTH} levels", "question_too_long"
        ) from None
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        # The parser is another project's: what it trips over is bad SQL to us, never a crash.
        raise refuse("the question cannot be read", FIRST_CUT, "bad_sql") from None
    if len(statements) != 1 or type(statements[0]) is not exp.Select:
        raise refuse("a question is one SELECT", "leave UNION, INTERSECT, EXCEPT and the like out")
    return statements[0]


def _statements(sql: str) -> list[exp.Expr]:
    lexed = lex(sql)
    parsed = Dialect.get_or_raise(None).parser().parse(lexed.tokens, sql)
    statements = [statement for statement in parsed if statement is not None]
    for statement in statements:
        for identifier in statement.find_all(exp.Identifier):
            name = identifier.this
            identifier.set("this", lexed.names.get(name, name))
    return statements


def _where(error: ParseError) -> str:
    place = error.errors[0] if error.errors else {}
    near, line, column = place.get("highlight"), place.get("line"), place.get("col")
    if not near or line is None:
        return "the question cannot be read as SQL"
    return f"the question cannot be read as SQL near {shown(str(near))}, line {line}, column {column}"
