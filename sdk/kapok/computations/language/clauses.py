"""From text to a `Statement`: the clauses of a SELECT, around expressions that `grammar` reads."""

from __future__ import annotations

import re
from typing import Final, Literal

from kapok.computations.language.grammar import Reader
from kapok.computations.language.hints import SHAPE, of_part, of_word, refuse, shown
from kapok.computations.language.reserved import REFUSED
from kapok.computations.language.syntax import Expression, Group, Order, Selected, Statement

__all__ = ["read_source", "read_statement"]

_ALIAS: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}\Z")
_MOST_DIGITS: Final = 9
# After GROUP BY these open lists of expressions instead of one.
_SETS: Final[dict[str, Literal["rollup", "cube"]]] = {"rollup": "rollup", "cube": "cube"}


def read_statement(sql: str) -> Statement:
    """Read a whole question.

    Raises:
        InvalidInput: ``bad_sql``, ``question_too_long``, ``unsupported_sql`` or ``unknown_function``.
    """
    reader = Reader(sql)
    if not reader.take_word("select"):
        raise refuse("a question begins with SELECT", SHAPE)
    if reader.at_word("distinct"):
        raise of_part("distinct")
    selected = [_selected(reader)]
    while reader.take_sign(","):
        selected.append(_selected(reader))
    source = _source(reader)
    where = reader.expression() if reader.take_word("where") else None
    groups = _groups(reader) if reader.take_word("group", "by") else ()
    having = reader.expression() if reader.take_word("having") else None
    order = _orders(reader) if reader.take_word("order", "by") else ()
    limit = offset = None
    for _ in range(2):
        if limit is None and reader.take_word("limit"):
            limit = _whole(reader, "LIMIT")
        elif offset is None and reader.take_word("offset"):
            offset = _whole(reader, "OFFSET")
    _end(reader)
    if reader.named_dataset not in (None, source[0], source[0].partition("@")[0]):
        raise refuse(
            f"the question asks {shown(source[0])} only", "write the columns' names without another before"
        )
    return Statement(tuple(selected), source, where, groups, having, order, limit, offset or 0)


def read_source(sql: str) -> tuple[str, bool]:
    """What stands after FROM, and whether in double quotes, as far as nothing else need be known."""
    reader = Reader(sql)
    if not reader.at_word("select"):
        raise refuse("a question begins with SELECT", SHAPE)
    depth = 0
    while reader.token.kind != "end" and (depth or not reader.at_word("from")):
        depth += reader.at_sign("(") - reader.at_sign(")")
        reader.advance()
    return _source(reader)


def _selected(reader: Reader) -> Selected:
    if reader.at_sign("*"):
        raise refuse("SELECT * would show rows, and no rows leave a holder", SHAPE)
    expression = reader.expression()
    token = reader.token
    if reader.take_word("as"):
        token = reader.token
        if token.kind == "word" and token.text in REFUSED:
            raise of_word(token.text)
        if token.kind not in ("word", "quoted"):
            raise reader.unexpected("a name is missing after AS")
    elif token.kind != "quoted" and (token.kind != "word" or token.text in REFUSED):
        return Selected(expression, None)
    if not _ALIAS.match(token.text):
        raise refuse(
            f"{shown(token.text)} cannot name a column of the answer",
            "use 1 to 63 of A-Z a-z 0-9 _, beginning with a letter",
            "bad_sql",
        )
    return Selected(expression, reader.advance().text)


def _source(reader: Reader) -> tuple[str, bool]:
    if not reader.take_word("from"):
        if reader.token.kind == "end":
            raise refuse(
                "the question does not say which dataset", "write FROM and the dataset's name", "bad_sql"
            )
        raise reader.unexpected("FROM is missing")
    token = reader.token
    if token.kind not in ("word", "quoted"):
        if token.kind == "end":
            raise reader.unexpected("the dataset's name is missing")
        raise refuse("after FROM stands one dataset's name", "no subquery, no function, no file")
    name = reader.identifier("the dataset's name")
    after = reader.token
    if reader.at_sign("("):
        raise refuse("after FROM stands one dataset's name", "no subquery, no function, no file")
    if reader.at_sign("."):
        raise of_part("db")
    if reader.at_sign(","):
        raise of_part("joins")
    if reader.at_word("as") or after.kind == "quoted" or (after.kind == "word" and after.text not in REFUSED):
        raise of_part("alias")
    return name, token.kind == "quoted"


def _groups(reader: Reader) -> tuple[Group, ...]:
    if reader.at_word("all"):
        raise of_word("all")
    found = [_group(reader)]
    while reader.take_sign(","):
        found.append(_group(reader))
    return tuple(found)


def _group(reader: Reader) -> Group:
    for word, kind in _SETS.items():
        if reader.take_word(word):
            reader.expect_sign("(", f"after {word.upper()}")
            return Group(kind, _lists(reader))
    if reader.take_word("grouping", "sets"):
        reader.expect_sign("(", "after GROUPING SETS")
        return Group("sets", _lists(reader))
    return Group("plain", ((reader.expression(),),))


def _lists(reader: Reader) -> tuple[tuple[Expression, ...], ...]:
    """Expressions and lists of them in parentheses, up to the parenthesis that closes."""
    found = [_list(reader)]
    while reader.take_sign(","):
        found.append(_list(reader))
    reader.expect_sign(")", "at the end of the groupings")
    return tuple(found)


def _list(reader: Reader) -> tuple[Expression, ...]:
    if not reader.at_sign("(") or not _is_list(reader):
        return (reader.expression(),)
    reader.advance()
    return () if reader.take_sign(")") else tuple(reader.listed("the grouping"))


def _is_list(reader: Reader) -> bool:
    """Whether the parenthesis that comes next holds a list, and is not the beginning of an expression."""
    depth, by = 0, 0
    while True:
        token = reader.ahead(by)
        if token.kind == "end":
            return False
        if token.kind == "sign":
            depth += (token.text == "(") - (token.text == ")")
        by += 1
        if depth == 0:
            after = reader.ahead(by)
            return after.kind == "sign" and after.text in (",", ")")


def _orders(reader: Reader) -> tuple[Order, ...]:
    found = [_order(reader)]
    while reader.take_sign(","):
        found.append(_order(reader))
    return tuple(found)


def _order(reader: Reader) -> Order:
    expression = reader.expression()
    descending = reader.take_word("desc")
    if not descending:
        reader.take_word("asc")
    nulls_first = reader.take_word("nulls", "first")
    if not nulls_first:
        reader.take_word("nulls", "last")
    return Order(expression, descending, nulls_first)


def _whole(reader: Reader, what: str) -> int:
    token = reader.token
    if token.kind != "number" or not token.text.isdigit() or len(token.text) > _MOST_DIGITS:
        raise refuse(f"{what} takes a number of lines", "write it as digits", "bad_sql")
    return int(reader.advance().text)


def _end(reader: Reader) -> None:
    if reader.take_sign(";") and reader.token.kind != "end":
        raise refuse("that is more than one statement", "ask one SELECT at a time")
    token = reader.token
    if token.kind == "end":
        return
    if token.kind == "word" and token.text in REFUSED:
        raise of_word(token.text)
    raise reader.unexpected("the question should end")
