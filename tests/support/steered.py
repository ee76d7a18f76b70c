"""A training's shape without an app: each round counts the rows up to what the analyst's program asks for."""

from dataclasses import replace

from kapok.computations.registry import Steps
from support import bisection

COMPUTATION = replace(
    bisection.COMPUTATION,
    name="steered",
    steps=Steps(bisection.read, bisection.contribute_later, None),
)
