"""Files of which no schema can be drafted, each refused by name and without a word of what is in it."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kapok.documents.dataset import Dataset
from kapok.errors import InvalidInput, NotFound
from kapok.nodes.drafting import draft
from kapok.nodes.settings import ArrowSource, EngineLimits
from kapok.nodes.sources import Table
from kapok.nodes.sources.version import VersionKey

ROWS = "10,secret\n" * 5


def check_of(dataset: Dataset, source: ArrowSource) -> list[str]:
    table = Table(dataset, source, EngineLimits(threads=1), VersionKey(b"k" * 32))
    return [problem.what for problem in table.check().problems]


def parquet(path: Path) -> bytes:
    pq.write_table(pa.table({"age": [1, 2, 3, 4, 5]}), path)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("content", "says", "remedy"),
    [
        (b"", "is empty", "a table"),
        (b" \n\n", "is empty", "a table"),
        (b"age,name\n", "has no rows", "a table"),
        (b"\nage,name\n1,a\n", "does not begin with the names", "--columns"),
        (b"63,secret\n" * 5, "does not begin with the names", "--columns"),
        (b"2013-01-31,secret\n" * 5, "does not begin with the names", "--columns"),
        (b"age,?\n" * 5, "does not begin with the names", "--columns"),
        (b"age,\n1,secret\n", "does not begin with the names", "--columns"),
        (b"age,AGE\n1,secret\n", "two columns of one name", "rename"),
        (b"age,name\n1,secret,more\n", "line 2 of the file cannot be read (another", "--help"),
        (b'age,name\n1,"secret\n', "a quote is not closed", "--help"),
        (b'"age,name\n1,secret\n', "first line that is not CSV", "quotes"),
        (b"age,name\n1,\xff\xfe\n", "not UTF-8", "--help"),
        (b"\xff\xfea\x00g\x00e\x00", "neither text nor Parquet nor Arrow", "CSV, Parquet or Arrow"),
        (b"\xe4ge,name\n1,secret\n", "is not UTF-8", "UTF-8"),
        (b"\x7fELF\x02\x01\x01\x00", "neither text nor Parquet nor Arrow", "CSV, Parquet or Arrow"),
        (b"SQLite format 3\x00", "neither text nor Parquet nor Arrow", "CSV, Parquet or Arrow"),
        (gzip.compress(b"age\n1\n", mtime=0), "is compressed", "unpack"),
        (b"PK\x03\x04 a workbook", "is compressed", "unpack"),
        (b"PAR1 broken", "cannot be read", "--help"),
        (b"x" * 2**20, "very long first line", "CSV, Parquet or Arrow"),
        (b"name\n" + b"secret %d\n" * 5 % (1, 2, 3, 4, 5), "no column that a schema", "domain_file"),
        (b"name\nsecret\n\nsecret\n", "line 3 of the file is blank", "--help"),
    ],
)  # fmt: skip
def test_a_bad_file_is_refused_by_name(tmp_path, content, says, remedy):
    path = tmp_path / "ward.csv"
    path.write_bytes(content)
    with pytest.raises(InvalidInput) as caught:
        draft(path)
    assert caught.value.code == "source_unreadable"
    assert caught.value.message.startswith(str(path))
    assert says in caught.value.message
    assert remedy in (caught.value.remedy or "")
    assert "secret" not in str(caught.value) + (caught.value.remedy or "")


def test_a_cut_off_parquet_file_is_refused(tmp_path):
    whole = parquet(tmp_path / "whole.parquet")
    path = tmp_path / "cut.parquet"
    path.write_bytes(whole[:-20])
    with pytest.raises(InvalidInput, match="cannot be read"):
        draft(path)


def test_a_folder_and_a_file_that_is_not_there_are_named(tmp_path):
    with pytest.raises(InvalidInput, match="is a folder"):
        draft(tmp_path)
    for path in (tmp_path / "none.csv", tmp_path / "x\0y"):
        with pytest.raises(NotFound) as caught:
            draft(path)
        assert caught.value.code == "no_such_file"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(tmp_path):
    path = tmp_path / "ward.csv"
    path.write_text("age\n1\n")
    path.chmod(0)
    with pytest.raises(NotFound, match="Permission denied"):
        draft(path)


def test_named_columns_are_those_of_the_file(tmp_path):
    path = tmp_path / "ward.csv"
    path.write_text(ROWS)
    made = draft(path, columns=("age", "name"))
    assert [one.name for one in made.dataset.columns] == ["age", "name"]
    for columns in (("age",), ("age", "name", "more")):
        with pytest.raises(InvalidInput, match=f"2 cells in its first line, and {len(columns)} columns"):
            draft(path, columns=columns)
    with pytest.raises(InvalidInput, match="two columns of one name"):
        draft(path, columns=("age", "AGE"))


def test_what_is_for_csv_files_is_refused_for_parquet(tmp_path):
    path = tmp_path / "ward.parquet"
    parquet(path)
    assert [one.name for one in draft(path).dataset.columns] == ["age"]
    for options in ({"columns": ("age",)}, {"delimiter": ";"}, {"nulls": ("NA",)}):
        with pytest.raises(InvalidInput, match="is Parquet"):
            draft(path, **options)


def test_an_arrow_file_is_read_like_any_other(tmp_path):
    path = tmp_path / "ward.arrow"
    table = pa.table({"Age": list(range(40)), "sex": ["f", "m"] * 20})
    with pa.ipc.new_file(path, table.schema) as file:
        file.write_table(table)
    made = draft(path)
    assert [(one.name, one.domain) for one in made.dataset.columns] == [("age", None), ("sex", ("f", "m"))]
    assert '# format = "arrow"' in made.text
    assert check_of(made.dataset, ArrowSource(path=path)) == []
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InvalidInput, match="cannot be read"):
        draft(path)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", ":"])
def test_the_delimiter_is_found_or_named(tmp_path, delimiter):
    path = tmp_path / "ward.csv"
    path.write_text(f"age{delimiter}name\n" + f"10{delimiter}a\n" * 5)
    made = draft(path, delimiter=delimiter if delimiter == ":" else None)
    assert [one.name for one in made.dataset.columns] == ["age", "name"]
    for bad in ("", "::", '"', "\n"):
        with pytest.raises(InvalidInput, match="a delimiter is one character") as caught:
            draft(path, delimiter=bad)
        assert caught.value.code == "bad_option"


@pytest.mark.parametrize(
    ("name", "says"), [("Ward", "'Ward' cannot be the name"), ("", "cannot be the name")]
)
def test_a_bad_name_is_refused(tmp_path, name, says):
    path = tmp_path / "ward.csv"
    path.write_text("age,name\n" + ROWS)
    with pytest.raises(InvalidInput, match=says) as caught:
        draft(path, name=name)
    assert caught.value.code == "bad_dataset"


@pytest.mark.parametrize(
    ("rows", "says"), [(4, "more than 4 rows"), (0, "more than 0 rows"), (10**13, "out of range")]
)
def test_a_bad_number_of_rows_is_refused(tmp_path, rows, says):
    path = tmp_path / "ward.csv"
    path.write_text("age,name\n" + ROWS)
    with pytest.raises(InvalidInput, match=says):
        draft(path, rows_max=rows)


def test_more_columns_than_a_schema_holds_are_refused(tmp_path):
    path = tmp_path / "wide.csv"
    names = ",".join(f"x{n}" for n in range(1001))
    path.write_text("\n".join([names, *[",".join(["1"] * 1001)] * 5]) + "\n")
    with pytest.raises(InvalidInput, match="more than 1000 columns"):
        draft(path)
