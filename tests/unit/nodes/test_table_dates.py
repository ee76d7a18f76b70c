"""Dates and timestamps of a source: cast strictly from text and from Parquet's own types, faults counted."""

import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kapok.computations import Thresholds
from kapok.computations.query.holder import contribute
from kapok.computations.query.reading import read_question
from kapok.documents.dataset import Column, Dataset
from kapok.errors import InvalidInput
from kapok.nodes.settings import CsvSource, EngineLimits, ParquetSource
from kapok.nodes.sources import Table
from kapok.nodes.sources.version import VersionKey

DAY = Column(name="day", type="date", minimum="1960-01-01", maximum="2013-12-31", nullable=True)
AT = Column(
    name="seen", type="timestamp", minimum="1960-01-01T00:00:00", maximum="2013-12-31T23:59:59", nullable=True
)
BOTH = Dataset(name="visits", columns=(DAY, AT), rows_max=100)


def table(source: CsvSource | ParquetSource, *columns: Column) -> Table:
    dataset = Dataset(name="visits", columns=columns, rows_max=100) if columns else BOTH
    return Table(dataset, source, EngineLimits(threads=1), VersionKey(b"k" * 32))


def written(folder: Path, *lines: str) -> CsvSource:
    (folder / "visits.csv").write_text("\n".join(["day,seen", *lines]) + "\n")
    return CsvSource(folder / "visits.csv")


def stored(folder: Path, name: str, values: list, kind: pa.DataType) -> ParquetSource:
    pq.write_table(pa.table({name: pa.array(values, kind)}), folder / "visits.parquet")
    return ParquetSource(folder / "visits.parquet")


def problems(found: Table) -> list[str]:
    return [problem.what for problem in found.check().problems]


def fetched(found: Table, select: str) -> list[tuple]:
    with found.reading() as reading:
        assert reading.engine is not None
        return list(reading.engine.fetch(f"SELECT {select} FROM source"))


def test_texts_become_plain_dates_and_timestamps(tmp_path):
    found = table(
        written(
            tmp_path,
            "2013-01-31,2013-01-31T05:00:00",
            " 1960-01-01 ,1960-01-01 00:00:00.000000000",
            "2013-12-31T00:00:00.0Z,2013-12-31T23:59:59Z",
            "2013-01-31 00:00,2013-01-31",
            "2013-01-31,2013-01-31T05:00+00:00",
            ",",
        )
    )
    assert problems(found) == []
    assert fetched(found, "DISTINCT typeof(day), typeof(seen)") == [("DATE", "TIMESTAMP")]
    assert fetched(found, "day, seen") == [
        (date(2013, 1, 31), datetime(2013, 1, 31, 5)),
        (date(1960, 1, 1), datetime(1960, 1, 1)),
        (date(2013, 12, 31), datetime(2013, 12, 31, 23, 59, 59)),
        (date(2013, 1, 31), datetime(2013, 1, 31)),
        (date(2013, 1, 31), datetime(2013, 1, 31, 5)),
        (None, None),
    ]


@pytest.mark.parametrize(
    ("cell", "fault"),
    [
        ("31.01.2013", "cannot be read as date"),
        ("01/31/2013", "cannot be read as date"),
        ("2013-1-31", "cannot be read as date"),
        ("20130131", "cannot be read as date"),
        ("2013-02-29", "cannot be read as date"),
        ("today", "cannot be read as date"),
        ("epoch", "cannot be read as date"),
        ("infinity", "cannot be read as date"),
        ("2013-01-31Z", "cannot be read as date"),
        ("2013-01-31 (BC)", "cannot be read as date"),
        ("2013-01-31T00:00:00+01:00", "cannot be read as date"),
        ("2013-01-31T00:00:01", "is finer than the resolution"),
        ("2013-01-31T00:00:00.000001", "is finer than the resolution"),
        ("1959-12-31", "is out of bounds or outside the domain"),
        ("2014-01-01", "is out of bounds or outside the domain"),
        ("0000-01-01", "is out of bounds or outside the domain"),
    ],
)
def test_a_wrong_date_is_counted_by_its_fault(tmp_path, cell, fault):
    found = table(written(tmp_path, "2013-01-31,", f"{cell},"))
    assert problems(found) == [f"column day: 1 cell {fault}"]
    assert found.check().problems[0].examples == ("2",)


@pytest.mark.parametrize(
    ("cell", "fault"),
    [
        ("31.01.2013 05:00", "cannot be read as timestamp"),
        ("2013-01-31T24:00:00", "cannot be read as timestamp"),
        ("2013-01-31T05:00:60", "cannot be read as timestamp"),
        ("2013-01-31T5:00:00", "cannot be read as timestamp"),
        ("2013-01-31T05", "cannot be read as timestamp"),
        ("2013-01-31T05:00:00+02:00", "cannot be read as timestamp"),
        ("2013-01-31T05:00:00-00:30", "cannot be read as timestamp"),
        ("2013-01-31T05:00:00 Europe/Paris", "cannot be read as timestamp"),
        ("1359608400", "cannot be read as timestamp"),
        ("2013-01-31T05:00:00.5", "is finer than the resolution"),
        ("2013-01-31T05:00:00.000000001Z", "is finer than the resolution"),
        ("1959-12-31T23:59:59", "is out of bounds or outside the domain"),
        ("2014-01-01", "is out of bounds or outside the domain"),
    ],
)
def test_a_wrong_timestamp_is_counted_by_its_fault(tmp_path, cell, fault):
    found = table(written(tmp_path, ",2013-01-31T05:00:00", f",{cell}"))
    assert problems(found) == [f"column seen: 1 cell {fault}"]


