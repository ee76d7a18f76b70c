"""Medians and quantiles: exact where the thresholds show, suppressed where they do not, whatever comes."""

import json
from fractions import Fraction

import pytest
from support.several_rounds import ask, summed

from kapok.computations.engines import Thresholds
from kapok.computations.query.intervals import Interval, encode_intervals, read_intervals
from kapok.computations.query.quantiles import PARTS, RANKS
from kapok.computations.query.reading import read_question
from kapok.computations.query.search import advance
from kapok.computations.query.tallies import contribute_thresholds
from kapok.computations.registry import computation
from kapok.documents.dataset import Column, Dataset
from kapok.errors import InvalidInput, PeerProtocolError

SMALL = Thresholds(1, 1)
QUANTILES = (
    "SELECT COUNT(*), MEDIAN(age), QUANTILE_CONT(chol, 0.25), QUANTILE_DISC(oldpeak, 0.9) FROM heart",
    "SELECT sex, MEDIAN(age), AVG(age), QUANTILE_CONT(thalach, 0.9) + 1 FROM heart GROUP BY sex ORDER BY sex",
    "SELECT MEDIAN(age) FILTER (WHERE sex = 1), COUNT(*) FROM heart",
    "SELECT MEDIAN(age * 2 - trestbps) FROM heart WHERE age > 50",
    "SELECT PERCENTILE_CONT(0.1) WITHIN GROUP (ORDER BY age), QUANTILE_CONT(chol, 1) FROM heart",
    "SELECT QUANTILE_CONT(age, 0), PERCENTILE_DISC(0.5) WITHIN GROUP (ORDER BY oldpeak ASC) FROM heart",
    "SELECT sex, MEDIAN(age) FROM heart GROUP BY sex HAVING MEDIAN(age) > 54 ORDER BY MEDIAN(age)",
)


class Rows:
    """One holder's column x as a list, in DuckDB."""

    dialect = "duckdb"

    def __init__(self, values):
        import duckdb

        self.connection = duckdb.connect()
        self.connection.execute("CREATE TABLE source (x BIGINT)")
        if values:
            self.connection.executemany("INSERT INTO source VALUES (?)", [[value] for value in values])

    def fetch(self, sql):
        return self.connection.execute(sql).fetchall()


@pytest.fixture(scope="module")
def pooled(heart, hospitals):
    """All rows of all hospitals in one table."""
    import duckdb

    connection = duckdb.connect()
    columns = ", ".join(f"{column.name} DOUBLE" for column in heart.columns)
    connection.execute(f"CREATE TABLE heart ({columns})")
    for engine in hospitals.values():
        rows = engine.fetch(f"SELECT {', '.join(column.name for column in heart.columns)} FROM source")
        connection.executemany(f"INSERT INTO heart VALUES ({', '.join('?' * len(heart.columns))})", rows)
    return connection


def numbers(largest=1000, **changes) -> Dataset:
    column = Column(name="x", type="integer", minimum=0, maximum=largest, nullable=True)
    return Dataset(**({"name": "d", "columns": (column,), "rows_max": 1000} | changes))


def quantile(holders, part="0.5", dataset=None, thresholds=SMALL):
    found = ask(
        f"SELECT QUANTILE_CONT(x, {part}) AS q FROM d", dataset or numbers(), map(Rows, holders), thresholds
    )
    return found.rows[0][0], found.suppressed


@pytest.mark.parametrize("sql", QUANTILES)
def test_they_are_those_of_the_pooled_data(heart, hospitals, pooled, sql):
    found = ask(sql, heart, hospitals.values(), SMALL)
    assert found.suppressed == ()
    expected = pooled.execute(sql).fetchall()
    assert [tuple(map(float, row)) for row in found.rows] == [tuple(map(float, row)) for row in expected]


