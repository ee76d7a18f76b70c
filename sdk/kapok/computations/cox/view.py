"""Proportional hazards as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from kapok.computations.cox.report import HazardsReport
from kapok.computations.design.reasons import in_words
from kapok.computations.reports import Shown, left_out, number_text, p_text

if TYPE_CHECKING:
    import pandas as pd

    from kapok.computations.design.columns import Floats

__all__ = ["HazardsFit"]


class HazardsFit(Shown[HazardsReport]):
    """Cox's proportional hazards that were fitted to the rows of all holders together."""

    kind = HazardsReport
    title = "Cox proportional hazards, pooled over all holders"
    messages: ClassVar = {
        "not_converged": "NOT CONVERGED: these are the coefficients of the last round. Allow more rounds, or "
        "ask for a simpler model.",
        "separated": "SEPARATED: events can be told by {}, whose coefficients grow without end; these are "
        "the last round's. Leave a column out, or add a ridge penalty.",
        "suppressed": "SUPPRESSED: a holder or more does not show this model: {}. What helps: a coarser "
        "grid, fewer columns, merged levels, or to ask without that holder (--party); or a policy with other "
        "numbers.",
        "dependent_columns": "NOT FITTED: what follows from other columns, or hardly varies within the "
        "schema's bounds: {}. Leave it out, or add a ridge penalty; where nobody has the level that a "
        "factor is compared with, name another: C(x, reference=…).",
        "too_few_rows": "NOT FITTED: there are no more events than coefficients.",
        "no_events": "NOT FITTED: nothing happens up to the last time of the grid.",
    }

    @property
    def message(self) -> str:
        """What hinders it and what helps, and what is left out, in words; empty when nothing is."""
        said = self.messages.get(self.status, "").format(in_words(self.reasons))
        return " ".join(filter(None, (said, left_out(self.report.absent))))

    @property
    def converged(self) -> bool:
        """Whether the fit is one."""
        return self.status == "complete"

    @property
    def coefficients(self) -> dict[str, float]:
        """Logarithms of hazard ratios, by name."""
        return dict(zip(self.report.names, self.report.coefficients, strict=False))

    @property
    def errors(self) -> dict[str, float]:
        """Standard errors of the coefficients, by name."""
        return dict(zip(self.report.names, self.report.errors, strict=False))

    @property
    def covariance(self) -> Floats:
        """Of the coefficients, shape (coefficients, coefficients)."""
        many = len(self.report.coefficients)
        return np.array(self.report.covariance).reshape(many, many)

    @property
    def baseline(self) -> dict[float, float]:
        """Breslow's cumulative hazard of a row whose columns are all zero, by time."""
        return dict(zip(self.report.times, self.report.baseline, strict=False))

    def to_pandas(self) -> pd.DataFrame:
        """One line for each coefficient, with its name as the index."""
        return super().to_pandas().set_index("term")

    @property
    def facts(self) -> Sequence[tuple[str, str]]:
        """Rows, events, likelihood, who took part."""
        report = self.report
        facts = [("rounds", str(report.rounds)), ("status", report.status.replace("_", " "))]
        if report.status != "suppressed":
            facts = [
                ("rows used", f"{report.rows_used}, dropped {report.rows_dropped}"),
                ("events", str(report.events)),
                *facts,
            ]
        if (test := report.ratio_test) is not None:
            statistic, degrees, p = test
            facts += [
                ("partial log-likelihood", number_text(report.log_likelihood)),
                ("likelihood ratio", f"χ² = {number_text(statistic)} on {degrees} df, p = {p_text(p)}"),
            ]
        who = sorted({str(party.organisation_name) for party in self.parties})
        return [*facts, ("parties", ", ".join(who))] if who else facts
