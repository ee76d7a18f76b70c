"""What a holder asks of its own rows before it shows sums over them. What falls short acts inside the mask.

Refusing would tell the analyst, by yes and no, what the data are. So the words become random instead, and
beside them stands a flag for each rule and column: 0, or random above 0. The sum shows that somebody's rows
broke a rule, not whose.

    few_rows         at least min_rows complete rows, and twice min_cell
                     stops a model of few persons
    parameters       columns ≤ parameters_percent (33) of the rows
                     stops as many equations as there are rows
    nearly_constant  beside its commonest value a column has min_cell rows or more; or none, if it is one of
                     the schema's own. Response, offset and weights too, and conditions inside of expressions
                     stops a column that marks persons
    leverage         no row has more than leverage_percent (75) of the information in any direction, that is
                     in any column or combination of columns, weighted as the round weights it and not
                     weighted; nor have fewer than min_cell rows in effect all the weight
                     stops a row that fits itself, and weights or coefficients that choose one
    dominance        no row has more than leverage_percent of the distances of all responses from the
                     commonest one, or of the residuals or the deviance of a round; nor have fewer than
                     min_cell in effect all distances or residuals, or those of the round's means from the
                     commonest mean. Of the model of a constant alone, too
                     stops a response that is one person's value, and a step of the mean beyond which one is
    outside          coefficients give each row a mean, or a weight, that there can be
                     stops a count of the rows on one side of any line

The first, second and third are DataSHIELD's filters (nfilter.glm, nfilter.tab); the others bound what its
filters leave open, because here the analyst chooses the coefficients of each round. Zero rows of a level are
normal at a holder, and so tell a sum apart from one to min_cell - 1 rows; of columns that the question makes
up itself they are not, or every predicate could be asked of one row.

Source: Wolfson et al. (2010), DataSHIELD; Wilson et al. (2017), the disclosure filters of dsBase.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from kapok.computations.design.columns import Floats

__all__ = ["Distances", "Shares", "Watch", "exceeds"]

_BLURRED: Final = 1e-8
"""Of an eigenvalue of XᵀWX, with columns of length 1: below it rounding decides."""
_RANK: Final = 2e-15
"""Of a singular value of F: what is less is rounding, and rounds away in the sums as well."""
_LESS: Final = 1 - 1e-9
"""What rounding leaves of a whole."""


def exceeds(part: float, percent: int, whole: float) -> bool:
    """Whether a part is more than so many percent of the whole; of the whole itself 100 are not too much."""
    return part * 100 * _LESS > percent * whole


class Watch:
    """Looks for columns that are nearly constant: most rows have one value, and few another."""

    def __init__(self, bare: Sequence[bool], indicator: Sequence[bool], min_cell: int) -> None:
        """Nothing was seen yet.

        Args:
            bare: For each column whether it may be constant.
            indicator: For each column whether it has two values at most.
            min_cell: Least number of rows that have another value.
        """
        self._bare, self._indicator = np.array(bare, dtype=bool), np.array(indicator, dtype=bool)
        self._min_cell = min_cell
        self._rows = 0
        self._others = np.zeros(len(bare), dtype=np.int64)
        self._waiting: list[Sequence[Floats]] = []
        self._commonest: Floats | None = None

    def look(self, columns: Sequence[Floats]) -> None:
        """Look at some rows: each column's values in them."""
        self._rows += len(columns[0]) if columns else 0
        self._waiting.append(columns)
        if self._commonest is not None or self._rows >= 2 * self._min_cell:
            self._count()

    @property
    def commonest(self) -> Floats:
        """The value that all rows of a column have but fewer than `min_cell`, where there is one.

        Of the first rows, twice as many as that, more than half have it: it is the one in their middle.
        """
        self._count()
        return np.zeros(len(self._others)) if self._commonest is None else self._commonest

    def _count(self) -> None:
        """Count the rows that wait to be counted."""
        if not self._rows:
            return
        if self._commonest is None:
            first = [np.concatenate(parts) for parts in zip(*self._waiting, strict=True)]
            self._commonest = np.array([np.partition(one, len(one) // 2)[len(one) // 2] for one in first])
        for columns in self._waiting:
            pairs = zip(columns, self._commonest, strict=True)
            self._others += [np.count_nonzero(column != value) for column, value in pairs]
        self._waiting = []

    @property
    def few(self) -> npt.NDArray[np.bool_]:
        """For each column whether too few rows have another value than most."""
        self._count()
        smaller = np.where(self._indicator, np.minimum(self._others, self._rows - self._others), self._others)
        # One row is enough for whoever says so, and then none is as well.
        none = (smaller == 0) & (self._bare | (self._min_cell <= 1))
        found: npt.NDArray[np.bool_] = (smaller < self._min_cell) & ~none
        return found


class Distances:
    """Whose magnitudes make up a total: the largest one's share, and how many there are in effect."""

    def __init__(self) -> None:
        self._total = self._squares = self._largest = 0.0

    def look(self, magnitudes: Floats) -> None:
        """Look at the magnitudes of some rows, none negative."""
        if len(magnitudes):
            self._total += float(magnitudes.sum())
            self._squares += float(magnitudes @ magnitudes)
            self._largest = max(self._largest, float(magnitudes.max()))

    def dominated(self, percent: int, least: int) -> bool:
        """Whether one row has more than so many percent of the total, or fewer than `least` have it all.

        How many have it is (Σx)² / Σx²: as many as there are if all are equal. Of nothing nobody has most.
        """
        if self._total == 0.0:
            return False
        return exceeds(self._largest, percent, self._total) or self._total**2 < least * self._squares * _LESS


class Shares:
    """The largest leverage: what share of the information in some direction is one row's alone.

    With the weighted matrix's rows √w x, the share of one row in direction v is w (x·v)² / vᵀXᵀWXv, and the
    largest over all v is w xᵀ(XᵀWX)⁺x. It is 1 for a row that alone has some column.

    XᵀWX has squares, of which a direction with less than a part in 10⁸ of a column's length leaves nothing
    that can be relied on; the sums of a round, which are not squared, show such a direction to eight digits:
    a piece of a spline with its knots around one person's value. There XᵀWX = FᵀF is taken from the rows.
    """

    def __init__(self, information: Floats) -> None:
        """Prepare for the sum of all rows' information, shape (columns, columns)."""
        scale = np.sqrt(np.maximum(np.diag(information), 0.0))
        scale[scale == 0.0] = 1.0
        self._scale: Floats = scale
        values, vectors = np.linalg.eigh(information / np.outer(scale, scale))
        self.blurred = bool(np.any((values < _BLURRED) & (np.abs(vectors).max(axis=0) < _LESS)))
        kept = values > _BLURRED
        self._root: Floats = vectors[:, kept] / np.sqrt(values[kept]) / scale[:, None]
        self._factor: Floats = np.zeros((0, len(scale)))
        self.largest = 0.0

    def sharpen(self, matrix: Floats, weights: Floats) -> None:
        """Take some rows into F; all of them before any is looked at, where it is `blurred`."""
        if self.blurred:
            rows = matrix * np.sqrt(weights)[:, None] / self._scale
            self._factor = np.asarray(np.linalg.qr(np.vstack([self._factor, rows]), mode="r"))

    def look(self, matrix: Floats, weights: Floats) -> None:
        """Look at some rows, shapes (rows, columns) and (rows,)."""
        if len(self._factor):
            _, values, directions = np.linalg.svd(self._factor)
            kept = values > _RANK * values.max(initial=0.0)
            directions = directions[: len(values)][kept]
            self._root = (directions / values[kept, None]).T / self._scale[:, None]
            self._factor = self._factor[:0]
        if len(matrix) and self._root.shape[1]:
            within = self._root.T @ matrix.T
            self.largest = max(self.largest, float((weights * np.einsum("ij,ij->j", within, within)).max()))
