"""The vectorised way gives what the plain one gives: same keys, same ciphertexts, same refusals."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import gmpy2
import numpy as np
import pytest

from kapok.errors import InvalidInput, PeerProtocolError
from kapok.protocols.paillier import plain, private, scheme, tables, vectorised
from kapok.protocols.paillier.digits import check_key, ring_of
from kapok.protocols.paillier.keygen import generate
from kapok.protocols.paillier.number_theory import has_small_factor
from kapok.protocols.paillier.opening import PrimePower
from kapok.protocols.paillier.plaintexts import PlaintextVector
from kapok.protocols.paillier.private import PrivateKey
from kapok.protocols.paillier.public import PublicKey
from kapok.protocols.paillier.vector import CiphertextVector

DEGREES = (1, 2, 3, 4)
# Of all sizes and degrees those that are tried each time.
_QUICK_SIZES = ((2049, 2), (3072, 1), (4096, 3))


@pytest.fixture(scope="module", params=["standard", "subgroup"])
def key(request: pytest.FixtureRequest, private_key: PrivateKey, subgroup_key: PrivateKey) -> PrivateKey:
    return private_key if request.param == "standard" else subgroup_key


def _plaintexts(key: PublicKey, degree: int, count: int) -> list[int]:
    """The ends of the range, of each digit, and numbers in between."""
    limit = key.n**degree
    edges = [0, 1, key.n - 1, limit - 1, limit // 2, limit // key.n, (limit - key.n) % limit]
    return (edges + [secrets.randbelow(limit) for _ in range(count)])[:count]


def _ciphertexts(key: PublicKey, degree: int, count: int) -> CiphertextVector:
    """What may come from anybody: the ends of the range, and units in between."""
    modulus = key.n ** (degree + 1)
    drawn = [1 + secrets.randbelow(modulus - 1) for _ in range(count)]
    return CiphertextVector.from_integers(key, [1, modulus - 1, *drawn][:count], degree)


def _vector(key: PublicKey, integers: list[int], degree: int) -> PlaintextVector:
    return PlaintextVector.from_integers(key, integers, degree)


@pytest.mark.parametrize("degree", DEGREES)
def test_exponents_and_plaintexts_give_the_ciphertexts_of_the_definition(
    key: PrivateKey, degree: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the randomness known: (1+N)^m · h_s^a, a from nothing to all ones."""
    public, modulus = key.public, key.public.n ** (degree + 1)
    octets = public.exponent_bits // 8
    exponents = [0, 1, 2**public.exponent_bits - 1, secrets.randbits(public.exponent_bits)]
    drawn = b"".join(exponent.to_bytes(octets, "little") for exponent in exponents)
    monkeypatch.setattr("os.urandom", lambda count: drawn[:count])
    plaintexts = _plaintexts(public, degree, 4)
    made = scheme.encrypt(public, _vector(public, plaintexts, degree)).to_integers(public)
    assert made == [
        plain.one_plus_n_power(public.n, plaintext, degree) * pow(public.h_s, exponent, modulus) % modulus
        for plaintext, exponent in zip(plaintexts, exponents, strict=True)
    ]


