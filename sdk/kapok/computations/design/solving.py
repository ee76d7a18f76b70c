"""Newton's equations: solved with columns brought to one scale, and which of them cannot be solved for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kapok.computations.design.columns import Design, Floats

__all__ = ["bent", "dependent_columns", "levels_of_nobody", "set_aside", "solved"]

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


def bent(information: Floats, step: Floats, last: Floats, before: Floats) -> Floats:
    """Newton's step, bent by how the information has changed since the last one: a round fewer, mostly.

    It is Chebyshev's method with the third derivative along the last step taken from what the score before
    asks for now. Near the end it makes the error its power 2.4 or so instead of 2. Where it would change the
    step by more than half of it, half is enough.

    Args:
        information: Minus the second derivative here, exactly.
        step: Newton's.
        last: The step that led here.
        before: The score where it began.

    Source: Traub (1964), Iterative Methods for the Solution of Equations, 5.2 and 8.
    """
    curved = information @ last
    length = float(last @ curved)
    if length <= 0.0:
        return step
    along = float(step @ curved) / length
    change = (solved(information, before) - last) * along**2 / 2
    far = float(change @ information @ change) ** 0.5
    most = max(0.0, float(step @ information @ step)) ** 0.5 / 2
    return step + change * min(1.0, most / far) if far > 0.0 else step


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


def levels_of_nobody(design: Design, weight: float, sums: Floats, squares: Floats) -> list[int]:
    """The columns of levels, and of their products, that no row has: 0 in every row.

    Args:
        design: The matrix.
        weight: Σ w over all rows; 0 where the design has no constant, by which columns are not moved then.
        sums: Σ w x of each standardised column.
        squares: Σ w x².
    """
    nothing = -design.centre / design.half
    spread = squares - 2 * nothing * sums + nothing**2 * weight
    return [
        place
        for place, column in enumerate(design.columns)
        if any(part.kind == "level" for part in column.parts)
        and spread[place] <= _DEPENDENT * nothing[place] ** 2 * weight
    ]


def set_aside(information: Floats, score: Floats, places: Sequence[int]) -> tuple[Floats, Floats]:
    """The equations with some coefficients left out: these move nowhere and nothing depends on them."""
    information, score = information.copy(), score.copy()
    for place in places:
        information[place, :] = information[:, place] = 0.0
        information[place, place], score[place] = 1.0, 0.0
    return information, score
