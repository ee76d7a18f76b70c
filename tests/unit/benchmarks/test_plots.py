import importlib.util

import pytest

from benchmarks import plots
from benchmarks.errors import BenchmarkError
from benchmarks.plots import PLOTS, series_of
from benchmarks.spread import spread_of


def scaled(report, key, over):
    """The report's figure at three sizes, the largest first."""
    import copy

    figures = []
    for size in (1000, 100, 10):
        figure = copy.deepcopy(report.figures[0])
        figure.key, figure.parameters = key, {over: size, "seal": "pad"}
        figure.entries[0].units_per_run = 100
        figure.entries[0].rate_cpu = spread_of([20.0, 50.0])
        figures.append(figure)
    report.figures = figures
    return report


def test_a_line_for_each_contender_in_order_of_size(report):
    plot = PLOTS[0]
    (line,) = series_of(plot, scaled(report, plot.key, plot.over))
    assert line.label == "Kapok | ours, seal pad"
    assert [place for place, _ in line.points] == [10, 100, 1000]
    assert line.points[0][1].median == 35


def test_cost_is_the_time_of_a_run_and_its_quartiles_change_places(report):
    plot = next(plot for plot in PLOTS if plot.cost)
    (line,) = series_of(plot, scaled(report, plot.key, plot.over))
    cost = line.points[0][1]
    assert (cost.least, cost.most) == (2.0, 5.0)
    assert cost.low < cost.median < cost.high


def test_without_matplotlib_the_user_is_told_how_to_get_it(report, tmp_path, monkeypatch):
    def absent(name):
        raise ImportError(name)

    monkeypatch.setattr(plots, "importlib", type("Absent", (), {"import_module": staticmethod(absent)}))
    with pytest.raises(BenchmarkError, match="make bench"):
        plots.draw(report, tmp_path)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")
def test_plots_are_drawn_where_there_are_points(report, tmp_path):
    if importlib.util.find_spec("matplotlib") is None:
        pytest.skip("matplotlib belongs to the benchmark environment")
    (path,) = plots.draw(scaled(report, PLOTS[0].key, PLOTS[0].over), tmp_path)
    assert path.name == "values-per-second-by-length.svg"
    assert "<svg" in path.read_text(encoding="utf-8")