def test_exponents_have_the_bits_of_the_key(key: PrivateKey, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def urandom(count: int) -> bytes:
        asked.append(count)
        return b"\xff" * count

    monkeypatch.setattr("os.urandom", urandom)
    fresh = vectorised.obfuscators(key.public, 3, scheme.table_for(key.public, 1, 3))
    assert asked == [3 * key.public.exponent_bits // 8]
    base, bits = key.public.h_s % key.public.n**2, key.public.exponent_bits
    expected = pow(base, 2**bits - 1, key.public.n**2)
    assert CiphertextVector.of_digits(key.public, fresh.digits).to_integers(key.public) == [expected] * 3


@pytest.mark.parametrize("bits", [2049, 2055, 3001])
def test_exponents_of_odd_lengths_are_cut(
    private_key: PrivateKey, bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Key:
        exponent_bits = bits

    monkeypatch.setattr("os.urandom", lambda count: b"\xff" * count)
    (exponent,) = vectorised._exponents(Key(), 1)  # type: ignore[arg-type]
    assert int.from_bytes(exponent.tobytes(), "little") == 2**bits - 1


@pytest.mark.parametrize("degree", DEGREES)
def test_what_is_encrypted_at_once_is_decrypted(key: PrivateKey, degree: int) -> None:
    public = key.public
    plaintexts = _plaintexts(public, degree, 21)
    vector = scheme.encrypt(public, _vector(public, plaintexts, degree))
    assert CiphertextVector.from_body(public, vector.body, degree) == vector
    assert len({vector.body[i : i + 256] for i in range(0, len(vector.body), 256)}) == 21 * (degree + 1)
    assert key.decrypt_integers(vector) == plaintexts
    assert np.array_equal(key.decrypt(vector).digits, _vector(public, plaintexts, degree).digits)


def _key_of(bits: int) -> PublicKey:
    """Nobody's key: encryption, sums and multiples need no factors, and any square serves as a base."""
    n = secrets.randbits(bits) | 1 << (bits - 1) | 1
    while has_small_factor(n):
        n += 2
    return PublicKey(n, pow(secrets.randbelow(n**5), 2, n**5))


@pytest.mark.parametrize(
    ("bits", "degree"),
    [
        pytest.param(bits, degree, marks=() if (bits, degree) in _QUICK_SIZES else pytest.mark.slow)
        for bits in (2048, 2049, 2560, 3072, 3583, 4096)
        for degree in DEGREES
    ],
)
def test_every_size_and_degree_gives_what_plain_integers_give(
    bits: int, degree: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = _key_of(bits)
    modulus, octets = key.n ** (degree + 1), -(-key.exponent_bits // 8)
    exponents = [0, 2**key.exponent_bits - 1, *(secrets.randbits(key.exponent_bits) for _ in range(5))]
    drawn = b"".join(exponent.to_bytes(octets, "little") for exponent in exponents)
    plaintexts = _plaintexts(key, degree, len(exponents))
    table = scheme.table_for(key, degree, 1)
    with monkeypatch.context() as known:
        known.setattr("os.urandom", lambda count: drawn[:count])
        vector = vectorised.encrypt(key, _vector(key, plaintexts, degree), table)
        ready = vectorised.obfuscators(key, len(exponents), table)
    assert vector.to_integers(key) == [
        plain.one_plus_n_power(key.n, plaintext, degree)
        * int(gmpy2.powmod(key.h_s, exponent, modulus))
        % modulus
        for plaintext, exponent in zip(plaintexts, exponents, strict=True)
    ]
    assert vectorised.with_obfuscators(key, _vector(key, plaintexts, degree), ready) == vector
    assert vectorised.add(key, [vector] * 3) == plain.add(key, [vector] * 3)
    factors = [0, 1, -1, 2**31 - 1, -(2**31), 3, -5]
    assert vectorised.scale(key, vector, factors) == plain.scale(key, vector, factors)


@pytest.mark.parametrize("degree", [1, 3])
def test_blocks_change_nothing(
    subgroup_key: PrivateKey, degree: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long vector is encrypted and opened in pieces, of which none is too large."""
    public, drawn = subgroup_key.public, []

    def urandom(count: int) -> bytes:
        drawn.append(count * 8 // public.exponent_bits)
        return secrets.token_bytes(count)

    plaintexts = _plaintexts(public, degree, 21)
    monkeypatch.setattr(vectorised, "_BLOCK", 8)
    monkeypatch.setattr(private, "_BLOCK", 9)
    with monkeypatch.context() as watched:
        watched.setattr("os.urandom", urandom)
        vector = scheme.encrypt(public, _vector(public, plaintexts, degree))
    assert drawn == [8, 8, 5]
    opened: list[int] = []
    whole = PrimePower.open

    def watched_open(self: PrimePower, ciphertexts: Sequence[int]) -> list[int]:
        opened.append(len(ciphertexts))
        return whole(self, ciphertexts)

    monkeypatch.setattr(PrimePower, "open", watched_open)
    assert subgroup_key.decrypt_integers(vector) == plaintexts
    assert opened == [9, 9, 9, 9, 3, 3]


@pytest.mark.parametrize("degree", DEGREES)
@pytest.mark.parametrize("parties", [1, 2, 7])
def test_sums_are_those_of_plain_integers(subgroup_key: PrivateKey, degree: int, parties: int) -> None:
    public = subgroup_key.public
    vectors = [_ciphertexts(public, degree, 9) for _ in range(parties)]
    assert vectorised.add(public, vectors) == plain.add(public, vectors)
    assert scheme.add(public, vectors) == plain.add(public, vectors)


@pytest.mark.parametrize("degree", DEGREES)
def test_multiples_are_those_of_plain_integers(subgroup_key: PrivateKey, degree: int) -> None:
    public = subgroup_key.public
    vector = _ciphertexts(public, degree, 7)
    factors = [0, 1, -1, 2**64, -(2**31), 3, -5]
    assert vectorised.scale(public, vector, factors) == plain.scale(public, vector, factors)
    for factor in (0, 1, 12345, -7):
        expected = plain.scale(public, vector, [factor] * 7)
        assert vectorised.scale(public, vector, factor) == expected
        assert scheme.scale(public, vector, factor) == expected


def test_a_few_are_done_as_many_are(subgroup_key: PrivateKey) -> None:
    public = subgroup_key.public
    for count in (1, 2, 3, 5):
        plaintexts = _plaintexts(public, 2, count)
        vector = scheme.encrypt(public, _vector(public, plaintexts, 2))
        scaled = scheme.scale(public, scheme.add(public, [vector, vector]), list(range(count)))
        limit = public.n**2
        assert subgroup_key.decrypt_integers(scaled) == [
            2 * plaintext * factor % limit for factor, plaintext in enumerate(plaintexts)
        ]


def test_digits_out_of_range_are_refused(private_key: PrivateKey) -> None:
    public = private_key.public
    digits = _vector(public, [1] * 5, 2).digits.copy()
    digits[3, 1] = np.frombuffer(public.n.to_bytes(256, "little"), dtype=np.uint8)
    narrow = np.zeros((5, 1, 255), dtype=np.uint8)
    for wrong in (digits, narrow, digits[3:4]):
        with pytest.raises(InvalidInput) as refused:
            scheme.encrypt(public, PlaintextVector(np.ascontiguousarray(wrong)))
        assert refused.value.code == "plaintext_overflow"


@pytest.mark.parametrize("count", [300, 1500])
@pytest.mark.parametrize("place", [0, 150, -1])
@pytest.mark.parametrize("low", ["n", "all", "0", "p", "q", "3q"])
def test_one_bad_ciphertext_among_many_is_found(
    private_key: PrivateKey, place: int, low: str, count: int
) -> None:
    public = private_key.public
    p, q = private_key._p.prime, private_key._q.prime
    digit = {"n": public.n, "all": 2**2048 - 1, "0": 0, "p": p, "q": q, "3q": 3 * q}[low]
    good = plain.encrypt(public, [5]).body * count
    bad = bytearray(good)
    start = 512 * (place % count)
    bad[start : start + 256] = digit.to_bytes(256, "little")
    CiphertextVector.from_body(public, good)
    with pytest.raises(PeerProtocolError) as refused:
        CiphertextVector.from_body(public, bytes(bad))
    assert refused.value.code == "bad_ciphertext"
    unchecked = [CiphertextVector(public.key_id, 1, count, body) for body in (good, bytes(bad))]
    for way in (vectorised, scheme):
        with pytest.raises(PeerProtocolError) as refused:
            way.add(public, unchecked)
        assert refused.value.code == "bad_ciphertext"


def test_vectors_that_do_not_belong_together_are_not_added(
    private_key: PrivateKey, subgroup_key: PrivateKey
) -> None:
    public = private_key.public
    one = plain.encrypt(public, [1] * 3)
    others = {
        "bad_ciphertext": [plain.encrypt(public, [1] * 2), plain.encrypt(public, [1] * 3, 2)],
        "wrong_result_key": [plain.encrypt(subgroup_key.public, [1] * 3)],
    }
    for code, vectors in others.items():
        for other in vectors:
            with pytest.raises(PeerProtocolError) as refused:
                scheme.add(public, [one, other] + [one] * 20)
            assert refused.value.code == code
    with pytest.raises(InvalidInput) as invalid:
        scheme.add(public, [])
    assert invalid.value.code == "no_vectors"
    with pytest.raises(InvalidInput) as invalid:
        scheme.scale(public, one, [1, 2])
    assert invalid.value.code == "bad_factors"
    for factors in (1.5, ["7"], [2.0]):
        with pytest.raises(InvalidInput) as invalid:
            scheme.scale(public, one, factors)  # type: ignore[arg-type]
        assert invalid.value.code == "bad_factors"
    for degree in (-1, 0, 5):
        with pytest.raises(PeerProtocolError) as refused:
            CiphertextVector.from_body(public, one.body, degree)
        assert refused.value.code == "bad_ciphertext"


@pytest.mark.parametrize("degree", [0, 1, 3])
def test_a_key_that_shares_a_factor_with_the_arithmetic_is_refused(
    private_key: PrivateKey, degree: int
) -> None:
    """Its primes lie above those that every key is tested for."""
    prime = ring_of(private_key.public, degree).constants.bases.a[0]
    cofactor = private_key.public.n // prime | 1
    while True:
        cofactor += 2
        try:
            key = PublicKey(prime * cofactor, 4)
        except InvalidInput:
            continue
        break
    with pytest.raises(InvalidInput) as refused:
        ring_of(key, degree)
    assert refused.value.code == "bad_result_key"
    with pytest.raises(InvalidInput):
        check_key(key, max(1, degree))


def test_what_was_prepared_is_used(subgroup_key: PrivateKey, monkeypatch: pytest.MonkeyPatch) -> None:
    public = subgroup_key.public
    monkeypatch.setattr(tables, "_kept", type(tables._kept)())
    made = scheme.table_for(public, 2, 5)
    monkeypatch.setattr(tables, "FixedBase", None)
    vector = scheme.encrypt(public, _vector(public, [1, 2, 3], 2))
    assert subgroup_key.decrypt_integers(vector) == [1, 2, 3]
    assert list(tables._kept) == [(public.key_id, 2)]
    assert tables.table_of(public, ring_of(public, 2), 5) is made


def test_tables_are_kept_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_kept", type(tables._kept)())
    keys = [generate(2048, "subgroup").public for _ in range(tables.MOST_TABLES + 1)]
    rings = [ring_of(key, 1) for key in keys]
    first = tables.table_of(keys[0], rings[0], 5)
    assert tables.table_of(keys[0], rings[0], 60) is first
    larger = tables.table_of(keys[0], rings[0], 100_000)
    assert larger.table_bytes > first.table_bytes
    assert larger.table_bytes <= tables.table_limit(keys[0])
    # A large table serves a few, too.
    assert tables.table_of(keys[0], rings[0], 5) is larger
    for key, ring in zip(keys[1:], rings[1:], strict=True):
        tables.table_of(key, ring, 5)
    assert len(tables._kept) == tables.MOST_TABLES
    assert tables.table_of(keys[0], rings[0], 5) is not larger
