"""Ciphertexts and keys are exchanged with `phe`, both ways: an independent implementation as oracle."""

from __future__ import annotations

import phe
import pytest

from kapok.protocols.paillier import plain, scheme
from kapok.protocols.paillier.keygen import generate
from kapok.protocols.paillier.plaintexts import PlaintextVector
from kapok.protocols.paillier.private import PrivateKey
from kapok.protocols.paillier.public import PublicKey
from kapok.protocols.paillier.vector import CiphertextVector


@pytest.fixture(scope="module", params=["standard", "subgroup"])
def private_key(request: pytest.FixtureRequest) -> PrivateKey:
    """Both profiles, whatever the exponents' length."""
    return generate(2048, request.param)


@pytest.fixture(scope="module")
def phe_public(private_key: PrivateKey) -> phe.PaillierPublicKey:
    return phe.PaillierPublicKey(private_key.public.n)


@pytest.fixture(scope="module")
def phe_private(private_key: PrivateKey, phe_public: phe.PaillierPublicKey) -> phe.PaillierPrivateKey:
    return phe.PaillierPrivateKey(phe_public, private_key._p.prime, private_key._q.prime)


def test_phe_opens_ours(private_key: PrivateKey, phe_private: phe.PaillierPrivateKey) -> None:
    n = private_key.public.n
    plaintexts = [0, 1, 2**64, n // 2, n - 1]
    ciphertexts = plain.encrypt(private_key.public, plaintexts).to_integers(private_key.public)
    assert [phe_private.raw_decrypt(ciphertext) for ciphertext in ciphertexts] == plaintexts


def test_phe_opens_what_we_encrypt_and_scale_at_once(
    private_key: PrivateKey, phe_private: phe.PaillierPrivateKey
) -> None:
    key, n = private_key.public, private_key.public.n
    plaintexts = [0, 1, n - 1, n // 3, *range(2, 30)]
    vector = scheme.encrypt(key, PlaintextVector.from_integers(key, plaintexts))
    assert [phe_private.raw_decrypt(one) for one in vector.to_integers(key)] == plaintexts
    total = scheme.scale(key, scheme.add(key, [vector] * 3), -2)
    assert [phe_private.raw_decrypt(one) for one in total.to_integers(key)] == [
        -6 * m % n for m in plaintexts
    ]


def test_we_open_many_of_theirs_at_once(private_key: PrivateKey, phe_public: phe.PaillierPublicKey) -> None:
    theirs = [phe_public.raw_encrypt(number) for number in range(12)]
    vector = CiphertextVector.from_integers(private_key.public, theirs)
    assert private_key.decrypt_integers(vector) == list(range(12))


def test_phe_opens_our_sums(private_key: PrivateKey, phe_private: phe.PaillierPrivateKey) -> None:
    vectors = [plain.encrypt(private_key.public, [index, 2**1000 + index]) for index in range(5)]
    total = plain.add(private_key.public, vectors).to_integers(private_key.public)
    assert [phe_private.raw_decrypt(ciphertext) for ciphertext in total] == [10, 5 * 2**1000 + 10]


def test_phe_reads_ours_as_its_own_numbers(
    private_key: PrivateKey, phe_public: phe.PaillierPublicKey, phe_private: phe.PaillierPrivateKey
) -> None:
    n = private_key.public.n
    ciphertexts = plain.encrypt(private_key.public, [12, n - 12]).to_integers(private_key.public)
    numbers = [phe.EncryptedNumber(phe_public, ciphertext) for ciphertext in ciphertexts]
    assert [phe_private.decrypt(number) for number in numbers] == [12, -12]
    assert phe_private.decrypt(numbers[0] + 30) == 42


def test_we_open_the_integers_of_phe(private_key: PrivateKey, phe_public: phe.PaillierPublicKey) -> None:
    numbers = [0, 1, -1, 2**100, -(2**100)]
    ciphertexts = [phe_public.encrypt(number).ciphertext() for number in numbers]
    vector = CiphertextVector.from_integers(private_key.public, ciphertexts)
    assert private_key.decrypt_integers(vector) == [number % private_key.public.n for number in numbers]


def test_we_open_the_encoded_floats_of_phe(
    private_key: PrivateKey, phe_public: phe.PaillierPublicKey
) -> None:
    numbers = [0.0, 3.25, -1e-6, 6.02214076e23, -0.1]
    encrypted = [phe_public.encrypt(number) for number in numbers]
    vector = CiphertextVector.from_integers(private_key.public, [number.ciphertext() for number in encrypted])
    decoded = [
        phe.EncodedNumber(phe_public, encoding, number.exponent).decode()
        for encoding, number in zip(private_key.decrypt_integers(vector), encrypted, strict=True)
    ]
    assert decoded == numbers


def test_phe_opens_its_encoded_floats_when_we_encrypted_added_and_scaled_them(
    private_key: PrivateKey, phe_public: phe.PaillierPublicKey, phe_private: phe.PaillierPrivateKey
) -> None:
    key = private_key.public
    numbers = [0.0, 3.25, -1e-6, 6.02214076e23, -0.1, *(0.37 * place for place in range(-10, 10))]
    encoded = [phe.EncodedNumber.encode(phe_public, number) for number in numbers]
    vector = scheme.encrypt(key, PlaintextVector.from_integers(key, [one.encoding for one in encoded]))
    scaled = scheme.scale(key, scheme.add(key, [vector, vector]), -2)
    for ours, factor in ((vector, 1), (scaled, -4)):
        theirs = [
            phe.EncryptedNumber(phe_public, ciphertext, one.exponent)
            for ciphertext, one in zip(ours.to_integers(key), encoded, strict=True)
        ]
        assert [phe_private.decrypt(one) for one in theirs] == [factor * number for number in numbers]


def test_ours_and_theirs_add(private_key: PrivateKey, phe_public: phe.PaillierPublicKey) -> None:
    theirs = CiphertextVector.from_integers(private_key.public, [phe_public.encrypt(40).ciphertext()])
    ours = plain.encrypt(private_key.public, [2])
    assert private_key.decrypt_integers(plain.add(private_key.public, [ours, theirs])) == [42]


def test_their_private_key_opens_what_we_encrypt_under_their_modulus() -> None:
    public, private = phe.generate_paillier_keypair(n_length=2048)
    key = PublicKey(public.n, pow(9, public.n**4, public.n**5))
    ciphertexts = plain.encrypt(key, [5, public.n - 1]).to_integers(key)
    assert [private.raw_decrypt(ciphertext) for ciphertext in ciphertexts] == [5, public.n - 1]
