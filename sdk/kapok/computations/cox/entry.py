"""The entry of proportional hazards in the registry of computations."""

from __future__ import annotations

from typing import Any, Final, NoReturn

from kapok.computations.cox.analyst import advance
from kapok.computations.cox.coefficients import read
from kapok.computations.cox.holder import contribute, contribute_at
from kapok.computations.cox.params import Hazards
from kapok.computations.language.vocabulary import FUNCTIONS
from kapok.computations.registry import Computation, Steps
from kapok.errors import InternalError

__all__ = ["COMPUTATION"]


def _never(*_: object) -> NoReturn:
    raise InternalError("proportional hazards take two rounds or more")


def _view(result: Any) -> Any:
    from kapok.computations.cox.view import HazardsFit

    return HazardsFit(result)


COMPUTATION: Final = Computation(
    name="cox",
    operations=("cox",),
    parse=Hazards.parse,
    contribute=contribute,
    answer=_never,
    functions=tuple(sorted(FUNCTIONS)),
    steps=Steps(read, contribute_at, advance),
    view=_view,
)
