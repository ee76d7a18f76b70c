"""A round's sum, read: the partial likelihood at some coefficients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kapok.computations.design.flags import impossible
from kapok.computations.design.solving import levels_of_nobody
from kapok.protocols.secure_sum.params import MOST_MEMBERS

if TYPE_CHECKING:
    from kapok.computations.cox.params import Hazards
    from kapok.computations.design.columns import Floats

__all__ = ["Likelihood", "read_likelihood"]


@dataclass(frozen=True, slots=True)
class Likelihood:
    """The partial likelihood of Breslow at some coefficients.

    Attributes:
        used, dropped, events: Rows.
        value: Its logarithm.
        score: Its slope, shape (columns,).
        information: Its curvature, shape (columns, columns).
        hazard: The baseline's increments, shape (times,), of a row of standardised columns that are zero.
        absent: Columns of levels that no row has.
    """

    used: int
    dropped: int
    events: int
    value: float
    score: Floats
    information: Floats
    hazard: Floats
    absent: list[int]


def read_likelihood(model: Hazards, words: Sequence[int], at: Floats) -> Likelihood:
    """Read the signed words of a sum at these coefficients; no flag is set in it.

    Raises:
        PeerProtocolError: ``impossible_sum`` when no holders within the schema can have sent such words.
    """
    layout = model.layout
    many, columns = layout.times + 1, layout.columns
    start = len(layout.flags)
    used, dropped, *counted = words[start : start + layout.counts]
    rest = words[start + layout.counts :]
    most = MOST_MEMBERS * model.scale.bound
    if min(used, dropped, *counted) < 0 or any(abs(word) > most for word in rest):
        raise impossible("a word is larger than the holders' rows can make it")
    leaving, events = np.array(counted[:many], dtype=float), np.array(counted[many:], dtype=float)
    if leaving.sum() != used or np.any(events > leaving):
        raise impossible("its counts do not fit together")
    values = np.array([model.scale.value(word) for word in rest])
    happened = values[:columns]
    upper = np.triu_indices(columns + 1)
    products = np.zeros((many, columns + 1, columns + 1))
    products[:, *upper] = values[columns:].reshape(many, layout.width)
    # All who leave at a time or later are at risk then.
    at_risk = np.cumsum(products[::-1], axis=0)[::-1]
    kept = np.flatnonzero(events)
    total = at_risk[kept, 0, 0]
    if np.any(total <= 0):
        raise impossible("somebody has the event whom nobody watches")
    means = at_risk[kept, 0, 1:] / total[:, None]
    seconds = np.triu(at_risk[kept][:, 1:, 1:]) + np.swapaxes(np.triu(at_risk[kept][:, 1:, 1:], 1), 1, 2)
    spread = seconds / total[:, None, None] - means[:, :, None] * means[:, None, :]
    hazard = np.zeros(many)
    hazard[kept] = events[kept] / total
    return Likelihood(
        used,
        dropped,
        int(events.sum()),
        float(happened @ at - events[kept] @ np.log(total)),
        happened - events[kept] @ means,
        np.einsum("j,jab->ab", events[kept], spread),
        hazard[:-1],
        levels_of_nobody(model.design, at_risk[0, 0, 0], at_risk[0, 0, 1:], np.diag(at_risk[0])[1:]),
    )
