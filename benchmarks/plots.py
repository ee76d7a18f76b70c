"""Plots of a report, as SVG: values per second against vector length, cost against parties.

matplotlib is imported here and when it is needed: it belongs to the benchmark environment alone.
"""

from __future__ import annotations

import importlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.errors import BenchmarkError
from benchmarks.records import Figure, Report
from benchmarks.spread import Spread

__all__ = ["PLOTS", "Plot", "Series", "draw", "series_of"]


@dataclass(frozen=True, slots=True)
class Plot:
    """Figures of one key, drawn over one of their parameters.

    Attributes:
        name: Of the file.
        key: Of the figures.
        over: The parameter on the horizontal axis.
        title: Above it.
        across: Name of the horizontal axis.
        up: Name of the vertical axis.
        cost: Whether to draw seconds of one run instead of units per second.
    """

    name: str
    key: str
    over: str
    title: str
    across: str
    up: str
    cost: bool


PLOTS: Final = (
    Plot(
        "values-per-second-by-length",
        "secure-sum/by-length",
        "values",
        "Secure sum: values per second against vector length",
        "values in a vector (32 bits each)",
        "values per second of CPU time",
        cost=False,
    ),
    Plot(
        "cost-by-parties",
        "secure-sum/by-parties",
        "parties",
        "Secure sum: cost against parties",
        "parties",
        "CPU seconds",
        cost=True,
    ),
    Plot(
        "encryptions-per-second-by-length",
        "paillier/by-length",
        "plaintexts",
        "Encryptions per second against vector length",
        "plaintexts in a vector",
        "encryptions per second of CPU time",
        cost=False,
    ),
)


@dataclass(slots=True)
class Series:
    """One line of a plot: where its points lie, with medians and quartiles."""

    label: str
    points: list[tuple[float, Spread]]


def series_of(plot: Plot, report: Report) -> list[Series]:
    """The lines of a plot: one for each contender and each set of the other parameters."""
    lines: dict[str, list[tuple[float, Spread]]] = defaultdict(list)
    for figure in report.figures:
        if figure.key == plot.key:
            for label, spread in _points(plot, figure):
                lines[label].append((float(figure.parameters[plot.over]), spread))
    return [Series(label, sorted(points, key=lambda point: point[0])) for label, points in lines.items()]


def draw(report: Report, folder: Path) -> list[Path]:
    """Draw what the report has points for; returns the files.

    Raises:
        BenchmarkError: matplotlib is not installed.
    """
    try:
        matplotlib = importlib.import_module("matplotlib")
        matplotlib.use("svg")
        pyplot = importlib.import_module("matplotlib.pyplot")
    except ImportError:
        raise BenchmarkError("plots need matplotlib: `make bench` installs it") from None
    # Files that differ only where the numbers do.
    matplotlib.rcParams["svg.hashsalt"] = "kapok"
    drawn = []
    for plot in PLOTS:
        if lines := [line for line in series_of(plot, report) if len(line.points) > 1]:
            drawn.append(_drawn(pyplot, plot, lines, folder / f"{plot.name}.svg"))
    return drawn


def _points(plot: Plot, figure: Figure) -> Iterator[tuple[str, Spread]]:
    others = [f"{name} {value}" for name, value in figure.parameters.items() if name != plot.over]
    for entry in figure.entries:
        label = ", ".join([entry.name, *others])
        speed = entry.rate_cpu
        if plot.cost:
            work = entry.units_per_run
            speed = Spread(
                work / speed.median,
                work / speed.high,
                work / speed.low,
                work / speed.most,
                work / speed.least,
                speed.count,
            )
        yield label, speed


def _drawn(pyplot: Any, plot: Plot, lines: list[Series], path: Path) -> Path:
    figure, axes = pyplot.subplots(figsize=(10, 5))
    for line in lines:
        places = [place for place, _ in line.points]
        medians = [spread.median for _, spread in line.points]
        below = [spread.median - spread.low for _, spread in line.points]
        above = [spread.high - spread.median for _, spread in line.points]
        axes.errorbar(places, medians, yerr=[below, above], marker="o", capsize=3, label=line.label)
    axes.set(xscale="log", yscale="log", title=plot.title, xlabel=plot.across, ylabel=plot.up)
    ticks = sorted({place for line in lines for place, _ in line.points})
    axes.set_xticks(ticks, [f"{tick:,g}" for tick in ticks])
    axes.minorticks_off()
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.01, 0.5))
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
    return path
