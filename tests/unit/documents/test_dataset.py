"""Datasets: what a schema may say, and the numbers that follow from it."""

from __future__ import annotations

import csv
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kapok.documents.dataset import Column, Dataset
from kapok.errors import InvalidInput, NotFound

HEART = Path(str(files("kapok.demo").joinpath("heart")))


def column(**changes: Any) -> Column:
    return Column(**{"name": "x", "type": "integer", "minimum": 0, "maximum": 9} | changes)


def dataset(*columns: Column, **changes: Any) -> Dataset:
    return Dataset(**{"name": "d", "columns": columns or (column(),), "rows_max": 10} | changes)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": "X"}, "name of a column"),
        ({"name": "x y"}, "name of a column"),
        ({"name": "naïve"}, "name of a column"),
        ({"name": ""}, "name of a column"),
        ({"type": "day"}, "unknown type"),
        ({"type": "date"}, "number as a bound"),
        ({"type": "timestamp"}, "number as a bound"),
        ({"type": "date", "minimum": None}, "lacks bounds"),
        ({"type": "date", "maximum": None}, "lacks bounds"),
        ({"minimum": None}, "lacks bounds"),
        ({"maximum": None}, "lacks bounds"),
        ({"minimum": 10}, "above its maximum"),
        ({"minimum": "low"}, "not a number"),
        ({"minimum": True}, "not a number"),
        ({"minimum": "0.5"}, "between two steps"),
        ({"maximum": 10**18}, "too wide"),
        ({"maximum": 16**5000}, "too wide"),
        ({"minimum": -(16**5000)}, "too wide"),
        ({"resolution": "0.1"}, "not decimal"),
        ({"domain": (1, 2)}, "bounds and a domain"),
        ({"type": "decimal"}, "needs a resolution"),
        ({"type": "decimal", "resolution": "0.2"}, "needs a resolution"),
        ({"type": "decimal", "resolution": "10"}, "needs a resolution"),
        ({"type": "decimal", "resolution": "0.1", "maximum": "9.05"}, "between two steps"),
        ({"type": "text"}, "has bounds"),
        ({"type": "boolean"}, "has bounds"),
        ({"description": "a\x1b[2Jb"}, "control characters"),
        ({"unit": "\u202e"}, "control characters"),
    ],
)
def test_refuses_a_column(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInput, match=says) as caught:
        column(**changes)
    assert caught.value.code == "bad_dataset"
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"type": "text"}, "lacks a domain"),
        ({"type": "text", "domain": ()}, "empty or too long"),
        ({"type": "text", "domain": ("a", "a")}, "twice"),
        ({"type": "text", "domain": ("a", 1)}, "not of texts"),
        ({"type": "text", "domain": ("",)}, "a text that is empty"),
        ({"type": "text", "domain": ("x" * 201,)}, "a text of more than 200"),
        ({"type": "text", "domain": ("a\u200b",)}, "invisible"),
        ({"type": "text", "domain": ("e\u0301",)}, "decomposed"),
        ({"type": "integer", "domain": ("a",)}, "not of integers"),
        ({"type": "integer", "domain": (True, False)}, "not of integers"),
        ({"type": "boolean", "domain": (0, 1)}, "leave the domain out|is boolean"),
        ({"type": "decimal", "resolution": "0.1", "domain": (1,)}, "has a domain"),
        ({"type": "date", "domain": ("2013-01-01",)}, "has a domain"),
        ({"type": "timestamp", "domain": ("2013-01-01T00:00:00",)}, "has a domain"),
    ],
)
def test_refuses_a_domain(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        column(minimum=None, maximum=None, **changes)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": "D"}, "name of a dataset"),
        ({"columns": ()}, "no columns"),
        ({"columns": (column(), column())}, "two columns called x"),
        ({"rows_max": 0}, "rows_max"),
        ({"rows_max": True}, "rows_max"),
        ({"empty_cells": "perhaps"}, "empty_cells"),
        ({"description": "x" * 5000}, "too long"),
    ],
)
def test_refuses_a_dataset(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInput, match=says) as caught:
        dataset(**changes)
    assert caught.value.code == "bad_dataset"


