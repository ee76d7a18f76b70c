"""Drafts of schemas: what is proposed for which cells, and what a draft never tells."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib.resources import files
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kapok.documents.columns import LARGEST_STEPS
from kapok.documents.dataset import Column, Dataset
from kapok.nodes.drafting import Draft, draft
from kapok.nodes.drafting.round import decades, rounded, rounded_up
from kapok.nodes.settings import CsvSource, EngineLimits, ParquetSource
from kapok.nodes.sources import Table
from kapok.nodes.sources.version import VersionKey

HEART = Path(str(files("kapok.demo").joinpath("heart")))
HEART_COLUMNS = tuple(one.name for one in Dataset.from_toml(HEART / "heart.toml").columns)


def problems(source: CsvSource | ParquetSource, dataset: Dataset) -> list[str]:
    table = Table(dataset, source, EngineLimits(threads=1), VersionKey(b"k" * 32))
    return [problem.what for problem in table.check().problems]


def parsed(made: Draft, folder: Path) -> Dataset:
    """What `kapok dataset publish` reads of the text."""
    path = folder / "draft.toml"
    path.write_text(made.text, encoding="utf-8")
    return Dataset.from_toml(path)


def of_csv(folder: Path, name: str, cells: Sequence[object], **options: object) -> Draft:
    path = folder / "table.csv"
    path.write_text("\n".join([f"{name},n", *(f"{cell},1" for cell in cells)]) + "\n", encoding="utf-8")
    return draft(path, **options)  # type: ignore[arg-type]


def of_parquet(folder: Path, values: Sequence[object], kind: pa.DataType) -> Draft:
    path = folder / "table.parquet"
    pq.write_table(pa.table({"x": pa.array(values, kind), "n": [1] * len(values)}), path)
    made = draft(path)
    assert parsed(made, folder) == made.dataset
    assert problems(ParquetSource(path=path), made.dataset) == []
    return made


def column(made: Draft, name: str = "x") -> Column | None:
    return next((one for one in made.dataset.columns if one.name == name), None)


@pytest.mark.parametrize("hospital", ["cleveland", "hungarian", "switzerland", "va"])
def test_the_heart_files_fit_their_drafts_but_for_rare_values(tmp_path, hospital):
    path = HEART / f"processed.{hospital}.data"
    made = draft(path, columns=HEART_COLUMNS, name="heart")
    assert parsed(made, tmp_path) == made.dataset
    agreed = Dataset.from_toml(HEART / "heart.toml")
    for one in made.dataset.columns:
        of_agreed = agreed.column(one.name)
        assert (one.type, one.resolution) == (of_agreed.type, of_agreed.resolution)
        if one.domain is not None and of_agreed.domain is not None:
            assert set(one.domain) <= set(of_agreed.domain)
    source = CsvSource(path=path, header=False, columns=HEART_COLUMNS, null="?")
    for problem in problems(source, made.dataset):
        name = problem.removeprefix("column ").partition(":")[0]
        assert "outside the domain" in problem
        before = made.text.split(f'[[columns]]\nname = "{name}"')[0].rstrip().splitlines()[-1]
        assert "left out that fewer than 5 rows have" in before
    assert '# null = "?"' in made.text
    assert "# header = false" in made.text


def test_a_generated_table_of_every_type_fits_its_draft(tmp_path):
    lines = ["day,seen,code,dose,age,ill,zip,free"]
    start = datetime(2013, 2, 3, 4, 5, 6)
    for row in range(200):
        at = start + timedelta(hours=7 * row)
        free = f"patient {row} of ward 3"
        lines.append(
            f"{at.date()},{at.isoformat()}Z,{'ABC'[row % 3]},{row * 0.25},{20 + row % 61},"
            f"{'NA' if row == 7 else 'true'},{row % 2:03},{free}"
        )
    path = tmp_path / "ward.csv"
    path.write_text("\n".join(lines) + "\n")
    made = draft(path)
    assert parsed(made, tmp_path) == made.dataset
    assert problems(CsvSource(path=path, null="NA"), made.dataset) == []
    assert made.dataset == Dataset(
        name="ward",
        rows_max=200,
        columns=(
            Column(name="day", type="date", minimum="2010-01-01", maximum="2019-12-31"),
            Column(
                name="seen", type="timestamp", minimum="2010-01-01T00:00:00", maximum="2019-12-31T23:59:59"
            ),
            Column(name="code", type="text", domain=("A", "B", "C")),
            Column(name="dose", type="decimal", minimum=0, maximum=50, resolution="0.01"),
            Column(name="age", type="integer", minimum=0, maximum=100),
            Column(name="ill", type="boolean", nullable=True),
            Column(name="zip", type="text", domain=("000", "001")),
        ),
    )
    assert made.left_out == ("free",)
    assert "patient" not in made.text
    assert '# null = ["", "NA"]' in made.text or '# null = "NA"' in made.text


@pytest.mark.parametrize(
    ("cells", "made"),
    [
        ([28, 77] + [40] * 5 + list(range(30, 60)), ("integer", 0, 100)),
        ([-26, 62, *range(30)], ("integer", -50, 100)),
        (list(range(2001, 2040)), ("integer", 2000, 5000)),
        (list(range(-300, -270)), ("integer", -500, -200)),
        ([0] * 4 + ["0.0"], ("integer", [0])),
        ([1.5, 2.25, -0.125, 3, 4], ("decimal", "-0.2", 5)),
        (["0.0300", ".07", "1.", "0", "0"], ("decimal", 0, 1)),
        (["1e3", "2e3", "5", "6", "7"], None),
        ([2] * 6 + [1] * 6, ("integer", [1, 2])),
        ([2] * 90 + [1] * 5 + [7] * 4, ("integer", [1, 2])),
        (list(range(12)), ("integer", 0, 20)),
        (["t", "F", "true", "FALSE", "t"], ("boolean",)),
        (["yes"] * 6 + ["no"] * 7, ("text", ["no", "yes"])),
        (["007"] * 6 + ["008"] * 7, ("text", ["007", "008"])),
        (["a"] * 9 + ["rare"] * 4, ("text", ["a"])),
        (["a"] * 4 + ["b"] * 4, None),
        ([f"t{n}" for n in range(1001)] * 5, None),
        (
            ["1999-12-31", "2000-01-01", "2003-02-28", "2003-02-28 00:00:00", "2001-01-01T00:00Z"],
            ("date", "1990-01-01", "2009-12-31"),
        ),
        (
            ["1999-12-31"] * 4 + ["2010-01-01 10:00"],
            ("timestamp", "1990-01-01T00:00:00", "2019-12-31T23:59:59"),
        ),
        (["31.12.1999"] * 9, None),
        (["1999-12-31T10:00:00.5"] * 9, None),
        (["1999-12-31"] * 9 + ["later"], None),
        ([1] * 9 + ["many"], None),
        (["9" * 19] * 9, None),
        (["0.0000000001"] * 9, None),
        ([""] * 9, None),
        ([1, 2, 3, 4, "", ""], None),
    ],
)
def test_what_is_proposed_for_which_cells(tmp_path, cells, made):
    found = of_csv(tmp_path, "x", cells)
    got = column(found)
    if made is None:
        assert got is None
        assert found.left_out == ("x",)
        return
    assert got is not None
    kind, *values = made
    assert got.type == kind
    if values and isinstance(values[0], list):
        assert list(got.domain or ()) == values[0]
    elif values:
        assert [got.minimum, got.maximum] == values
    assert parsed(found, tmp_path) == found.dataset
    faults = problems(CsvSource(path=tmp_path / "table.csv"), found.dataset)
    assert all("outside the domain" in fault for fault in faults)
    assert bool(faults) == ("left out that fewer than 5 rows have" in found.text)


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([1.0, 2.0, None] * 9, pa.float64(), Column(name="x", type="integer", nullable=True, domain=(1, 2))),
        (
            [0.1 * n for n in range(30)][:3] + [0.5 + n for n in range(20)],
            pa.float64(),
            Column(name="x", type="decimal", minimum=0, maximum=20, resolution="0.1"),
        ),
        (
            [Decimal("1.50"), Decimal("-2.25")] * 3,
            pa.decimal128(20, 4),
            Column(name="x", type="decimal", minimum=-5, maximum=2, resolution="0.01"),
        ),
        ([True, False, None] * 3, pa.bool_(), Column(name="x", type="boolean", nullable=True)),
        (
            [date(1931, 5, 6)] * 5,
            pa.date32(),
            Column(name="x", type="date", minimum="1930-01-01", maximum="1939-12-31"),
        ),
        (
            [datetime(2013, 5, 6, tzinfo=UTC)] * 5,
            pa.timestamp("ns", "UTC"),
            Column(name="x", type="date", minimum="2010-01-01", maximum="2019-12-31"),
        ),
        (
            [datetime(2013, 5, 6, 7)] * 5,
            pa.timestamp("ms"),
            Column(name="x", type="timestamp", minimum="2010-01-01T00:00:00", maximum="2019-12-31T23:59:59"),
        ),
        (["1", "2"] * 5, pa.string(), Column(name="x", type="integer", domain=(1, 2))),
        (
            ["b", "a"] * 5,
            pa.dictionary(pa.int8(), pa.string()),
            Column(name="x", type="text", domain=("a", "b")),
        ),
        ([2**63] * 5, pa.uint64(), None),
        ([1 / 3] * 5, pa.float64(), None),
        ([float("nan"), *[1.0] * 9], pa.float64(), None),
        ([[1]] * 5, pa.list_(pa.int64()), None),
        ([{"a": 1}] * 5, pa.struct({"a": pa.int64()}), None),
        ([b"a"] * 5, pa.binary(), None),
        ([1] * 5, pa.time64("us"), None),
        ([None] * 5, pa.null(), None),
        ([datetime(2013, 5, 6, 7, 8, 9, 1)] * 5, pa.timestamp("us"), None),
    ],
)
def test_parquets_own_types_are_taken_as_they_are(tmp_path, values, kind, expected):
    assert column(of_parquet(tmp_path, values, kind)) == expected


def test_no_rare_text_and_no_count_of_rows_is_told(tmp_path):
    cells = ["common"] * 300 + ["Zaphod Beeblebrox"] * 4 + ["a\u200bb"] * 5 + ["Slartibartfast"]
    made = of_csv(tmp_path, "x", cells)
    assert "common" in made.text
    for word in ("Zaphod", "Slarti", "b\u200b", "310"):
        assert word not in made.text
    assert "2 values are left out that fewer than 5 rows have" in made.text
    assert "1 text is left out that no domain may have" in made.text


def test_a_line_about_values_says_that_it_is_public_and_to_be_agreed_on(tmp_path):
    lines = draft(HEART / "processed.cleveland.data", columns=HEART_COLUMNS).text.splitlines()
    told = [
        line
        for line in lines
        if line.startswith(("minimum", "maximum", "domain", "resolution", "rows_max", "empty_cells"))
    ]
    assert len(told) > 20
    assert all("# public: " in line and "agree on" in line for line in told)
    assert all("# public: " in line for line in lines if line.startswith("nullable"))
    assert max(map(len, (line for line in lines if not line.startswith("# columns")))) <= 110


def test_words_for_unknown_are_found_where_they_can_be_nothing_else(tmp_path):
    path = tmp_path / "table.csv"
    rows = ["1,NA,x", "2,b,y", "NA,b,", "4,b,x", "?,NA,x", "7,NA,y"] * 5
    path.write_text("\n".join(["n,code,other", *rows]) + "\n")
    made = draft(path)
    assert made.dataset.column("n").nullable
    assert made.dataset.column("code").domain == ("b",)
    assert made.dataset.column("other").nullable
    assert '# null = ["", "?", "NA"]' in made.text
    assert problems(CsvSource(path=path, null=("", "?", "NA")), made.dataset) == []


def test_a_word_among_texts_stays_a_value_and_is_asked_about(tmp_path):
    made = of_csv(tmp_path, "country", ["NA", "DE"] * 6)
    assert made.dataset.column("country").domain == ("DE", "NA")
    assert "# If NA means unknown, draft again with --null." in made.text
    again = of_csv(tmp_path, "country", ["NA", "DE"] * 6, nulls=("NA",))
    assert again.dataset.column("country") == Column(
        name="country", type="text", nullable=True, domain=("DE",)
    )


def test_names_are_made_fit_and_said(tmp_path):
    path = tmp_path / "2013 Flüge.csv"
    path.write_text("Arr Delay;arr_delay;Größe;9th;ORIGIN\n" + "10;20;30;40;50\n" * 5, encoding="utf-8")
    made = draft(path)
    assert made.dataset.name == "c_2013_fluge"
    names = [one.name for one in made.dataset.columns]
    assert names == ["arr_delay_2", "arr_delay", "groe", "c_9th", "origin"]
    assert "# In the file: 'Arr Delay'." in made.text
    assert "# In the file: 'Gr\\xf6\\xdfe'." in made.text
    assert '# rename = {arr_delay_2 = "Arr Delay", groe = "Größe", c_9th = "9th"}' in made.text
    assert '# delimiter = ";"' in made.text
    renamed = {"arr_delay_2": "Arr Delay", "groe": "Größe", "c_9th": "9th"}
    source = CsvSource(path=path, delimiter=";", rename=renamed)
    assert parsed(made, tmp_path) == made.dataset
    assert problems(source, made.dataset) == []


def test_texts_are_written_so_that_toml_reads_them_back(tmp_path):
    path = tmp_path / "table.parquet"
    values = ['say "no"', "back\\slash", "tab?", "# no comment", "\U0001f600", "ünï", "'", "]"] * 5
    pq.write_table(pa.table({"x": values}), path)
    made = draft(path)
    assert set(made.dataset.column("x").domain or ()) == set(values)
    assert parsed(made, tmp_path) == made.dataset


def test_the_number_of_rows_is_rounded_up_or_taken_from_people(tmp_path):
    assert of_csv(tmp_path, "x", [1] * 303).dataset.rows_max == 500
    assert of_csv(tmp_path, "x", [1] * 303, rows_max=303).dataset.rows_max == 303


@given(st.integers(-LARGEST_STEPS, LARGEST_STEPS), st.integers(-LARGEST_STEPS, LARGEST_STEPS))
def test_bounds_are_outside_the_numbers_and_round(one: int, other: int) -> None:
    least, largest = sorted((one, other))
    low, high = rounded(least, largest)
    assert low <= least
    assert largest <= high
    assert low < high
    for bound in (low, high):
        assert bound in (0, LARGEST_STEPS, -LARGEST_STEPS) or str(abs(bound)).rstrip("0") in ("1", "2", "5")


@given(st.integers(1, 10**18))
def test_rounding_up_at_most_multiplies_by_two_and_a_half(number: int) -> None:
    assert number <= rounded_up(number) <= max(number * 5 / 2, 1)


@given(st.integers(1, 9999), st.integers(0, 9998))
def test_decades_hold_both_years(first: int, more: int) -> None:
    last = min(first + more, 9999)
    low, high = decades(first, last)
    assert 1 <= low <= first
    assert last <= high <= 9999
    assert low % 10 == 0 or low == 1
    assert high % 10 == 9
