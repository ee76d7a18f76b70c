"""What a job of federated learning asks: which app, which columns, which model, within which bounds."""

from __future__ import annotations

import math
from typing import Final, Literal

import msgspec
import numpy as np

from kapok.computations.federated.layout import MOST_VALUES, Layout
from kapok.documents.dataset import Dataset
from kapok.documents.envelope import is_digest
from kapok.errors import InvalidInput, KapokError, counted

__all__ = ["OPERATION", "ArrayShape", "ConfigValue", "Question"]

OPERATION: Final = "federated"
MOST_EXCHANGES: Final = 100_000
_MOST_ARRAYS: Final = 4096
_MOST_NAME: Final = 200
_BOUNDS: Final = (1e-100, 1e100)
"""Between which each bound lies: no step, nor what is computed with it, leaves the range of floats."""

_LARGEST: Final = {name: float(np.finfo(name).max) for name in ("float16", "float32", "float64")}
"""The largest float of each type."""

DTypeName = Literal[
    "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"
]
ConfigValue = bool | int | float | str


class ArrayShape(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One array of the model."""

    name: str
    dtype: DTypeName
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of its values."""
        return math.prod(self.shape)

    @property
    def is_integer(self) -> bool:
        """Whether its values are whole numbers; their mean is not."""
        return "int" in self.dtype


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A training, as its job asks for it. Its canonical text is JSON with sorted keys.

    Attributes:
        app: SHA-256 of the app's bundle, lower-case hex.
        columns: What of the dataset the app sees, sorted.
        config: Values of the app's run config that differ from its own, by key.
        arrays: The model: what an instruction carries, and a reply to one that trains.
        exchanges: Most rounds of the job.
        word_bits: Width of a word.
        value_range: Largest magnitude of a value of a float array.
        integer_range: Likewise of an array of integers.
        examples: Most that the weights of all nodes may add up to.
        weight: The metric that is the weight.
        clip_norm: Largest Euclidean norm of what an app changes in the model at one node, all its arrays
            together; what is longer is shortened to it. None: no limit.

    Raises:
        InvalidInput: ``bad_training``.
    """

    app: str
    columns: tuple[str, ...]
    config: dict[str, ConfigValue]
    arrays: tuple[ArrayShape, ...]
    exchanges: int
    word_bits: Literal[32, 64]
    value_range: float
    integer_range: float
    examples: float
    weight: str = "num-examples"
    clip_norm: float | None = None

    def __post_init__(self) -> None:
        names = [one.name for one in self.arrays]
        bounds = (self.value_range, self.integer_range, self.examples, self.clip_norm or 1.0)
        narrowest = min(_LARGEST.get(one.dtype, math.inf) for one in self.arrays) if names else math.inf
        checks = (
            (is_digest(self.app), "its app is no SHA-256 in lower-case hexadecimal"),
            (self.word_bits in (32, 64), "its words have 32 or 64 bits"),
            (list(self.columns) == sorted(set(self.columns)), "its columns are not sorted"),
            (1 <= self.exchanges <= MOST_EXCHANGES, f"it has 1 to {MOST_EXCHANGES} exchanges"),
            (1 <= len(names) <= _MOST_ARRAYS, f"a model has 1 to {_MOST_ARRAYS} arrays"),
            (len(set(names)) == len(names), "two of its arrays have one name"),
            (
                all(0 < len(name) <= _MOST_NAME for name in (*names, self.weight)),
                "a name is empty or too long",
            ),
            (all(side >= 0 for one in self.arrays for side in one.shape), "a shape is negative"),
            (1 <= self.values <= MOST_VALUES, f"a model has 1 to {MOST_VALUES} values"),
            (
                all(_BOUNDS[0] <= one <= _BOUNDS[1] for one in bounds),
                f"a bound is not between {_BOUNDS[0]:g} and {_BOUNDS[1]:g}",
            ),
            (
                self.value_range <= narrowest,
                f"the range of its values is beyond {narrowest:g}, the largest float of an array",
            ),
        )
        for holds, rule in checks:
            if not holds:
                raise _bad(rule)

    @classmethod
    def parse(cls, text: str, dataset: Dataset) -> Question:
        """Read a question.

        Raises:
            InvalidInput: ``bad_training``, or ``unknown_column``.
        """
        try:
            question = msgspec.json.decode(text.encode(), type=cls)
        except KapokError:
            raise
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise _bad(f"it cannot be read ({type(error).__name__})") from None
        known = {column.name for column in dataset.columns}
        if foreign := sorted(set(question.columns) - known):
            raise InvalidInput(
                f"the dataset {dataset.name} has no column {foreign[0]!r}",
                code="unknown_column",
                remedy="it has " + ", ".join(sorted(known)),
            )
        return question

    @property
    def text(self) -> str:
        """Its canonical text."""
        return msgspec.json.encode(self, order="sorted").decode()

    @property
    def substance(self) -> str:
        """What it asks: all of its text."""
        return self.text

    @property
    def values(self) -> int:
        """Number of values of the model."""
        return sum(one.size for one in self.arrays)

    @property
    def layout(self) -> Layout:
        """Where what lies in a contribution, and how fine it is."""
        return Layout(
            integer=tuple((one.size, one.is_integer) for one in self.arrays),
            bits=self.word_bits,
            value_range=self.value_range,
            integer_range=self.integer_range,
            examples=self.examples,
        )

    @property
    def words(self) -> int:
        """Number of words of one contribution."""
        return self.layout.words

    @property
    def rounds(self) -> int:
        """Most rounds of its job."""
        return self.exchanges

    @property
    def random_bits(self) -> int:
        """Width of the random words of a holder that withholds its contribution: they are uniform."""
        return self.word_bits

    @property
    def operations(self) -> tuple[str, ...]:
        """The one operation that a policy allows or not."""
        return (OPERATION,)

    @property
    def functions(self) -> tuple[str, ...]:
        """None: what is computed of single rows is the app's affair, which is approved by its hash."""
        return ()

    def title(self, name: str = "") -> str:
        """For a list of jobs: which app, for how long, how large a model.

        Args:
            name: The app's own, where it is known.
        """
        called = f"{name} ({self.app[:12]})" if name else self.app[:12]
        return (
            f"train the app {called}: up to {counted(self.exchanges, 'exchange')} of a model of "
            f"{counted(self.values, 'value')}"
        )

    def describe(self) -> str:
        """For a data holder."""
        config = "".join(f"; {key} = {value!r}" for key, value in sorted(self.config.items()))
        return (
            f"Run the app {self.app[:12]} over the columns {', '.join(self.columns)} and give back its model "
            f"of {counted(self.values, 'value')}, up to {counted(self.exchanges, 'time')}; only the mean of "
            f"all holders is seen{config}"
        )


def _bad(why: str) -> InvalidInput:
    return InvalidInput(
        f"the training cannot be asked for: {why}", code="bad_training", remedy="write it anew"
    )