def test_refuses_a_dataset_of_more_than_a_mebibyte() -> None:
    long = column(type="text", minimum=None, maximum=None, domain=tuple(f"{n:0>150}" for n in range(9000)))
    with pytest.raises(InvalidInput, match="too large"):
        dataset(long)


def test_a_bound_counts_in_steps_of_the_resolution() -> None:
    tenths = column(type="decimal", resolution="0.1", minimum="-2.6", maximum=7)
    assert tenths.step_bounds == (-26, 70)
    assert tenths.decimals == 1
    assert column(type="decimal", resolution="1", minimum="-0.0", maximum="3.0").step_bounds == (0, 3)
    assert column(minimum=None, maximum=None, domain=(7, -3, 6)).step_bounds == (-3, 7)
    assert column(type="boolean", minimum=None, maximum=None).step_bounds == (0, 1)


def test_small_negative_bounds_keep_their_sign() -> None:
    assert column(type="decimal", resolution="0.01", minimum="-0.05", maximum=0).step_bounds == (-5, 0)


@pytest.mark.parametrize(
    ("kind", "minimum", "maximum", "steps"),
    [
        ("date", "1970-01-01", "2013-01-31", (0, 15_736)),
        ("date", "0001-01-01", "9999-12-31", (-719_162, 2_932_896)),
        ("timestamp", "1969-12-31T23:59:59", "1970-01-02T00:00:01", (-1, 86_401)),
        ("timestamp", "0001-01-01T00:00:00", "9999-12-31T23:59:59", (-62_135_596_800, 253_402_300_799)),
    ],
)
def test_a_date_counts_in_days_and_a_timestamp_in_seconds(
    kind: str, minimum: str, maximum: str, steps: tuple[int, int]
) -> None:
    made = column(type=kind, minimum=minimum, maximum=maximum)
    assert made.step_bounds == steps
    assert made.groups is None
    assert made.decimals == 0


DAY, SECOND = "2013-06-01", "2013-06-01T05:00:00"


@pytest.mark.parametrize(
    ("kind", "minimum", "maximum", "says", "remedy"),
    [
        ("date", "2013-06-02", DAY, "above its maximum", "swap"),
        ("timestamp", "2013-06-01T05:00:01", SECOND, "above its maximum", "swap"),
        ("date", "1.6.2013", DAY, "not written as one", "2013-01-31"),
        ("date", "20130601", DAY, "not written as one", "2013-01-31"),
        ("date", "2013-W22-6", DAY, "not written as one", "2013-01-31"),
        ("date", "", DAY, "not written as one", "2013-01-31"),
        ("date", "２０１３-06-01", DAY, "not written as one", "2013-01-31"),
        ("date", SECOND, DAY, "not written as one", "2013-01-31"),
        ("date", "2013-02-29", DAY, "no calendar has", "2013-01-31"),
        ("date", "0000-01-01", DAY, "no calendar has", "2013-01-31"),
        ("timestamp", DAY, SECOND, "not written as one", "T05:00:00"),
        ("timestamp", "2013-06-01 05:00:00", SECOND, "not written as one", "T05:00:00"),
        ("timestamp", "2013-06-01T05:00", SECOND, "not written as one", "T05:00:00"),
        ("timestamp", "2013-06-01T24:00:00", SECOND, "no calendar and clock have", "T05:00:00"),
        ("timestamp", "2013-06-01T05:00:60", SECOND, "no calendar and clock have", "T05:00:00"),
        ("timestamp", "2013-06-01T05:00:00Z", SECOND, "time zone", "in UTC and without the zone"),
        ("timestamp", "2013-06-01T05:00:00+02:00", SECOND, "time zone", "in UTC and without the zone"),
        ("timestamp", "2013-06-01T05:00:00.5+02:00", SECOND, "time zone", "in UTC and without the zone"),
        ("timestamp", "2013-06-01T05:00:00.5", SECOND, "between two seconds", "T05:00:00"),
        ("timestamp", "2013-06-01T05:00:00.000", SECOND, "between two seconds", "T05:00:00"),
    ],
)
def test_refuses_a_bound_that_is_not_in_the_one_form(
    kind: str, minimum: str, maximum: str, says: str, remedy: str
) -> None:
    with pytest.raises(InvalidInput, match=says) as caught:
        column(type=kind, minimum=minimum, maximum=maximum)
    assert caught.value.code == "bad_dataset"
    assert remedy in (caught.value.remedy or "")
    assert caught.value.message.startswith("column x ")


