"""A matrix, or components, as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from kapok.computations.matrices.analyst import MatrixReport
from kapok.computations.reports import Shown

if TYPE_CHECKING:
    from kapok.computations.design.columns import Floats

__all__ = ["MatrixView"]


class MatrixView(Shown[MatrixReport]):
    """Covariances, correlations or principal components of the rows of all holders together."""

    kind = MatrixReport
    title = "Columns together, pooled over all holders"
    messages: ClassVar = {
        "suppressed": "SUPPRESSED: some holder has too few rows, or too few that differ, in {}. Leave out "
        "what hardly varies.",
        "too_few_rows": "There are fewer than two rows that lack none of the columns.",
        "constant": "Without variance there is no correlation: {}. Leave it out.",
    }

    @property
    def matrix(self) -> Floats:
        """Covariances or correlations, shape (columns, columns); of components what they are of."""
        many = len(self.report.names) if self.report.matrix else 0
        return np.array(self.report.matrix).reshape(many, many)

    @property
    def facts(self) -> Sequence[tuple[str, str]]:
        """What it is, over how many rows."""
        facts = [("matrix", self.report.form.replace("_", " ")), ("rows", str(self.report.rows))]
        facts = facts[:1] if self.status == "suppressed" else facts
        who = sorted({str(party.organisation_name) for party in self.parties})
        return [*facts, ("parties", ", ".join(who))] if who else facts
