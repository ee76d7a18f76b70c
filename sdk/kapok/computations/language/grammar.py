"""From tokens to a `Statement`: the whole grammar of a question, by recursive descent.

It knows what a question may say and nothing more of SQL, so nothing else can be said: there is no other
statement, no second table, no name that is looked up anywhere but in the dataset. Each token is looked at a
fixed number of times and nothing is tried and taken back, so reading takes time in proportion to the text.

    statement   SELECT item, … FROM name [WHERE e] [GROUP BY …] [HAVING e] [ORDER BY …] [LIMIT n] [OFFSET n]
    e           OR < AND < NOT < IS < comparison < IN, BETWEEN, LIKE < || < + - < * / % < unary - < primary
    primary     literal · name · function(e, …) · CASE … END · (e)

The clauses around expressions are read by `kapok.computations.language.clauses`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from kapok.computations.language.hints import of_function, of_word, refuse, shown
from kapok.computations.language.lexing import Token, lex
from kapok.computations.language.literals import day_of, moment_of, number_of, span_of
from kapok.computations.language.reserved import REFUSED
from kapok.computations.language.syntax import (
    COMPARISONS,
    Aggregate,
    Call,
    Case,
    Expression,
    Name,
    Null,
    Number,
    Span,
    Text,
    Truth,
    parts_of,
)
from kapok.computations.language.vocabulary import AGGREGATES, FUNCTIONS, ORDERED, PARTS, SYNONYMS

__all__ = ["Reader"]

_MOST_LEVELS: Final = 48
_MOST_PREFIXES: Final = 32
# Names in the language that are no function's: what they open is read by rules of their own.
_NO_NAMES: Final = frozenset({"case", "not", "and", "or"})


class Reader:
    """Reads expressions from a text's tokens.

    Attributes:
        sql: The text.
    """

    def __init__(self, sql: str) -> None:
        self.sql = sql
        self._tokens = lex(sql)
        self._next = 0
        self._dataset: str | None = None
        # By identity, for to hash a tree is to walk it; the node is kept, so that nothing else gets its id.
        self._levels: dict[int, tuple[Expression, int]] = {}

    # -- tokens -------------------------------------------------------------------------------------------

    @property
    def token(self) -> Token:
        """The token that is to be read next."""
        return self._tokens[self._next]

    def ahead(self, by: int = 1) -> Token:
        """A token further on."""
        return self._tokens[min(self._next + by, len(self._tokens) - 1)]

    def advance(self) -> Token:
        """Take the next token."""
        token = self.token
        self._next = min(self._next + 1, len(self._tokens) - 1)
        return token

    def at_word(self, *words: str) -> bool:
        """Whether these words come next, one after the other."""
        for by, word in enumerate(words):
            token = self.ahead(by)
            if token.kind != "word" or token.text != word:
                return False
        return True

    def at_sign(self, sign: str) -> bool:
        """Whether that sign comes next."""
        return self.token.kind == "sign" and self.token.text == sign

    def take_word(self, *words: str) -> bool:
        """Take these words if they come next."""
        if not self.at_word(*words):
            return False
        self._next += len(words)
        return True

    def take_sign(self, sign: str) -> bool:
        """Take that sign if it comes next."""
        if not self.at_sign(sign):
            return False
        self.advance()
        return True

    def expect_word(self, word: str, where: str) -> None:
        """Take that word.

        Raises:
            InvalidInput: something else stands there.
        """
        if not self.take_word(word):
            raise self.unexpected(f"{word.upper()} is missing {where}")

    def expect_sign(self, sign: str, where: str) -> None:
        """Take that sign.

        Raises:
            InvalidInput: something else stands there.
        """
        if not self.take_sign(sign):
            raise self.unexpected(f"{sign} is missing {where}")

    def unexpected(self, missing: str) -> Exception:
        """The error of a token that cannot stand where it does."""
        token = self.token
        if token.kind == "word" and token.text in REFUSED and token.text not in ("from", "where", "end"):
            return of_word(token.text)
        if token.kind == "sign" and token.text == ";":
            return refuse("that is more than one statement", "ask one SELECT at a time")
        if token.kind == "end":
            return refuse(f"the question ends too early: {missing}", "write the rest", "bad_sql")
        what = shown(token.text)
        return refuse(f"{missing}, before {what}{self._where(token)}", "mend the text there", "bad_sql")

    def _where(self, token: Token) -> str:
        before = self.sql[: token.place]
        return f", line {before.count(chr(10)) + 1}, column {token.place - before.rfind(chr(10))}"

    # -- expressions --------------------------------------------------------------------------------------

    def expression(self) -> Expression:
        """Read one expression."""
        return self._chain("or", self._all)

    def _all(self) -> Expression:
        return self._chain("and", self._not)

    def _chain(self, word: str, read: Callable[[], Expression]) -> Expression:
        parts = [read()]
        while self.take_word(word):
            parts.append(read())
        if len(parts) == 1:
            return parts[0]
        flat: list[Expression] = []
        for part in parts:
            flat.extend(part.arguments if isinstance(part, Call) and part.name == word else [part])
        return self._made(Call(word, tuple(flat)))

    def _not(self) -> Expression:
        count = 0
        while self.take_word("not"):
            count += 1
        self._check_prefixes(count)
        found = self._is()
        for _ in range(count):
            found = self._made(Call("not", (found,)))
        return found

    def _is(self) -> Expression:
        found = self._comparison()
        while self.take_word("is"):
            negated = self.take_word("not")
            for word in ("null", "true", "false"):
                if self.take_word(word):
                    found = self._made(Call(f"is {word}", (found,)))
                    break
            else:
                raise refuse("IS goes with NULL, TRUE or FALSE", "use = for values")
            if negated:
                found = self._made(Call("not", (found,)))
        return found

    def _comparison(self) -> Expression:
        found = self._range()
        if self.token.kind == "sign" and self.token.text in COMPARISONS:
            sign = self.advance().text
            found = self._made(Call(sign, (found, self._range())))
            if self.token.kind == "sign" and self.token.text in COMPARISONS:
                raise refuse(
                    "two comparisons stand in a row",
                    "join them with AND, or put one in parentheses",
                    "bad_sql",
                )
        return found

    def _range(self) -> Expression:
        found = self._joined()
        while True:
            negated = self.at_word("not") and self.ahead().text in ("in", "between", "like", "ilike")
            if negated:
                self.advance()
            if self.take_word("in"):
                found = self._membership(found)
            elif self.take_word("between"):
                if self.at_word("symmetric"):
                    raise of_word("symmetric")
                low = self._joined()
                self.expect_word("and", "after BETWEEN and its first bound")
                found = self._made(Call("between", (found, low, self._joined())))
            elif self.at_word("like") or self.at_word("ilike"):
                word = self.advance().text
                found = self._made(Call(word, (found, self._joined())))
                if self.at_word("escape"):
                    raise refuse("a question cannot have ESCAPE", "compare with STARTS_WITH or CONTAINS")
            else:
                return found
            if negated:
                found = self._made(Call("not", (found,)))

    def _membership(self, tested: Expression) -> Expression:
        self.expect_sign("(", "after IN")
        if self.at_sign(")"):
            raise refuse("IN lists nothing", "write the values in parentheses", "bad_sql")
        values = dict.fromkeys(self.listed("the list of IN"))
        return self._made(Call("in", (tested, *values)))

    def _joined(self) -> Expression:
        found = self._sum()
        while self.take_sign("||"):
            found = self._made(Call("||", (found, self._sum())))
        return found

    def _sum(self) -> Expression:
        found = self._product()
        while self.at_sign("+") or self.at_sign("-"):
            sign = self.advance().text
            found = self._made(Call(sign, (found, self._product())))
        return found

    def _product(self) -> Expression:
        found = self._signed()
        while self.at_sign("*") or self.at_sign("/") or self.at_sign("%"):
            sign = self.advance().text
            found = self._made(Call(sign, (found, self._signed())))
        return found

    def _signed(self) -> Expression:
        signs = []
        while self.at_sign("-") or self.at_sign("+"):
            signs.append(self.advance().text)
        self._check_prefixes(len(signs))
        found = self._primary()
        for sign in reversed(signs):
            if sign == "+":
                continue
            if isinstance(found, Number):
                found = Number(-found.units, found.decimals)
            else:
                found = self._made(Call("neg", (found,)))
        return found

    def _check_prefixes(self, count: int) -> None:
        if count > _MOST_PREFIXES:
            raise refuse("the question is nested too deeply", "leave signs and NOT out", "question_too_long")

    def _primary(self) -> Expression:
        token = self.token
        match token.kind:
            case "number":
                return number_of(self.advance().text)
            case "text":
                return Text(self.advance().text)
            case "quoted":
                return self._name()
            case "word":
                return self._word()
            case "sign" if token.text == "(":
                self.advance()
                found = self.expression()
                if self.at_sign(","):
                    raise refuse("a list cannot stand there", "compare one value at a time")
                self.expect_sign(")", "at the end")
                return found
            case "sign" if token.text == "*":
                raise refuse("* cannot stand there: no rows leave a holder", "write COUNT(*)")
            case _:
                raise self.unexpected("a value is missing")

    def _word(self) -> Expression:
        word, after = self.token.text, self.ahead()
        if word == "case":
            self.advance()
            return self._case()
        if word == "interval":
            self.advance()
            return self._interval()
        if after.kind == "text" and word in ("date", "timestamp"):
            self.advance()
            text = self.advance().text
            return day_of(text) if word == "date" else moment_of(text)
        if after.kind == "sign" and after.text == "(" and word not in _NO_NAMES:
            self.advance()
            self.advance()
            return self._called(word)
        if word in ("true", "false"):
            self.advance()
            return Truth(word == "true")
        if word == "null":
            self.advance()
            return Null()
        if word == "select":
            raise refuse("a question has no subquery", "write values out, and ask twice if you must")
        if word in REFUSED:
            raise of_word(word)
        return self._name()

    def _name(self) -> Expression:
        name = self.identifier("a column's name")
        if self.at_sign("."):
            self.advance()
            if self.at_sign("*"):
                raise refuse("* cannot stand there: no rows leave a holder", "write COUNT(*)")
            return self.qualified(name, self.identifier("a column's name"))
        if self.at_sign("("):
            raise of_function(name)
        return Name(name)

    def qualified(self, table: str, name: str) -> Expression:
        """The column of a table that is named before it; the table must be the one after FROM."""
        if self._dataset is None:
            self._dataset = table
        if table != self._dataset:
            raise refuse("the question names two datasets", "write the columns' names alone")
        return Name(name)

    @property
    def named_dataset(self) -> str | None:
        """The dataset that stands before a column's name somewhere, if any."""
        return self._dataset

    def identifier(self, what: str) -> str:
        """Take a name: unquoted in lower case, quoted as it stands. ASCII only."""
        token = self.token
        if token.kind == "word" and token.text in REFUSED:
            raise of_word(token.text)
        if token.kind not in ("word", "quoted"):
            raise self.unexpected(f"{what} is missing")
        if not token.text or not token.text.isascii() or not token.text.isprintable():
            raise refuse(
                f"{shown(token.text)} is not a name",
                "names have the characters a-z 0-9 _ only; check for look-alikes of other alphabets",
                "bad_sql",
            )
        return self.advance().text

    def listed(self, where: str) -> list[Expression]:
        """Read expressions with commas between them, and the parenthesis that closes them."""
        found = [self.expression()]
        while self.take_sign(","):
            found.append(self.expression())
        self.expect_sign(")", f"after {where}")
        return found

    def _called(self, word: str) -> Expression:
        name = SYNONYMS.get(word, word)
        if name in AGGREGATES:
            return self._aggregate(name)
        if name == "extract":
            part = self.advance()
            self.expect_word("from", "after the part that EXTRACT takes")
            return self._part(part.text, self.listed("EXTRACT"))
        if name not in FUNCTIONS:
            raise (
                of_word(word) if word in ("select", "cast", "exists", "any", "values") else of_function(word)
            )
        arguments = [] if self.take_sign(")") else self.listed(word.upper())
        if name == "date_part" and arguments:
            part_name = arguments[0].value if isinstance(arguments[0], Text) else ""
            return self._part(part_name.lower(), arguments[1:])
        return self._made(Call(name, tuple(arguments)))

    def _part(self, part: str, arguments: list[Expression]) -> Expression:
        name = PARTS.get(part)
        if name is None or len(arguments) != 1:
            raise refuse(
                f"{shown(part)} is no part of a date", "write one of " + ", ".join(sorted(set(PARTS)))
            )
        return self._made(Call(name, tuple(arguments)))

    def _aggregate(self, name: str) -> Expression:
        distinct = False
        arguments: list[Expression] = []
        if self.at_sign("*"):
            if name != "count":
                raise refuse(f"{name.upper()} takes a column, not *", "write its name in parentheses")
            self.advance()
            self.expect_sign(")", "after COUNT(*")
        elif not self.take_sign(")"):
            distinct = self.take_word("distinct")
            if self.at_word("all"):
                raise of_word("all")
            arguments = self.listed(name.upper())
        elif name == "count":
            raise refuse("COUNT counts something", "write COUNT(*) or COUNT(column)")
        if name in ORDERED:
            name, arguments = ORDERED[name], [self._ordered(name), *arguments]
        if self.at_word("over") or self.at_word("within"):
            raise of_word(self.token.text)
        condition = None
        if self.take_word("filter"):
            self.expect_sign("(", "after FILTER")
            self.expect_word("where", "after FILTER (")
            condition = self.expression()
            self.expect_sign(")", "after FILTER (WHERE …")
        return self._made(Aggregate(name, tuple(arguments), distinct, condition))

    def _ordered(self, name: str) -> Expression:
        """What PERCENTILE_CONT(q) is of: WITHIN GROUP (ORDER BY x)."""
        where = f"after {name.upper()}(…)"
        for word in ("within", "group"):
            self.expect_word(word, where)
        self.expect_sign("(", "after WITHIN GROUP")
        for word in ("order", "by"):
            self.expect_word(word, "after WITHIN GROUP (")
        ordered = self.expression()
        self.take_word("asc")
        self.expect_sign(")", "after WITHIN GROUP (ORDER BY …, which goes upwards")
        return ordered

    def _case(self) -> Expression:
        operand = None if self.at_word("when") else self.expression()
        branches = []
        while self.take_word("when"):
            condition = self.expression()
            self.expect_word("then", "after WHEN")
            branches.append((condition, self.expression()))
        if not branches:
            raise self.unexpected("WHEN is missing after CASE")
        otherwise = self.expression() if self.take_word("else") else None
        self.expect_word("end", "after CASE")
        return self._made(Case(operand, tuple(branches), None if isinstance(otherwise, Null) else otherwise))

    def _interval(self) -> Span:
        negative = self.take_sign("-")
        token = self.token
        if token.kind not in ("number", "text"):
            raise self.unexpected("a number is missing after INTERVAL")
        self.advance()
        unit = None
        if self.token.kind == "word" and self.token.text.rstrip("s") in PARTS:
            unit = self.advance().text
        return span_of(token.text, unit, negative=negative)

    def _made(self, node: Expression) -> Expression:
        """The node, unless it is too deep: what is read by loops must not be too deep to walk through."""
        level = 1 + max((self._levels.get(id(part), (part, 0))[1] for part in parts_of(node)), default=0)
        if level > _MOST_LEVELS:
            raise refuse(
                "the question is nested too deeply",
                f"use at most {_MOST_LEVELS} operators in a row",
                "question_too_long",
            )
        self._levels[id(node)] = (node, level)
        return node
