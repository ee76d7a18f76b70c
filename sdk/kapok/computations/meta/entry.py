"""The entry of meta-analyses in the registry of computations."""

from __future__ import annotations

from typing import Any, Final

from kapok.computations.language.vocabulary import FUNCTIONS
from kapok.computations.meta.analyst import answer
from kapok.computations.meta.holder import contribute
from kapok.computations.meta.params import Meta
from kapok.computations.registry import Computation

__all__ = ["COMPUTATION"]


def _view(result: Any) -> Any:
    from kapok.computations.meta.view import MetaAnalysis

    return MetaAnalysis(result)


COMPUTATION: Final = Computation(
    name="meta",
    operations=("meta",),
    parse=Meta.parse,
    contribute=contribute,
    answer=answer,
    functions=tuple(sorted(FUNCTIONS)),
    view=_view,
    # Whoever knows one of three fits has four equations for the four numbers of the others.
    more_parties=1,
)
