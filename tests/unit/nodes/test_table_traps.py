"""Files that the engine would read otherwise than their holder does: paths, headers, blank lines, bounds."""

from decimal import Decimal, localcontext
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kapok.computations import Thresholds
from kapok.computations.query.holder import contribute
from kapok.computations.query.reading import read_question
from kapok.documents.dataset import Column, Dataset
from kapok.nodes.settings import CsvSource, EngineLimits, ParquetSource
from kapok.nodes.sources import Table
from kapok.nodes.sources.version import VersionKey

SCHEMA = Dataset(
    name="lab",
    columns=(
        Column(name="age", type="integer", minimum=0, maximum=120),
        Column(name="sex", type="integer", domain=(0, 1)),
    ),
    rows_max=1000,
)
ONE = Dataset(
    name="one", columns=(Column(name="age", type="integer", minimum=0, maximum=9, nullable=True),), rows_max=9
)


def table(source: CsvSource | ParquetSource, dataset: Dataset = SCHEMA) -> Table:
    return Table(dataset, source, EngineLimits(threads=1), VersionKey(b"k" * 32))


def problems(found: Table) -> list[str]:
    return [str(problem) for problem in found.check().problems]


def cells(found: Table, columns: str = "age, sex") -> list[tuple]:
    with found.reading() as reading:
        assert reading.engine is not None
        return list(reading.engine.fetch(f"SELECT {columns} FROM source"))


def write_parquet(path: Path, **columns: list) -> ParquetSource:
    pq.write_table(pa.table(columns), path)
    return ParquetSource(path)


def test_a_folder_named_like_a_column_says_nothing_about_cells(tmp_path):
    folder = tmp_path / "sex=1"
    folder.mkdir()
    (folder / "a.csv").write_text("age,sex\n40,0\n")
    assert cells(table(CsvSource(folder / "a.csv"))) == [(40, 0)]
    assert cells(table(write_parquet(folder / "a.parquet", age=[40], sex=[0]))) == [(40, 0)]
    (folder / "b.csv").write_text("age\n40\n")
    for source in (CsvSource(folder / "b.csv"), write_parquet(folder / "b.parquet", age=[40])):
        assert problems(table(source)) == ["column sex is missing in the source"]


def test_names_that_differ_in_case_alone_are_one_name_twice(tmp_path):
    pq.write_table(
        pa.Table.from_arrays([pa.array([40]), pa.array([0]), pa.array([99])], names=["age", "sex", "AGE"]),
        tmp_path / "a.parquet",
    )
    assert problems(table(ParquetSource(tmp_path / "a.parquet"))) == ["the source has the column AGE twice"]


def test_names_inside_a_column_are_not_columns(tmp_path):
    source = write_parquet(
        tmp_path / "a.parquet",
        deep=[{"age": 1, "AGE": [{"sex": 2}]}],
        age=[40],
        tags=[[{"age": 3}]],
        sex=[0],
    )
    assert cells(table(source)) == [(40, 0)]


def test_a_link_to_a_pattern_is_refused(tmp_path):
    (tmp_path / "a1.csv").write_text("age,sex\n40,0\n")
    (tmp_path / "a[1].csv").write_text("age,sex\n50,0\n")
    (tmp_path / "plain.csv").symlink_to(tmp_path / "a[1].csv")
    assert problems(table(CsvSource(tmp_path / "plain.csv"))) == [
        "the real path of a file has one of * ? [ ] { } in it: give it another name"
    ]


@pytest.mark.parametrize(
    ("content", "line"), [("age\n1\n\n3\n", 3), ("age\n1\n3\n\n\n", 4), ("age\r\n1\r\n \r\n", 3)]
)
def test_a_blank_line_of_one_column_is_no_row_in_silence(tmp_path, content, line):
    path = tmp_path / "one.csv"
    path.write_bytes(content.encode())
    [problem] = problems(table(CsvSource(path), ONE))
    assert problem.startswith(f"line {line} of the file is blank")
    path.write_text("age\n1\nNA\n3\n")
    assert cells(table(CsvSource(path, null="NA"), ONE), "age") == [(1,), (None,), (3,)]


def test_only_plain_spaces_around_a_number_are_trimmed(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(" age ,sex\n 40 ,0\n")
    assert cells(table(CsvSource(path))) == [(40, 0)]
    for blank in ("\u00a0", "\u2003", "\t", "\u3000"):
        path.write_text(f"age,sex\n40,0\n41{blank},0\n")
        assert problems(table(CsvSource(path))) == ["column age: 1 cell cannot be read as integer (row 2)"]
    path.write_text("age\u00a0,sex\n40,0\n")
    assert problems(table(CsvSource(path))) == ["column age is missing in the source"]


def test_only_plain_spaces_around_a_boolean_are_trimmed(tmp_path):
    dataset = Dataset(name="flags", columns=(Column(name="ill", type="boolean"),), rows_max=9)
    path = tmp_path / "a.csv"
    path.write_text("ill\n true \n")
    assert cells(table(CsvSource(path), dataset), "ill") == [(True,)]
    path.write_text("ill\ntrue\u00a0\n")
    assert problems(table(CsvSource(path), dataset)) == [
        "column ill: 1 cell cannot be read as boolean (row 1)"
    ]


@pytest.mark.parametrize("decimals", range(10))
@pytest.mark.parametrize("kind", ["csv", "DECIMAL(18, {})", "DECIMAL(38, {})", "DOUBLE", "VARCHAR"])
def test_what_passes_the_check_at_the_bounds_is_answered_exactly(tmp_path, decimals, kind):
    # A double has no more than 15 digits that it surely keeps.
    most = 10**15 - 1 if kind == "DOUBLE" else 10**18 - 1
    with localcontext() as context:
        context.prec = 40
        step, low, high = (f"{Decimal(number).scaleb(-decimals):f}" for number in (1, -most, most))
    dataset = Dataset(
        name="edge",
        columns=(Column(name="x", type="decimal", minimum=low, maximum=high, resolution=step),),
        rows_max=9,
    )
    path = tmp_path / ("x.csv" if kind == "csv" else "x.parquet")
    if kind == "csv":
        path.write_text(f"x\n{low}\n{high}\n{high}\n")
    else:
        cast = f"CAST(x AS {kind.format(decimals)}) AS x"
        duckdb.sql(f"SELECT {cast} FROM (VALUES ('{low}'), ('{high}'), ('{high}')) t(x)").write_parquet(
            str(path)
        )
    found = table(CsvSource(path) if kind == "csv" else ParquetSource(path), dataset)
    assert problems(found) == []
    question = read_question(f"SELECT SUM(x) FROM edge WHERE x IN ({low}, {high})", dataset)
    with found.reading() as reading:
        assert reading.engine is not None
        words = contribute(question, dataset, reading.engine, Thresholds(1, 1)).to_integers()
    assert words == [3, most, 0]
