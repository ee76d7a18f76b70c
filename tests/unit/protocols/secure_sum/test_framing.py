"""Fields cannot slide into one another."""

import hashlib

from kapok.protocols.secure_sum.framing import framed, hashed, label


def test_layout():
    assert (
        framed(b"ab", "ü", 7)
        == bytes(7) + b"\x02ab" + bytes(7) + b"\x02\xc3\xbc" + bytes(7) + b"\x08" + bytes(7) + b"\x07"
    )


def test_neighbours_do_not_slide():
    assert framed("ab", "c") != framed("a", "bc")
    assert framed("a", "") != framed("a")


def test_hash_has_suite_and_purpose():
    assert label("roster") == b"kapok-sum-1/roster"
    assert hashed("roster", b"x") == hashlib.sha256(framed(b"kapok-sum-1/roster", b"x")).digest()
    assert hashed("roster", b"x") != hashed("release", b"x")
