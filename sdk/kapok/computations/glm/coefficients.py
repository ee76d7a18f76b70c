"""The parameters of a later round: the null model's constant, then one coefficient for each column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kapok.computations.design.coefficients import decode

if TYPE_CHECKING:
    from kapok.computations.design.columns import Floats
    from kapok.computations.glm.params import Model

__all__ = ["Coefficients", "read"]


@dataclass(frozen=True, slots=True)
class Coefficients:
    """Where a round looks.

    Attributes:
        columns: One for each standardised column, shape (columns,).
        null: Of the model of a constant alone.
    """

    columns: Floats
    null: float


def read(model: Model, _dataset: Any, content: bytes) -> Coefficients:
    """Read a round's parameters.

    Raises:
        InvalidInput: ``bad_coefficients``, without a word of what is in them.
    """
    found = decode(content, len(model.design.columns) + 1)
    return Coefficients(found[1:], float(found[0]))
