"""A holder's half: what the app gives back is checked outside of its reach, and becomes words or noise.

A ClientApp is somebody else's program beside the data. Whatever it does depends on data, so nothing of it may
be seen: a reply that breaks the rules, or none, makes the contribution uniform words, and the sum opens to
nothing. Why stands in the holder's own log, without a value.
"""

from __future__ import annotations

import functools
import math
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from kapok.computations.engines import EVERY, Note, Thresholds, unheard
from kapok.computations.federated.layout import HEAD_WORDS, ONE_NUMBER, write_head
from kapok.computations.federated.question import ArrayShape, Question
from kapok.documents.dataset import Dataset
from kapok.errors import InvalidInput, KapokError
from kapok.flower import messages
from kapok.protocols.words import WordVector

__all__ = ["App", "contribute", "fitting", "read_instruction", "withheld"]

_LEAST_WEIGHT: Final = 2.0**-32
"""What the words of a weight resolve."""
Array = npt.NDArray[Any]
Bounds = Mapping[str, tuple[float, float]]


class App(Protocol):
    """An app over one holder's table, ready for instructions."""

    @property
    def rows(self) -> int:
        """Rows of the table that it sees."""
        ...

    @property
    def metrics(self) -> Mapping[str, tuple[float, float]]:
        """What it may tell beside the model: least and largest, by name. Empty: whatever is finite."""
        ...

    def call(self, instruction: messages.Instruction) -> bytes:
        """Have it do as instructed; its reply.

        Raises:
            KapokError: it gave none.
        """
        ...


class _Withheld(Exception):
    """Why this holder contributes nothing; without a value."""


def read_instruction(question: Question, _dataset: Dataset, parameters: bytes) -> messages.Instruction:
    """Check an instruction against the question, before anything is computed.

    What it says beside the model is not the question's affair but that of the app's approval.

    Returns:
        It, with bytes of its own: those of all that say the same.

    Raises:
        InvalidInput: ``bad_instruction``; says nothing of what is in it.
    """
    return messages.rewritten(fitting(question, parameters))


def fitting(question: Question, instruction: bytes) -> messages.Instruction:
    """Read an instruction that must fit a question: at the holder's, and at the analyst's before it is sent.

    Returns:
        It, with its arrays in the question's order.

    Raises:
        InvalidInput: ``bad_instruction``; says nothing of what is in it.
    """
    asked = messages.read(instruction)
    if asked.kind.partition(".")[0] not in (messages.TRAIN, messages.EVALUATE):
        raise _bad("it asks neither to train nor to evaluate")
    if (wrong := _misfit(question, asked.arrays)) is not None:
        raise _bad(wrong)
    for one in question.arrays:
        if not _within(question, one, asked.arrays[one.name]):
            option = "--integer-range" if one.is_integer else "--range"
            raise _bad(
                "a value of its model is not finite, or beyond the question's range",
                f"ask with a wider range: {option}; or see why the model grows",
            )
    return replace(asked, arrays={one.name: asked.arrays[one.name] for one in question.arrays})


def contribute(
    question: Question,
    _dataset: Dataset,
    instruction: messages.Instruction,
    app: App,
    thresholds: Thresholds,
    note: Note = unheard,
) -> WordVector:
    """Have the app do as instructed, and make this holder's words of what it gives back.

    Returns:
        `question.words` words: a contribution, or uniform words.
    """
    try:
        if app.rows < thresholds.min_rows:
            raise _Withheld("the table has fewer rows than min_rows")
        return _words(question, instruction, app.call(instruction), app.metrics)
    except _Withheld as error:
        note(EVERY, str(error))
    except KapokError as error:
        note(EVERY, f"{error.message} [{error.code}]")
    except Exception as error:  # noqa: BLE001 - whatever it is, it depends on data: nobody outside may notice
        note(EVERY, f"the app's reply could not be used ({type(error).__name__})")
    return withheld(question)


def withheld(question: Question) -> WordVector:
    """A flag and uniform words: whatever the others send, the sum of it is uniform.

    The flag is uniform, too, of all words but 0, and wraps: the sum of one or more tells nothing of how many.
    Two or more add up to 0 once in 2^b, of words of b bits: then the number of holders, uniform like all
    else, is none that could be, or the names are none.
    """
    octets = question.word_bits // 8
    flag = 1 + secrets.randbelow((1 << question.word_bits) - 1)
    body = flag.to_bytes(octets, "little") + secrets.token_bytes((question.words - 1) * octets)
    return WordVector(question.word_bits, question.words, body)


