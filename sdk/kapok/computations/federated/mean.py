"""The analyst's half: the sum of all holders' words → the weighted mean, as one reply of Flower's."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
import numpy as np

from kapok.computations.federated.layout import HEAD_WORDS, ONE_NUMBER, Head, read_head
from kapok.computations.federated.question import Question
from kapok.errors import ConsentWithheld, InvalidInput, KapokError, PeerProtocolError
from kapok.flower.messages import Array, Metric, Reply
from kapok.protocols.words import WordVector

__all__ = ["Mean", "mean_of", "round_withheld"]


@dataclass(frozen=True, slots=True)
class Mean:
    """What one exchange came to.

    Attributes:
        reply: The mean; its weight is the sum of all.
        holders: How many contributed.
        resolution: Most by which a value of a float array is off for having been sent in fixed point.
    """

    reply: Reply = field(repr=False)
    holders: int
    resolution: float


def mean_of(question: Question, total: WordVector, *, trains: bool) -> Mean:
    """Read the sum of all holders' words.

    Raises:
        ConsentWithheld: ``round_withheld``: a holder has withheld its contribution.
        InvalidInput: ``metrics_differ``: the holders' apps name their metrics differently.
        PeerProtocolError: ``impossible_sum``.
    """
    octets = question.word_bits // 8
    end = HEAD_WORDS * octets
    head = read_head(WordVector.from_bytes(total.body[:end], question.word_bits).to_int64())
    if head.withheld:
        raise round_withheld()
    if head.weight <= 0:
        raise PeerProtocolError("no holders can have sent such a sum", code="impossible_sum")
    records, metrics = _metrics(head)
    arrays: dict[str, Array] = {}
    if trains:
        means = question.layout.decode(memoryview(total.body)[end:], head.weight)
        for shape, mean in zip(question.arrays, means, strict=True):
            # The mean of integers is none: Flower's own is float64, too.
            dtype = np.dtype(np.float64 if shape.is_integer else shape.dtype)
            arrays[shape.name] = mean.reshape(shape.shape).astype(dtype)
    reply = Reply(arrays, metrics, head.weight, records)
    return Mean(reply, head.holders, question.layout.resolution(head.holders, head.weight))


def round_withheld() -> KapokError:
    """Of a sum that opens to nothing; which holder it was nobody can tell."""
    return ConsentWithheld(
        "a holder has withheld its contribution to this exchange: its app failed, or what it gave back is "
        "not within the bounds of the job and of the holder's policy, or it has too few rows",
        code="round_withheld",
        remedy="ask the holders' people: the log of each node says what it withheld and why. Wider bounds "
        "are asked for with --range, --integer-range and --examples",
    )


def _metrics(head: Head) -> tuple[tuple[str, str], dict[str, Metric]]:
    if head.names is None:
        raise InvalidInput(
            "the app names its records or metrics differently at different holders: they have no mean",
            code="metrics_differ",
            remedy="let the app give the same metrics everywhere",
        )
    try:
        arrays, metrics, *listed = msgspec.json.decode(head.names)
        found: dict[str, Metric] = {}
        numbers = iter(head.metrics)
        for name, length in listed:
            values = [
                next(numbers) / head.weight for _ in range(max(length, 1 if length == ONE_NUMBER else 0))
            ]
            found[str(name)] = values[0] if length == ONE_NUMBER else tuple(values)
        return (str(arrays), str(metrics)), found
    except (msgspec.MsgspecError, ValueError, TypeError, StopIteration):
        raise PeerProtocolError("no holders can have sent such names", code="impossible_sum") from None
