"""Cells that break the schema: refused, read as missing or as the bound; never by question."""

from datetime import date, datetime
from decimal import Decimal

import pytest

from kapok.computations import Thresholds
from kapok.computations.query.holder import contribute
from kapok.computations.query.reading import read_question
from kapok.documents.dataset import Column, Dataset
from kapok.nodes.settings import CsvSource, EngineLimits
from kapok.nodes.sources import Table
from kapok.nodes.sources.version import VersionKey

SCHEMA = Dataset(
    name="lab",
    columns=(
        Column(name="n", type="integer", minimum=-5, maximum=100, nullable=True),
        Column(name="dose", type="decimal", minimum="-1.5", maximum="9.99", resolution="0.01", nullable=True),
        Column(name="sex", type="integer", domain=(0, 1), nullable=True),
        Column(name="day", type="date", minimum="2013-01-01", maximum="2013-12-31", nullable=True),
        Column(
            name="seen",
            type="timestamp",
            minimum="2013-01-01T00:00:00",
            maximum="2013-12-31T23:59:59",
            nullable=True,
        ),
        Column(name="ill", type="boolean", nullable=True),
        Column(name="id", type="integer", minimum=1, maximum=50),
    ),
    rows_max=100,
)
LINES = [
    "1,0.50,1,2013-02-01,2013-02-01T05:00:00,true,1",
    "500,99,7,2019-01-01,2019-01-01T00:00:00,maybe,2",
    "-500,-99,-1,1999-01-01,1999-01-01T00:00:00,,3",
    "x,0.001,x,today,2013-02-01T05:00:00.5,x,4",
    ",,,,,,5",
]


def table(tmp_path, *lines, **how):
    (tmp_path / "lab.csv").write_text("\n".join(["n,dose,sex,day,seen,ill,id", *(lines or LINES)]) + "\n")
    return Table(
        SCHEMA, CsvSource(tmp_path / "lab.csv", **how), EngineLimits(threads=1), VersionKey(b"k" * 32)
    )


def cells(found):
    with found.reading() as reading:
        assert reading.engine is not None, reading.unfit
        return list(reading.engine.fetch("SELECT n, dose, sex, day, seen, ill FROM source ORDER BY id"))


FIRST = (1, Decimal("0.50"), 1, date(2013, 2, 1), datetime(2013, 2, 1, 5), True)
EMPTY = (None,) * 6


def test_by_default_no_table_with_a_fault_is_used(tmp_path):
    report = table(tmp_path).check()
    assert not report.ok
    assert len(report.problems) == 11
    assert report.notes == ()


def test_missing_cells_are_null_and_counted_with_what_is_done(tmp_path):
    found = table(tmp_path, on_fault="missing")
    report = found.check()
    assert report.ok
    assert cells(found) == [FIRST, *[EMPTY] * 4]
    assert [str(note) for note in report.notes][:2] == [
        "column n: 1 cell cannot be read as integer: read as missing (row 4)",
        "column n: 2 cells are out of bounds or outside the domain: read as missing (row 2, 3)",
    ]
    assert report.notes[0].reason == "column n: cells cannot be read as integer: read as missing"
    assert not any(word in " ".join(map(str, report.notes)) for word in ("maybe", "today", "500", "1999"))


def test_clipped_cells_go_to_the_bound_and_what_has_none_is_missing(tmp_path):
    found = table(tmp_path, on_fault="clip")
    assert found.check().ok
    high = (100, Decimal("9.99"), None, date(2013, 12, 31), datetime(2013, 12, 31, 23, 59, 59), None)
    low = (-5, Decimal("-1.50"), None, date(2013, 1, 1), datetime(2013, 1, 1), None)
    assert cells(found) == [FIRST, high, low, EMPTY, EMPTY]
    notes = [str(note) for note in found.check().notes]
    assert "column n: 2 cells are out of bounds or outside the domain: read as the bound (row 2, 3)" in notes
    assert "column sex: 2 cells are out of bounds or outside the domain: read as missing (row 2, 3)" in notes


def test_columns_may_be_treated_each_in_its_way(tmp_path):
    found = table(tmp_path, on_fault="missing", on_fault_in={"n": "clip", "dose": "refuse"})
    report = found.check()
    assert [problem.what for problem in report.problems] == [
        "column dose: 1 cell is finer than the resolution",
        "column dose: 2 cells are out of bounds or outside the domain",
    ]
    found = table(tmp_path, on_fault_in=dict.fromkeys(("dose", "sex", "day", "seen", "ill"), "missing"))
    assert {problem.what.split(":")[0] for problem in found.check().problems} == {"column n"}


@pytest.mark.parametrize("on_fault", ["missing", "clip"])
def test_a_column_that_may_not_be_empty_is_refused_for_what_would_be(tmp_path, on_fault):
    lines = [LINES[0], ",,,,,,", ",,,,,,x"]
    assert [problem.what for problem in table(tmp_path, *lines, on_fault=on_fault).check().problems] == [
        "column id: 1 cell is empty, and the schema does not allow it",
        "column id: 1 cell cannot be read as integer",
    ]
    found = table(tmp_path, LINES[0], ",,,,,,999", on_fault=on_fault)
    assert found.check().ok is (on_fault == "clip")


def test_what_the_schema_does_not_allow_is_said_with_what_it_does(tmp_path):
    asked = {"id": "missing", "sex": "clip", "ill": "clip", "day": "clip", "wight": "missing"}
    assert [str(one) for one in table(tmp_path, LINES[0], on_fault_in=asked).check().problems] == [
        "key 'on_fault_in' names 'wight', which the schema does not have",
        "key 'on_fault_in': column id may not be empty by the schema: write refuse or clip",
        "key 'on_fault_in': column sex has no bounds to go to: write refuse or missing",
        "key 'on_fault_in': column ill has no bounds to go to: write refuse or missing",
    ]


@pytest.mark.parametrize("condition", ["id = 4", "id <> 4", "n = 100", "n IS NULL", "id < 50"])
def test_no_filter_finds_out_which_rows_were_wrong(tmp_path, condition):
    """What a question sees is a table in which a faulty cell is missing or a bound, and nothing else."""
    clean = [LINES[0], "100,9.99,,2013-12-31,2013-12-31T23:59:59,,2", "-5,-1.5,,2013-01-01,2013-01-01,,3"]
    clean += [",,,,,,4", ",,,,,,5"]
    question = read_question(f"SELECT COUNT(*), COUNT(n), SUM(n) FROM lab WHERE {condition}", SCHEMA)
    words = []
    for found in (table(tmp_path, on_fault="clip"), table(tmp_path, *clean)):
        with found.reading() as reading:
            assert reading.engine is not None, reading.unfit
            words.append(contribute(question, SCHEMA, reading.engine, Thresholds(0, 0)).to_integers())
    shown = [[word for word in one if abs(word) < 10**6] for one in words]
    assert shown[0] == shown[1]
