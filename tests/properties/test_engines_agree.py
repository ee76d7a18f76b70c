"""DuckDB and PostgreSQL read the same values from the same cells, to the last bit, and find the same faults.

Nothing is shrunk: a table of random cells that is read differently is told by the rows that differ.
"""

import math
from datetime import date, datetime
from decimal import Decimal
from importlib.resources import files
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from kapok.computations import Thresholds
from kapok.computations.query.holder import contribute
from kapok.computations.query.reading import read_question
from kapok.documents.dataset import Column, Dataset
from kapok.nodes.settings import CsvSource, EngineLimits, ParquetSource, PostgresSource, QuerySource
from kapok.nodes.sources import Table
from kapok.nodes.sources.version import VersionKey

ROWS = 40
UNHURRIED = {
    "deadline": None,
    "phases": [Phase.generate],
    "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
}


def both(lo: str, hi: str, name: str, **more: str) -> Column:
    return Column(name=name, nullable=True, minimum=lo, maximum=hi, **more)


def columns(name: str) -> list[Column]:
    """The schema's types, each over the same cells."""
    return [
        both("-1000", "1000000000000000", f"{name}_integer", type="integer"),
        both("-99999.5", "99999999999999.5", f"{name}_tenth", type="decimal", resolution="0.1"),
        both("-900000000", "900000000", f"{name}_fine", type="decimal", resolution="0.000000001"),
        Column(name=f"{name}_code", type="integer", domain=(0, 1, 7), nullable=True),
        Column(name=f"{name}_text", type="text", domain=("a", "A", "é", " a", "1", "t"), nullable=True),
        Column(name=f"{name}_boolean", type="boolean", nullable=True),
        both("0001-01-01", "9999-12-31", f"{name}_date", type="date"),
        both("1960-02-29T00:00:00", "2038-01-19T03:14:07", f"{name}_seen", type="timestamp"),
    ]


KINDS = {
    "i16": pa.int16(),
    "i32": pa.int32(),
    "i64": pa.int64(),
    "f32": pa.float32(),
    "f64": pa.float64(),
    "d": pa.decimal128(38, 10),
    "b": pa.bool_(),
    "s": pa.string(),
    "day": pa.date32(),
    "at": pa.timestamp("us"),
    "zoned": pa.timestamp("us", "UTC"),
}
SCHEMA = Dataset(
    name="cells", columns=tuple(column for name in KINDS for column in columns(name)), rows_max=10**6
)

near = st.integers(-(10**7), 10**7)
doubles = st.one_of(
    st.floats(),
    st.sampled_from([0.0, -0.0, 0.1, 0.7, 1e15, 1e15 - 1, 99999.95, 2.5, 1e-9, 5e-10, math.inf, math.nan]),
    st.tuples(near, st.sampled_from([1, 10, 100, 10**9])).map(lambda pair: pair[0] / pair[1]),
    st.integers(-(10**16), 10**16).map(float),
    st.integers(-(10**16), 10**16).map(lambda whole: whole / 10),
)
WORDS = """
a A é é 1 1.0 TRUE T f 0x1 1e3 ١ .5 5. +7 -0 00012.500 NaN Infinity epoch
2013-02-28 2013-02-29 2012-02-29 0000-02-29 0000-01-01 9999-12-31 2013-13-01 2013-01-00 2013-01-31T05:00
2013-01-31T23:59:59.9999999 2013-01-31T24:00:00 2013-01-31T00:00Z 2013-01-31T05:00:00+00:00
2013-01-31T05:00:00+02
"""
SPACED = [" a", "a ", " 1 ", "\u00a01", "1\n", "", "2013-01-31 05:00:00.000", "9" * 38, f"0.{'0' * 99}1"]
texts = st.one_of(
    st.sampled_from([*WORDS.split(), *SPACED]),
    st.integers(-(10**12), 10**12).map(lambda thousandths: f"{thousandths / 1000:.3f}"),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6),
    st.tuples(st.integers(0, 10**20), st.integers(0, 10**12)).map(lambda pair: f"{pair[0]}.{pair[1]}"),
    st.tuples(*(st.integers(0, most) for most in (9999, 13, 32, 24, 60))).map(
        lambda parts: "{:04}-{:02}-{:02}T{:02}:{:02}".format(*parts)
    ),
)
moments = st.one_of(
    st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)),
    st.dates().map(lambda one: datetime(one.year, one.month, one.day)),
    st.sampled_from([datetime(1960, 2, 28, 23, 59, 59), datetime(2038, 1, 19, 3, 14, 7, 1)]),
)
VALUES = {
    "i16": st.integers(-(2**15), 2**15 - 1),
    "i32": st.one_of(st.integers(-2, 8), st.integers(-(2**31), 2**31 - 1)),
    "i64": st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(10**15 - 2, 10**15 + 2)),
    "f32": st.one_of(st.floats(width=32), near.map(lambda n: float(pa.scalar(n / 10, pa.float32()).as_py()))),
    "f64": doubles,
    "d": st.decimals(-(10**27), 10**27, places=10, allow_nan=False),
    "b": st.booleans(),
    "s": texts,
    "day": st.dates(),
    "at": moments,
    "zoned": moments,
}
tables = st.fixed_dictionaries(
    {name: st.lists(st.none() | VALUES[name], min_size=ROWS, max_size=ROWS) for name in KINDS}
)


