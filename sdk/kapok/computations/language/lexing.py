"""From text to tokens: words, names in quotes, numbers, texts and signs, and nothing else.

One regular expression reads it all, in time in proportion to the text. What it does not know is refused
before anything looks at its meaning: comments, other quotes, other alphabets outside of quotes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from kapok.computations.language.hints import SHAPE, of_sign, refuse, shown

__all__ = ["MOST_BYTES", "MOST_DEPTH", "Token", "lex"]

MOST_BYTES: Final = 16 * 1024
MOST_DEPTH: Final = 16
MOST_LITERALS: Final = 1000

TokenKind = Literal["word", "quoted", "number", "text", "sign", "end"]

_TOKEN: Final = re.compile(
    r"""(?P<space>[ \t\r\n]+)
    |(?P<comment>--|/\*)
    |(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?![A-Za-z0-9_.]))
    |(?P<word>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<text>'(?:[^']|'')*')
    |(?P<quoted>"(?:[^"]|"")*")
    |(?P<sign><>|!=|<=|>=|\|\||[=<>+\-*/%(),.;])""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Token:
    """One token.

    Attributes:
        kind: ``end`` stands after the last.
        text: A word in lower case; what stands between quotes, doubled quotes undone; else as it is written.
        place: Where it begins in the text.
    """

    kind: TokenKind
    text: str
    place: int


def lex(sql: str) -> list[Token]:
    """Read the text into tokens, ``end`` the last.

    Raises:
        InvalidInput: ``bad_sql``, ``question_too_long`` or ``unsupported_sql``.
    """
    _check_text(sql)
    tokens: list[Token] = []
    place = 0
    while place < len(sql):
        found = _TOKEN.match(sql, place)
        if found is None:
            raise _unreadable(sql, place)
        written = found[0]
        match found.lastgroup:
            case "comment":
                raise refuse("a question cannot have comments", "leave them out: nobody would see them")
            case "word":
                tokens.append(Token("word", written.lower(), place))
            case "text" | "quoted" as kind:
                quote = written[0]
                tokens.append(Token(kind, written[1:-1].replace(quote * 2, quote), place))
            case "space" | None:
                pass
            case "number":
                tokens.append(Token("number", written, place))
            case _:
                tokens.append(Token("sign", "<>" if written == "!=" else written, place))
        place = found.end()
    tokens.append(Token("end", "", len(sql)))
    _check_sizes(tokens)
    return tokens


def _check_text(sql: str) -> None:
    if not isinstance(sql, str) or not sql.strip():
        raise refuse("the question is empty", SHAPE, "bad_sql")
    if len(sql) > MOST_BYTES or len(sql.encode(errors="replace")) > MOST_BYTES:
        raise refuse(
            "the question is too long", f"write at most {MOST_BYTES} bytes; ask twice", "question_too_long"
        )
    if any(
        (char < " " and char not in "\t\n\r") or "\ud800" <= char <= "\udfff" or char == "\x7f"
        for char in sql
    ):
        raise refuse("the question has control characters", "remove them", "bad_sql")


def _unreadable(sql: str, place: int) -> Exception:
    sign = sql[place]
    if sign in "'\"":
        return refuse("the question has an unclosed quote", "close it", "bad_sql")
    if sign in ".0123456789":
        return refuse(
            f"{shown(re.split(r'[^A-Za-z0-9_.]', sql[place:], maxsplit=1)[0])} is not a number",
            "write digits, with a decimal point if needed, without exponent",
            "bad_sql",
        )
    if not sign.isascii():
        return refuse(
            f"{shown(sign)} cannot stand outside of quotes",
            "names have the characters a-z 0-9 _ only; check for look-alikes of other alphabets",
            "bad_sql",
        )
    two = sql[place : place + 2]
    return of_sign(two if two in ("::", ":=", "->", "**", "<<") else sign)


def _check_sizes(tokens: list[Token]) -> None:
    depth = literals = 0
    for token in tokens:
        if token.kind == "sign":
            depth += (token.text == "(") - (token.text == ")")
        elif token.kind == "word":
            depth += (token.text == "case") - (token.text == "end" and depth > 0)
        literals += token.kind in ("number", "text")
        if depth < 0:
            raise refuse("a parenthesis closes that was not opened", "remove it", "bad_sql")
        if depth > MOST_DEPTH:
            raise refuse(
                "the question is nested too deeply", f"use at most {MOST_DEPTH} levels", "question_too_long"
            )
        if literals > MOST_LITERALS:
            raise refuse(
                "the question has too many literals", f"use at most {MOST_LITERALS}", "question_too_long"
            )
