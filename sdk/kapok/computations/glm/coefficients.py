"""The parameters of a later round: coefficients of the standardised columns, as 64-bit floats.

    layout    null model's constant, then one coefficient for each column; little-endian IEEE 754

They follow from the sum before. A holder sees of them what the fit would show it anyway, one step earlier.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from kapok.computations.language.hints import refuse

if TYPE_CHECKING:
    from kapok.computations.design.columns import Floats
    from kapok.computations.glm.params import Model

__all__ = ["Coefficients", "encode", "read"]

_LARGEST: Final = 1e9
_FORM: Final = np.dtype("<f8")


@dataclass(frozen=True, slots=True)
class Coefficients:
    """Where a round looks.

    Attributes:
        columns: One for each standardised column, shape (columns,).
        null: Of the model of a constant alone.
    """

    columns: Floats
    null: float


def encode(coefficients: Coefficients) -> bytes:
    """As they travel."""
    return np.concatenate([[coefficients.null], coefficients.columns]).astype(_FORM).tobytes()


def read(model: Model, _dataset: Any, content: bytes) -> Coefficients:
    """Read what `encode` wrote.

    Raises:
        InvalidInput: ``bad_coefficients``, without a word of what is in them.
    """
    wanted = len(model.design.columns) + 1
    if len(content) != wanted * _FORM.itemsize:
        raise refuse("the round has another number of coefficients", "ask again", "bad_coefficients")
    found = np.frombuffer(content, dtype=_FORM).astype(np.float64)
    if not np.all(np.isfinite(found)) or float(np.abs(found).max()) > _LARGEST:
        raise refuse("the round's coefficients are not finite, or too large", "ask again", "bad_coefficients")
    return Coefficients(found[1:], float(found[0]))
