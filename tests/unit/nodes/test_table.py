"""The source: closed to everything but one file, cast strictly, checked as a whole."""

from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from kapok.documents.dataset import Column, Dataset
from kapok.errors import InvalidInput
from kapok.nodes.settings import CsvSource, EngineLimits, ParquetSource
from kapok.nodes.sources import Table
from kapok.nodes.sources.files import open_files
from kapok.nodes.sources.version import FileDigests, VersionKey

SCHEMA = Dataset(
    name="lab",
    columns=(
        Column(name="n", type="integer", minimum=-5, maximum=1000, nullable=True),
        Column(
            name="dose", type="decimal", minimum="-1.5", maximum="99.99", resolution="0.01", nullable=True
        ),
        Column(name="kind", type="text", domain=("a b", "it's", "c")),
        Column(name="seen", type="boolean", nullable=True),
    ),
    rows_max=6,
)
LIMITS = EngineLimits(threads=1)


def table(path: Path, source=None) -> Table:
    return Table(SCHEMA, source or CsvSource(path), LIMITS, VersionKey(b"k" * 32))


def opened(path: Path):
    return open_files(CsvSource(path), LIMITS, VersionKey(b"k" * 32), FileDigests())


def written(tmp_path, *lines: str, header="n,dose,kind,seen") -> Path:
    path = tmp_path / "it's lab.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def values(found: Table) -> list[tuple]:
    with found.reading() as reading:
        assert reading.engine is not None
        return list(reading.engine.fetch("SELECT n, dose, kind, seen FROM source"))


def test_cells_are_cast_to_the_schemas_types(tmp_path):
    path = written(tmp_path, "63.0,.70,a b,TRUE", "-5,,it's,0", ' 7 ,99.990,"c",', ",-1.5,c,f")
    assert table(path).check().problems == ()
    assert values(table(path)) == [
        (63, Decimal("0.70"), "a b", True),
        (-5, None, "it's", False),
        (7, Decimal("99.99"), "c", None),
        (None, Decimal("-1.50"), "c", False),
    ]


def test_batches_are_the_same_rows_and_fail_like_a_question(tmp_path):
    found = table(written(tmp_path, *(f"{n},1,c,t" for n in range(5))))
    with found.reading() as reading:
        batches = list(reading.engine.batches("SELECT CAST(n AS BIGINT) AS n FROM source"))
        assert [n for batch in batches for n in batch["n"].to_pylist()] == [0, 1, 2, 3, 4]
    assert reading.steady
    with found.reading() as reading, pytest.raises(InvalidInput, match="cannot read"):
        list(reading.engine.batches("SELECT CAST(kind AS BIGINT) AS n FROM source"))
    assert not reading.steady
    with found.reading() as reading, pytest.raises(InvalidInput, match="one SELECT"):
        list(reading.engine.batches("DROP VIEW source"))


def test_batches_that_take_too_long_are_stopped(tmp_path):
    limits = EngineLimits(threads=1, timeout_s=1)
    source = CsvSource(written(tmp_path, *(f"{n},1,c,t" for n in range(5))))
    slow = Table(SCHEMA, source, limits, VersionKey(b"k" * 32))
    with slow.reading() as reading, pytest.raises(InvalidInput, match="took too long"):
        for _ in reading.engine.batches("SELECT n, sqrt(i) FROM source, range(1000000000000) AS r(i)"):
            pass
    assert reading.unfit == ("the engine took too long",)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("1.5,1,c,t", "column n: 1 cell is finer than the resolution"),
        ("1e2,1,c,t", "column n: 1 cell cannot be read as integer"),
        ("0x10,1,c,t", "column n: 1 cell cannot be read as integer"),
        ("1_0,1,c,t", "column n: 1 cell cannot be read as integer"),
        ("99999999999999999999999999999999999999999,1,c,t", "column n: 1 cell cannot be read as integer"),
        ("1001,1,c,t", "column n: 1 cell is out of bounds or outside the domain"),
        ("1,0.001,c,t", "column dose: 1 cell is finer than the resolution"),
        ("1,100,c,t", "column dose: 1 cell is out of bounds or outside the domain"),
        ("1,nan,c,t", "column dose: 1 cell cannot be read as decimal"),
        ("1,1,C,t", "column kind: 1 cell is out of bounds or outside the domain"),
        ("1,1,c ,t", "column kind: 1 cell is out of bounds or outside the domain"),
        ("1,1,,t", "column kind: 1 cell is empty, and the schema does not allow it"),
        ("1,1,c,maybe", "column seen: 1 cell cannot be read as boolean"),
    ],
)
def test_a_wrong_cell_is_named_by_column_and_row_and_never_by_content(tmp_path, line, what):
    report = table(written(tmp_path, "1,1,c,t", line)).check()
    assert [problem.what for problem in report.problems] == [what]
    assert report.problems[0].examples == ("2",)
    assert not report.ok


def test_only_a_few_row_numbers_are_shown(tmp_path):
    report = table(written(tmp_path, *["2000,1,c,t"] * 6)).check()
    assert str(report.problems[0]).endswith("(row 1, 2, 3, 4, 5, …)")
    assert report.problems[0].rows == 6


def test_more_rows_than_the_schema_allows_are_named(tmp_path):
    report = table(written(tmp_path, *["1,1,c,t"] * 7)).check()
    assert [str(problem) for problem in report.problems] == ["the source has 7 rows, the schema allows 6"]


