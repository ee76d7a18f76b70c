"""An answer as bars: one group of bars for each group of the answer, suppressed cells marked as such."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from kapok.computations.reports import new_axes
from kapok.errors import InvalidInput

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from kapok.client.result import Result

__all__ = ["plot"]

_WIDTH: Final = 0.8
_MOST_BARS: Final = 500


def plot(result: Result, values: Sequence[str] | None, axes: Axes | None) -> Axes:
    """Draw bars. See `Result.plot`."""
    groups, series = _parts(result, values)
    if len(result.rows) * len(series) > _MOST_BARS:
        raise _cannot(f"it has more than {_MOST_BARS} bars", "ask for fewer groups, or name one column")
    if axes is None:
        axes = new_axes()
    labels = [" · ".join(_text(cell) for cell in _cells(result, row, groups)) for row in result.rows]
    numbers = range(len(labels))
    for place, name in enumerate(series):
        column = result.columns.index(name)
        width = _WIDTH / len(series)
        starts = [number - _WIDTH / 2 + width * (place + 0.5) for number in numbers]
        heights = [row[column] for row in result.rows]
        known = [
            (at, float(height)) for at, height in zip(starts, heights, strict=True) if height is not None
        ]
        axes.bar([at for at, _ in known], [height for _, height in known], width, label=name)
        for number, at in zip(numbers, starts, strict=True):
            if (number, name) in result.suppressed:
                axes.annotate("suppressed", (at, 0), rotation=90, ha="center", va="bottom", fontsize="small")
    axes.set_xlim(-_WIDTH, len(labels) - 1 + _WIDTH)
    if not any(row[result.columns.index(name)] is not None for row in result.rows for name in series):
        axes.set_ylim(0, 1)
        axes.set_yticks([])
    axes.set_xticks(list(numbers), labels, rotation=45 if max(map(len, labels), default=0) > 6 else 0)
    axes.set_xlabel(", ".join(groups))
    if len(series) > 1:
        axes.legend()
    else:
        axes.set_ylabel(series[0])
    return axes


def _parts(result: Result, values: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """Names of the columns that label the bars, and of those that are drawn."""
    groups = [name for name in result.columns if result.is_group(name)]
    if values is None:
        series = [name for name in result.columns if name not in groups and result.is_number(name)]
    else:
        series = list(values)
        for name in series:
            if name not in result.columns or not result.is_number(name):
                raise _cannot(f"{name!r} is no column of numbers in it", "name columns of numbers")
    if not groups or not series or not result.rows:
        raise _cannot("it has no groups, or no numbers", "ask for a number in groups: … GROUP BY …")
    return groups, series


def _cells(result: Result, row: Sequence[Any], names: Sequence[str]) -> list[Any]:
    return [row[result.columns.index(name)] for name in names]


def _text(cell: object) -> str:
    return "unknown" if cell is None else str(cell)


def _cannot(why: str, remedy: str) -> InvalidInput:
    return InvalidInput(f"the answer cannot be drawn: {why}", code="cannot_plot", remedy=remedy)
