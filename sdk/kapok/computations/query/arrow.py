"""Values of an answer as Arrow arrays, exact, made of their buffers.

`pyarrow.array` would import pandas wherever that is installed, and a cast `pyarrow.compute`: either takes
longer than reading the answer of a usual question. Source: the columnar format of Apache Arrow, physical
layouts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

    from kapok.computations.query.answers.values import Value, ValueTypeName

__all__ = ["arrow_array"]

_DIGITS: Final = 38
_DECIMAL_BYTES: Final = 16
_FIRST_DAY: Final = date(1970, 1, 1)
_FIRST_SECOND: Final = datetime(1970, 1, 1)
_SECOND: Final = timedelta(seconds=1)


def arrow_array(type_: ValueTypeName, decimals: int, values: Sequence[Value]) -> pa.Array:
    """An Arrow array of one type; None is null.

    Args:
        type_: Of the values that are not None.
        decimals: Digits after the point of a ``decimal``: the values have no more.
        values: Any number of them.
    """
    import pyarrow as pa

    match type_:
        case "text":
            builder = pa.lib.StringBuilder()
            for value in values:
                builder.append(value)
            return builder.finish()
        case "int64":
            return _fixed(pa.int64(), _numbers(values, "<i8", int), values)
        case "float64":
            return _fixed(pa.float64(), _numbers(values, "<f8", float), values)
        case "date":
            return _fixed(pa.date32(), _numbers(values, "<i4", _days), values)
        case "timestamp":
            return _fixed(pa.timestamp("s"), _numbers(values, "<i8", _seconds), values)
        case "boolean":
            return _fixed(pa.bool_(), _bits([bool(value) for value in values]), values)
        case "decimal":
            steps = [0 if value is None else _steps(value, decimals) for value in values]
            body = b"".join(step.to_bytes(_DECIMAL_BYTES, "little", signed=True) for step in steps)
            return _fixed(pa.decimal128(_DIGITS, decimals), body, values)


def _fixed(kind: pa.DataType, body: bytes, values: Sequence[Value]) -> pa.Array:
    import pyarrow as pa

    known = [value is not None for value in values]
    validity = None if all(known) else pa.py_buffer(_bits(known))
    return pa.Array.from_buffers(kind, len(values), [validity, pa.py_buffer(body)])


def _numbers(values: Sequence[Value], dtype: str, number: Callable[[Any], float]) -> bytes:
    return np.array([0 if value is None else number(value) for value in values], dtype).tobytes()


def _bits(flags: Sequence[bool]) -> bytes:
    return np.packbits(np.array(flags, bool), bitorder="little").tobytes()


def _days(value: date) -> int:
    return (value - _FIRST_DAY).days


def _seconds(value: datetime) -> int:
    return (value - _FIRST_SECOND) // _SECOND


def _steps(value: Any, decimals: int) -> int:
    numerator, denominator = Decimal(value).as_integer_ratio()
    return int(numerator * 10**decimals // denominator)
