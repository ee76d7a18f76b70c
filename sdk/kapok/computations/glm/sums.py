"""A round's sum, read: what all holders' rows add up to at some coefficients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kapok.computations.design.flags import broken_rules, impossible
from kapok.protocols.secure_sum.params import MOST_MEMBERS

if TYPE_CHECKING:
    from kapok.computations.design.columns import Floats
    from kapok.computations.glm.params import Model

__all__ = ["Sums", "read_sums"]


@dataclass(frozen=True, slots=True)
class Sums:
    """A round's sum, read.

    Attributes:
        broken: What somebody's rows broke; then nothing else means anything.
        used, dropped: Rows.
        information: XᵀWX, shape (columns, columns).
        score: Shape (columns,).
        null_information, null_score: Of the model of a constant alone.
        deviance, null_deviance, pearson, saturated, prior: Sums over rows.
    """

    broken: tuple[str, ...]
    used: int
    dropped: int
    information: Floats
    score: Floats
    null_information: float
    null_score: float
    deviance: float
    null_deviance: float
    pearson: float
    saturated: float
    prior: float


def read_sums(model: Model, words: Sequence[int]) -> Sums:
    """Read the signed words of a sum.

    Raises:
        PeerProtocolError: ``impossible_sum`` when no holders within the schema can have sent such words.
    """
    layout = model.layout
    if broken := broken_rules(model, layout.flags, words):
        nothing = np.zeros((layout.columns, layout.columns))
        return Sums(broken, 0, 0, nothing, nothing[0], *[0.0] * 7)
    used, dropped, *sums = words[len(layout.flags) :]
    most = MOST_MEMBERS * model.scale.bound
    if min(used, dropped) < 0 or any(abs(word) > most for word in sums):
        raise impossible("a word is larger than the holders' rows can make it")
    values = [model.scale.value(word) for word in sums]
    upper = np.triu_indices(layout.columns)
    information = np.zeros((layout.columns, layout.columns))
    information[upper] = values[: layout.pairs]
    information.T[upper] = values[: layout.pairs]
    score = np.array(values[layout.pairs : layout.pairs + layout.columns])
    return Sums((), used, dropped, information, score, *values[layout.pairs + layout.columns :])
