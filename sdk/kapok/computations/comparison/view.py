"""A test as people read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from kapok.computations.comparison.analyst import TestReport
from kapok.computations.reports import Shown, number_text, p_text

__all__ = ["Test"]

_ROUGH: Final = 5


class Test(Shown[TestReport]):
    """A test over the rows of all holders together."""

    kind = TestReport
    messages: ClassVar = {
        "suppressed": "SUPPRESSED: some holder has too few rows in {}. Merge groups, or leave them out.",
        "too_few_groups": "NOT TESTED: fewer than two groups have rows.",
        "too_many_groups": "NOT TESTED: a t-test compares two groups; take an analysis of variance.",
        "too_few_rows": "NOT TESTED: there are too few rows.",
        "constant": "NOT TESTED: no group has values that differ.",
    }
    title = "Test, pooled over all holders"

    @property
    def statistic(self) -> float | None:
        """T of Welch, F or χ²; None without a test."""
        return self.report.statistic

    @property
    def p_value(self) -> float | None:
        """The probability of as much by chance, on both sides; None without a test."""
        return self.report.p_value

    @property
    def facts(self) -> Sequence[tuple[str, str]]:
        """What is tested, and what came of it."""
        one = self.report
        facts = [("test", f"{one.test} of {one.value} by {one.group}")]
        if one.statistic is not None and one.degrees is not None:
            facts.append(("result", self._result(one.statistic, one.degrees)))
        if one.difference is not None:
            facts.append(
                ("difference", f"{number_text(one.difference)} (std. error {number_text(one.std_error)})")
            )
            facts.append(
                (
                    "equal variances",
                    f"t = {number_text(one.pooled_statistic)} on {one.pooled_degrees:g} df, "
                    f"p = {p_text(one.pooled_p_value)}",
                )
            )
        if one.least_expected is not None and one.least_expected < _ROUGH:
            facts.append(("least expected count", f"{one.least_expected:.2f}: the test is a rough one"))
        who = sorted({str(party.organisation_name) for party in self.parties})
        return [*facts, ("parties", ", ".join(who))] if who else facts

    def _result(self, statistic: float, degrees: float) -> str:
        one = self.report
        letter = {"t": "Welch's t", "anova": "F", "chi2": "χ²"}[one.test]
        within = "" if one.degrees_within is None else f" and {one.degrees_within:g}"
        return f"{letter} = {number_text(statistic)} on {degrees:g}{within} df, p = {p_text(one.p_value)}"
