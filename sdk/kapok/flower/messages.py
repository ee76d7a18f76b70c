"""Flower's messages as bytes and as plain arrays and numbers.

An *instruction* is what every node gets alike: the message without whom it is for and when it was made, so
that the same content is the same bytes. It is one record of arrays, the model, and at most one of single
values, called as Flower's strategies call them; what an app is given is written anew from what was read here,
not handed on. A *reply* is what an app gives back: one record of arrays, one of metrics. Serialised by
Flower's own protobuf, arrays as `.npy` without pickles.
"""

from __future__ import annotations

import io
import math
import time
import tokenize
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from kapok.errors import InvalidInput

if TYPE_CHECKING:
    from flwr.app import Message
    from flwr.proto.recorddict_pb2 import ArrayRecord, ConfigRecord, MetricRecord

__all__ = [
    "EVALUATE",
    "PROXIMAL_MU",
    "SERVER_ROUND",
    "TRAIN",
    "Instruction",
    "Reply",
    "addressed",
    "instruction_of",
    "read",
    "read_reply",
    "write_reply",
]

TRAIN: Final = "train"
EVALUATE: Final = "evaluate"
SERVER_ROUND: Final = "server-round"
PROXIMAL_MU: Final = "proximal-mu"
"""These two Flower's averaging strategies say of themselves beside the model."""
_RECORDS: Final = {"array_record": "arrays", "config_record": "config"}
"""What Flower's strategies call the records that they send, unless told otherwise."""
_STYPE: Final = "numpy.ndarray"
_HEADERS: Final = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_NO_ARRAY: Final = (
    ValueError,
    TypeError,
    LookupError,
    SyntaxError,
    tokenize.TokenError,
    ArithmeticError,
    RecursionError,
    MemoryError,
)
"""What NumPy raises of bytes that are none, and of headers that it parses as Python."""
_TTL_S: Final = 43_200.0

Array = npt.NDArray[Any]
Metric = float | tuple[float, ...]
Said = bool | int | float | str


@dataclass(frozen=True, slots=True)
class Instruction:
    """What the nodes are asked to do.

    Attributes:
        kind: ``train`` or ``evaluate``, with what an app has put behind a dot.
        arrays: The model as it is sent, by name.
        said: What is said beside it, by key.
        content: All of it, as bytes.
    """

    kind: str
    arrays: Mapping[str, Array] = field(repr=False)
    said: Mapping[str, Said] = field(repr=False)
    content: bytes = field(repr=False)

    @property
    def trains(self) -> bool:
        """Whether arrays are wanted back."""
        return self.kind.partition(".")[0] == TRAIN


@dataclass(frozen=True, slots=True)
class Reply:
    """What one app, or the mean of all, gives back.

    Attributes:
        arrays: By name; empty where none were wanted.
        metrics: By name, without the weight.
        weight: Of this reply in the mean.
        records: What the records of arrays and of metrics are called; the first may be empty.
    """

    arrays: Mapping[str, Array] = field(repr=False)
    metrics: Mapping[str, Metric] = field(repr=False)
    weight: float
    records: tuple[str, str] = ("arrays", "metrics")


def instruction_of(message: Message) -> bytes:
    """The instruction that a server app's message carries: equal for equal content, whomever it is for."""
    from flwr.common.serde import message_to_proto

    proto = message_to_proto(message)
    kind = proto.metadata.message_type
    proto.metadata.Clear()
    proto.metadata.message_type = kind
    return proto.SerializeToString(deterministic=True)


def addressed(instruction: Instruction, *, run_id: int, node_id: int) -> bytes:
    """An instruction as a message to one node, which is made now: its kind, its arrays and what is said.

    The arrays keep their order, what is said gets one of its own; types and shapes are those of the arrays.
    """
    proto = _anew(instruction)
    proto.metadata.run_id, proto.metadata.dst_node_id = run_id, node_id
    proto.metadata.src_node_id, proto.metadata.message_id = 1, "instruction"
    proto.metadata.created_at, proto.metadata.ttl = time.time(), _TTL_S
    written: bytes = proto.SerializeToString()
    return written


