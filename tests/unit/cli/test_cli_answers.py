"""Answers on the terminal and in files."""

import csv
import json
import stat
from decimal import Decimal
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet
import pytest

from kapok.cli.answers import check_out, show_result, write_result
from kapok.cli.live import Live
from kapok.client.progress import Progress
from kapok.client.result import SUPPRESSED_NOTE, Cost, Labels, PartyReport, Result
from kapok.errors import InvalidInput


@pytest.fixture
def result() -> Result:
    table = pa.table(
        {
            "sex": pa.array(["f", "m"]),
            "count": pa.array([None, 726], pa.int64()),
            "sum_st": pa.array([Decimal("-1.50"), None], pa.decimal128(38, 2)),
        }
    )
    labels = Labels(
        job_id="ab" * 32,
        question="SELECT",
        dataset="heart",
        dataset_hash="cd" * 32,
        suppressed=((0, "count"),),
        parties=(PartyReport("spiffe://t.example/org/va/node/main", "spiffe://t.example/org/va", "v"),),
        cost=Cost(seconds=1.5, sealed_bytes=4096),
    )
    return Result.of(table, labels)


def test_table_labels_suppressed_cells_and_not_nulls(result, capsys):
    show_result(result, json=False, written=Path("x.csv"))
    said = capsys.readouterr()
    lines = [line.split() for line in said.out.splitlines() if line.strip()]
    assert lines[0] == ["sex", "count", "sum_st"]
    assert lines[2] == ["f", "suppressed", "-1.50"]
    assert lines[3] == ["m", "726"]
    note = SUPPRESSED_NOTE
    assert [line for line in said.out.splitlines() if "suppressed:" in line] == [note]
    assert "va · 1.50 s · 4,096 sealed bytes" in said.err
    assert "written to x.csv, which only you may read" in said.err
    assert all(line == line.rstrip() for line in said.out.splitlines())


def test_numbers_that_are_measured_have_their_thousands_told_apart(result, capsys):
    year = pa.field("year", pa.int64(), metadata={"kapok.kind": "group"})
    table = pa.Table.from_arrays(
        [
            pa.array([2013, 2014, 2015]),
            pa.array([336776, -1000, 999]),
            pa.array([Decimal("-1234567.50"), Decimal("0.25"), None], pa.decimal128(38, 2)),
            pa.array([12345.678, -1e-07, 1e300]),
        ],
        schema=pa.schema([year, ("count", pa.int64()), ("sum", pa.decimal128(38, 2)), ("avg", pa.float64())]),
    )
    show_result(Result.of(table, result._labels), json=False, written=None)
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines[2] == ["2013", "suppressed", "-1,234,567.50", "12,345.678"]
    assert lines[3] == ["2014", "-1,000", "0.25", "-1e-07"]
    assert lines[4] == ["2015", "999", "1e+300"]


def test_json_is_one_document_with_all_digits(result, capsys):
    show_result(result, json=True, written=None)
    said = capsys.readouterr()
    assert said.err == ""
    document = json.loads(said.out, parse_float=Decimal)
    assert document["rows"] == [["f", None, Decimal("-1.50")], ["m", 726, None]]
    assert document["suppressed"] == [[0, "count"]]


@pytest.mark.parametrize("ending", ["csv", "json", "arrow", "parquet"])
def test_files(result, tmp_path, ending):
    path = tmp_path / f"answer.{ending}"
    check_out(path)
    path.touch(mode=0o644)
    write_result(result, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    if ending == "csv":
        with path.open(newline="") as stream:
            assert list(csv.reader(stream)) == [
                ["sex", "count", "sum_st", "suppressed"],
                ["f", "", "-1.50", "count"],
                ["m", "726", "", ""],
            ]
    elif ending == "json":
        assert json.loads(path.read_text())["columns"] == ["sex", "count", "sum_st"]
    elif ending == "arrow":
        assert Result.load(path).to_document() == result.to_document()
    else:
        assert pa.parquet.read_table(path).equals(result.to_arrow())


def test_no_two_columns_of_a_csv_file_have_one_name(result, tmp_path):
    table = result.to_arrow().rename_columns(["sex", "Suppressed", "suppressed_"])
    path = tmp_path / "answer.csv"
    write_result(Result.of(table, msgspec.structs.replace(result._labels, suppressed=())), path)
    assert path.read_text().splitlines()[0] == "sex,Suppressed,suppressed_,suppressed__"


def test_file_that_cannot_be_written_is_said(result, tmp_path):
    for bad in (tmp_path / "answer", tmp_path / "none" / "answer.csv"):
        with pytest.raises(InvalidInput) as caught:
            check_out(bad)
        assert caught.value.code == "bad_out"
    for ending in ("csv", "json", "arrow", "parquet"):
        (tmp_path / f"folder.{ending}").mkdir()
        with pytest.raises(InvalidInput, match="folder") as caught:
            write_result(result, tmp_path / f"folder.{ending}")
        assert caught.value.code == "bad_file"


def test_progress_is_plain_lines_when_not_a_terminal(capsys):
    with Live() as live:
        for text in ("job ab", "sealing 0/4", "sealing 0/4", "sealing 1/4"):
            live(Progress(step="sealing", text=text, job_id="ab"))
        live(Progress(step="notice", text="no job in this one"))
    said = capsys.readouterr()
    assert said.out == ""
    assert [line.split("] ")[1] for line in said.err.splitlines()] == [
        "job ab",
        "sealing 0/4",
        "sealing 1/4",
        "no job in this one",
    ]
    assert live.job_id == "ab"


def test_quiet_progress_says_nothing_and_remembers_the_job(capsys):
    with Live(quiet=True) as live:
        live(Progress(step="submitted", text="job ab", job_id="ab"))
    assert capsys.readouterr() == ("", "")
    assert live.job_id == "ab"
