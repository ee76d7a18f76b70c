"""Arrays in Flower's messages: what is one is read, and whatever else stands there is refused by name."""

import io

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, Message, RecordDict
from support.federation import identify

from kapok.errors import InvalidInput
from kapok.flower import messages


def carrying(data, name="w"):
    """An instruction whose one array is these bytes."""
    identify()
    record = ArrayRecord({name: Array("float32", (1,), "numpy.ndarray", data)})
    return messages.instruction_of(Message(RecordDict({"arrays": record}), 2, "train"))


def npy(array, version=None):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, version)
    return stream.getvalue()


def headed(header, content=b"", version=1):
    """An array's bytes under a header of one's own."""
    text = header.encode() + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + len(text).to_bytes(2 * version, "little") + text + content


def shaped(shape, descr="'<f4'"):
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.array(7, dtype=np.int64),
        np.zeros((0, 3), dtype=np.float16),
        np.arange(4, dtype=">u2"),
    ],
    ids=["rows", "columns", "single", "empty", "big end first"],
)
def test_an_array_is_read_as_it_was_written(array):
    for version in ((1, 0), (2, 0)):
        read = messages.read(carrying(npy(array, version))).arrays["w"]
        assert (read.dtype, read.shape) == (array.dtype, array.shape)
        assert np.array_equal(read, array)


NO_ARRAYS = {
    "nothing": b"",
    "an archive": b"PK\x03\x04garbage",
    "an archive of arrays": b"PK\x05\x06" + bytes(18),
    "a pickle": b"\x80\x04N.",
    "another version": headed(shaped("(1,)"), bytes(4), 3)[:6] + b"\x09" + bytes(9),
    "a row behind it": npy(np.zeros(3, np.float32)) + b"row=17",
    "a value too few": npy(np.zeros(3, np.float32))[:-4],
    "a side beyond all numbers": headed(shaped(f"({10**30},)")),
    "nothing, beyond all numbers": headed(shaped(f"(0, {10**30})")),
    "more than any memory": headed(shaped(f"({10**11},)")),
    "a negative side": headed(shaped("(-1, -1)"), bytes(4)),
    "too many sides": headed(shaped(f"({'1,' * 70})"), bytes(4)),
    "values without a size": headed(shaped(f"({10**12},)", "'|S0'")),
    "objects": headed(shaped("(1,)", "'|O'"), bytes(8)),
    "no type": headed(shaped("(1,)", "5"), bytes(4)),
    "half a type": headed(shaped("(1,)", "[('a',)]"), bytes(4)),
    "no header": headed("{[]: 1}"),
    "a type of nothing": headed(shaped("(1,)", "()"), bytes(4)),
    "half a header": headed("{'descr': ("),
    "no keys": headed("{'descr': '<f4', 1: 2}"),
    "a header that ends early": b"\x93NUMPY\x01\x00\xff\xff{",
    "parentheses": headed("(" * 4000 + ")" * 4000),
    "brackets": headed("[" * 150 + "]" * 150),
    "signs": headed("-" * 9000 + "1"),
    "a header without end": headed(shaped("(1,)") + " " * 100_000, bytes(4), 2),
}


@pytest.mark.parametrize("what", NO_ARRAYS)
def test_what_is_no_array_is_refused_by_name(what):
    with pytest.raises(InvalidInput) as caught:
        messages.read(carrying(NO_ARRAYS[what]))
    assert caught.value.code == "bad_instruction"
    assert "17" not in caught.value.diagnostics()


@pytest.mark.parametrize("name", ["w\0b", "w.npy"])
def test_a_name_under_which_no_file_has_its_array_is_refused(name):
    """A file ends a name at NUL, and NumPy's reader takes ``w.npy`` for ``w`` where there is one."""
    with pytest.raises(InvalidInput, match="an array's name") as caught:
        messages.read(carrying(npy(np.ones(3)), name))
    assert caught.value.code == "bad_instruction"
