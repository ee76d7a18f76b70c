import sys
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from kapok.cli.answers import show_result, write_result
from kapok.client.result import SUPPRESSED_NOTE, Cost, Labels, PartyReport, Result
from kapok.errors import InvalidInput

PARTY = PartyReport("spiffe://t.example/org/<b>va</b>/node/main", "spiffe://t.example/org/va", "v1")


@pytest.fixture
def result() -> Result:
    table = pa.table(
        {
            "<i>sex</i>": pa.array(["f", "m", None]),
            "count": pa.array([None, 726, 3], pa.int64()),
            "sum_x": pa.array([None, Decimal("1.50"), None], pa.decimal128(38, 2)),
        }
    )
    labels = Labels(
        job_id="ab" * 32,
        question="SELECT 1",
        dataset="heart",
        dataset_hash="cd" * 32,
        suppressed=((0, "count"), (0, "sum_x")),
        parties=(PARTY,),
        cost=Cost(seconds=1.5, sealed_bytes=4096, stages={"sealing": 0.5}, bytes_sent=1, bytes_received=2),
    )
    return Result.of(table, labels)


def test_result_tells_values_suppression_and_parties(result):
    assert result.columns == ("<i>sex</i>", "count", "sum_x")
    assert result.rows == [("f", None, None), ("m", 726, Decimal("1.50")), (None, 3, None)]
    assert result.suppressed == {(0, "count"), (0, "sum_x")}
    assert result.parties[0].organisation_name == "va"
    assert (result.seconds, result.bytes) == (1.5, 4096)
    assert [result.is_number(name) for name in result.columns] == [False, True, True]


def test_result_prints_as_a_table_and_says_in_short_what_it_is(result):
    assert str(result).splitlines() == [
        "<i>sex</i>       count       sum_x",
        "         f  suppressed  suppressed",
        "         m         726        1.50",
        "                     3            ",
    ]
    assert repr(result) == "<Result of job abababababab: 3 rows of <i>sex</i>, count, sum_x>"


def test_rows_of_which_having_cannot_be_told_are_named(result, capsys, tmp_path):
    assert result.undecided == frozenset()
    table = result.to_arrow().replace_schema_metadata({"kapok.undecided": "[0]"})
    doubtful = Result.of(table, result._labels)
    assert doubtful.undecided == {0}
    assert doubtful.to_document()["undecided"] == [0]
    assert "undecided: HAVING" in doubtful._repr_html_()
    show_result(doubtful, json=False, written=None)
    assert "these rows stay in any case: 1" in capsys.readouterr().out
    write_result(doubtful, tmp_path / "answer.csv")
    assert (tmp_path / "answer.csv").read_text().splitlines()[1] == "f,,,count sum_x HAVING"
    doubtful.save(tmp_path / "answer.arrow")
    assert Result.load(tmp_path / "answer.arrow").undecided == {0}


@pytest.mark.parametrize("named", [Path, str])
def test_file_is_the_whole_result(result, tmp_path, named):
    path = tmp_path / "one.arrow"
    result.save(named(path))
    again = Result.load(named(path))
    assert again.to_document() == result.to_document()
    assert again.to_arrow().equals(result.to_arrow())
    assert path.stat().st_mode & 0o077 == 0


def test_file_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "x.arrow"
    path.write_bytes(b"nonsense")
    with pytest.raises(InvalidInput) as caught:
        Result.load(path)
    assert caught.value.code == "bad_result_file"


def test_document_has_all_digits(result):
    import msgspec

    text = msgspec.json.Encoder(decimal_format="number").encode(result.to_document()).decode()
    assert '"rows":[["f",null,null],["m",726,1.50],[null,3,null]]' in text
    assert '"suppressed":[[0,"count"],[0,"sum_x"]]' in text


def test_notebook_table_is_escaped(result):
    html = result._repr_html_()
    assert "<i>sex</i>" not in html
    assert "<b>va</b>" not in html
    assert "&lt;i&gt;sex&lt;/i&gt;" in html
    assert html.count("<i>suppressed</i>") == 2
    assert html.count(SUPPRESSED_NOTE) == 1
    assert "nobody" not in html
    assert "1.50" in html


def test_data_frame_names_suppressed_cells(result):
    frame = result.to_pandas()
    assert list(frame.columns) == list(result.columns)
    assert frame.attrs["suppressed"] == [[0, "count"], [0, "sum_x"]]
    assert frame["count"].isna().tolist() == [True, False, False]
    assert str(frame["count"].dtype) == "Int64"


def test_without_pandas_it_says_what_to_install(result, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InvalidInput, match="pandas is not installed") as caught:
        result.to_pandas()
    assert caught.value.code == "no_pandas"
    assert "kapok[pandas]" in caught.value.remedy
