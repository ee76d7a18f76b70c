"""The entry of Kaplan-Meier curves in the registry of computations."""

from __future__ import annotations

from typing import Any, Final

from kapok.computations.derived.question import derived
from kapok.computations.survival.analyst import answer
from kapok.computations.survival.params import Survival

__all__ = ["COMPUTATION"]


def _view(result: Any) -> Any:
    from kapok.computations.survival.view import Curves

    return Curves(result)


COMPUTATION: Final = derived("survival", ("count",), Survival.parse, answer, _view)
