"""The parameters of a later round: coefficients of the standardised columns, little-endian IEEE 754 doubles.

They follow from the sum before. A holder sees of them what the fit would show it anyway, one step earlier.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from kapok.computations.language.hints import refuse

if TYPE_CHECKING:
    from kapok.computations.design.columns import Floats

__all__ = ["decode", "encode"]

_LARGEST: Final = 1e9
_FORM: Final = np.dtype("<f8")


def encode(coefficients: Floats) -> bytes:
    """As they travel, shape (count,)."""
    return coefficients.astype(_FORM).tobytes()


def decode(content: bytes, count: int) -> Floats:
    """Read what `encode` wrote of so many.

    Raises:
        InvalidInput: ``bad_coefficients``, without a word of what is in them.
    """
    if len(content) != count * _FORM.itemsize:
        raise refuse("the round has another number of coefficients", "ask again", "bad_coefficients")
    found = np.frombuffer(content, dtype=_FORM).astype(np.float64)
    if not np.all(np.isfinite(found)) or float(np.abs(found).max(initial=0.0)) > _LARGEST:
        raise refuse("the round's coefficients are not finite, or too large", "ask again", "bad_coefficients")
    return found