@pytest.mark.parametrize("written", ['"{}"', "{}"])
def test_a_file_may_write_dates_plainly(tmp_path: Path, written: str) -> None:
    path = tmp_path / "d.toml"
    day, second = (written.format(one) for one in ("2013-01-31", "2013-01-31T05:00:00"))
    path.write_text(
        'name = "d"\nrows_max = 1\n'
        f'[[columns]]\nname = "x"\ntype = "date"\nminimum = {day}\nmaximum = {day}\n'
        f'[[columns]]\nname = "y"\ntype = "timestamp"\nminimum = {second}\nmaximum = {second}\n'
    )
    made = Dataset.from_toml(path)
    assert made.column("x").minimum == "2013-01-31"
    assert made.column("y").minimum == "2013-01-31T05:00:00"
    assert Dataset.from_payload(made.to_payload()) == made


@pytest.mark.parametrize(
    ("bound", "says"),
    [
        ("2013-01-31T05:00:00Z", "time zone"),
        ("2013-01-31T05:00:00.25", "between two seconds"),
        ("2013-01-31", "not written as one"),
        ("05:00:00", "not written as one"),
        ("true", "got `bool`"),
    ],
)
def test_refuses_another_of_tomls_own_dates(tmp_path: Path, bound: str, says: str) -> None:
    path = tmp_path / "d.toml"
    path.write_text(
        'name = "d"\nrows_max = 1\n[[columns]]\nname = "y"\ntype = "timestamp"\n'
        f"minimum = {bound}\nmaximum = 2013-01-31T05:00:00\n"
    )
    with pytest.raises(InvalidInput) as caught:
        Dataset.from_toml(path)
    assert says in caught.value.message
    assert "d.toml" in caught.value.message


def test_the_hash_of_an_older_schema_stays() -> None:
    payload = Dataset.from_toml(HEART / "heart.toml").to_payload()
    assert sha256(payload).hexdigest() == "a7ae20bad10f860074de5897b3214211b30681f04762794915ca51d62738891d"


def test_groups_end_with_null_where_a_row_may_lack_the_value() -> None:
    assert column().groups is None
    assert column(minimum=None, maximum=None, domain=(2, 1)).groups == (2, 1)
    assert column(minimum=None, maximum=None, domain=(2, 1), nullable=True).groups == (2, 1, None)
    assert column(type="boolean", minimum=None, maximum=None, nullable=True).groups == (False, True, None)


def test_the_payload_is_the_one_written_form() -> None:
    made = Dataset.from_toml(HEART / "heart.toml")
    payload = made.to_payload()
    assert Dataset.from_payload(payload) == made
    loose = msgspec.json.encode(dict(reversed(msgspec.json.decode(payload).items())))
    for other in (
        loose,
        payload + b" ",
        payload.replace(b'"rows_max":1000', b'"rows_max":1000,"empty_cells":"hide"'),
    ):
        with pytest.raises(InvalidInput, match="one written form"):
            Dataset.from_payload(other)


@pytest.mark.parametrize(
    "payload",
    [b"", b"\xff", b"[]", b"{}", b'{"name":"d","columns":[],"rows_max":1}', b"[" * 100_000, b"x" * 2**21],
)
def test_refuses_what_is_no_dataset(payload: bytes) -> None:
    with pytest.raises(InvalidInput) as caught:
        Dataset.from_payload(payload)
    assert caught.value.code == "bad_dataset"


