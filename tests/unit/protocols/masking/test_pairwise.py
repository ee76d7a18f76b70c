"""Pairwise keys: equal on both sides, bound to what is agreed, never from a key of small order."""

import copy
import hashlib
import hmac
import pickle

import pytest

from kapok.errors import PeerProtocolError
from kapok.protocols.masking.pairwise import MaskKey, derive

P = 2**255 - 19
# The u-coordinates of points of small order, as curve and twist have them (RFC 7748, section 7).
ORDER_8 = [
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
]
SMALL_ORDER = [0, 1, P - 1, *ORDER_8, P, P + 1]


def test_both_sides_agree():
    one, two = MaskKey(), MaskKey()
    assert one.agree(two.public, b"info", party="two") == two.agree(one.public, b"info", party="one")


def test_another_info_is_another_key():
    one, two = MaskKey(), MaskKey()
    assert one.agree(two.public, b"info", party="two") != one.agree(two.public, b"other", party="two")


@pytest.mark.parametrize("u", SMALL_ORDER)
def test_key_of_small_order_is_refused_and_its_party_named(u):
    with pytest.raises(PeerProtocolError) as error:
        MaskKey().agree(u.to_bytes(32, "little"), b"info", party="mallory")
    assert (error.value.code, error.value.party) == ("bad_mask_key", "mallory")


def test_key_of_another_length_is_refused():
    with pytest.raises(PeerProtocolError):
        MaskKey().agree(bytes(31), b"info", party="mallory")


def test_derivation_is_rfc_5869():
    """Against HKDF written out with HMAC, and against the RFC's third test case."""
    extracted = hmac.digest(bytes(32), b"secret", "sha256")
    assert derive(b"secret", b"info") == hmac.digest(extracted, b"info\x01", "sha256")
    expected = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
    assert derive(b"\x0b" * 22, b"", 42).hex() == expected
    assert hashlib.sha256().digest_size == 32


def test_key_does_not_print_and_is_not_copied():
    key = MaskKey()
    assert repr(key) == "MaskKey(<hidden>)"
    for action in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            action(key)