def test_a_missing_date_is_a_fault_where_the_schema_allows_none(tmp_path):
    column = Column(name="day", type="date", minimum="2013-01-01", maximum="2013-12-31")
    assert problems(table(written(tmp_path, "2013-01-31,", ","), column)) == [
        "column day: 1 cell is empty, and the schema does not allow it"
    ]


UNITS = ("s", "ms", "us", "ns")
FIVE = datetime(2013, 1, 31, 5)


@pytest.fixture(params=["Asia/Tokyo", "America/New_York"])
def elsewhere(request, monkeypatch):
    """The machine's time zone is not UTC."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Paris"])
def test_parquet_timestamps_of_every_unit_are_taken_in_utc(tmp_path, unit, zone):
    values = [FIVE, datetime(1960, 1, 1), datetime(2013, 12, 31, 23, 59, 59), None]
    zoned = [one and one.replace(tzinfo=UTC) for one in values] if zone else values
    found = table(stored(tmp_path, "seen", zoned, pa.timestamp(unit, zone)), AT)
    assert problems(found) == []
    assert fetched(found, "seen") == [(one,) for one in values]
    assert fetched(found, "DISTINCT typeof(seen)") == [("TIMESTAMP",)]


@pytest.mark.parametrize("zone", [None, "UTC"])
@pytest.mark.parametrize(("unit", "steps"), [("ms", 10**3), ("us", 10**6), ("ns", 10**9)])
def test_no_part_of_a_second_is_cut_off(tmp_path, unit, steps, zone):
    whole = 1_359_608_400 * steps
    found = table(stored(tmp_path, "seen", [whole, whole + 1, whole - 1, -1], pa.timestamp(unit, zone)), AT)
    assert problems(found) == ["column seen: 3 cells are finer than the resolution"]
    assert found.check().problems[0].examples == ("2", "3", "4")


@pytest.mark.parametrize("zone", [None, "UTC"])
@pytest.mark.parametrize("unit", UNITS)
def test_a_parquet_timestamp_is_a_date_at_midnight_only(tmp_path, unit, zone):
    midnight = datetime(2013, 1, 31, tzinfo=UTC if zone else None)
    values = [midnight, midnight - timedelta(days=20_000), midnight + timedelta(seconds=1)]
    found = table(stored(tmp_path, "day", values, pa.timestamp(unit, zone)), DAY)
    assert problems(found) == [
        "column day: 1 cell is finer than the resolution",
        "column day: 1 cell is out of bounds or outside the domain",
    ]
    found = table(stored(tmp_path, "day", [midnight], pa.timestamp(unit, zone)), DAY)
    assert fetched(found, "day, typeof(day)") == [(date(2013, 1, 31), "DATE")]


def test_parquet_dates_are_dates_and_midnights(tmp_path):
    values = [date(2013, 1, 31), None]
    found = table(stored(tmp_path, "day", values, pa.date32()), DAY)
    assert fetched(found, "day") == [(date(2013, 1, 31),), (None,)]
    found = table(stored(tmp_path, "seen", values, pa.date32()), AT)
    assert fetched(found, "seen") == [(datetime(2013, 1, 31),), (None,)]


@pytest.mark.parametrize("zone", [None, "UTC"])
def test_what_no_calendar_has_is_a_fault_and_no_failure(tmp_path, zone):
    ends = [2**63 - 1, -(2**63) + 1, -(2**63), 0]
    for unit in ("us", "ns"):
        found = table(stored(tmp_path, "seen", ends, pa.timestamp(unit, zone)), AT)
        report = found.check()
        assert report.rows == 4
        assert sum(problem.rows for problem in report.problems) == 3
    for days in ([2**31 - 1], [-(2**31)], [5_000_000]):
        for name, column in (("day", DAY), ("seen", AT)):
            report = table(stored(tmp_path, name, days, pa.date32()), column).check()
            assert [problem.rows for problem in report.problems] == [1]


@pytest.mark.parametrize("column", [DAY, AT])
@pytest.mark.parametrize(
    ("values", "kind"),
    [([1], pa.int64()), ([1.5], pa.float64()), ([True], pa.bool_()), ([1], pa.time64("us"))],
)
def test_another_type_is_no_date(tmp_path, column, values, kind):
    found = table(stored(tmp_path, column.name, values, kind), column)
    assert problems(found) == [f"column {column.name}: 1 cell cannot be read as {column.type}"]


def test_dates_are_counted_and_never_summed(tmp_path):
    lines = ["2013-01-31,2013-01-31T05:00:00"] * 7 + [",", "2013-01-31,"]
    question = read_question("SELECT COUNT(day) FROM visits WHERE seen IS NOT NULL", BOTH)
    with table(written(tmp_path, *lines)).reading() as reading:
        assert reading.engine is not None
        assert contribute(question, BOTH, reading.engine, Thresholds(5, 5)).to_integers() == [7, 0]
    for name in ("SUM", "AVG"):
        with pytest.raises(InvalidInput, match="column seen is a timestamp") as caught:
            read_question(f"SELECT {name}(seen) FROM visits", BOTH)
        assert caught.value.code == "type_mismatch"
        assert "group by" not in (caught.value.remedy or "")
