"""The analyst's half: answers from sums, with what was suppressed, and the demonstration's questions."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from importlib.resources import files
from pathlib import Path

import msgspec
import pyarrow as pa
import pytest

from kapok.computations.query.analyst import Answer, AnswerColumn, answer
from kapok.computations.query.reading import read_question
from kapok.documents.dataset import Column, Dataset
from kapok.errors import PeerProtocolError

Ask = Callable[..., Answer]
HEART = Path(str(files("kapok.demo").joinpath("heart")))

WIDE = Dataset(
    name="wide",
    rows_max=10**6,
    empty_cells="show",
    columns=(
        Column(name="ok", type="boolean", nullable=True),
        Column(name="n", type="integer", minimum=-(10**17), maximum=10**17, unit="units"),
        Column(name="d", type="decimal", minimum="-1000", maximum="1000", resolution="0.001"),
        Column(name="s", type="integer", minimum=-5, maximum=5, nullable=True),
    ),
)


def read(sql: str, words: list[int], dataset: Dataset = WIDE) -> Answer:
    return answer(read_question(sql, dataset), dataset, words)


def test_the_hospitals_together(ask: Ask) -> None:
    rows = [
        line.split(",")
        for name in ("cleveland", "hungarian", "switzerland", "va")
        for line in (HEART / f"processed.{name}.data").read_text().splitlines()
    ]
    ages = [int(float(row[0])) for row in rows]
    peaks = [Decimal(row[9]) for row in rows if row[9] != "?"]
    whole = ask("SELECT COUNT(*), AVG(age), SUM(oldpeak), COUNT(oldpeak), AVG(oldpeak) FROM heart")
    assert len(rows) == 920
    assert whole.rows == ((920, sum(ages) / 920, sum(peaks), len(peaks), float(sum(peaks) / len(peaks))),)
    assert not whole.suppressed


def test_known_vessels_of_three_hospitals_are_too_few(ask: Ask) -> None:
    # 299, 3, 5 and 2 known values.
    found = ask("SELECT COUNT(*), AVG(ca), COUNT(ca) FROM heart", min_cell=5)
    assert found.rows == ((920, None, None),)
    assert found.suppressed == ((0, "avg_ca"), (0, "count_ca"))
    shown = ask("SELECT COUNT(ca) FROM heart", min_cell=2)
    assert shown.rows == ((309,),)
    assert not shown.suppressed
    assert ask("SELECT COUNT(ca) FROM heart", min_cell=3).suppressed == ((0, "count_ca"),)


def test_a_group_that_one_hospital_hardly_has_is_suppressed(ask: Ask) -> None:
    # Long Beach has six women.
    sql = "SELECT sex, COUNT(*), AVG(age) FROM heart GROUP BY sex"
    found = ask(sql, min_cell=7)
    # The other sex goes with them: all patients less the men are the women.
    assert found.rows == ((0, None, None), (1, None, None))
    assert found.suppressed == tuple((row, name) for row in (0, 1) for name in ("count", "avg_age"))
    assert ask(sql, min_cell=6).rows[0][:2] == (0, 194)


def test_a_filter_that_keeps_too_few_rows_of_one_hospital_suppresses_all(ask: Ask, heart: Dataset) -> None:
    sql = "SELECT sex, COUNT(*) FROM heart WHERE chol > 0 GROUP BY sex"
    # No Swiss row has a measured cholesterol.
    assert ask(sql, min_rows=1, min_cell=0).suppressed == ((0, "count"), (1, "count"))
    showing = msgspec.structs.replace(heart, empty_cells="show")
    assert not ask(sql, min_rows=0, min_cell=5, dataset=showing).suppressed


def test_any_flag_hides_the_cell_whatever_its_words() -> None:
    found = read("SELECT COUNT(*), SUM(n), AVG(s) FROM wide", [2**70, 1, 4, -40, 0, 10**30, -(10**30), 2**60])
    assert found.rows == ((None, Decimal(-40), None),)
    assert found.suppressed == ((0, "count"), (0, "avg_s"))


def test_null_of_no_known_values_is_not_suppressed() -> None:
    found = read("SELECT COUNT(*), COUNT(s), SUM(s), AVG(s) FROM wide", [7, 0, 0, 0, 0])
    assert found.rows == ((7, 0, None, None),)
    assert found.suppressed == ()


def test_empty_groups_are_left_out_but_a_single_line_stays() -> None:
    found = read(
        "SELECT ok, COUNT(*), SUM(s) FROM wide GROUP BY ok", [0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 9, 5, 0, 0, 0]
    )
    assert found.rows == ((True, 3, None), (None, None, None))
    assert found.suppressed == ((1, "count"),)
    assert read("SELECT COUNT(*), SUM(s) FROM wide", [0, 0, 0, 0, 0]).rows == ((0, None),)


def test_averages_are_rounded_once() -> None:
    total, count = 123_456_789_012_345_678_901, 3_000_007
    found = read("SELECT AVG(n), SUM(n) FROM wide", [count, total, 0])
    assert found.rows == ((float(Fraction(total, count)), Decimal(total)),)
    # 0.007 / 3 in thousandths: dividing twice would be off by a unit in the last place now and then.
    for thousandths in range(1, 2000, 7):
        row = read("SELECT AVG(d) FROM wide", [3, thousandths, 0]).rows[0]
        assert row == (float(Fraction(thousandths, 3000)),)


def test_sums_of_decimals_are_exact() -> None:
    found = read("SELECT SUM(d) FROM wide", [10, -2_600, 0])
    assert found.rows == ((Decimal("-2.600"),),)
    assert str(found.rows[0][0]) == "-2.600"


def test_becomes_an_arrow_table() -> None:
    found = read(
        "SELECT ok, COUNT(*) AS rows_kept, SUM(n), SUM(s), SUM(d), AVG(d) FROM wide GROUP BY ok",
        [2, 0, 2, 3, 0, 2, 4, 0, 2, -5, 0] + [9, 7, 9, 9, 9, 9, 9, 9, 2, 500, 0] + [0] * 11,
    )
    table = found.to_arrow()
    assert table.schema.types == [
        pa.bool_(),
        pa.int64(),
        pa.decimal128(38, 0),
        pa.int64(),
        pa.decimal128(38, 3),
        pa.float64(),
    ]
    assert table.to_pylist() == [
        {"ok": False, "rows_kept": 2, "sum_n": 3, "sum_s": 4, "sum_d": Decimal("-0.005"), "avg_d": -0.0025},
        {"ok": True, "rows_kept": None, "sum_n": None, "sum_s": None, "sum_d": Decimal("0.5"), "avg_d": 0.25},
    ]
    labels = json.loads(table.schema.metadata[b"kapok.suppressed"])
    assert labels == [[1, "rows_kept"], [1, "sum_n"], [1, "sum_s"]]
    assert table.schema.field("sum_n").metadata == {
        b"kapok.kind": b"sum",
        b"kapok.column": b"n",
        b"kapok.unit": b"units",
    }
    assert found.to_dicts()[0]["rows_kept"] == 2


def test_an_answer_without_rows_becomes_an_arrow_table() -> None:
    table = read("SELECT ok, COUNT(*) FROM wide GROUP BY ok", [0] * 6).to_arrow()
    assert table.num_rows == 0
    assert table.schema.types == [pa.bool_(), pa.int64()]


def test_floats_reach_arrow_to_the_last_bit() -> None:
    values = [1 / 3, -0.1, 1e-300, 1.7976931348623157e308, 5e-324, 2.0**53 + 2, None]
    column = AnswerColumn("a", "avg", "float64", 0, None, "")
    table = Answer((column,), tuple((value,) for value in values), ()).to_arrow()
    assert table.column("a").to_pylist() == values


def test_texts_are_strings_in_arrow() -> None:
    dataset = Dataset(
        name="d", rows_max=9, columns=(Column(name="w", type="text", domain=("b", "a"), nullable=True),)
    )
    found = read("SELECT COUNT(*), w FROM d GROUP BY w", [1, 0, 2, 0, 3, 0], dataset)
    assert found.to_arrow().column("w").to_pylist() == ["b", "a", None]
    assert found.to_arrow().schema.field("w").type == pa.string()


@pytest.mark.parametrize(
    "words",
    [
        [1, 1],
        [1, 1, 0, 0],
        [-1, 0, 0],
        [256 * 10**6 + 1, 0, 0],
        [1, 6, 0],
        [0, 1, 0],
        [1, 1, -1],
        [1, 1, 256 * 2 ** read_question("SELECT SUM(s) FROM wide", WIDE).random_bits],
    ],
)
def test_sums_that_no_holder_can_have_sent_are_refused(words: list[int]) -> None:
    with pytest.raises(PeerProtocolError) as caught:
        read("SELECT SUM(s) FROM wide", words)
    assert caught.value.code == "impossible_sum"
