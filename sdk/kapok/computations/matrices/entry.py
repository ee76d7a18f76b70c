"""The entry of matrices in the registry of computations."""

from __future__ import annotations

from typing import Any, Final

from kapok.computations.derived.question import derived
from kapok.computations.matrices.analyst import answer
from kapok.computations.matrices.params import Matrix

__all__ = ["COMPUTATION"]


def _view(result: Any) -> Any:
    from kapok.computations.matrices.view import MatrixView

    return MatrixView(result)


COMPUTATION: Final = derived("matrices", ("covariance",), Matrix.parse, answer, _view)
