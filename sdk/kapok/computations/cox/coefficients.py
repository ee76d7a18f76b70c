"""The parameters of a later round: one coefficient for each column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kapok.computations.design.coefficients import decode

if TYPE_CHECKING:
    from kapok.computations.cox.params import Hazards
    from kapok.computations.design.columns import Floats

__all__ = ["Coefficients", "read"]


@dataclass(frozen=True, slots=True)
class Coefficients:
    """Where a round looks: one for each standardised column, shape (columns,)."""

    columns: Floats


def read(model: Hazards, _dataset: Any, content: bytes) -> Coefficients:
    """Read a round's parameters.

    Raises:
        InvalidInput: ``bad_coefficients``, without a word of what is in them.
    """
    return Coefficients(decode(content, len(model.names)))