def _words(question: Question, asked: messages.Instruction, given: bytes, told: Bounds) -> WordVector:
    reply = messages.read_reply(given, question.weight, trains=asked.trains)
    weight = reply.weight
    if not _LEAST_WEIGHT <= weight <= question.examples:
        raise _Withheld(f"{question.weight} is not above 0 and within the examples of the question")
    names, numbers = _measures(reply, told)
    try:
        head = write_head(weight, names, numbers)
    except ValueError:
        raise _Withheld("there are too many metrics, or a metric is too large") from None
    if asked.trains:
        body = question.layout.encode(_checked(question, asked.arrays, reply.arrays), weight)
    else:
        body = bytes(question.values * question.word_bits // 8)
    first = WordVector.from_int64(head, question.word_bits)
    return WordVector(question.word_bits, HEAD_WORDS + question.values, first.body + body)


def _measures(reply: messages.Reply, told: Bounds) -> tuple[bytes, list[float]]:
    """What records and metrics are called, and the metrics' numbers in that order, cut to their bounds."""
    listed: list[tuple[str, int]] = []
    numbers: list[float] = []
    for name, value in sorted(reply.metrics.items()):
        values = value if isinstance(value, tuple) else (value,)
        listed.append((name, len(values) if isinstance(value, tuple) else ONE_NUMBER))
        if not messages.finite(values):
            raise _Withheld("a metric is not finite")
        if told and name not in told:
            raise _Withheld("a metric is none that the app's approval names")
        least, largest = told.get(name, (-math.inf, math.inf))
        numbers += [min(max(one, least), largest) for one in values]
    return msgspec.json.encode([*reply.records, *listed]), numbers


def _checked(question: Question, sent: Mapping[str, Array], given: Mapping[str, Array]) -> list[Array]:
    """The reply's arrays in the question's order, each within its bounds, the change within its norm."""
    if (wrong := _misfit(question, given)) is not None:
        raise _Withheld(f"the model does not fit the question: {wrong}")
    arrays = [given[one.name] for one in question.arrays]
    if question.clip_norm is not None:
        arrays = _clipped([sent[one.name] for one in question.arrays], arrays, question.clip_norm)
    if not all(map(functools.partial(_within, question), question.arrays, arrays)):
        raise _Withheld("a value of the model is not finite, or beyond the question's range")
    return arrays


def _within(question: Question, shape: ArrayShape, array: Array) -> bool:
    """Whether an array's values are finite and within the question's range."""
    bound = question.layout.bound(integer=shape.is_integer)
    # Comparisons with what is no number are false.
    return array.size == 0 or (-bound <= float(array.min()) and float(array.max()) <= bound)


def _clipped(sent: list[Array], given: list[Array], most: float) -> list[Array]:
    changes = [
        after.astype(np.float64) - before.astype(np.float64)
        for before, after in zip(sent, given, strict=True)
    ]
    norm = math.sqrt(sum(float(np.vdot(one, one)) for one in changes))
    if not math.isfinite(norm):
        raise _Withheld("a value of the model is not finite")
    if norm <= most:
        return given
    return [
        before.astype(np.float64) + change * (most / norm)
        for before, change in zip(sent, changes, strict=True)
    ]


def _misfit(question: Question, arrays: Mapping[str, Array]) -> str | None:
    """What is wrong with a model's names, shapes or types; None when nothing is."""
    if set(arrays) != {one.name for one in question.arrays}:
        return "its arrays have other names"
    for one in question.arrays:
        found = arrays[one.name]
        if found.shape != one.shape or not _is_like(found.dtype, one):
            return "an array has another shape or type"
    return None


def _is_like(dtype: np.dtype[Any], asked: ArrayShape) -> bool:
    """Whether an array has the question's type; a mean may have become wider, that of integers a float."""
    return dtype.name == asked.dtype or dtype.kind == "f"


def _bad(why: str, remedy: str = "see that both sides run the same version of Kapok") -> InvalidInput:
    return InvalidInput(
        f"the round's instruction cannot be used: {why}",
        code="bad_instruction",
        remedy=remedy,
    )
