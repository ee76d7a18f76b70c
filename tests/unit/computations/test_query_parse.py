"""Questions: what is read, how it is written, what is refused and how that is said."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sqlglot
from sqlglot import parser

from kapok.computations.query.params import DatasetReference, Question
from kapok.computations.query.parse import reference_of
from kapok.computations.query.reading import read_question
from kapok.documents.dataset import Column, Dataset
from kapok.errors import InvalidInput, KapokError

MIXED = Dataset(
    name="mixed",
    rows_max=100,
    columns=(
        Column(name="place", type="text", domain=("north", "o'clock", "北"), nullable=True),
        Column(name="kind", type="text", domain=("a", "north")),
        Column(name="smokes", type="boolean", nullable=True),
        Column(name="age", type="integer", minimum=0, maximum=120),
        Column(name="size", type="decimal", minimum=-10, maximum="10.5", resolution="0.01"),
        Column(name="big", type="integer", minimum=0, maximum=10**15),
    ),
)


def where(text: str, dataset: Dataset = MIXED) -> str:
    sql = read_question(f"SELECT COUNT(*) FROM {dataset.name} WHERE {text}", dataset).sql
    return sql.removeprefix(f"SELECT COUNT(*) FROM {dataset.name} WHERE ")


def test_reads_items_groups_and_measures(heart: Dataset) -> None:
    question = read_question(
        "select SEX, count(*), Avg(age) AS Mean, sum(age), count(ca) from heart "
        "where trestbps > 100 group by fbs, sex, fbs",
        heart,
    )
    assert [(item.kind, item.column, item.name) for item in question.items] == [
        ("group", "sex", "sex"),
        ("rows", None, "count"),
        ("avg", "age", "mean"),
        ("sum", "age", "sum_age"),
        ("count", "ca", "count_ca"),
    ]
    assert question.group_by == ("fbs", "sex")
    assert [axis.values for axis in question.axes] == [(0, 1, None), (0, 1)]
    assert list(question.places((0, 1))) == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]
    assert [(measure.text, measure.moments) for measure in question.measures] == [
        ("*", ()),
        ("age", ("a",)),
        ("ca", ()),
    ]
    assert question.words == 6 * (2 + 3 + 2)
    assert question.columns == ("age", "ca", "fbs", "sex", "trestbps")
    assert question.operations == ("avg", "count", "sum")
    assert question.text == question.sql


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("select count(*) from mixed where age>=50", "SELECT\n COUNT( * )\tFROM Mixed\nWHERE AGE >= 50.0 ;"),
        (
            "select stddev(age), sum(age) filter (where smokes) from mixed",
            "select STDDEV_SAMP(AGE), sum(age)filter(where(smokes))from mixed",
        ),
        (
            "select extract(year from date '2013-01-01') = 3 as x, count(*) from mixed",
            "select year(date '2013-01-01') = 3 x, count(*) from mixed",
        ),
        ("select count(*) from mixed where age != 3", "select count(*) from mixed where ((age) <> (3))"),
        ("select avg(age) as AVG_age from mixed", "select avg(mixed.age) from mixed"),
        (
            'select count(*) as "c" from mixed where age in (3, 3)',
            "select count(*) c from mixed where age in (3)",
        ),
        (
            "select count(*) from mixed where not age is null",
            "select count(*) from mixed where age is not null",
        ),
    ],
)
def test_equal_meaning_gives_equal_text(one: str, other: str) -> None:
    assert read_question(one, MIXED) == read_question(other, MIXED)
    assert read_question(one, MIXED).sql == read_question(other, MIXED).sql


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("age>50", "age > 50"),
        ("size < .50", "size < 0.5"),
        ("-size = - 00.10", "-size = -0.1"),
        ("age + 2 * 3 - (age - 1) > (age + 1) * -2", "age + 2 * 3 - (age - 1) > (age + 1) * -2"),
        (
            "NOT (age = 1 OR smokes) AND (age = 2 OR age = 3)",
            "NOT (age = 1 OR smokes) AND (age = 2 OR age = 3)",
        ),
        ("age = 1 OR age = 2 AND smokes", "age = 1 OR (age = 2 AND smokes)"),
        ("age = 1 AND (age = 2 AND smokes)", "age = 1 AND age = 2 AND smokes"),
        ("age not between 1 and 2", "age NOT BETWEEN 1 AND 2"),
        ("smokes is not true or smokes = false", "NOT (smokes IS TRUE) OR smokes = FALSE"),
        ("(age > 3 or smokes) is false", "(age > 3 OR smokes) IS FALSE"),
        ("place = 'o''clock' and kind <> 'a'", "place = 'o''clock' AND kind <> 'a'"),
        ("place in ('北', 'north') and place = kind", "place IN ('北', 'north') AND place = kind"),
        ("age + 1 is not null and place is null", "(age + 1) IS NOT NULL AND place IS NULL"),
        ("smokes in (true, false) or true", "smokes IN (TRUE, FALSE) OR TRUE"),
        ("(age, 1) = 3 or 1=1", None),
    ],
)
def test_writes_conditions(text: str, written: str | None) -> None:
    if written is None:
        with pytest.raises(InvalidInput):
            where(text)
        return
    assert where(text) == written
    assert where(written) == written


def test_names_that_are_words_of_sql_survive() -> None:
    names = {word.lower() for word in sqlglot.tokens.Tokenizer.KEYWORDS} | {
        str(word).lower() for word in parser.Parser.FUNCTIONS
    }
    names |= {kind.name.lower() for kind in parser.Parser.NO_PAREN_FUNCTIONS}
    names |= {str(word).lower() for word in parser.Parser.NO_PAREN_FUNCTION_PARSERS}
    tried = sorted(name for name in names if re.fullmatch(r"[a-z][a-z0-9_]*", name))
    assert len(tried) > 500
    for start in range(0, len(tried), 6):
        some = tried[start : start + 6]
        columns = tuple(Column(name=name, type="integer", domain=(1,)) for name in some)
        dataset = Dataset(name=some[0], columns=columns, rows_max=10)
        items = ", ".join(f'"{name}", SUM("{name}") AS "{name}_"' for name in some)
        filters = " AND ".join(
            f'("{name}" > 1 + "{name}" OR NOT "{name}" IN (1) OR "{name}" IS NULL)' for name in some
        )
        groups = ", ".join(f'"{name}"' for name in some)
        question = read_question(
            f'SELECT {items} FROM "{some[0]}" WHERE {filters} GROUP BY {groups}', dataset
        )
        assert read_question(question.sql, dataset) == question, some


def test_an_alias_in_capitals_is_kept_when_quoted() -> None:
    question = read_question('select count(*) as "N" from mixed', MIXED)
    assert question.items[0].name == "N"
    assert question.sql == 'SELECT COUNT(*) AS "N" FROM mixed'


REFUSED = [
    ("", "bad_sql"),
    ("   \n", "bad_sql"),
    ("SELECT", "bad_sql"),
    ("SELECT COUNT(*)", "bad_sql"),
    ("SELECT COUNT(*) FROM", "bad_sql"),
    ("SELECT COUNT(*) FROM heart WHERE", "bad_sql"),
    ("SELECT COUNT(*) FROM heart WHERE age >", "bad_sql"),
    ("SELECT COUNT(*) FROM heart WHERE age > 'x", "bad_sql"),
    ("SELECT COUNT(* FROM heart", "bad_sql"),
    ("SELECT COUNT(*) FROM heart\x00", "bad_sql"),
    ("SELECT COUNT(*) FROM heart \udc80", "bad_sql"),
    ("SELECT COUNT(*) FROM heart WHERE age > 1e3", "bad_sql"),
    ("SELECT COUNT(*) FROM heart WHERE age > 1234567890123456789", "bad_sql"),
    ('SELECT COUNT(*) AS "a b" FROM heart', "bad_sql"),
    ('SELECT COUNT(*) FROM "heart@xyz"', "bad_sql"),
    # other statements, and more than one
    ("DROP TABLE heart", "unsupported_sql"),
    ("COPY heart TO '/tmp/x'", "unsupported_sql"),
    ("ATTACH '/tmp/x' AS x", "unsupported_sql"),
    ("PRAGMA database_list", "unsupported_sql"),
    ("INSTALL httpfs", "unsupported_sql"),
    ("SET enable_external_access = true", "unsupported_sql"),
    ("EXPLAIN SELECT COUNT(*) FROM heart", "unsupported_sql"),
    ("FROM heart SELECT COUNT(*)", "unsupported_sql"),
    ("(SELECT COUNT(*) FROM heart)", "unsupported_sql"),
    ("WITH x AS (SELECT 1) SELECT COUNT(*) FROM x", "unsupported_sql"),
    ("SELECT COUNT(*) FROM heart; DROP TABLE heart", "unsupported_sql"),
    ("SELECT COUNT(*) FROM heart;;", "unsupported_sql"),
    ("SELECT COUNT(*) FROM heart UNION ALL SELECT COUNT(*) FROM heart", "unsupported_sql"),
    ("SELECT COUNT(*) INTO x FROM heart", "unsupported_sql"),
    # comments
    ("SELECT COUNT(*) FROM heart -- WHERE age > 3", "unsupported_sql"),
    ("SELECT COUNT(*) /* all */ FROM heart", "unsupported_sql"),
    ("SELECT /*+ x */ COUNT(*) FROM heart", "unsupported_sql"),
    # other sources
    ("SELECT COUNT(*) FROM read_csv('/etc/passwd')", "unsupported_sql"),
    ("SELECT COUNT(*) FROM '/etc/passwd'", "unsupported_sql"),
    ("SELECT COUNT(*) FROM glob('*')", "unsupported_sql"),
    ("SELECT COUNT(*) FROM (SELECT * FROM heart)", "unsupported_sql"),
    ("SELECT COUNT(*) FROM (VALUES (1)) x", "unsupported_sql"),
    ("SELECT COUNT(*) FROM heart, heart", "unsupported_sql"),
    ("SELECT COUNT(*) FROM heart JOIN heart USING (age)", "unsupported_sql"),
    ("SELECT COUNT(*) FROM main.heart", "unsupported_sql"),
    ("SELECT COUNT(*) FROM heart AS h", "unsupported_sql"),
    ("SELECT COUNT(*) FROM heart TABLESAMPLE 10", "unsupported_sql"),
    ("SELECT COUNT(*) FROM duckdb_settings()", "unsupported_sql"),
    ("SELECT COUNT(*) FROM hart", "unknown_dataset"),
    ('SELECT COUNT(*) FROM "heart@0000"', "unknown_dataset"),
    # other clauses
    ("SELECT COUNT(*) FROM heart QUALIFY true", "unsupported_sql"),
    ("SELECT DISTINCT COUNT(*) FROM heart", "unsupported_sql"),
    ("SELECT DISTINCT ON (sex) COUNT(*) FROM heart", "unsupported_sql"),
    ("SELECT COUNT(*) FROM heart FOR UPDATE", "unsupported_sql"),
    ("SELECT COUNT(*) FROM heart GROUP BY ALL", "unsupported_sql"),
    ("SELECT COUNT(*) FROM heart GROUP BY 1", "unsupported_sql"),
    # selections
    ("SELECT * FROM heart", "unsupported_sql"),
    ("SELECT heart.* FROM heart", "unsupported_sql"),
    ("SELECT 1 FROM heart", "unsupported_sql"),
    ("SELECT sex FROM heart GROUP BY sex", "unsupported_sql"),
    ("SELECT age FROM heart", "not_grouped"),
    ("SELECT sex, COUNT(*) FROM heart", "not_grouped"),
    ("SELECT trestbps * 1000 + chol AS x, COUNT(*) FROM heart GROUP BY x", "no_domain"),
    ("SELECT COUNT(DISTINCT trestbps * 1000 + chol) FROM heart", "no_domain"),
    ("SELECT sex, sex, COUNT(*) FROM heart GROUP BY sex", "name_twice"),
    ("SELECT COUNT(*) FROM heart GROUP BY 2", "bad_sql"),
    ("SELECT COUNT(*) FROM heart GROUP BY 1", "unsupported_sql"),
    ("SELECT COUNT(*) FROM heart ORDER BY 2", "bad_sql"),
    ("SELECT COUNT(*) FROM heart ORDER BY age", "not_grouped"),
    ("SELECT COUNT(*) FROM heart HAVING age > 3", "not_grouped"),
    ("SELECT COUNT(*) FROM heart HAVING COUNT(*)", "type_mismatch"),
    ("SELECT COUNT(*) FROM heart LIMIT -1", "bad_sql"),
    ("SELECT COUNT(*) FROM heart LIMIT 3 LIMIT 4", "unsupported_sql"),
    ("SELECT COUNT(*) FROM heart ORDER BY 1 HAVING COUNT(*) > 3", "unsupported_sql"),
    ("SELECT GROUPING(age), COUNT(*) FROM heart", "not_grouped"),
    ("SELECT HISTOGRAM(age, 10) + 1 FROM heart", "unsupported_sql"),
    ("SELECT SUM(AVG(age)) FROM heart", "unsupported_sql"),
    ("SELECT SUM(DISTINCT age) FROM heart", "unsupported_sql"),
    ("SELECT CORR(age) FROM heart", "unsupported_sql"),
    ("SELECT SUM(age) FILTER (age > 3) FROM heart", "bad_sql"),
    ("SELECT SUM(age) FILTER (WHERE age) FROM heart", "type_mismatch"),
    ("SELECT COUNT(*) FROM heart WHERE age / 0 > 1", "type_mismatch"),
    ("SELECT COUNT(*) FROM heart WHERE CASE WHEN sex = 1 THEN 1 ELSE 'x' END = 1", "type_mismatch"),
    ("SELECT COUNT(*) FROM heart WHERE COALESCE(NULL, NULL) IS NULL", "type_mismatch"),
    ("SELECT COUNT(*) FROM heart WHERE POWER(age, sex) > 1", "type_mismatch"),
    ("SELECT COUNT(*) FROM heart WHERE ROUND(age, sex) > 1", "type_mismatch"),
    ("SELECT COUNT(*) FROM heart WHERE DATE '2013-02-30' < DATE '2013-01-01'", "bad_sql"),
    ("SELECT COUNT(*) FROM heart WHERE EXTRACT(century FROM DATE '2013-01-01') = 21", "unsupported_sql"),
    ("SELECT COUNT(*) FROM heart WHERE REGEXP_MATCHES('a', 'a')", "unknown_function"),
    ("SELECT sex AS n, COUNT(*) AS n FROM heart GROUP BY sex", "name_twice"),
    ("SELECT COUNT(sex, age) FROM heart", "unsupported_sql"),
    ("SELECT COUNT() FROM heart", "unsupported_sql"),
    ("SELECT SUM(*) FROM heart", "unsupported_sql"),
    ("SELECT SUM(age) OVER () FROM heart", "unsupported_sql"),
    ("SELECT COUNT(*)::INT FROM heart", "unsupported_sql"),
    ("SELECT (SELECT COUNT(*) FROM heart) FROM heart", "unsupported_sql"),
    ("SELECT MIN(age) FROM heart", "unknown_function"),
    ("SELECT CONT(*) FROM heart", "unknown_function"),
    ("SELECT getenv('HOME') FROM heart", "unknown_function"),
    ("SELECT SUM(weight) FROM heart", "unknown_column"),
    # filters
    ("SELECT COUNT(*) FROM heart WHERE weight > 3", "unknown_column"),
    ("SELECT COUNT(*) FROM heart WHERE rowid = 3", "unknown_column"),
    ("SELECT COUNT(*) FROM heart WHERE other.age = 3", "unsupported_sql"),
    ("SELECT COUNT(*) FROM heart WHERE age", "type_mismatch"),
    ("SELECT COUNT(*) FROM heart WHERE age = '50'", "type_mismatch"),
    ("SELECT COUNT(*) FROM heart WHERE age = TRUE", "type_mismatch"),
    ("SELECT COUNT(*) FROM heart WHERE 'a' = 'a'", "type_mismatch"),
    ("SELECT COUNT(*) FROM heart WHERE age > 3 > 2", "bad_sql"),
    ("SELECT COUNT(*) FROM heart WHERE age + 'a' > 3", "type_mismatch"),
    ("SELECT COUNT(*) FROM heart WHERE 3 IS NULL", "type_mismatch"),
    ("SELECT COUNT(*) FROM heart WHERE age = NULL", "unsupported_sql"),
    ("SELECT COUNT(*) FROM heart WHERE age IN (NULL)", "unsupported_sql"),
    ("SELECT COUNT(*) FROM heart WHERE age IN ()", "bad_sql"),
    ("SELECT COUNT(*) FROM heart WHERE age IN (sex)", "unsupported_sql"),
    ("SELECT COUNT(*) FROM heart WHERE age IN (SELECT 1)", "unsupported_sql"),
    ("SELECT COUNT(*) FROM heart WHERE EXISTS (SELECT 1)", "unsupported_sql"),
    ("SELECT COUNT(*) FROM heart WHERE age = (SELECT 1)", "unsupported_sql"),
    ("SELECT COUNT(*) FROM heart WHERE age = ANY (SELECT 1)", "unsupported_sql"),
    ("SELECT COUNT(*) FROM heart WHERE age IS 3", "unsupported_sql"),
    ("SELECT COUNT(*) FROM heart WHERE age IS DISTINCT FROM 3", "unsupported_sql"),
    ("SELECT COUNT(*) FROM heart WHERE age BETWEEN SYMMETRIC 4 AND 3", "unsupported_sql"),
    ("SELECT COUNT(*) FROM heart WHERE age LIKE '3'", "type_mismatch"),
    ("SELECT COUNT(*) FROM heart WHERE age || age = 1", "type_mismatch"),
    ("SELECT COUNT(*) FROM heart WHERE CAST(age AS TEXT) = '3'", "unsupported_sql"),
    ("SELECT COUNT(*) FROM heart WHERE age > DATE '2020-01-01'", "type_mismatch"),
    ("SELECT COUNT(*) FROM heart WHERE age::INT > 3", "unsupported_sql"),
    ("SELECT COUNT(*) FROM heart WHERE {age} > 3", "unsupported_sql"),
    ("SELECT COUNT(*) FROM heart WHERE x -> x", "bad_sql"),
    ("SELECT COUNT(*) FROM heart WHERE x'00' = age", "bad_sql"),
    ("SELECT COUNT(*) FROM heart WHERE N'a' = age", "bad_sql"),
    ("SELECT COUNT(*) FROM heart WHERE (COUNT(*) > 3)", "unsupported_sql"),
    ('SELECT "count"(*) FROM heart', "unknown_function"),
    ("SELECT COUNT(*) FROM heart WHERE age > 3)", "bad_sql"),
    ("SELECT COUNT(*) FROM heart WHERE " + ")" * 100 + "(" * 100, "bad_sql"),
    ("SELECT limit, COUNT(*) FROM heart", "unsupported_sql"),
    ("SELECT COUNT(*) FROM heart WHERE age > INTERVAL '1' DAY", "type_mismatch"),
    ("SELECT COUNT(*) FROM heart WHERE age > ?", "unsupported_sql"),
    ("SELECT COUNT(*) FROM heart WHERE age > :x", "unsupported_sql"),
    ("SELECT COUNT(*) FROM heart WHERE age[1] > 3", "unsupported_sql"),
    ("SELECT COUNT(*) FROM heart WHERE (age, sex) IN ((1, 2))", "unsupported_sql"),
    ("SELECT COUNT(*) FROM heart WHERE error('x')", "unknown_function"),
    ("SELECT COUNT(*) FROM heart WHERE RANDOM() > 0", "unknown_function"),
    ("SELECT COUNT(*) FROM heart WHERE age > CURRENT_DATE", "unknown_function"),
    ("SELECT COUNT(*) FROM heart WHERE COUNT(*) > 3", "unsupported_sql"),
    ("SELECT COUNT(*) FROM heart WHERE cp = 9", "outside_domain"),
    ("SELECT COUNT(*) FROM heart WHERE cp <> 1.5", "outside_domain"),
    ("SELECT COUNT(*) FROM heart WHERE cp IN (1, 2, 7)", "outside_domain"),
    # look-alikes: Cyrillic, KELVIN SIGN, full width, no-break space, soft hyphen, right-to-left
    ("SELECT COUNT(*) FROM h\u0435art", "bad_sql"),
    ("SELECT COUNT(*) FROM heart WHERE \u0430ge > 3", "bad_sql"),
    ("SELECT COUNT(*) FROM heart WHERE exan\u212a > 3", "bad_sql"),
    ("SELECT COUNT(*) FROM heart WHERE \uff41ge > 3", "bad_sql"),
    ("SELECT COUNT(*) FROM heart WHERE ag\u00ade > 3", "bad_sql"),
    ("SELECT COUNT(*) FROM heart WHERE \u202eage > 3", "bad_sql"),
    ('SELECT COUNT(*) FROM heart WHERE "AGE" > 3', "unknown_column"),
    # sizes
    ("SELECT COUNT(*) FROM heart WHERE thal = '" + "x" * 2**20 + "'", "question_too_long"),
    ("SELECT COUNT(*) FROM heart WHERE " + "北" * 6000, "question_too_long"),
    ("SELECT COUNT(*) FROM heart WHERE " + "(" * 17 + "age" + ")" * 17 + " > 3", "question_too_long"),
    ("SELECT COUNT(*) FROM heart WHERE " + "(" * 8000, "question_too_long"),
    ("SELECT COUNT(*) FROM heart WHERE " + "NOT " * 3000 + "TRUE", "question_too_long"),
    ("SELECT COUNT(*) FROM heart WHERE " + "- " * 5000 + "age > 3", "question_too_long"),
    ("SELECT COUNT(*) FROM heart WHERE " + "age+" * 3000 + "1 > 3", "question_too_long"),
    ("SELECT COUNT(*) FROM heart WHERE " + "TRUE IS " * 1500 + "TRUE", "question_too_long"),
    ("SELECT COUNT(*) FROM heart WHERE age IN (" + "1," * 1000 + "1)", "question_too_long"),
    ("SELECT COUNT(*) FROM heart WHERE " + "[" * 500 + "]" * 500, "unsupported_sql"),
    (
        "SELECT COUNT(*) FROM heart GROUP BY cp, fbs, restecg, exang, slope, thal, num, ca, sex",
        "too_many_cells",
    ),
]


@pytest.mark.parametrize(("sql", "code"), REFUSED, ids=[sql[:60] for sql, _ in REFUSED])
def test_refuses(heart: Dataset, sql: str, code: str) -> None:
    with pytest.raises(KapokError) as caught:
        read_question(sql, heart)
    assert isinstance(caught.value, InvalidInput)
    assert caught.value.code == code, caught.value.diagnostics()
    assert caught.value.remedy
    assert len(caught.value.diagnostics()) < 700


@pytest.mark.parametrize("sql", [None, 3, b"SELECT COUNT(*) FROM heart"])
def test_refuses_what_is_no_text(heart: Dataset, sql: Any) -> None:
    with pytest.raises(InvalidInput):
        read_question(sql, heart)


def test_refusals_of_texts_and_booleans() -> None:
    for text, code in (
        ("place = 'norht'", "outside_domain"),
        ("place > 3", "type_mismatch"),
        ("LENGTH(age) > 3", "type_mismatch"),
        ("ROUND(place) > 3", "type_mismatch"),
        ("smokes = 1", "type_mismatch"),
        ("smokes > FALSE", "type_mismatch"),
        ("place", "type_mismatch"),
        ("place + 1 = 2", "type_mismatch"),
    ):
        with pytest.raises(InvalidInput) as caught:
            where(text)
        assert caught.value.code == code, text
    with pytest.raises(InvalidInput) as caught:
        where("place = 'norht'")
    assert "'north'" in (caught.value.remedy or "")
    with pytest.raises(InvalidInput) as caught:
        read_question("SELECT SUM(place) FROM mixed", MIXED)
    assert caught.value.code == "type_mismatch"


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("big * 9223 > 0", True),
        ("big * 9224 > 0", True),
        ("big * big > 0", False),
        ("0 - big * 9223 < 5", True),
        ("big * 9000 + big * 300 > 0", True),
        # The steps are compared with the whole number next to the literal, however fine that is.
        ("big > 0.0001", True),
        ("big IN (0.0001)", True),
        ("age IN (999999999999999999, 0.1)", True),
        ("age IN (999999999999999999, 1)", True),
        ("size IN (99999999999999999, 0.001)", True),
        ("age * 0 IN (95, 0.00000000000000001)", True),
        # No value is large, but to compare them in one scale takes a factor that is.
        ("age * 0 = age * 0 * 0.00000000000000001 * 0.00000000000000001", False),
        ("age * 0 IN (0) OR age * 0 * 0.00000000000000001 * 0.00000000000000001 = 0", True),
        ("age * 0 = age * 0 * 0.000000001 * 0.000000001", True),
        ("big + size > 1", True),
        ("big * (big + 1) > 0", False),
        ("big * 1000 + size * 0.001 > size", False),
        ("(big + 1) * (age - 40) * 1000 > age * 0.1", False),
        ("POWER(age, 8) > 1", True),
        ("POWER(age, 10) > 1", False),
        ("EXP(age) > 1", False),
        ("age * age * age * age * age * age * age * age * age > 3", True),
        ("age * age * age * age * age * age * age * age * age * age > 3", False),
        ("(age - 40) * 999999999999999999 > 0", True),
        ("999999999999999999 * 10 > 3", False),
        ("size * 0.00000000000000001 > 3", True),
    ],
)
def test_refuses_expressions_that_could_overflow(text: str, *, fits: bool) -> None:
    if fits:
        where(text)
        return
    with pytest.raises(InvalidInput) as caught:
        where(text)
    assert caught.value.code == "number_too_large"


def test_near_values_are_not_searched_in_a_long_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kapok.computations.rows.conditions.near", lambda *_: pytest.fail("searched"))
    long = Dataset(
        name="long",
        rows_max=9,
        columns=(Column(name="x", type="text", domain=tuple(f"value {n}" for n in range(201))),),
    )
    with pytest.raises(InvalidInput) as caught:
        where("x = 'value'", long)
    assert caught.value.code == "outside_domain"
    assert "value 0" in (caught.value.remedy or "")
    assert (caught.value.remedy or "").endswith(" and 181 more")


@pytest.mark.parametrize(
    ("text", "said", "remedy"),
    [
        ("sex = 7", "7 is not in the domain of sex", "the domain is 0, 1"),
        ("sex IN (0, -7)", "-7 is not in the domain of sex", "the domain is 0, 1"),
        ("sex <> 0.5", "0.5 is not in the domain of sex", "the domain is 0, 1"),
    ],
)
def test_a_value_outside_the_domain_is_named_with_the_domain(
    heart: Dataset, text: str, said: str, remedy: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        where(text, heart)
    assert (caught.value.message, caught.value.remedy) == (said, remedy)


def test_a_misspelt_text_is_guessed_and_the_domain_is_listed_all_the_same() -> None:
    with pytest.raises(InvalidInput) as caught:
        where("place = 'norht'")
    assert caught.value.message == "'norht' is not in the domain of place"
    assert caught.value.remedy == "did you mean 'north'? the domain is north, o'clock, 北"


def test_the_deepest_question_parses_far_down_the_stack(heart: Dataset) -> None:
    def down(levels: int) -> Question:
        sql = "SELECT COUNT(*) FROM heart WHERE " + "(" * 15 + "age" + ")" * 15 + " > 3"
        return down(levels - 1) if levels else read_question(sql, heart)

    assert down(150).sql.endswith("WHERE age > 3")


def test_a_thousand_literals_are_allowed(heart: Dataset) -> None:
    values = ", ".join(map(str, range(1000)))
    assert read_question(f"SELECT COUNT(*) FROM heart WHERE age IN ({values})", heart).sql.endswith("999)")


def test_finds_the_dataset() -> None:
    assert reference_of("select x from Heart where nonsense") == DatasetReference("heart", None)
    assert reference_of('select count(*) from "heart@9f2c"') == DatasetReference("heart", "9f2c")
    for sql in ("select 1", "select count(*) from a, b", "drop table heart", 'select 1 from "heart@"'):
        with pytest.raises(InvalidInput):
            reference_of(sql)


def test_a_hash_must_be_the_datasets(heart: Dataset) -> None:
    from hashlib import sha256

    digest = sha256(heart.to_payload()).hexdigest()
    assert (
        read_question(f'select count(*) from "heart@{digest[:8]}"', heart).sql == "SELECT COUNT(*) FROM heart"
    )
    assert read_question(f'select count(*) from "heart@{digest}"', heart).sql == "SELECT COUNT(*) FROM heart"


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        (
            "SELECT sex, COUNT(*), AVG(age) FROM heart WHERE age >= 50 GROUP BY sex",
            "Counts the rows and averages age, over the rows of heart where age is at least 50, "
            "one line for each sex.",
        ),
        ("SELECT SUM(chol) FROM heart", "Sums chol, over all rows of heart."),
        (
            "SELECT COUNT(ca) FROM heart WHERE 50 < age AND (sex = 1 OR NOT cp IN (1, 2)) "
            "GROUP BY sex, cp, num",
            "Counts the rows in which ca is known, over the rows of heart where age is above 50 and "
            "(sex is 1 or cp is none of 1, 2), one line for each sex, cp and num.",
        ),
        (
            "SELECT COUNT(*) FROM heart WHERE ca IS NULL OR chol IS NOT NULL OR (age <> 3) IS TRUE",
            "Counts the rows, over the rows of heart where ca is missing or chol is known or "
            "(age is not 3) is known and true.",
        ),
    ],
)
def test_describes_itself(heart: Dataset, sql: str, said: str) -> None:
    assert read_question(sql, heart).describe() == said
