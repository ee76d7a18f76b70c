"""From text to the tokens that the parser may see: a question's own few words, and no name at all.

The parser knows far more SQL than a question has, and reads some of it by trying, in time that doubles with
each level. So an allow-list of tokens stands before it, with the places where a parenthesis may open; and
every name is replaced by one that means nothing to the parser, put back when the tree is read: a name can
then never be taken for a type, a function or a clause. All of this takes time in proportion to the text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import sqlglot
from sqlglot.tokenizer_core import Token, TokenType

from kapok.computations.query.hints import FIRST_CUT, of_function, of_sign, of_word, refuse
from kapok.computations.query.reserved import RESERVED

__all__ = ["MOST_BYTES", "Lexed", "lex"]

MOST_BYTES: Final = 16 * 1024
MOST_DEPTH: Final = 16
MOST_LITERALS: Final = 1000
MOST_PREFIXES: Final = 32

T = TokenType
_NAMES: Final = frozenset({T.VAR, T.IDENTIFIER})
_LITERALS: Final = frozenset({T.NUMBER, T.STRING})
_PREFIXES: Final = frozenset({T.NOT, T.DASH, T.PLUS})
_OPERATORS: Final = frozenset({T.EQ, T.NEQ, T.LT, T.LTE, T.GT, T.GTE, T.PLUS, T.DASH, T.STAR})
_WORDS: Final = frozenset(
    {
        *(T.SELECT, T.FROM, T.WHERE, T.GROUP_BY, T.ALIAS),
        *(T.AND, T.OR, T.NOT, T.IN, T.IS, T.BETWEEN, T.NULL, T.TRUE, T.FALSE),
    }
)
_SIGNS: Final = frozenset({T.COMMA, T.DOT, T.L_PAREN, T.R_PAREN, T.SEMICOLON})
_ALLOWED: Final = _NAMES | _LITERALS | _OPERATORS | _WORDS | _SIGNS
# After these a parenthesis opens a group or a list; after a name of _AGGREGATES an argument.
_BEFORE_GROUP: Final = _OPERATORS | {T.WHERE, T.AND, T.OR, T.NOT, T.IN, T.BETWEEN, T.L_PAREN, T.COMMA}
_AGGREGATES: Final = frozenset({"count", "sum", "avg"})
_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


@dataclass(frozen=True, slots=True)
class Lexed:
    """Tokens for the parser.

    Attributes:
        tokens: Every name in them replaced by one of `names`.
        names: What each stands for. No text of an analyst contains any of them.
    """

    tokens: list[Token]
    names: Mapping[str, str]


def lex(sql: str) -> Lexed:
    """Read the text into tokens.

    Raises:
        InvalidInput: ``bad_sql``, ``question_too_long``, ``unsupported_sql`` or ``unknown_function``.
        sqlglot.errors.TokenError: An unclosed quote.
    """
    _check_text(sql)
    tokens = sqlglot.tokenize(sql)
    if not tokens or tokens[0].token_type is not T.SELECT:
        raise refuse("a question begins with SELECT", FIRST_CUT)
    _check_sizes(tokens)
    if any(token.token_type is T.SEMICOLON for token in tokens[:-1]):
        raise refuse("that is more than one statement", "ask one SELECT at a time")
    if any(token.token_type is T.SELECT for token in tokens[1:]):
        raise refuse("a question has no subquery", "write values out, and ask twice if you must")
    checked = [_plain(token, sql) for token in tokens]
    _check_parentheses(checked)
    return _without_names(checked)


def _check_text(sql: str) -> None:
    if not isinstance(sql, str) or not sql.strip():
        raise refuse("the question is empty", FIRST_CUT, "bad_sql")
    if len(sql) > MOST_BYTES or len(sql.encode(errors="replace")) > MOST_BYTES:
        raise refuse(
            "the question is too long", f"write at most {MOST_BYTES} bytes; ask twice", "question_too_long"
        )
    if any(
        (char < " " and char not in "\t\n\r") or "\ud800" <= char <= "\udfff" or char == "\x7f"
        for char in sql
    ):
        raise refuse("the question has control characters", "remove them", "bad_sql")


def _check_sizes(tokens: list[Token]) -> None:
    depth = prefixes = literals = 0
    for token in tokens:
        kind = token.token_type
        depth += (kind is T.L_PAREN) - (kind is T.R_PAREN)
        prefixes = prefixes + 1 if kind in _PREFIXES else 0
        literals += kind in _LITERALS
        if depth < 0:
            raise refuse("a parenthesis closes that was not opened", "remove it", "bad_sql")
        if depth > MOST_DEPTH or prefixes > MOST_PREFIXES:
            raise refuse(
                "the question is nested too deeply", f"use at most {MOST_DEPTH} levels", "question_too_long"
            )
        if literals > MOST_LITERALS:
            raise refuse(
                "the question has too many literals", f"use at most {MOST_LITERALS}", "question_too_long"
            )


def _plain(token: Token, sql: str) -> Token:
    """The token if it may be there; a word of SQL that a question does not know becomes a name."""
    kind = token.token_type
    if token.comments or kind is T.HINT:
        raise refuse("a question cannot have comments", "leave them out: nobody would see them")
    word = " ".join(token.text.lower().split())
    if kind in _NAMES | _LITERALS:
        if kind is T.VAR and word in RESERVED - _AGGREGATES:
            raise of_word(word)
        return token
    if kind in _ALLOWED:
        return token
    written = sql[token.start : token.end + 1]
    if not _WORD.match(written):
        raise of_word(word) if written[:1].isalpha() and written[-1:].isalpha() else of_sign(written)
    if word in RESERVED:
        raise of_word(word)
    return Token(T.VAR, token.text, token.line, token.col, token.start, token.end)


def _check_parentheses(tokens: list[Token]) -> None:
    """Refuse every parenthesis that no question has: what opens one decides how the parser reads it."""
    depth = 0
    argument = False
    for place, token in enumerate(tokens):
        kind = token.token_type
        if kind is T.R_PAREN:
            depth -= 1
            argument = argument and depth > 0
        elif kind is T.L_PAREN:
            called = _opens(tokens, place)
            if depth and (called or argument):
                raise refuse(
                    "COUNT, SUM and AVG stand alone and take one column",
                    "write them after SELECT, with a column's name in parentheses",
                )
            argument = called
            depth += 1
        elif kind is T.FROM and depth:
            raise refuse("a parenthesis is not closed before FROM", "close it", "bad_sql")


def _opens(tokens: list[Token], place: int) -> bool:
    """Whether the parenthesis at a place opens an aggregate's argument; it may open a group, and no more."""
    before = tokens[place - 1]
    if before.token_type in _BEFORE_GROUP:
        return False
    if before.token_type is T.FROM or tokens[place - 2].token_type is T.FROM:
        raise refuse("after FROM stands one dataset's name", "no subquery, no function, no file")
    if before.token_type not in _NAMES:
        raise refuse("a parenthesis cannot open there", "group conditions, sums and lists of values only")
    if before.token_type is T.VAR and before.text.lower() in _AGGREGATES:
        return True
    raise of_function(before.text)


def _without_names(tokens: list[Token]) -> Lexed:
    given: list[Token] = []
    names: dict[str, str] = {}
    for place, token in enumerate(tokens):
        called = place + 1 < len(tokens) and tokens[place + 1].token_type is T.L_PAREN
        if token.token_type not in _NAMES or called:
            given.append(token)
            continue
        # A control character, which no question has: nothing that an analyst wrote is taken for it.
        name = f"n\x01{len(names)}"
        names[name] = token.text
        given.append(Token(token.token_type, name, token.line, token.col, token.start, token.end))
    return Lexed(given, names)
