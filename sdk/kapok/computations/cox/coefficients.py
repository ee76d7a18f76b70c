"""The parameters of a later round: coefficients of the standardised columns, little-endian IEEE 754 doubles.

They follow from the sum before. A holder sees of them what the fit would show it anyway, one step earlier.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from kapok.computations.language.hints import refuse

if TYPE_CHECKING:
    from kapok.computations.cox.params import Hazards
    from kapok.computations.design.columns import Floats

__all__ = ["Coefficients", "encode", "read"]

_LARGEST: Final = 1e9
_FORM: Final = np.dtype("<f8")


@dataclass(frozen=True, slots=True)
class Coefficients:
    """Where a round looks: one for each standardised column, shape (columns,)."""

    columns: Floats


def encode(coefficients: Coefficients) -> bytes:
    """As they travel."""
    return coefficients.columns.astype(_FORM).tobytes()


def read(model: Hazards, _dataset: Any, content: bytes) -> Coefficients:
    """Read what `encode` wrote.

    Raises:
        InvalidInput: ``bad_coefficients``, without a word of what is in them.
    """
    if len(content) != len(model.names) * _FORM.itemsize:
        raise refuse("the round has another number of coefficients", "ask again", "bad_coefficients")
    found = np.frombuffer(content, dtype=_FORM).astype(np.float64)
    if not np.all(np.isfinite(found)) or float(np.abs(found).max()) > _LARGEST:
        raise refuse("the round's coefficients are not finite, or too large", "ask again", "bad_coefficients")
    return Coefficients(found)
