"""The generalised linear model's entry in the registry of computations."""

from __future__ import annotations

from typing import Any, Final, NoReturn

from kapok.computations.glm.analyst import advance
from kapok.computations.glm.coefficients import read
from kapok.computations.glm.holder import contribute, contribute_at
from kapok.computations.glm.params import Model
from kapok.computations.language.vocabulary import FUNCTIONS
from kapok.computations.registry import Computation, Steps
from kapok.errors import InternalError

__all__ = ["COMPUTATION"]


def _never(*_: object) -> NoReturn:
    raise InternalError("a model takes two rounds or more")


def _view(result: Any) -> Any:
    from kapok.computations.glm.fit import Fit

    return Fit(result)


COMPUTATION: Final = Computation(
    name="glm",
    operations=("glm",),
    parse=Model.parse,
    contribute=contribute,
    answer=_never,
    functions=tuple(sorted(FUNCTIONS)),
    steps=Steps(read, contribute_at, advance),
    view=_view,
)
