"""A meta-analysis as people read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from kapok.computations.design.reasons import in_words
from kapok.computations.meta.analyst import MetaReport
from kapok.computations.reports import Shown

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MetaAnalysis"]


class MetaAnalysis(Shown[MetaReport]):
    """Fixed-effect means of the holders' own fits, and how far these differ."""

    kind = MetaReport
    title = "Meta-analysis of the holders' own fits (inverse variance; Q, I², τ² of DerSimonian and Laird)"
    messages: ClassVar = {
        "suppressed": "SUPPRESSED: a holder or more has no fit that may be shown: {}. What helps: a simpler "
        "model, to ask without that holder (--party), or the pooled fit: `kapok glm`.",
    }

    @property
    def message(self) -> str:
        """What hinders it and what helps, in words; empty when nothing does."""
        return self.messages.get(self.status, "").format(in_words(self.reasons))

    def to_pandas(self) -> pd.DataFrame:
        """One line for each coefficient, with its name as the index."""
        return super().to_pandas().set_index("term")

    @property
    def facts(self) -> Sequence[tuple[str, str]]:
        """Of how many fits, over how many rows, who took part."""
        facts = [("fits", str(self.report.studies)), ("rows used", str(self.report.rows_used))]
        facts = [] if self.status == "suppressed" else facts
        who = sorted({str(party.organisation_name) for party in self.parties})
        return [*facts, ("parties", ", ".join(who))] if who else facts
