import io

import pytest
from rich.console import Console

from benchmarks import tables


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1234, "0.12"),
        (12.34, "12.3"),
        (999.4, "999"),
        (999.96, "1.00 k"),
        (123456, "123 k"),
        (2.5e7, "25.0 M"),
        (3e9, "3.00 G"),
    ],
)
def test_rates_have_three_digits(value, text):
    assert tables.rate(value) == text
    assert tables.rate(value, "B").endswith("B")


def sheet(report, title):
    return next(one for one in tables.sheets(report) if one.title.startswith(title))


def test_a_figure_tells_rate_ratio_and_whether_the_aim_is_reached(report):
    heading, entry, absent = sheet(report, "core").rows
    assert heading == ("a product, bits 2048, 1 thread",)
    assert entry[0] == "Kapok | ours"
    assert entry[1] == "7.50 products/s"
    assert entry[4] == "7.50 ×"
    assert entry[6] == "≥ 2.2: reached"
    assert "not installed" in absent[0]


def test_a_missed_aim_is_said_so(report):
    assert sheet(report, "Sizes").rows[0][4] == "≤ 200 M: missed"


def test_with_several_threads_wall_time_counts(report):
    from benchmarks.spread import spread_of

    figure = report.figures[0]
    figure.threads = 2
    figure.entries[0].rate_wall = spread_of([100.0])
    assert sheet(report, "core").rows[1][1] == "100 products/s"


def test_markdown_has_the_command_and_every_row_as_many_cells_as_its_head(report):
    text = tables.to_markdown(report)
    assert "```sh\npython -m benchmarks --short\n```" in text
    assert "Kapok \\| ours" in text
    cells = None
    for line in text.splitlines():
        if not line.startswith("|"):
            cells = None
            continue
        found = line.replace("\\|", "").count("|")
        assert cells in (None, found)
        cells = found


def test_what_is_quoted_is_marked_as_quoted(report):
    assert "## Quoted, not measured here" in tables.to_markdown(report)


def test_the_terminal_shows_all_tables(report):
    out = io.StringIO()
    tables.show(report, Console(file=out, width=200))
    for one in tables.sheets(report):
        assert one.title in out.getvalue()