def test_where_the_least_cell_lets_the_thresholds_show_they_stay_exact(heart, hospitals, pooled):
    sql = "SELECT MEDIAN(age), QUANTILE_CONT(chol, 0.25) FROM heart"
    found = ask(sql, heart, hospitals.values(), Thresholds(20, 5))
    assert found.suppressed == ()
    assert list(found.rows) == pooled.execute(sql).fetchall()


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT MEDIAN(age, 2) FROM heart", "MEDIAN(x)"),
        ("SELECT MEDIAN(DISTINCT age) FROM heart", "MEDIAN(x)"),
        ("SELECT QUANTILE_CONT(age) FROM heart", "QUANTILE_CONT(x, 0.25)"),
        ("SELECT QUANTILE_CONT(age, 1.5) FROM heart", "digits"),
        ("SELECT QUANTILE_CONT(age, -0.5) FROM heart", "digits"),
        ("SELECT QUANTILE_CONT(age, sex) FROM heart", "digits"),
        ("SELECT MEDIAN(age) FROM heart GROUP BY ROLLUP (sex)", "one question for each grouping"),
        (
            "SELECT MEDIAN(age) FILTER (WHERE sex = 1) AS m, MEDIAN(age) FROM heart",
            "one question for each FILTER",
        ),
        ("SELECT MEDIAN(sex = 1) FROM heart", ""),
        ("SELECT PERCENTILE_CONT(0.5) FROM heart", ""),
        ("SELECT PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY age DESC) FROM heart", ""),
        ("SELECT SUM(MEDIAN(age)) FROM heart", ""),
    ],
)
def test_what_cannot_be_searched_for_is_refused(heart, sql, said):
    with pytest.raises(InvalidInput) as caught:
        read_question(sql, heart)
    assert said in (caught.value.remedy or "")


def test_values_too_far_apart_are_refused():
    with pytest.raises(InvalidInput) as caught:
        read_question("SELECT MEDIAN(x * x) FROM d", numbers(10**9))
    assert caught.value.code == "number_too_large"


def test_rounds_words_and_operations_follow_from_question_and_schema(heart):
    one = read_question("SELECT MEDIAN(age) FROM heart", heart)
    assert (one.rounds, one.operations, one.columns) == (4, ("quantile",), ("age",))
    assert one.words == RANKS * 2 * (PARTS - 1) > one.first_words == 2
    both = read_question("SELECT MEDIAN(age), AVG(chol) FROM heart", heart)
    assert both.operations == ("avg", "quantile")
    assert read_question("SELECT AVG(age) FROM heart", heart).rounds == 1
    assert read_question("SELECT MEDIAN(x) FROM d", numbers(7)).rounds == 2
    assert read_question("SELECT MEDIAN(x) FROM d", numbers(8)).rounds == 3
    assert "median of age" in one.describe()
    assert one.substance != read_question("SELECT QUANTILE_CONT(age, 0.4) FROM heart", heart).substance
    assert one.substance == read_question("SELECT QUANTILE_CONT(age, 0.5) AS m FROM heart", heart).substance


def test_no_rows_have_no_quantile_where_empty_cells_show():
    assert quantile([[], [], []], dataset=numbers(empty_cells="show"), thresholds=Thresholds(0, 3)) == (
        None,
        (),
    )


def test_few_rows_are_suppressed_from_the_first_round_on():
    holders = [[5, 6, 7], list(range(20)), list(range(20))]
    assert quantile(holders, thresholds=Thresholds(0, 4)) == (None, ((0, "q"),))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([4, 4, 5, 5, 5, 9, 9], [0] * 4 + [None] * 5 + [7] * 6),
        ([4, 4, 4, 5, 9, 9, 9], [0] * 4 + [3] + [4] * 4 + [7] * 6),
    ],
)
def test_a_threshold_shows_if_none_or_enough_of_the_rows_lie_on_each_side(rows, expected):
    dataset, intervals = numbers(15), (Interval(0, 15), None)
    question = read_question("SELECT MEDIAN(x) FROM d", dataset)
    least = Thresholds(0, 3)
    words = contribute_thresholds(question, dataset, intervals, Rows(rows), least).to_integers()
    shown = [None if flag else count for count, flag in zip(words[:30:2], words[1:30:2], strict=True)]
    assert shown == expected
    assert words[30:] == [0] * 30


def test_a_hidden_cell_stays_hidden_in_every_round():
    """Fewer rows than min_cell: no threshold shows, not even one with none of them on a side."""
    dataset = numbers(15)
    question = read_question("SELECT MEDIAN(x) FROM d", dataset)
    words = contribute_thresholds(
        question, dataset, (Interval(0, 15), Interval(0, 15)), Rows([4, 5]), Thresholds(0, 3)
    ).to_integers()
    assert all(words[1::2])


@pytest.mark.parametrize("seed", range(3))
def test_whatever_the_rows_a_quantile_is_exact_or_suppressed(seed):
    import random
    from statistics import quantiles

    chance = random.Random(seed)
    holders = [[chance.randrange(1001) for _ in range(chance.randrange(10, 60))] for _ in range(3)]
    rows = sorted(value for values in holders for value in values)
    found, hidden = quantile(holders)
    assert hidden == ()
    assert found == quantiles(rows, n=2, method="inclusive")[0]
    shown, hidden = quantile(holders, thresholds=Thresholds(1, 4))
    assert shown in (found, None)
    assert bool(hidden) == (shown is None)


