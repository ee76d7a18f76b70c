"""Which strategies run where only the weighted mean of all replies is known; others would run and be wrong.

FedMedian, FedTrimmedAvg, Krum, QFedAvg and server-side differential privacy look at single replies. Given
one, the mean, they do not fail: they give another answer than the one that their name promises. So a strategy
starts only if its aggregation is one of Flower's averaging ones, which give the mean of one reply back.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kapok.errors import InvalidInput

if TYPE_CHECKING:
    from flwr.serverapp.strategy import Result, Strategy

__all__ = ["Start", "check_strategy", "guarded"]

_LOOKS_AT_SINGLE_REPLIES = "it looks at the replies of single nodes, which nobody sees here"


@dataclass(frozen=True, slots=True)
class Start:
    """A strategy's start, before its first message.

    Attributes:
        strategy: Name of its class.
        num_rounds: Rounds of training and evaluation.
        exchanges: What these take.
        weight_key: The metric by which replies are weighted.
    """

    strategy: str
    num_rounds: int
    exchanges: int
    weight_key: str


def check_strategy(strategy: Strategy) -> None:
    """Refuse a strategy whose aggregation needs more than the weighted mean.

    Raises:
        InvalidInput: ``strategy_not_averaging``, naming it, with the reason.
    """
    from flwr.serverapp import strategy as flower

    averaging = (
        flower.FedAvg,
        flower.FedAvgM,
        flower.FedAdam,
        flower.FedYogi,
        flower.FedAdagrad,
    )
    kind, name = type(strategy), type(strategy).__name__
    if not isinstance(strategy, flower.FedAvg) or kind.start is not flower.Strategy.start:
        why = _LOOKS_AT_SINGLE_REPLIES if kind.__module__.startswith("flwr.") else "it runs its own rounds"
        raise _refused(name, why)
    if all(kind.aggregate_train is not one.aggregate_train for one in averaging):
        own = not kind.aggregate_train.__module__.startswith("flwr.")
        raise _refused(name, "it overrides aggregate_train" if own else _LOOKS_AT_SINGLE_REPLIES)
    if kind.aggregate_evaluate is not flower.FedAvg.aggregate_evaluate:
        raise _refused(name, "it overrides aggregate_evaluate")


@contextmanager
def guarded(starting: Callable[[Start], None], finished: Callable[[Result], None]) -> Iterator[None]:
    """While this lasts, `Strategy.start` refuses what does not average, and tells of start and result.

    Args:
        starting: Told before the first message.
        finished: Told what it returns.
    """
    from flwr.serverapp.strategy import Strategy

    original = Strategy.start

    @functools.wraps(original)
    def start(
        self: Strategy, grid: Any, initial_arrays: Any, num_rounds: int = 3, *more: Any, **named: Any
    ) -> Result:
        check_strategy(self)
        starting(_start(self, num_rounds))
        result = original(self, grid, initial_arrays, num_rounds, *more, **named)
        finished(result)
        return result

    Strategy.start = start  # type: ignore[method-assign]
    try:
        yield
    finally:
        Strategy.start = original  # type: ignore[method-assign]


def _start(strategy: Any, num_rounds: int) -> Start:
    """How a strategy that averages starts: it leaves out what it does with a fraction 0 of the nodes."""
    steps = (strategy.fraction_train != 0) + (strategy.fraction_evaluate != 0)
    return Start(type(strategy).__name__, num_rounds, num_rounds * steps, strategy.weighted_by_key)


def _refused(name: str, why: str) -> InvalidInput:
    return InvalidInput(
        f"the strategy {name} cannot run here: {why}",
        code="strategy_not_averaging",
        remedy="use FedAvg, FedProx, FedAvgM, FedAdam, FedYogi or FedAdagrad, or a subclass that leaves "
        "aggregate_train and aggregate_evaluate as they are",
    )
