"""Wraps open for their key and purpose only, and every bad key or ciphertext is an error of Kapok's own."""

import copy
import pickle

import pytest

from kapok.errors import InvalidInput, PeerProtocolError
from kapok.protocols.wraps import WRAP_KEY_BYTES, WRAP_OVERHEAD, WrapKey, wrap


@pytest.fixture(scope="module")
def key():
    return WrapKey.generate()


def test_opens_with_its_key_and_info(key):
    sealed = wrap(key.public, b"secret", b"purpose")
    assert key.unwrap(sealed, b"purpose") == b"secret"
    assert len(sealed) == len(b"secret") + WRAP_OVERHEAD
    assert len(key.public) == WRAP_KEY_BYTES == 1216


def test_two_wraps_of_one_secret_differ(key):
    assert wrap(key.public, b"secret", b"") != wrap(key.public, b"secret", b"")


def test_key_survives_its_file(key):
    again = WrapKey.from_private_bytes(key.private_bytes())
    assert again.public == key.public
    assert again.unwrap(wrap(key.public, b"s", b"i"), b"i") == b"s"


def test_another_info_does_not_open(key):
    with pytest.raises(PeerProtocolError) as error:
        key.unwrap(wrap(key.public, b"secret", b"purpose"), b"other")
    assert error.value.code == "wrap_does_not_open"


def test_another_key_does_not_open(key):
    with pytest.raises(PeerProtocolError):
        WrapKey.generate().unwrap(wrap(key.public, b"secret", b""), b"")


@pytest.mark.parametrize("place", [0, 700, 1100, -1])
def test_altered_wrap_does_not_open(key, place):
    sealed = bytearray(wrap(key.public, b"secret", b""))
    sealed[place] ^= 1
    with pytest.raises(PeerProtocolError):
        key.unwrap(bytes(sealed), b"")


@pytest.mark.parametrize("length", [0, 5, 1088, 1120, 1135])
def test_short_wrap_does_not_open(key, length):
    with pytest.raises(PeerProtocolError):
        key.unwrap(bytes(length), b"")


def test_public_keys_that_cannot_be_used_are_refused(key):
    small_order = [bytes(32), (1).to_bytes(32, "little")]
    bad = [b"", key.public[:-1], b"\xff" * 1216, *(key.public[:1184] + point for point in small_order)]
    for public in bad:
        with pytest.raises(InvalidInput) as error:
            wrap(public, b"secret", b"")
        assert error.value.code == "bad_wrap_key"


def test_private_bytes_of_another_length_are_refused():
    with pytest.raises(InvalidInput):
        WrapKey.from_private_bytes(bytes(95))


def test_key_does_not_print_and_is_not_copied(key):
    assert key.private_bytes().hex()[:16] not in repr(key)
    assert repr(key) == "WrapKey(<hidden>)"
    for action in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            action(key)
