"""Obfuscators made ahead: each is used once."""

from __future__ import annotations

import os
import pickle
import threading

import numpy as np
import pytest

from kapok.errors import InvalidInput
from kapok.protocols.paillier import scheme
from kapok.protocols.paillier.plaintexts import PlaintextVector
from kapok.protocols.paillier.pool import MOST_HELD, ObfuscatorPool
from kapok.protocols.paillier.private import PrivateKey


def _numbers(key: PrivateKey, count: int, degree: int) -> PlaintextVector:
    return PlaintextVector.from_integers(key.public, [7 * index for index in range(count)], degree)


@pytest.mark.parametrize("degree", [1, 3])
def test_what_a_pool_encrypts_is_decrypted_and_used_up(subgroup_key: PrivateKey, degree: int) -> None:
    pool = ObfuscatorPool(subgroup_key.public, degree, 20)
    assert (len(pool), pool.fill(12), pool.fill(100), pool.fill(1), len(pool)) == (0, 12, 8, 0, 20)
    seen: set[bytes] = set()
    for count, left in ((1, 19), (16, 3), (9, 0), (4, 0)):
        vector = pool.encrypt(_numbers(subgroup_key, count, degree))
        assert len(pool) == left
        assert subgroup_key.decrypt_integers(vector) == [7 * index for index in range(count)]
        step = (degree + 1) * 256
        # The lowest digit is the obfuscator's own with a plaintext of zero higher digits or not: all differ.
        seen |= {vector.body[start : start + 256] for start in range(0, len(vector.body), step)}
    assert len(seen) == 30


def test_places_of_what_was_taken_are_overwritten(subgroup_key: PrivateKey) -> None:
    pool = ObfuscatorPool(subgroup_key.public, 1, 8)
    pool.fill(8)
    digits, rows = pool._held.digits.copy(), pool._held.rows.copy()
    pool.encrypt(_numbers(subgroup_key, 3, 1))
    assert digits.any(axis=(1, 2)).all()
    assert rows.any(axis=1).all()
    assert not pool._held[5:].digits.any()
    assert not pool._held[5:].rows.any()
    assert np.array_equal(pool._held[:5].digits, digits[:5])
    assert np.array_equal(pool._held[:5].rows, rows[:5])


def test_threads_never_share_an_obfuscator(subgroup_key: PrivateKey) -> None:
    pool = ObfuscatorPool(subgroup_key.public, 1, 200)
    pool.fill(100)
    zeros = PlaintextVector.from_integers(subgroup_key.public, [0] * 7)
    bodies: list[bytes] = []
    start = threading.Barrier(5)

    def seal() -> None:
        start.wait()
        for _ in range(3):
            bodies.append(pool.encrypt(zeros).body)

    def fill() -> None:
        start.wait()
        while pool.fill(10):
            pass

    threads = [threading.Thread(target=seal) for _ in range(4)] + [threading.Thread(target=fill)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Encryptions of zero are the obfuscators themselves.
    ciphertexts = [body[place : place + 512] for body in bodies for place in range(0, len(body), 512)]
    assert len(ciphertexts) == len(set(ciphertexts)) == 4 * 3 * 7
    left = {bytes(row.tobytes()) for row in pool._held.digits[: len(pool)]}
    assert len(left) == len(pool)
    assert not left & set(ciphertexts)


def test_a_forked_process_has_none_of_them(subgroup_key: PrivateKey) -> None:
    pool = ObfuscatorPool(subgroup_key.public, 1, 4)
    pool.fill(4)
    reading, writing = os.pipe()
    with pool._lock:  # as a thread of the parent could hold it at that moment
        child = os.fork()
        if child == 0:
            try:
                held = pool._held.digits.any() or pool._held.rows.any()
                empty = len(pool) == 0 and not held and pool._lock.acquire(blocking=False)
                os.write(writing, b"empty" if empty else b"shared")
            finally:
                os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        assert told.read() == b"empty"
    os.waitpid(child, 0)
    assert len(pool) == 4


def test_an_empty_pool_encrypts_all_the_same(subgroup_key: PrivateKey) -> None:
    pool = ObfuscatorPool(subgroup_key.public, 1, 1)
    assert subgroup_key.decrypt_integers(pool.encrypt(_numbers(subgroup_key, 3, 1))) == [0, 7, 14]


def test_pools_are_bounded_secret_and_of_one_degree(subgroup_key: PrivateKey) -> None:
    for capacity in (0, MOST_HELD + 1, 10**18):
        with pytest.raises(InvalidInput) as refused:
            ObfuscatorPool(subgroup_key.public, 1, capacity)
        assert refused.value.code == "bad_pool"
    pool = ObfuscatorPool(subgroup_key.public, 1, 2)
    assert repr(pool) == "<ObfuscatorPool of 2>"
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(pool)
    with pytest.raises(InvalidInput) as refused:
        pool.encrypt(_numbers(subgroup_key, 2, 2))
    assert refused.value.code == "bad_plaintexts"
    wrong = PlaintextVector(np.full((1, 1, 256), 255, dtype=np.uint8))
    with pytest.raises(InvalidInput) as refused:
        pool.encrypt(wrong)
    assert refused.value.code == "plaintext_overflow"
    pool.fill(2)
    with pytest.raises(InvalidInput) as refused:
        pool.encrypt(wrong)
    assert refused.value.code == "plaintext_overflow"
    assert scheme.encrypt(subgroup_key.public, _numbers(subgroup_key, 2, 1)).degree == 1
