"""What opens a parenthesis, and that reading takes no longer than the text is long."""

from __future__ import annotations

import contextlib

import pytest

from kapok.computations.language.clauses import read_statement
from kapok.computations.language.grammar import Reader
from kapok.computations.language.lexing import Token
from kapok.computations.query.reading import read_question
from kapok.documents.dataset import Column, Dataset
from kapok.errors import InvalidInput

ASKED = "SELECT COUNT(*) FROM heart WHERE "

# Each of these took a general parser of SQL time that doubles with each level, or is what no question has.
OPENINGS = (
    *("STRUCT(", "DECIMAL(", "ARRAY(", "MAP(", "NULLABLE(", "ENUM(", "CAST(", "IF(", "CASE(", "VALUES("),
    *("EXISTS(", "x(", "x.y(", '"x"(', '"STRUCT"(', "COUNT(", "SUM(COUNT(", "COALESCE(", "EXTRACT(", "LEFT("),
    *("[", "{", "a[", "STRUCT<STRUCT(", "x -> (", "(x, y) -> (", "SELECT (", "FROM (", "IS (", "INTERVAL ("),
    *("1 (", "'a' (", ") (", "AS (", "IN (SELECT ", "age::STRUCT(", "DATE (", "OVER (", "FILTER (", "ANY ("),
)


@pytest.mark.parametrize("opening", OPENINGS)
@pytest.mark.parametrize(
    "start", [ASKED, "SELECT ", "SELECT COUNT(*) FROM ", ASKED + "age IN (", ASKED + "NOT "]
)
def test_what_no_question_has_is_refused_however_deep_it_nests(
    heart: Dataset, start: str, opening: str
) -> None:
    for levels in (2, 16):
        nested = opening * levels + "a" + ")" * levels * opening.count("(")
        for sql in (start + nested, start + " AND ".join([nested + " = 1"] * 4)):
            with pytest.raises(InvalidInput) as caught:
                read_question(sql, heart)
            assert caught.value.code in (
                *("unsupported_sql", "unknown_function", "question_too_long", "bad_sql"),
                *("type_mismatch", "unknown_column"),
            )


@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        ("(", ")"),
        ("NOT (", ")"),
        ("-(", ")"),
        ("age + (", ")"),
        ("age * (", ") * 2"),
        ("age = (", ")"),
        ("age IN (", ")"),
        ("age NOT IN (1, (", "))"),
        ("age BETWEEN 1 AND (", ")"),
        ("age BETWEEN (", ") AND 2"),
        ("age = 1 AND (", ") IS TRUE"),
        ("age = 1 OR NOT (", ") IS NOT NULL"),
        ("(age, (", "))"),
        ("age < struct < (", ")"),
    ],
)
@pytest.mark.parametrize(
    "inner", ["age", "age = 1", "age, sex", "1", "age x", "struct < map", "'a'", "age IS NULL"]
)
def test_each_token_is_read_once(
    heart: Dataset, monkeypatch: pytest.MonkeyPatch, opening: str, closing: str, inner: str
) -> None:
    read: list[int] = []
    advance = Reader.advance

    def counted(self: Reader) -> Token:
        token = advance(self)
        read.append(token.place)
        return token

    monkeypatch.setattr(Reader, "advance", counted)
    levels = 15 // opening.count("(")
    sql = ASKED + opening * levels + inner + closing * levels
    with contextlib.suppress(InvalidInput):
        read_statement(sql)
    assert read
    assert read == sorted(set(read)), sql


@pytest.mark.parametrize("name", ["date", "struct", "map", "decimal", "index", "text", "year", "name"])
def test_a_name_is_never_a_type_or_a_clause(name: str) -> None:
    dataset = Dataset(
        name=name,
        rows_max=9,
        columns=(Column(name=name, type="integer", minimum=0, maximum=9, nullable=True),),
    )
    for written in (name, name.upper(), f'"{name}"'):
        question = read_question(
            f"SELECT SUM({written}) AS {written}, COUNT({name}.{written}) FROM {written} "
            f"WHERE {written} < 3 AND {written} > 1 OR ({written} + {written}) IN (3) OR {written} IS NULL",
            dataset,
        )
        assert question.columns == (name,)
        assert question.items[0].name == name


def test_a_word_of_sql_as_a_name_needs_quotes_and_the_error_says_so() -> None:
    dataset = Dataset(
        name="t", rows_max=9, columns=(Column(name="commit", type="integer", minimum=0, maximum=9),)
    )
    with pytest.raises(InvalidInput) as caught:
        read_question("SELECT SUM(commit) FROM t", dataset)
    assert '"commit"' in (caught.value.remedy or "")
    assert read_question('SELECT SUM("commit") FROM t', dataset).columns == ("commit",)


def test_texts_that_look_like_stand_ins_are_texts() -> None:
    dataset = Dataset(name="t", rows_max=9, columns=(Column(name="kind", type="text", domain=("n0", "n1")),))
    question = read_question("SELECT COUNT(*) AS n1 FROM t WHERE kind = 'n0' OR kind IN ('n1')", dataset)
    assert question.sql == "SELECT COUNT(*) AS n1 FROM t WHERE kind = 'n0' OR kind IN ('n1')"
