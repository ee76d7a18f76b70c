"""The smallest computation of several rounds, to try the machinery with: the median of whole numbers.

    round 1      how many rows there are
    each later   how many rows have a value up to the threshold, which the analyst moves by halves

It suppresses nothing, and is of no use but for tests.
"""

import json
from dataclasses import dataclass
from typing import Any

from kapok.computations.registry import Computation, Next, Steps
from kapok.errors import InvalidInput
from kapok.protocols.words import WordVector


@dataclass(frozen=True)
class Bisection:
    """The median of one column."""

    text: str
    least: int
    largest: int

    words = 2
    word_bits = 80
    random_bits = 64
    operations = ("count",)
    functions = ()

    @property
    def substance(self) -> str:
        return self.text

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.text,)

    @property
    def rounds(self) -> int:
        return 1 + (self.largest - self.least).bit_length()

    def describe(self) -> str:
        return f"the median of {self.text}, by halves"


@dataclass(frozen=True)
class Median:
    """The answer."""

    value: int
    suppressed: tuple[tuple[int, str], ...] = ()

    def to_arrow(self) -> Any:
        import pyarrow as pa

        return pa.table({"median": [self.value]})


def parse(text: str, dataset: Any) -> Bisection:
    least, largest = dataset.column(text).step_bounds
    return Bisection(text, least, largest)


def contribute(question: Bisection, dataset: Any, engine: Any, _thresholds: Any, _note: Any) -> WordVector:
    return _count(question, dataset, engine, question.largest)


def read(question: Bisection, _dataset: Any, parameters: bytes) -> int:
    if not parameters.isdigit() or not question.least <= int(parameters) <= question.largest:
        raise InvalidInput("the threshold is out of bounds", code="bad_parameters")
    return int(parameters)


def contribute_later(
    question: Bisection, dataset: Any, threshold: int, engine: Any, _thresholds: Any, _note: Any
) -> WordVector:
    return _count(question, dataset, engine, threshold)


def advance(question: Bisection, _dataset: Any, state: bytes | None, words: Any) -> Next | Median:
    low, high, total = json.loads(state) if state else (question.least, question.largest, words[0])
    if state:
        middle = (low + high) // 2
        low, high = (low, middle) if 2 * words[0] >= total else (middle + 1, high)
    if low == high:
        return Median(low)
    return Next(b"%d" % ((low + high) // 2), json.dumps([low, high, total]).encode())


def _count(question: Bisection, dataset: Any, engine: Any, threshold: int) -> WordVector:
    sql = f'SELECT COUNT(*) FROM source WHERE "{question.text}" <= {threshold}'
    try:
        [[count]] = engine.fetch(sql)
    except InvalidInput:
        count = 0
    return WordVector.from_integers([int(count), 0], question.word_bits)


COMPUTATION = Computation(
    name="bisection",
    operations=("count",),
    parse=parse,
    contribute=contribute,
    answer=lambda *_: None,
    steps=Steps(read, contribute_later, advance),
)