def rewritten(instruction: Instruction) -> Instruction:
    """The same, whose bytes are those of all that say the same, however they were written."""
    return replace(instruction, content=_anew(instruction).SerializeToString(deterministic=True))


def _anew(instruction: Instruction) -> Any:
    from flwr.proto.message_pb2 import Message as ProtoMessage

    proto = ProtoMessage()
    arrays = proto.content.items.add(key=_RECORDS["array_record"]).array_record
    arrays.SetInParent()
    for name, array in instruction.arrays.items():
        value = arrays.items.add(key=name).value
        value.dtype, value.stype, value.data = array.dtype.name, _STYPE, _npy(array)
        value.shape.extend(array.shape)
    config = proto.content.items.add(key=_RECORDS["config_record"]).config_record
    config.SetInParent()
    for key, word in sorted(instruction.said.items()):
        setattr(config.items.add(key=key).value, _scalar(word), word)
    proto.metadata.message_type = instruction.kind
    return proto


def read(instruction: bytes) -> Instruction:
    """Read an instruction.

    Raises:
        InvalidInput: ``bad_instruction``: it is none; says nothing of what is in it.
    """
    proto = _parsed(instruction, "bad_instruction")
    if proto.HasField("error"):
        raise _bad("bad_instruction", "it is an error")
    found: dict[str, Any] = {}
    for item in proto.content.items:
        kind = item.WhichOneof("value")
        if kind not in ("array_record", "config_record") or kind in found:
            raise _bad("bad_instruction", "it is more than one record of arrays and one of its configuration")
        if item.key != _RECORDS[kind]:
            raise _bad("bad_instruction", "its records are not called arrays and config, as strategies do")
        found[kind] = getattr(item, kind)
    arrays = _arrays(found["array_record"], "bad_instruction") if "array_record" in found else {}
    said = _said(found["config_record"]) if "config_record" in found else {}
    return Instruction(proto.metadata.message_type, arrays, said, instruction)


def read_reply(reply: bytes, weight_key: str, *, trains: bool) -> Reply:
    """Read what an app gave back.

    Args:
        reply: A message of Flower's, serialised.
        weight_key: The metric that is the weight.
        trains: Whether arrays are wanted.

    Raises:
        InvalidInput: ``bad_reply``: not one record of arrays and one of metrics, in a form that can be
            averaged. Says nothing of what is in it.
    """
    proto = _parsed(reply, "bad_reply")
    if proto.HasField("error"):
        raise _bad("bad_reply", "the app reports an error")
    arrays: list[tuple[str, ArrayRecord]] = []
    metrics: list[tuple[str, MetricRecord]] = []
    for item in proto.content.items:
        match item.WhichOneof("value"):
            case "array_record":
                arrays.append((item.key, item.array_record))
            case "metric_record":
                metrics.append((item.key, item.metric_record))
            case _:
                pass
    if len(metrics) != 1 or (trains and len(arrays) != 1):
        raise _bad("bad_reply", "an app gives back one record of metrics, and one of arrays when it trains")
    values = _metrics(metrics[0][1])
    weight = values.pop(weight_key, None)
    if not isinstance(weight, float):
        raise _bad("bad_reply", f"its metrics lack {weight_key}, one number, by which it is weighted")
    found = _arrays(arrays[0][1], "bad_reply") if trains else {}
    return Reply(found, values, weight, (arrays[0][0] if trains else "", metrics[0][0]))


