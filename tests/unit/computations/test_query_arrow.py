"""Arrow arrays made of buffers are those that pyarrow itself would make of the values."""

import subprocess
import sys
from datetime import date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from kapok.computations.query.arrow import arrow_array

CASES = {
    "int64": (0, pa.int64(), [0, -1, 2**63 - 1, -(2**63), None, 7, 1, 2, 3, 4]),
    "float64": (0, pa.float64(), [0.1, -0.0, 1e308, 5e-324, None]),
    "decimal": (
        3,
        pa.decimal128(38, 3),
        [Decimal("1.5"), Decimal("-0.001"), Decimal("9" * 35 + ".999"), 12, None],
    ),
    "text": (0, pa.string(), ["", "ward 'a'", "Zürich", None]),
    "boolean": (0, pa.bool_(), [True, False, None, *[True, False] * 9]),
    "date": (0, pa.date32(), [date(1970, 1, 1), date(1, 1, 1), date(9999, 12, 31), None]),
    "timestamp": (
        0,
        pa.timestamp("s"),
        [datetime(1969, 12, 31, 23, 59, 59), datetime(9999, 12, 31, 23, 59, 59), None],
    ),
}


@pytest.mark.parametrize("with_null", [True, False])
@pytest.mark.parametrize("type_", CASES)
def test_an_array_is_pyarrows_own(type_, with_null):
    decimals, kind, values = CASES[type_]
    values = [value for value in values if with_null or value is not None]
    found = arrow_array(type_, decimals, values)
    found.validate(full=True)
    assert found.equals(pa.array(values, kind))
    assert found.null_count == with_null
    assert arrow_array(type_, decimals, []).equals(pa.array([], kind))


def test_neither_pandas_nor_the_functions_of_arrow_are_loaded():
    code = (
        "import sys; from kapok.computations.query.arrow import arrow_array as a; "
        "[a(t, 2, [None]) for t in ('int64', 'float64', 'decimal', 'text', 'boolean', 'date', 'timestamp')]; "
        "print([name for name in ('pandas', 'pyarrow.compute') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
