"""Federated learning's entry in the registry of computations."""

from __future__ import annotations

from operator import attrgetter
from typing import Any, Final, NoReturn

from kapok.computations.federated.contribution import contribute, read_instruction
from kapok.computations.federated.question import OPERATION, Question
from kapok.computations.registry import Computation, Steps
from kapok.errors import InternalError

__all__ = ["COMPUTATION"]


def _nothing_without_instruction(*_: Any) -> NoReturn:
    raise InternalError("every exchange of a training has an instruction, and none is its answer")


COMPUTATION: Final = Computation(
    name="federated",
    operations=(OPERATION,),
    parse=Question.parse,
    contribute=_nothing_without_instruction,
    answer=_nothing_without_instruction,
    steps=Steps(read_instruction, contribute, None, substance=attrgetter("content")),
    over="app",
)
