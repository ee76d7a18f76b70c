"""Every target under Hypothesis: a value, or an error that says what to do; and memory in proportion.

The seeds of `corpus/` are altered byte by byte, joined and cut; JSON is also altered part by part, and
messages are built from their fields, so that more than the first check is reached.
"""

from __future__ import annotations

import json
import random
import tracemalloc
from typing import Any

import pytest
from fuzz.targets import CORPUS, MESSAGES, TARGETS, is_told
from google.protobuf.descriptor import FieldDescriptor
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
LONG = settings(max_examples=3000, deadline=None, suppress_health_check=list(HealthCheck))
MOST_BYTES = 48 * 2**20
NASTY = [
    b"\x00",
    b"\xff",
    b"\x80",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"NaN",
    b"-0",
    b"1e999",
    b"99999999999999999999",
    b"[" * 3000,
    b"{" * 3000,
    b"(" * 3000,
    b'{"a":' * 2000,
    b"\\ud800",
    b"\x1b[2J",
    b"\xe2\x80\xae",
    b"'",
    b'"',
    b"\n",
    b"--",
    b"/*",
    b"%s",
    b"0x",
    b"inf",
]
SEEDS = {target: sorted(path.read_bytes() for path in (CORPUS / target).iterdir()) for target in TARGETS}
EDGES = [
    0,
    1,
    -1,
    2**31,
    2**53 + 1,
    2**63,
    -(2**63),
    10**30,
    0.5,
    1e308,
    "",
    "\x00",
    "\u202e",
    "0" * 64,
    None,
    True,
    [],
    {},
]


def put(target: str, raw: bytes) -> None:
    """Give a target its input; whatever is no error of Kapok's goes up."""
    try:
        TARGETS[target](raw)
    except Exception as error:
        if not is_told(error):
            raise


def altered(source: random.Random, seed: bytes, others: list[bytes]) -> bytes:
    """A seed with some bytes changed, cut out, doubled, or put in from elsewhere."""
    raw = bytearray(seed)
    for _ in range(source.choice((1, 1, 2, 4, 16))):
        at, end = sorted(source.randrange(len(raw) + 1) for _ in range(2))
        end = min(end, at + source.choice((1, 4, 64, 4096)))
        match source.randrange(6):
            case 0 if raw:
                raw[min(at, len(raw) - 1)] ^= 1 << source.randrange(8)
            case 1:
                del raw[at:end]
            case 2:
                raw[at:at] = raw[at:end]
            case 3:
                raw[at:end] = source.choice(NASTY)
            case 4:
                other = source.choice(others)
                start = source.randrange(len(other) + 1)
                raw[at:end] = other[start : start + source.choice((1, 8, 64))]
            case _:
                raw[at:at] = source.choice(NASTY)
    return bytes(raw)


def nearly(source: random.Random, value: Any) -> Any:
    """A JSON value with one of its parts replaced, left out, or repeated."""
    if isinstance(value, dict) and value and source.random() < 0.9:
        key = source.choice(list(value))
        changed = dict(value)
        if source.random() < 0.15:
            del changed[key]
        else:
            changed[key] = nearly(source, value[key])
        return changed
    if isinstance(value, list) and value and source.random() < 0.8:
        at, changed = source.randrange(len(value)), list(value)
        match source.randrange(4):
            case 0:
                del changed[at]
            case 1:
                changed.append(changed[at])
            case _:
                changed[at] = nearly(source, value[at])
        return changed
    return source.choice(EDGES)


def message(source: random.Random, kind: Any, depth: int = 0) -> Any:
    """A message whose fields are set at random, to edges of their types."""
    made = kind()
    for field in kind.DESCRIPTOR.fields:
        if source.random() < 0.3:
            continue
        for _ in range(source.randrange(4) if field.is_repeated else 1):
            if field.type == FieldDescriptor.TYPE_MESSAGE:
                if depth < 4:
                    inner = message(
                        source,
                        type(getattr(made, field.name))
                        if not field.is_repeated
                        else field.message_type._concrete_class,
                        depth + 1,
                    )
                    (
                        getattr(made, field.name).add() if field.is_repeated else getattr(made, field.name)
                    ).CopyFrom(inner)
                continue
            value = scalar(source, field)
            if field.is_repeated:
                getattr(made, field.name).append(value)
            else:
                setattr(made, field.name, value)
    return made


