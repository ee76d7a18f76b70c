"""Predictions on an analyst's own rows: what statsmodels predicts, and what engines compute of a row."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from support.models import FrameEngine, fit, split

from kapok.computations.design.columns import Sources
from kapok.computations.design.own_rows import OwnRows
from kapok.computations.design.rows import engine_sql
from kapok.computations.language.grammar import Reader
from kapok.documents.dataset import Column, Dataset
from kapok.errors import InvalidInput

DATASET = Dataset(
    name="data",
    rows_max=1000,
    columns=(
        Column(name="n", type="integer", minimum=-20, maximum=60, nullable=True),
        Column(name="x", type="decimal", minimum="-5", maximum="5", resolution="0.01", nullable=True),
        Column(name="g", type="text", domain=("a", "b", "c"), nullable=True),
        Column(name="ill", type="boolean", nullable=True),
        Column(name="day", type="date", minimum="1968-01-01", maximum="1972-12-31", nullable=True),
        Column(name="y", type="integer", minimum=0, maximum=100),
    ),
)
NUMBERS = (
    *(
        "n",
        "x",
        "n / 7",
        "x * n - 2.5",
        "n / x",
        "n % 7",
        "-x",
        "ABS(x)",
        "SIGN(x)",
        "ROUND(x)",
        "ROUND(n, -1)",
    ),
    *("FLOOR(x)", "CEIL(x)", "TRUNC(x)", "GREATEST(n, x, 2)", "LEAST(n, 2)", "SQRT(n)", "LN(n)", "EXP(x)"),
    *("LOG10(ABS(n))", "LOG2(n + 30)", "POWER(x, 3)", "POWER(n, -2)", "POWER(n, 0.5)", "COALESCE(x, n, 0)"),
    *("CASE WHEN n > 3 THEN n WHEN x > 0 THEN x END", "NULLIF(n, 5)", "LENGTH(g)", "YEAR(day)", "WEEK(day)"),
    *(
        "DAYOFWEEK(day)",
        "QUARTER(day)",
        "day - DATE '1970-01-01'",
        "n > 3",
        "x <> 0 AND n < 30",
        "g IN ('a', 'c')",
    ),
    *("n IS NULL OR ill", "NOT ill", "ill IS TRUE", "n BETWEEN 3 AND 9", "g = 'b' OR x > 1"),
    *("CASE g WHEN 'a' THEN 1 ELSE 2.5 END", "DATE_DIFF('month', day, DATE '1971-05-05')"),
)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    random = np.random.default_rng(11)
    size = 300
    made = pd.DataFrame(
        {
            "n": pd.array(random.integers(-20, 61, size), dtype="Int64"),
            "x": random.uniform(-5, 5, size).round(2),
            "g": random.choice(["a", "b", "c"], size),
            "ill": pd.array(random.uniform(size=size) < 0.5, dtype="boolean"),
            "day": pd.to_datetime("1968-01-01") + pd.to_timedelta(random.integers(0, 1800, size), "D"),
            "y": random.poisson(3, size),
        }
    )
    made["day"] = made["day"].dt.date
    for place, name in enumerate(("n", "x", "g", "ill", "day")):
        made.loc[random.uniform(size=size) < 0.04 + place / 100, name] = None
    return made


@pytest.mark.parametrize("text", NUMBERS)
def test_rows_in_memory_are_what_an_engine_computes(frame, text):
    sources = Sources(DATASET)
    sources.number("a model", Reader(text).expression())
    engine = FrameEngine(frame)
    sql = engine_sql(sources.listed, tuple(column.name for column in DATASET.columns), DATASET, "duckdb")
    [theirs] = [pa.Table.from_batches(engine.batches(sql))["c0"].to_pylist()]
    own = OwnRows(frame, [column.name for column in DATASET.columns], DATASET)
    [values], known = own.values(sources.listed)
    scale = float(sources.listed[0].term.scale)
    mine = [value if is_known else None for value, is_known in zip(values, known, strict=True)]
    assert [None if one is None else round(one / scale) for one in mine] == theirs
    assert any(one is not None for one in theirs)


def test_predictions_are_those_of_the_pooled_fit(frame):
    known = frame.dropna().astype({"n": int, "ill": bool})
    mine = fit(
        "y ~ x + C(g) + n:ill + I(x > 1)", DATASET, split(known), family="poisson", offset="log(n + 30)"
    )
    pooled = smf.glm(
        "y ~ x + C(g) + I(n * ill) + I((x > 1).astype(int))",
        known,
        family=sm.families.Poisson(),
        offset=np.log(known.n + 30),
    ).fit(tol=1e-13)
    theirs = pooled.predict(known, offset=np.log(known.n + 30))
    np.testing.assert_allclose(mine.predict(known), theirs, rtol=1e-9)
    np.testing.assert_allclose(mine.predict(known, "link"), np.log(theirs), rtol=1e-9, atol=1e-12)
    columns = ["x", "g", "n", "ill"]
    table = pa.table({name: known[name].tolist() for name in columns})
    np.testing.assert_array_equal(mine.predict(table), mine.predict(known))
    listed = {name: known[name].tolist()[:2] for name in columns}
    np.testing.assert_array_equal(mine.predict(listed), mine.predict(known)[:2])


def test_rows_that_lack_something_have_no_prediction_and_wrong_ones_are_named(frame):
    mine = fit("y ~ x + g", DATASET, split(frame.dropna()), family="poisson")
    assert np.isnan(
        mine.predict({"x": [1.0, None, float("nan"), 1], "g": ["a", "a", "b", "z"]})
    ).tolist() == [
        False,
        True,
        True,
        True,
    ]
    for rows, code in (
        ({"x": [1]}, "missing_column"),
        (pd.DataFrame({"g": ["a"]}), "missing_column"),
        ({"x": [1, 2], "g": ["a"]}, "bad_rows"),
        ({"x": ["much"], "g": ["a"]}, "bad_cell"),
        ({"x": [1e300], "g": ["a"]}, "bad_cell"),
    ):
        with pytest.raises(InvalidInput) as caught:
            mine.predict(rows)
        assert caught.value.code == code
    with pytest.raises(InvalidInput, match="no prediction of kind"):
        mine.predict({"x": [1], "g": ["a"]}, "odds")
