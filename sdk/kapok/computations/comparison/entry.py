"""The entry of tests in the registry of computations."""

from __future__ import annotations

from typing import Any, Final

from kapok.computations.comparison.analyst import answer
from kapok.computations.comparison.params import Comparison
from kapok.computations.derived.question import derived

__all__ = ["COMPUTATION"]


def _view(result: Any) -> Any:
    from kapok.computations.comparison.view import Test

    return Test(result)


COMPUTATION: Final = derived("comparison", ("avg", "count", "variance"), Comparison.parse, answer, _view)