def scalar(source: random.Random, field: FieldDescriptor) -> Any:
    """A value at an edge of a field's type."""
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_STRING if field.type == FieldDescriptor.TYPE_BYTES:
            return source.choice([b"", b"\xff" * 10, source.randbytes(300)])
        case FieldDescriptor.CPPTYPE_STRING:
            return source.choice(
                ["", "0" * 64, "a" * 5000, "\x1b[2J", "\u202e", "spiffe://a/org/b/node/c", "InvalidInput"]
            )
        case FieldDescriptor.CPPTYPE_DOUBLE | FieldDescriptor.CPPTYPE_FLOAT:
            return source.choice([0.0, -1.0, 1.8e9, 1e18, -1e300, float("inf"), float("nan")])
        case FieldDescriptor.CPPTYPE_BOOL:
            return source.random() < 0.5
        case FieldDescriptor.CPPTYPE_ENUM:
            return source.choice([0, 1, 2, 5, 6, 7, 99])
        case _:
            return source.choice([0, 1, 2**31 - 1, 2**32 - 1])


@pytest.mark.parametrize("target", TARGETS)
def test_altered_seeds(target):
    others = [seed for seeds in SEEDS.values() for seed in seeds]

    @QUICK
    @given(st.integers(0, 2**64))
    def run(number):
        source = random.Random(number)
        put(target, altered(source, source.choice(SEEDS[target]), others))

    run()


@pytest.mark.parametrize("target", TARGETS)
def test_any_bytes(target):
    @QUICK
    @given(st.binary(max_size=200))
    def run(raw):
        put(target, raw)

    run()


JSON = [target for target, seeds in SEEDS.items() if all(seed[:1] == b"{" for seed in seeds)]


@pytest.mark.parametrize("target", JSON)
def test_documents_that_are_nearly_right(target):
    @QUICK
    @given(st.integers(0, 2**64))
    def run(number):
        source = random.Random(number)
        value = json.loads(source.choice(SEEDS[target]))
        for _ in range(source.choice((1, 1, 3))):
            value = nearly(source, value)
        put(target, json.dumps(value).encode())

    run()


@pytest.mark.parametrize("name", [*MESSAGES, "shown_status", "error"])
def test_messages_of_edges(name):
    from kapok.wire.v1 import errors_pb2

    kinds = {"shown_status": MESSAGES["status"][0], "error": errors_pb2.ErrorDetail}
    kind = kinds.get(name) or MESSAGES[name][0]

    @QUICK
    @given(st.integers(0, 2**64))
    def run(number):
        put(f"wire_{name}", message(random.Random(number), kind).SerializeToString())

    run()


@pytest.mark.parametrize("target", TARGETS)
def test_memory_is_in_proportion(target):
    """The seeds, and what is deep, long or repeated: none makes a target take much."""
    source = random.Random(target)
    inputs = [*SEEDS[target], *(piece * 200 for piece in NASTY[:16])]
    inputs += [altered(source, seed, NASTY) * 3 for seed in SEEDS[target]]
    for raw in SEEDS[target]:
        put(target, raw)  # what is imported at the first use counts for nothing
    tracemalloc.start()
    try:
        for raw in inputs:
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            put(target, raw)
            _, peak = tracemalloc.get_traced_memory()
            assert peak - before < MOST_BYTES + 40 * len(raw)
    finally:
        tracemalloc.stop()


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_many_altered_seeds(target):
    others = [seed for seeds in SEEDS.values() for seed in seeds]

    @LONG
    @given(st.integers(0, 2**64))
    def run(number):
        source = random.Random(number)
        put(target, altered(source, source.choice(SEEDS[target]), others))

    run()