def test_a_missing_column_and_an_unreadable_line_are_named(tmp_path):
    assert [str(one) for one in table(written(tmp_path, "1,c", header="n,kind")).check().problems] == [
        "column dose is missing in the source",
        "column seen is missing in the source",
    ]
    report = table(written(tmp_path, "1,1,c,t", "1,secret")).check()
    assert report.rows is None
    assert "line 3" in str(report.problems[0])
    assert "secret" not in str(report.problems)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"n,dose,kind,seen\r\n1,1,c,t\r\n2,1,c,t\n", "line ends are mixed"),
        (b"n,dose,kind,seen\n1,1,\xff,t\n", "line 2 of the file cannot be read (it is not UTF-8 text)"),
        (b'n,dose,kind,seen\n1,1,"c,t\n', "a quote is not closed"),
        (b"n,dose,kind,seen\n1,1,c,t,more\n", "another number of cells than columns"),
    ],
)
def test_an_unreadable_file_is_described_without_its_words(tmp_path, content, said):
    path = tmp_path / "lab.csv"
    path.write_bytes(content)
    [problem] = table(path).check().problems
    assert said in str(problem)


@pytest.mark.parametrize("header", ["n,n,kind,seen", "", "n,,kind,seen"])
def test_a_header_that_does_not_name_each_column_is_a_problem(tmp_path, header):
    assert table(written(tmp_path, "1,1,c,t", header=header)).check().rows is None


def test_settings_name_columns_delimiter_and_nulls(tmp_path):
    path = tmp_path / "raw.dat"
    path.write_text("?;1.00;c;1;more\n3;-;c;?;x\n")
    source = CsvSource(path, False, ("N", "dose", "kind", "seen", "extra"), ";", ("?", "-"))
    assert values(table(path, source)) == [(None, Decimal("1.00"), "c", True), (3, None, "c", None)]


def test_a_column_that_the_schema_does_not_have_cannot_be_read(tmp_path):
    path = written(tmp_path, "1,1,c,t,12345", header="n,dose,kind,seen,insurance")
    with table(path).reading() as reading, pytest.raises(InvalidInput, match="engine cannot read"):
        reading.engine.fetch("SELECT insurance FROM source")


def test_parquet_is_read_with_its_own_types(tmp_path):
    path = tmp_path / "lab.parquet"
    rows = "(63::BIGINT, 0.7::DOUBLE, 'c', TRUE), (NULL, 12.34, 'a b', NULL)"
    duckdb.sql(f"SELECT * FROM (VALUES {rows}) t(n, dose, kind, seen)").write_parquet(str(path))
    found = table(path, ParquetSource(path))
    assert found.check().problems == ()
    assert values(found) == [(63, Decimal("0.70"), "c", True), (None, Decimal("12.34"), "a b", None)]


def test_parquet_of_other_types_is_named(tmp_path):
    path = tmp_path / "lab.parquet"
    rows = "(DATE '2020-01-01', 0.705::DOUBLE, 1, 2)"
    duckdb.sql(f"SELECT * FROM (VALUES {rows}) t(n, dose, kind, seen)").write_parquet(str(path))
    assert [problem.what for problem in table(path, ParquetSource(path)).check().problems] == [
        "column n: 1 cell cannot be read as integer",
        "column dose: 1 cell is finer than the resolution",
        "column kind: 1 cell cannot be read as text",
        "column seen: 1 cell cannot be read as boolean",
    ]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '{other}'",
        "COPY (SELECT 1) TO '{own}'",
        "SET threads = 3",
        "ATTACH '{other}'",
        "SELECT 1; SELECT 2",
        "CREATE TABLE t (a INT)",
        "INSTALL httpfs",
        "PRAGMA version",
        "not sql",
        "",
    ],
)
def test_the_engine_reads_one_file_and_runs_one_select(tmp_path, sql):
    path = written(tmp_path, "1,1,c,t")
    (tmp_path / "other.csv").write_text("a\n1\n")
    before = path.read_bytes()
    with opened(path) as engine, pytest.raises(InvalidInput) as caught:
        engine.fetch(sql.format(other=tmp_path / "other.csv", own=str(path).replace("'", "''")))
    assert caught.value.code == "source_unreadable"
    assert path.read_bytes() == before


def test_a_question_that_takes_too_long_is_stopped(tmp_path):
    path = written(tmp_path, "1,1,c,t")
    with opened(path) as engine:
        engine._timeout_s = 0.05
        with pytest.raises(InvalidInput, match="too long"):
            engine.fetch("SELECT sum(a.range * b.range) FROM range(1000000) a, range(1000000) b")


def test_versions_differ_between_nodes_and_have_one_shape(tmp_path):
    path = written(tmp_path, "1,1,c,t")
    one, two = VersionKey(b"1" * 32), VersionKey(b"2" * 32)
    versions = []
    for key in (one, two):
        with open_files(CsvSource(path), LIMITS, key, FileDigests()) as engine:
            versions.append(engine.version)
    gone = Table(SCHEMA, CsvSource(tmp_path / "gone.csv"), LIMITS, one)
    with gone.reading() as reading:
        assert reading.engine is None
    assert reading.version == Table(SCHEMA, CsvSource(tmp_path / "gone too.csv"), LIMITS, one).unread
    assert len({*versions, reading.version}) == 3
    assert {len(version) for version in (*versions, reading.version)} == {64}
    assert "1" * 8 not in repr(one)
    with pytest.raises(TypeError):
        one.__reduce__()


def test_a_version_is_taken_anew_when_the_file_changed_in_place(tmp_path):
    path, key, digests = written(tmp_path, "1,1,c,t"), VersionKey(b"1" * 32), FileDigests()
    with open_files(CsvSource(path), LIMITS, key, digests) as engine:
        assert engine.steady()
        path.write_text(path.read_text().replace("1,1", "2,1"))
        assert not engine.steady()
    with open_files(CsvSource(path), LIMITS, key, digests) as later:
        assert later.version != engine.version