def test_refuses_unknown_keys(tmp_path: Path) -> None:
    path = tmp_path / "d.toml"
    path.write_text('name = "d"\nrows_max = 1\n[[columns]]\nname = "x"\ntype = "boolean"\ndomian = [1]\n')
    with pytest.raises(InvalidInput, match="domian") as caught:
        Dataset.from_toml(path)
    assert "d.toml" in caught.value.message


def test_a_file_may_write_numbers_plainly(tmp_path: Path) -> None:
    path = tmp_path / "d.toml"
    path.write_text(
        'name = "d"\nrows_max = 1\n[[columns]]\nname = "x"\ntype = "decimal"\n'
        "minimum = -2.6\nmaximum = 7\nresolution = 0.1\n"
    )
    assert Dataset.from_toml(path).column("x").step_bounds == (-26, 70)


@pytest.mark.parametrize("text", ["name = ", "rows_max = 1", 'name = "D"', "\udcff"])
def test_refuses_a_bad_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(InvalidInput, match=r"bad\.toml") as caught:
        Dataset.from_toml(path)
    assert caught.value.code == "bad_dataset"


@pytest.mark.parametrize("number", ["9" * 5000, "0x" + "f" * 5000, "-" + "9" * 5000])
@pytest.mark.parametrize("key", ["maximum", "rows_max", "domain"])
def test_refuses_a_number_of_thousands_of_digits(tmp_path: Path, number: str, key: str) -> None:
    parts = {"rows_max": "10", "minimum": "0", "maximum": "9"}
    if key == "domain":
        del parts["minimum"], parts["maximum"]
    parts[key] = f"[{number}]" if key == "domain" else number
    rows_max = parts.pop("rows_max")
    path = tmp_path / "long.toml"
    column_text = "".join(f"{name} = {value}\n" for name, value in parts.items())
    path.write_text(
        f'name = "d"\nrows_max = {rows_max}\n[[columns]]\nname = "x"\ntype = "integer"\n{column_text}'
    )
    with pytest.raises(InvalidInput, match=r"long\.toml") as caught:
        Dataset.from_toml(path)
    assert caught.value.code == "bad_dataset"
    assert len(caught.value.message) < 500


def test_bounds_and_domain_are_worked_out_once() -> None:
    made = column(minimum=None, maximum=None, domain=tuple(range(10_000)))
    assert made.step_bounds is made.step_bounds
    assert made.known is made.known
    assert len(made.known) == 10_000


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"none\.toml"):
        Dataset.from_toml(tmp_path / "none.toml")


def test_an_unknown_column_is_told_with_near_names() -> None:
    with pytest.raises(InvalidInput) as caught:
        Dataset.from_toml(HEART / "heart.toml").column("trestbp")
    assert caught.value.code == "unknown_column"
    assert "trestbps" in (caught.value.remedy or "")


def test_an_unknown_column_like_no_other_is_told_with_all_of_them() -> None:
    with pytest.raises(InvalidInput) as caught:
        Dataset.from_toml(HEART / "heart.toml").column("nope")
    assert "did you mean" not in (caught.value.remedy or "")
    assert "age, sex, cp" in (caught.value.remedy or "")


@pytest.mark.parametrize("hospital", ["cleveland", "hungarian", "switzerland", "va"])
def test_the_demonstration_files_keep_to_their_schema(hospital: str) -> None:
    heart = Dataset.from_toml(HEART / "heart.toml")
    rows = list(csv.reader((HEART / f"processed.{hospital}.data").read_text().splitlines()))
    assert 0 < len(rows) <= heart.rows_max
    for row in rows:
        for spec, text in zip(heart.columns, row, strict=True):
            if text == "?":
                assert spec.nullable, spec.name
                continue
            steps = float(text) * 10**spec.decimals
            assert abs(steps - round(steps)) < 1e-9, spec.name
            assert spec.step_bounds[0] <= round(steps) <= spec.step_bounds[1], spec.name
            assert spec.domain is None or round(steps) in spec.domain, spec.name