def write_reply(mean: Reply, weight_key: str, *, kind: str) -> bytes:
    """The mean as the one reply that a strategy gets: averaging it alone gives it back."""
    from flwr.app import Array as FlowerArray
    from flwr.app import ArrayRecord as Arrays
    from flwr.app import MetricRecord as Metrics
    from flwr.app import RecordDict
    from flwr.common.serde import recorddict_to_proto
    from flwr.proto.message_pb2 import Message as ProtoMessage

    content = RecordDict()
    if mean.records[0]:
        content[mean.records[0]] = Arrays({name: FlowerArray(array) for name, array in mean.arrays.items()})
    metrics: dict[str, Any] = {
        name: list(value) if isinstance(value, tuple) else value for name, value in mean.metrics.items()
    }
    content[mean.records[1]] = Metrics(metrics | {weight_key: mean.weight})
    proto = ProtoMessage(content=recorddict_to_proto(content))
    proto.metadata.message_type = kind
    written: bytes = proto.SerializeToString(deterministic=True)
    return written


def _parsed(message: bytes, code: str) -> Any:
    from flwr.proto.message_pb2 import Message as ProtoMessage
    from google.protobuf.message import DecodeError

    try:
        return ProtoMessage.FromString(message)
    except DecodeError:
        raise _bad(code, "it is no message of Flower") from None


def _arrays(record: ArrayRecord, code: str) -> dict[str, Array]:
    """Arrays by name, in the record's order."""
    found: dict[str, Array] = {}
    for item in record.items:
        value = item.value
        if value.stype != _STYPE or item.key in found:
            raise _bad(code, "an array is not one of NumPy's, or named twice")
        if "\0" in item.key or item.key.endswith(".npy"):
            raise _bad(code, "an array's name, under which a file is to have it, ends in .npy or holds NUL")
        try:
            found[item.key] = _array(value.data)
        except _NO_ARRAY:
            raise _bad(code, "an array cannot be read") from None
    return found


def _array(npy: bytes) -> Array:
    """The array that these bytes are as `.npy`: no more of them, and no fewer, than it has."""
    stream = io.BytesIO(npy)
    # NumPy bounds the header before it reads it.
    shape, by_columns, dtype = _HEADERS[np.lib.format.read_magic(stream)](stream)
    place = stream.tell()
    if dtype.hasobject or not dtype.itemsize or math.prod(shape) * dtype.itemsize != len(npy) - place:
        raise ValueError("the bytes are not the array's")
    return np.ndarray(shape, dtype, npy, place, order="F" if by_columns else "C")


def _npy(array: Array) -> bytes:
    """An array as `.npy`, its values from the least byte to the largest and row by row."""
    stream = io.BytesIO()
    plain = np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")
    np.lib.format.write_array(stream, plain, allow_pickle=False)
    return stream.getvalue()


def _scalar(value: Said) -> str:
    """The field of a value's own kind."""
    match value:
        case bool():
            return "bool"
        case int():
            return "sint64" if value < 1 << 63 else "uint64"
        case float():
            return "double"
        case str():
            return "string"


def _said(record: ConfigRecord) -> dict[str, Said]:
    said: dict[str, Said] = {}
    for item in record.items:
        which = item.value.WhichOneof("value")
        if which not in ("double", "sint64", "uint64", "bool", "string") or item.key in said:
            raise _bad("bad_instruction", "a value of its configuration is no single number, text or boolean")
        said[item.key] = getattr(item.value, which)
    return said


def _metrics(record: MetricRecord) -> dict[str, Metric]:
    found: dict[str, Metric] = {}
    for item in record.items:
        which = item.value.WhichOneof("value")
        if which is None or item.key in found:
            raise _bad("bad_reply", "a metric has no value, or is named twice")
        value = getattr(item.value, which)
        read: Metric = tuple(map(float, value.vals)) if which.endswith("_list") else float(value)
        found[item.key] = read
    return found


def finite(values: Sequence[float]) -> bool:
    """Whether none is infinite or no number."""
    return all(map(math.isfinite, values))


def _bad(code: str, why: str) -> InvalidInput:
    what = "the app's reply" if code == "bad_reply" else "the round's instruction"
    return InvalidInput(
        f"{what} cannot be used: {why}", code=code, remedy="see docs/federated-learning.md for what apps run"
    )
