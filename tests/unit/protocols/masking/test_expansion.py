"""The generator G: AES-256-CTR from zero, words little-endian, the tag word after them in the same stream."""

import pickle

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from kapok.protocols.masking.expansion import expand, keystream

KEY = bytes(range(32))


def counter_blocks(key: bytes, count: int) -> bytes:
    """CTR written out: the blocks 0, 1, 2, … each encrypted by itself."""
    encryptor = Cipher(AES(key), ECB()).encryptor()
    return b"".join(encryptor.update(number.to_bytes(16, "big")) for number in range(count))


@pytest.mark.parametrize("bits", [8, 24, 64, 104, 192])
def test_words_and_tag_are_read_from_one_stream(bits):
    stream = expand(KEY, count=11, bits=bits, tag_bits=bits + 64)
    width = bits // 8
    expected = counter_blocks(KEY, 30)
    words = [
        int.from_bytes(expected[start : start + width], "little") for start in range(0, 11 * width, width)
    ]
    assert stream.words.to_integers(signed=False) == words
    assert stream.tag == int.from_bytes(expected[11 * width : 12 * width + 8], "little")


@pytest.mark.parametrize("block", [0, 1, 16, 100, 1000])
def test_pieces_make_the_same_stream(block):
    assert b"".join(keystream(KEY, 500, block=block)) == counter_blocks(KEY, 32)[:500]


def test_stream_longer_than_one_internal_block():
    assert b"".join(keystream(KEY, 200_000, block=0)) == counter_blocks(KEY, 12_500)


def test_empty_stream():
    assert list(keystream(KEY, 0, block=0)) == [b""]


def test_mask_does_not_print_and_is_not_pickled():
    stream = expand(KEY, count=3, bits=64, tag_bits=128)
    assert str(stream.tag) not in repr(stream)
    assert stream.words.to_bytes().hex() not in repr(stream)
    with pytest.raises(TypeError):
        pickle.dumps(stream)
