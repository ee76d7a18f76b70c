"""The holder's half: words, suppression, and that nothing about the data shows in whether it works."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from kapok.computations import Thresholds
from kapok.computations.engines import Dominance, unheard
from kapok.computations.query.build import engine_sql
from kapok.computations.query.holder import contribute
from kapok.computations.query.reading import read_question
from kapok.documents.dataset import Column, Dataset
from kapok.errors import InvalidInput

TINY = Dataset(
    name="tiny",
    rows_max=100,
    columns=(
        Column(name="sex", type="integer", domain=(0, 1)),
        Column(name="ward", type="text", domain=("a", "b"), nullable=True),
        Column(name="smokes", type="boolean", nullable=True),
        Column(name="age", type="integer", minimum=0, maximum=120, nullable=True),
        Column(name="size", type="decimal", minimum="-9.9", maximum="9.9", resolution="0.1"),
    ),
)
SHOWING = msgspec.structs.replace(TINY, empty_cells="show")
ROWS = (
    "CREATE TABLE source (sex BIGINT, ward TEXT, smokes BOOLEAN, age BIGINT, size {size})",
    "INSERT INTO source VALUES (0, 'a', true, 40, 0.3), (0, 'a', NULL, 50, -0.6), "
    "(0, NULL, false, NULL, 0.7), (1, 'b', true, NULL, 1.1), (1, 'b', true, NULL, 9.9)",
)


@pytest.fixture(params=["DOUBLE", "DECIMAL(18, 1)", "TEXT"])
def engine(engine_of: Callable[..., Any], request: pytest.FixtureRequest) -> Any:
    return engine_of(ROWS[0].format(size=request.param), ROWS[1])


def words_of(
    sql: str,
    engine: Any,
    min_rows: int = 0,
    min_cell: int = 1,
    dataset: Dataset = TINY,
    note: Callable[[str, str], None] = unheard,
) -> list[int]:
    question = read_question(sql, dataset)
    vector = contribute(question, dataset, engine, Thresholds(min_rows, min_cell), note)
    assert vector.bits == question.word_bits
    assert len(vector) == question.words
    return vector.to_integers()


def suppressed(words: Sequence[int]) -> bool:
    """Whether words look random: honest words of these tables are below 2^20, 40 bits smaller.

    A random word is that small with probability below 2^-40.
    """
    return all(2**20 < word < 2**80 for word in words)


def test_words_are_laid_out_group_after_group(engine: Any) -> None:
    words = words_of("SELECT COUNT(*), COUNT(age), SUM(size) FROM tiny GROUP BY sex", engine, 0, 0, SHOWING)
    assert words == [3, 0, 2, 0, 3, 4, 0, 2, 0, 0, 0, 2, 110, 0]


def test_null_is_the_last_group(engine: Any) -> None:
    words = words_of("SELECT COUNT(*) FROM tiny GROUP BY ward, smokes", engine, 0, 0, SHOWING)
    assert words[::2] == [0, 1, 1, 0, 2, 0, 1, 0, 0]


def test_booleans_are_summed_as_zero_and_one(engine: Any) -> None:
    assert words_of("SELECT SUM(smokes), COUNT(ward) FROM tiny", engine) == [4, 3, 0, 4, 0]


def test_filters_know_booleans_texts_and_steps(engine: Any) -> None:
    for condition, rows in (
        ("smokes", 3),
        ("NOT smokes", 1),
        ("smokes IS NOT TRUE", 2),
        ("smokes = FALSE OR smokes IS NULL", 2),
        ("smokes IN (TRUE)", 3),
        ("ward = 'a'", 2),
        ("ward <> 'a'", 2),
        ("ward NOT IN ('a')", 2),
        ("ward IN ('a', 'b') IS NOT TRUE", 1),
        ("size = 0.3", 1),
        # In doubles 0.3 * 3 is 0.8999999999999999.
        ("size * 3 = 0.9", 1),
        ("size + 0.05 > 0.35 OR FALSE", 3),
        ("size BETWEEN -0.6 AND 0.7", 3),
        ("size * size > 1.2", 2),
        ("age - size * 10 = 37", 1),
        ("age IS NULL AND (age > 3) IS NOT TRUE", 3),
        ("age IN (40, 50.0, 1.5)", 2),
        ("TRUE", 5),
    ):
        assert words_of(f"SELECT COUNT(*) FROM tiny WHERE {condition}", engine) == [rows, 0], condition


def test_small_cells_are_suppressed_and_with_them_what_would_give_them_back(engine: Any) -> None:
    sql = "SELECT COUNT(*), SUM(age) FROM tiny GROUP BY sex"
    # Nobody of sex 1 has a known age: where empty cells do not show, that is too little as well, and the
    # total less the other sex would give it back.
    hiding = words_of(sql, engine, 0, 2)
    assert (hiding[:2], hiding[5:7]) == ([3, 0], [2, 0])
    assert suppressed(hiding[2:5] + hiding[7:])
    assert words_of(sql, engine, 0, 2, SHOWING) == [3, 0, 2, -30, 0, 2, 0, 0, 0, 0]
    # Two rows of sex 1 are too few, and 5 - 3 would give them back; measures of the rows go with them.
    assert suppressed(words_of(sql, engine, 0, 3, SHOWING))


def test_empty_cells_show_only_where_the_schema_says_so(engine: Any) -> None:
    sql = "SELECT COUNT(*), SUM(age) FROM tiny GROUP BY sex, ward"
    # (0, 'b') is empty; (1, 'b') has two rows and no known age; (0, null) has one row.
    assert suppressed(words_of(sql, engine, 0, 1))
    showing = words_of(sql, engine, 0, 1, SHOWING)
    assert showing[5:10] == [0, 0, 0, 0, 0]
    assert showing[20:25] == [2, 0, 0, 0, 0]
    assert showing[10:12] == [1, 0]
    assert suppressed(words_of(sql, engine, 0, 2, SHOWING)[10:12])


ZEROS = Dataset(
    name="zeros",
    rows_max=1000,
    columns=(
        Column(name="ill", type="boolean", nullable=True),
        Column(name="coded", type="integer", domain=(2, 1)),
        Column(name="near", type="integer", minimum=-1, maximum=0),
        Column(name="drinks", type="integer", minimum=0, maximum=50, nullable=True),
        Column(name="dose", type="decimal", minimum=-1, maximum=1, resolution="0.001"),
    ),
)


@pytest.mark.parametrize(
    ("column", "value", "other"),
    [
        ("ill", "TRUE", "FALSE"),
        ("ill", "FALSE", "TRUE"),
        ("coded", "2", "1"),
        ("coded", "1", "2"),
        ("near", "-1", "0"),
        ("near", "0", "-1"),
        ("drinks", "7", "0"),
        ("dose", "-0.001", "0"),
    ],
)
@pytest.mark.parametrize("kind", ["SUM", "AVG"])
def test_a_sum_of_few_contributors_is_suppressed(
    engine_of: Callable[..., Any], column: str, value: str, other: str, kind: str
) -> None:
    def ask(few: int) -> list[int]:
        engine = engine_of(
            "CREATE TABLE source (ill BOOLEAN, coded INT, near INT, drinks INT, dose DECIMAL(9, 3))",
            f"INSERT INTO source ({column}) SELECT CASE WHEN i < {few} THEN {value} ELSE {other} END "
            "FROM range(40) t(i)",
        )
        return words_of(f"SELECT {kind}({column}), COUNT(*) FROM zeros", engine, 0, 5, ZEROS)

    # The rows are counted all the same, and a count alone of the column hides nothing.
    for few in (1, 4):
        assert suppressed(ask(few)[:3])
        assert ask(few)[3:] == [40, 0]
    for few in (0, 5, 35, 40):
        assert (ask(few)[0], *ask(few)[2:]) == (40, 0, 40, 0)


def test_known_values_alone_need_no_contributors(engine_of: Callable[..., Any]) -> None:
    engine = engine_of("CREATE TABLE source AS SELECT i = 3 AS ill FROM range(40) t(i)")
    assert words_of("SELECT COUNT(ill) FROM zeros", engine, 0, 5, ZEROS) == [40, 0]


@pytest.mark.parametrize("contributors", [-1, 41, None, 1.5])
def test_an_impossible_number_of_contributors_suppresses_everything(contributors: Any) -> None:
    class Nonsense:
        dialect = "duckdb"

        def fetch(self, select_sql: str) -> Any:
            return [(40, 40, 40, contributors)]

    assert suppressed(words_of("SELECT SUM(drinks) FROM zeros", Nonsense(), dataset=ZEROS))
    assert suppressed(words_of("SELECT SUM(ill) FROM zeros", Nonsense(), dataset=ZEROS))


@pytest.mark.parametrize("dataset", [TINY, SHOWING])
def test_a_filter_that_keeps_too_few_rows_suppresses_everything(engine: Any, dataset: Dataset) -> None:
    sql = "SELECT COUNT(*), SUM(size) FROM tiny WHERE size > 0 GROUP BY sex"
    assert words_of(sql, engine, 4, 1, dataset)[:2] == [2, 0]
    assert suppressed(words_of(sql, engine, 5, 1, dataset))
    assert suppressed(words_of("SELECT COUNT(*) FROM tiny WHERE age > 100", engine, 1, 0, dataset))


def test_random_words_are_fresh_and_fill_their_width(engine: Any) -> None:
    sql = "SELECT COUNT(*), SUM(size) FROM tiny GROUP BY sex"
    many = [words_of(sql, engine, 99) for _ in range(40)]
    flat = [word for words in many for word in words]
    assert len(set(flat)) == len(flat)
    assert suppressed(flat)
    # The top bit is set about every other time: of 400 words all but surely 100 to 300.
    assert len(flat) == 400
    assert 100 < sum(word >> (read_question(sql, TINY).random_bits - 1) for word in flat) < 300


def test_a_suppressed_flag_is_never_zero(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.randbelow", lambda bound: 0)
    monkeypatch.setattr("secrets.randbits", lambda bits: 0)
    assert words_of("SELECT COUNT(*), SUM(size) FROM tiny", engine, 99) == [0, 1, 0, 0, 1]


def test_too_many_rows_suppress_everything(engine: Any) -> None:
    few = msgspec.structs.replace(TINY, rows_max=4)
    assert suppressed(words_of("SELECT COUNT(*) FROM tiny GROUP BY sex", engine, dataset=few))
    exactly = msgspec.structs.replace(TINY, rows_max=5)
    assert words_of("SELECT COUNT(*) FROM tiny GROUP BY sex", engine, dataset=exactly) == [3, 0, 2, 0]


SQL = "SELECT COUNT(*), SUM(age), AVG(size) FROM tiny WHERE age > 3 OR smokes GROUP BY sex, ward"


@pytest.mark.parametrize(
    "row",
    [
        "(0, 'a', 'true', '99999999999999999999', 1)",
        "(0, 'a', 'true', '5000', 1)",
        "(0, 'a', 'true', '-5000', 1)",
        "(0, 'a', 'true', 'forty-two-secret', 1)",
        "(0, 'a', 'perhaps-secret', 'not-a-number', 1)",
        "(2, 'a', 'true', '40', 1)",
        "(NULL, 'a', 'true', '40', 1)",
        "(0, 'c', 'true', '40', 1)",
        "(0, 'a', 'true', '40', 500)",
        "(0, 'a', 'true', '40', 'nan')",
        "(0, 'a', 'true', '40', 'inf')",
        "(0, 'a', 'true', '40', 1e300)",
    ],
)
def test_a_bad_value_suppresses_everything(
    engine_of: Callable[..., Any], row: str, caplog: pytest.LogCaptureFixture
) -> None:
    engine = engine_of(
        "CREATE TABLE raw (sex INT, ward TEXT, smokes TEXT, age TEXT, size DOUBLE)",
        "INSERT INTO raw SELECT i % 2, 'a', 'true', '40', 0.5 FROM range(20) t(i)",
        "CREATE VIEW source AS SELECT sex, ward, CAST(smokes AS BOOLEAN) AS smokes, "
        "CAST(age AS BIGINT) AS age, size FROM raw",
    )
    good = words_of(SQL, engine, dataset=SHOWING)
    # Twenty fewer than sixty, the centre, in each of ten rows.
    assert good[:8] == [10, 0, 10, -200, 0, 10, 50, 0]
    engine.connection.execute(f"INSERT INTO raw VALUES {row}")
    noted: list[tuple[str, str]] = []
    with caplog.at_level(logging.DEBUG):
        words = words_of(SQL, engine, dataset=SHOWING, note=lambda *said: noted.append(said))
    assert suppressed(words)
    assert len(words) == len(good)
    [(measure, why)] = noted
    assert measure == "every measure"
    assert "could not answer" in why
    for content in ("secret", "40", "999", "tiny", "WHERE"):
        assert content not in why
        assert content not in caplog.text


@pytest.mark.parametrize(
    ("sql", "least", "noted"),
    [
        ("SELECT COUNT(*), SUM(age) FROM tiny", (0, 2), []),
        ("SELECT COUNT(*), SUM(age) FROM tiny", (6, 1), [("every measure", "rows than min_rows")]),
        ("SELECT COUNT(*) FROM tiny WHERE age > 100", (1, 1), [("every measure", "rows than min_rows")]),
        (
            "SELECT COUNT(*) FROM tiny GROUP BY sex",
            (0, 3),
            [("COUNT(*)", "rows than min_cell"), ("COUNT(*)", "give another one back")],
        ),
        ("SELECT COUNT(*), AVG(age) FROM tiny", (0, 3), [("age", "known values than min_cell")]),
        ("SELECT COUNT(*), SUM(smokes) FROM tiny", (0, 2), [("smokes", "sum would tell of fewer rows")]),
        (
            "SELECT COUNT(*), COUNT(age), SUM(size) FROM tiny GROUP BY sex",
            (0, 3),
            [
                *((name, "give another one back") for name in ("COUNT(*)", "size")),
                *(("COUNT(*)", "rows than"), ("age", "known values"), ("size", "known values")),
            ],
        ),
    ],
)
def test_what_was_suppressed_and_why_is_noted_once_for_each_measure_without_a_number(
    engine: Any, sql: str, least: tuple[int, int], noted: list[tuple[str, str]]
) -> None:
    heard: list[tuple[str, str]] = []
    words_of(sql, engine, *least, note=lambda *said: heard.append(said))
    assert sorted(measure for measure, _ in heard) == sorted(measure for measure, _ in noted)
    for measure, why in noted:
        assert any(why in said for named, said in heard if named == measure)
    assert not any(char.isdigit() for said in heard for char in "".join(said))


def test_an_engine_that_is_down_suppresses_everything(engine_of: Callable[..., Any]) -> None:
    engine = engine_of()
    assert suppressed(words_of(SQL, engine))
    engine.connection.close()
    assert suppressed(words_of(SQL, engine))


@pytest.mark.parametrize(
    "rows",
    [
        [(0, 3), (0, 3)],
        [(0, -1)],
        [(0, 101)],
        [(0, 2.5)],
        [(0, None)],
        [(True, 3)],
        [("0", 3)],
        [(0,)],
        [()],
        None,
    ],
)
def test_an_engine_that_answers_nonsense_suppresses_everything(rows: Any) -> None:
    class Nonsense:
        dialect = "duckdb"

        def fetch(self, select_sql: str) -> Any:
            return rows

    words = words_of("SELECT COUNT(*) FROM tiny GROUP BY sex", Nonsense())
    assert suppressed(words)


def test_what_the_engine_runs_is_rebuilt(engine: Any) -> None:
    sql = engine_sql(
        read_question("select sum(size), count(*) from tiny where ward='a' and size>0.35 group by sex", TINY),
        TINY,
        "duckdb",
    )
    assert sql == (
        "SELECT r.g0, r.k0, COUNT(*), SUM(CASE WHEN r.k0 THEN r.a0 END), "
        "COUNT(CASE WHEN (r.k0) AND r.a0 <> CAST(0 AS BIGINT) THEN 1 END) "
        'FROM (SELECT "t"."sex" AS g0, NOT ("t"."size") IS NULL AS k0, "t"."size" AS a0 '
        'FROM (SELECT CAST("sex" AS BIGINT) AS "sex", '
        'CAST(CAST("size" AS DECIMAL(38, 1)) * 10 AS BIGINT) AS "size", '
        'CAST("ward" AS TEXT) AS "ward" FROM source) AS t '
        'WHERE ("t"."ward" = \'a\') AND ("t"."size" > CAST(3 AS BIGINT))) AS r '
        "GROUP BY 1, 2"
    )


def test_unread_columns_may_be_broken(engine_of: Callable[..., Any]) -> None:
    engine = engine_of(
        "CREATE VIEW source AS SELECT 1 AS sex, CAST('x' || i AS BIGINT) AS age FROM range(3) t(i)"
    )
    assert words_of("SELECT COUNT(*) FROM tiny WHERE sex = 1", engine, dataset=SHOWING) == [3, 0]


def test_the_longest_filters_run(engine: Any) -> None:
    chain = " OR ".join(f"age = {number}" for number in range(900))
    assert words_of(f"SELECT COUNT(*) FROM tiny WHERE {chain}", engine) == [2, 0]
    values = ", ".join(map(str, range(990)))
    assert words_of(f"SELECT COUNT(*) FROM tiny WHERE age NOT IN ({values}) OR age = 40", engine) == [1, 0]
    deep = "(" * 12 + "age" + " + 1)" * 12
    assert words_of(f"SELECT COUNT(*) FROM tiny WHERE {deep} = 52", engine) == [1, 0]


def test_a_column_may_be_called_as_anything(engine_of: Callable[..., Any]) -> None:
    names = ("source", "t", "select", "one", "count")
    dataset = Dataset(
        name="select",
        rows_max=9,
        columns=tuple(Column(name=name, type="integer", domain=(0, 1)) for name in names),
    )
    engine = engine_of(
        'CREATE TABLE source AS SELECT 1 AS source, 1 AS t, 1 AS "select", 1 AS one, 0 AS count'
    )
    sql = 'SELECT SUM(t), SUM("count") FROM "select" WHERE source = 1 AND one = 1 GROUP BY "select", source'
    words = words_of(sql, engine, 0, 0, msgspec.structs.replace(dataset, empty_cells="show"))
    assert words == [0] * 18 + [1, 1, 0, 1, 0, 0]


def test_thresholds_are_within_their_ranges() -> None:
    assert Thresholds(0, 0, Dominance(1, 100), 100).p_percent == 100
    for least in (
        (-1, 0),
        (0, -1),
        (0, 0, Dominance(0, 80)),
        (0, 0, Dominance(2, 101)),
        (0, 0, Dominance(2, 0)),
        (0, 0, None, 0),
        (0, 0, None, 101),
    ):
        with pytest.raises(InvalidInput) as caught:
            Thresholds(*least)
        assert caught.value.code == "bad_thresholds"
