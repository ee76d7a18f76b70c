"""Newton's equations: solved with columns brought to one scale, and which of them the others give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from kapok.computations.design.columns import Floats

__all__ = ["dependent_columns", "solved"]

_DEPENDENT: Final = 1e-12


def solved(matrix: Floats, right: Floats) -> Floats:
    """The solution, columns brought to one scale first."""
    scale = np.sqrt(np.maximum(np.diag(matrix), 0.0))
    scale[scale == 0.0] = 1.0
    left = right / scale if right.ndim == 1 else right / scale[:, None]
    try:
        found: Floats = np.linalg.solve(matrix / np.outer(scale, scale), left)
    except np.linalg.LinAlgError:
        found = np.linalg.lstsq(matrix / np.outer(scale, scale), left, rcond=None)[0]
    return found / scale if right.ndim == 1 else found / scale[:, None]


def dependent_columns(information: Floats) -> list[int]:
    """The columns that those before them give, by Cholesky's decomposition, column by column."""
    scale = np.sqrt(np.maximum(np.diag(information), 0.0))
    found = [int(place) for place in np.flatnonzero(scale == 0.0)]
    scale[scale == 0.0] = 1.0
    left = information / np.outer(scale, scale)
    for place in range(len(left)):
        if place in found:
            continue
        pivot = left[place, place]
        if pivot < _DEPENDENT:
            found.append(place)
            continue
        left = left - np.outer(left[:, place], left[place]) / pivot
    return sorted(found)
