"""Answers as bars, drawn for real."""

import sys

import pyarrow as pa
import pytest

from kapok.client.result import Cost, Labels, Result
from kapok.errors import InvalidInput


def answer(suppressed=(), **columns) -> Result:
    """An answer; columns whose name ends with _ are groups."""
    fields = [
        pa.field(name, column.type, metadata={"kapok.kind": "group" if name.endswith("_") else "count"})
        for name, column in columns.items()
    ]
    table = pa.Table.from_arrays(list(columns.values()), schema=pa.schema(fields))
    labels = Labels(
        job_id="ab" * 32,
        question="SELECT",
        dataset="heart",
        dataset_hash="cd" * 32,
        suppressed=tuple(suppressed),
        parties=(),
        cost=Cost(seconds=1.0, sealed_bytes=1),
    )
    return Result.of(table, labels)


@pytest.fixture
def by_sex() -> Result:
    return answer(
        suppressed=((1, "avg_age"),),
        sex_=pa.array([0, 1, None]),
        count=pa.array([194, 726, 3]),
        avg_age=pa.array([52.5, None, None]),
    )


def heights(axes) -> list[float]:
    return [bar.get_height() for bars in axes.containers for bar in bars]


def test_bars_are_the_numbers_and_suppressed_cells_are_marked(by_sex):
    axes = by_sex.plot()
    assert heights(axes) == [194, 726, 3, 52.5]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "1", "unknown"]
    assert [text.get_text() for text in axes.texts] == ["suppressed"]
    assert axes.get_xlim()[0] < -0.4 < 2.4 < axes.get_xlim()[1]
    assert axes.texts[0].xy[0] > 1  # in the cluster of sex 1, on the right of the count's bar
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["count", "avg_age"]
    assert axes.get_xlabel() == "sex_"


def test_where_all_is_suppressed_every_mark_is_inside_and_no_height_is_suggested():
    hidden = answer(((0, "n"), (1, "n")), sex_=pa.array([0, 1]), n=pa.array([None, None], pa.int64()))
    axes = hidden.plot()
    low, high = axes.get_xlim()
    assert [low < text.xy[0] < high for text in axes.texts] == [True, True]
    assert axes.get_yticks().tolist() == []


def test_named_columns_alone_are_drawn_on_given_axes(by_sex):
    axes = by_sex.plot()
    axes.clear()
    assert by_sex.plot(["count"], axes=axes) is axes
    assert heights(axes) == [194, 726, 3]
    assert axes.get_ylabel() == "count"
    assert not axes.texts


def test_the_picture_can_be_written(by_sex, tmp_path):
    by_sex.plot().figure.savefig(tmp_path / "bars.svg")
    assert "suppressed" in (tmp_path / "bars.svg").read_text()


@pytest.mark.parametrize(
    ("result", "values"),
    [
        (answer(count=pa.array([920])), None),
        (answer(sex_=pa.array([0, 1])), None),
        (answer(sex_=pa.array([], pa.int64()), count=pa.array([], pa.int64())), None),
        (answer(sex_=pa.array([0]), count=pa.array([1])), ["sum_x"]),
        (answer(sex_=pa.array(["f"]), count=pa.array([1])), ["sex_"]),
        (answer(sex_=pa.array(range(501)), count=pa.array(range(501))), None),
    ],
    ids=["no groups", "no numbers", "no rows", "unknown column", "no number", "too many bars"],
)
def test_what_cannot_be_drawn_is_said(result, values):
    with pytest.raises(InvalidInput) as caught:
        result.plot(values)
    assert caught.value.code == "cannot_plot"
    assert caught.value.remedy


def test_without_matplotlib_it_says_what_to_install(by_sex, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(InvalidInput) as caught:
        by_sex.plot()
    assert caught.value.code == "no_matplotlib"
    assert "kapok[plot]" in caught.value.remedy
