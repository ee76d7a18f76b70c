"""Curves as people read them: in text, in a notebook, as a data frame, drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from kapok.computations.reports import Shown, new_axes, number_text, p_text
from kapok.computations.survival.analyst import CurveReport, LogRank
from kapok.errors import InvalidInput

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Curves"]


class Curves(Shown[CurveReport]):
    """Kaplan-Meier curves of the rows of all holders together, and the log-rank test between them."""

    kind = CurveReport
    title = "Kaplan-Meier curves, pooled over all holders"
    messages: ClassVar = {
        "suppressed": "SUPPRESSED: some holder has too few rows in an interval of {}; what follows it is not "
        "shown. Take a coarser grid, or one that begins later, or fewer groups.",
        "no_events": "NO EVENTS: nothing happens up to the last time of the grid.",
    }

    @property
    def log_rank(self) -> LogRank | None:
        """The log-rank test up to the last time that is known of all groups; None where there is none."""
        return self.report.log_rank

    @property
    def medians(self) -> dict[str, float | None]:
        """By group the first time at which no more than half survive; None where more do."""
        return dict(zip(self.report.names, self.report.medians, strict=True))

    @property
    def facts(self) -> Sequence[tuple[str, str]]:
        """For each group its rows, events and median; the test; who took part."""
        report, facts = self.report, []
        for place, name in enumerate(report.names):
            rows, until, middle = report.rows[place], report.until[place], report.medians[place]
            said = "suppressed" if rows < 0 else f"{rows} rows"
            if rows >= 0:
                seen = f"{report.events[place]} events up to"
                said += ", no time of its curve is shown" if until is None else f", {seen} {until:g}"
            said += "" if middle is None else f", median {middle:g}"
            facts.append((f"{report.group} {name}".strip(), said))
        if (test := report.log_rank) is not None:
            shown = f"χ² = {number_text(test.statistic)} on {test.degrees} df, p = {p_text(test.p_value)}"
            facts.append(("log-rank", f"{shown}, up to {report.log_rank_until:g}"))
        who = sorted({str(party.organisation_name) for party in self.parties})
        return [*facts, ("parties", ", ".join(who))] if who else facts

    def plot(self, axes: Axes | None = None) -> Axes:
        """Draw the curves as steps with their confidence bands.

        Args:
            axes: Where to; a figure of its own when None.

        Raises:
            InvalidInput: ``no_matplotlib``; ``cannot_plot`` when no curve is known.
        """
        table = self.to_arrow().to_pydict()
        if not table["time"]:
            raise InvalidInput(
                "there is nothing to draw: no curve is shown", code="cannot_plot", remedy=self.message
            )
        if axes is None:
            axes = new_axes()
        for name in self.report.names:
            places = [place for place, group in enumerate(table["group"]) if group == name]
            if not places:
                continue
            times = [0.0, *(table["time"][place] for place in places)]
            height, low, high = (
                [1.0, *(table[column][place] for place in places)]
                for column in ("survival", "ci_low", "ci_high")
            )
            (line,) = axes.step(times, height, where="post", label=name)
            axes.fill_between(times, low, high, step="post", alpha=0.2, color=line.get_color())
        axes.set_ylim(0, 1.05)
        axes.set_xlabel("time")
        axes.set_ylabel("survival")
        if len(self.report.names) > 1:
            axes.legend(title=self.report.group)
        return axes