def table(source: ParquetSource | PostgresSource) -> Table:
    return Table(SCHEMA, source, EngineLimits(threads=1), VersionKey(b"k" * 32))


def read(found: Table) -> tuple[list[tuple[object, ...]], list[tuple[str, int]]]:
    """All cells in a common order, and all faults."""
    report = found.check()
    assert report.ok, report.problems
    names = ", ".join(column.name for column in SCHEMA.columns)
    with found.reading() as reading:
        assert reading.engine is not None, reading.unfit
        rows = list(reading.engine.fetch(f"SELECT {names} FROM source"))
    return sorted(map(plain, rows), key=repr), [(note.what, note.rows) for note in report.notes]


def plain(row: tuple[object, ...]) -> tuple[object, ...]:
    """A number as one that does not tell in how many digits it was written."""
    return tuple(Decimal(one).normalize() if type(one) in (int, Decimal) else one for one in row)


@pytest.fixture
def compare(postgres, tmp_path, monkeypatch):
    def compared(values: dict[str, list[object]], on_fault: str = "clip") -> list[tuple[object, ...]]:
        cells = pa.table({name: pa.array(values[name], kind) for name, kind in KINDS.items()})
        pq.write_table(cells, tmp_path / "cells.parquet")
        given = {column.name: column.name.split("_")[0] for column in SCHEMA.columns}
        view = ", ".join(f'"{theirs}" AS "{name}"' for name, theirs in given.items())
        # One column serves eight of the schema, so both read a view of their own.
        postgres.make("cells", cells)
        monkeypatch.setenv("CELLS_URL", postgres.url())
        ours = QuerySource(
            query=f"SELECT {view} FROM cells",
            tables={"cells": ParquetSource(tmp_path / "cells.parquet")},
            on_fault=on_fault,
        )
        theirs = PostgresSource(url_env="CELLS_URL", query=f"SELECT {view} FROM cells", on_fault=on_fault)
        (one, faults), (other, other_faults) = read(table(ours)), read(table(theirs))
        assert faults == other_faults
        assert one == other
        return one

    return compared


@settings(
    max_examples=5,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(tables)
def test_both_engines_read_the_same(compare, values):
    compare(values)


@pytest.mark.slow
@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(tables)
def test_both_engines_read_the_same_at_length(compare, values):
    compare(values, "missing")


def test_known_cells_are_read_as_written_here(compare):
    values: dict[str, list[object]] = {name: [None] for name in KINDS}
    values |= {"f64": [0.7], "f32": [0.5], "s": [" 1.50 "], "d": [Decimal("0.1")], "day": [date(2013, 1, 31)]}
    row = dict(zip((column.name for column in SCHEMA.columns), compare(values)[0], strict=True))
    assert row["f64_tenth"] == Decimal("0.7")
    assert row["f32_tenth"] == Decimal("0.5")
    # A single float does not know its ninth digit.
    assert row["f32_fine"] is None
    assert (row["s_tenth"], row["s_integer"], row["s_text"]) == (Decimal("1.5"), None, None)
    assert (row["day_date"], row["day_seen"]) == (date(2013, 1, 31), datetime(2013, 1, 31))


HEART = Path(str(files("kapok.demo").joinpath("heart")))
ASKED = [
    "SELECT COUNT(*), SUM(age), AVG(chol), SUM(oldpeak) FROM heart",
    "SELECT sex, cp, COUNT(*), AVG(oldpeak), COUNT(ca), SUM(thalach) FROM heart GROUP BY sex, cp",
    "SELECT num, COUNT(*), SUM(trestbps) FROM heart WHERE age BETWEEN 40 AND 60 GROUP BY num",
    "SELECT COUNT(*), SUM(chol) FROM heart WHERE thal IS NULL OR oldpeak * 10 <> age",
    "SELECT slope, COUNT(*), AVG(age) FROM heart WHERE chol < 200 GROUP BY slope",
]


@pytest.mark.parametrize("hospital", ["cleveland", "hungarian", "switzerland", "va"])
def test_a_hospital_contributes_the_same_words_from_a_file_and_from_a_database(
    postgres, monkeypatch, hospital
):
    dataset = msgspec.structs.replace(Dataset.from_toml(HEART / "heart.toml"), empty_cells="show")
    names = tuple(column.name for column in dataset.columns)
    path = HEART / f"processed.{hospital}.data"
    options = {"convert": pc.ConvertOptions(null_values=["?"]), "read": pc.ReadOptions(column_names=names)}
    cells = pc.read_csv(path, read_options=options["read"], convert_options=options["convert"])
    postgres.make("heart", cells)
    monkeypatch.setenv("HEART_URL", postgres.url())
    sources = [
        CsvSource(path, header=False, columns=names, null="?"),
        PostgresSource(url_env="HEART_URL", relation="heart"),
    ]
    held = [Table(dataset, source, EngineLimits(threads=1), VersionKey(b"k" * 32)) for source in sources]
    for sql in ASKED:
        question = read_question(sql, dataset)
        words = []
        for one in held:
            with one.reading() as reading:
                assert reading.engine is not None, reading.unfit
                words.append(contribute(question, dataset, reading.engine, Thresholds(0, 0)).to_integers())
        assert words[0] == words[1], sql
        assert any(words[0])