def test_every_round_is_held_whatever_is_found():
    told = []
    question = "SELECT MEDIAN(x) AS m FROM d"
    ask(
        question,
        numbers(),
        map(Rows, [[1] * 9] * 3),
        SMALL,
        between=lambda number, _sums: told.append(number),
    )
    ask(
        question,
        numbers(),
        map(Rows, [[1], [2], [3]]),
        Thresholds(0, 5),
        between=lambda number, _sums: told.append(number),
    )
    assert told == [1, 2, 3, 4, 5] * 2


def test_an_engine_that_fails_or_contradicts_itself_suppresses():
    class Failing(Rows):
        """Answers the first question of each kind, and then something else, or nothing."""

        asked = 0

        def fetch(self, sql):
            self.asked += 1
            if "CASE" in sql:
                if self.asked % 2:
                    raise ValueError("the disk is gone")
                return [(0, 1)]
            return super().fetch(sql)

    holders = [Rows(range(10)), Rows(range(10)), Failing(range(10))]
    found = ask("SELECT COUNT(x), MEDIAN(x) AS m FROM d", numbers(), holders, SMALL)
    assert (found.rows, found.suppressed) == (((30, None),), ((0, "m"),))


BAD = [
    b"",
    b"null",
    b"[]",
    b"[null]",
    b"[[0,7],[0,7],[0,7]]",
    b"[[-1,7],null]",
    b"[[0,1001],null]",
    b"[[9,8],null]",
    b"[[1,900],null]",
    b"[[0,7.5],null]",
    b'["0,7",null]',
    b"[" * 100_000,
]


@pytest.mark.parametrize("parameters", BAD, ids=range(len(BAD)))
def test_parameters_that_no_search_has_are_refused_without_saying_what_is_in_them(parameters):
    question = read_question("SELECT MEDIAN(x) FROM d", numbers())
    with pytest.raises(InvalidInput) as caught:
        read_intervals(question, numbers(), parameters)
    assert caught.value.code == "bad_parameters"
    assert "7" not in caught.value.message


def test_parameters_come_back_as_they_were():
    question = read_question("SELECT MEDIAN(x) FROM d", numbers())
    given = (Interval(64, 127), None)
    assert read_intervals(question, numbers(), encode_intervals(given)) == given


@pytest.mark.parametrize(
    "interval", [Interval(0, 0), Interval(0, 1000), Interval(64, 127), Interval(512, 1000)]
)
def test_an_interval_has_at_most_sixteen_parts_that_cover_it(interval):
    width = interval.width
    assert len(interval.parts) <= PARTS
    assert interval.parts[0] * width == interval.low
    assert interval.parts[-1] * width <= interval.high < (interval.parts[-1] + 1) * width
    assert width & (width - 1) == 0


def sums_of(question, dataset, holders):
    kind = computation("query")
    first = summed(kind.contribute(question, dataset, Rows(one), SMALL, lambda *_: None) for one in holders)
    step = advance(question, dataset, None, first)
    intervals = read_intervals(question, dataset, step.parameters)
    second = summed(contribute_thresholds(question, dataset, intervals, Rows(one), SMALL) for one in holders)
    return step, second


@pytest.mark.parametrize("change", ["more than all", "fewer than before", "flag", "negative", "length"])
def test_a_sum_that_no_holders_can_have_sent_is_refused(change):
    dataset = numbers()
    question = read_question("SELECT MEDIAN(x) FROM d", dataset)
    step, words = sums_of(question, dataset, [range(100)] * 3)
    match change:
        case "more than all":
            words[0] = 10_000
        case "fewer than before":
            words[4] = 0
        case "flag":
            words[1] = -1
        case "negative":
            words[0] = -1
        case _:
            words.append(0)
    with pytest.raises(PeerProtocolError) as caught:
        advance(question, dataset, step.state, words)
    assert caught.value.code == "impossible_sum"


def test_the_same_state_and_sum_give_the_same_step_again():
    dataset = numbers()
    question = read_question("SELECT MEDIAN(x) FROM d", dataset)
    step, words = sums_of(question, dataset, [range(100)] * 3)
    assert advance(question, dataset, step.state, words) == advance(question, dataset, step.state, words)
    assert json.loads(step.state)["number"] == 1


def test_a_quantile_between_two_rows_is_interpolated():
    assert quantile([[10], [20], [30, 40]], "0.5") == (25.0, ())
    assert quantile([[10], [20], [30, 40]], "0.1") == (float(Fraction(13)), ())
