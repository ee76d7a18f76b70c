"""Ciphertext vectors: encryption, addition, the strict parser."""

from __future__ import annotations

import secrets

import pytest

from kapok.errors import InvalidInput, PeerProtocolError
from kapok.protocols.paillier import plain
from kapok.protocols.paillier.private import PrivateKey
from kapok.protocols.paillier.vector import CiphertextVector


def _body(key: PrivateKey, *digits: int) -> bytes:
    return b"".join(digit.to_bytes(key.public.digit_bytes, "little") for digit in digits)


def _refused(key: PrivateKey, body: bytes, why: str) -> None:
    with pytest.raises(PeerProtocolError, match=why) as refused:
        CiphertextVector.from_body(key.public, body)
    assert refused.value.code == "bad_ciphertext"


def test_what_is_encrypted_is_decrypted(private_key: PrivateKey) -> None:
    n = private_key.public.n
    plaintexts = [0, 1, n - 1, n // 2, secrets.randbelow(n)]
    vector = plain.encrypt(private_key.public, plaintexts)
    assert len(vector) == vector.count == 5
    assert vector.key_id == private_key.public.key_id
    assert len(vector.body) == 5 * 512
    assert private_key.decrypt_integers(vector) == plaintexts


def test_the_wire_form_is_the_digits_to_the_base_n(private_key: PrivateKey) -> None:
    key = private_key.public
    vector = plain.encrypt(key, [7, 8])
    first, second = vector.to_integers(key)
    assert vector.body == _body(private_key, first % key.n, first // key.n, second % key.n, second // key.n)
    assert CiphertextVector.from_body(key, vector.body) == vector
    assert CiphertextVector.from_integers(key, [first, second]) == vector


def test_the_same_plaintext_never_looks_the_same(private_key: PrivateKey) -> None:
    ciphertexts = plain.encrypt(private_key.public, [1] * 6).to_integers(private_key.public)
    assert len(set(ciphertexts)) == 6
    assert len({ciphertext % private_key.public.n for ciphertext in ciphertexts}) == 6


def test_randomness_is_half_the_modulus_long(
    private_key: PrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = private_key.public
    asked: list[int] = []
    monkeypatch.setattr(secrets, "randbits", lambda bits: asked.append(bits) or 3)
    (ciphertext,) = plain.encrypt(key, [5]).to_integers(key)
    assert asked == [1024]
    assert ciphertext == pow(1 + key.n, 5, key.n**2) * pow(key.h_s, 3, key.n**2) % key.n**2


def test_randomness_of_the_subgroup_is_as_long_as_its_order(
    subgroup_key: PrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(secrets, "randbits", lambda bits: asked.append(bits) or 3)
    plain.encrypt(subgroup_key.public, [5])
    assert asked == [448]


@pytest.mark.parametrize("degree", [1, 2, 3, 4])
@pytest.mark.parametrize("profile", [pytest.param("standard", marks=pytest.mark.slow), "subgroup"])
def test_every_degree_encrypts_adds_and_scales(
    private_key: PrivateKey, subgroup_key: PrivateKey, degree: int, profile: str
) -> None:
    key = private_key if profile == "standard" else subgroup_key
    public, limit = key.public, key.public.n**degree
    plaintexts = [0, 1, public.n - 1, limit - 1, secrets.randbelow(limit)]
    vector = plain.encrypt(public, plaintexts, degree)
    assert len(vector.body) == 5 * (degree + 1) * 256
    assert CiphertextVector.from_body(public, vector.body, degree) == vector
    assert key.decrypt_integers(vector) == plaintexts
    assert key.decrypt(vector).to_integers(public) == plaintexts
    total = plain.add(public, [vector, vector, vector])
    assert key.decrypt_integers(total) == [3 * plaintext % limit for plaintext in plaintexts]
    factors = [5, -1, 0, 2**200, -(2**70)]
    scaled = plain.scale(public, vector, factors)
    assert key.decrypt_integers(scaled) == [
        plaintext * factor % limit for plaintext, factor in zip(plaintexts, factors, strict=True)
    ]


def test_the_power_of_one_plus_n_is_that_of_pow(private_key: PrivateKey) -> None:
    n = private_key.public.n
    for degree in (1, 2, 3, 4):
        for exponent in (0, 1, 2, 3, secrets.randbelow(n), n + 2):
            expected = pow(1 + n, exponent, n ** (degree + 1))
            assert plain.one_plus_n_power(n, exponent, degree) == expected


def test_vectors_of_two_degrees_are_not_added(private_key: PrivateKey) -> None:
    vectors = [plain.encrypt(private_key.public, [1], degree) for degree in (1, 2)]
    with pytest.raises(PeerProtocolError) as refused:
        plain.add(private_key.public, vectors)
    assert refused.value.code == "bad_ciphertext"


def test_each_ciphertext_has_its_own_factor(private_key: PrivateKey) -> None:
    vector = plain.encrypt(private_key.public, [1, 2])
    with pytest.raises(InvalidInput) as refused:
        plain.scale(private_key.public, vector, [1])
    assert refused.value.code == "bad_factors"


def test_plaintexts_out_of_range_are_refused(private_key: PrivateKey) -> None:
    for plaintext in (-1, private_key.public.n):
        with pytest.raises(InvalidInput) as refused:
            plain.encrypt(private_key.public, [0, plaintext])
        assert refused.value.code == "plaintext_overflow"
    with pytest.raises(InvalidInput):
        plain.encrypt(private_key.public, [])


def test_products_open_to_sums(private_key: PrivateKey) -> None:
    n = private_key.public.n
    columns = [[secrets.randbelow(n), n - 1, index] for index in range(4)]
    vectors = [plain.encrypt(private_key.public, column) for column in columns]
    total = plain.add(private_key.public, vectors)
    assert private_key.decrypt_integers(total) == [sum(row) % n for row in zip(*columns, strict=True)]
    assert plain.add(private_key.public, vectors[:1]) == vectors[0]


def test_vectors_that_do_not_belong_together_are_not_added(
    private_key: PrivateKey, other_private_key: PrivateKey
) -> None:
    key = private_key.public
    one, two = plain.encrypt(key, [1]), plain.encrypt(key, [1, 2])
    with pytest.raises(PeerProtocolError) as refused:
        plain.add(key, [one, two])
    assert refused.value.code == "bad_ciphertext"
    with pytest.raises(PeerProtocolError) as refused:
        plain.add(key, [one, plain.encrypt(other_private_key.public, [1])])
    assert refused.value.code == "wrong_result_key"
    with pytest.raises(InvalidInput) as invalid:
        plain.add(key, [])
    assert invalid.value.code == "no_vectors"


def test_another_key_does_not_open_a_vector(private_key: PrivateKey, other_private_key: PrivateKey) -> None:
    vector = plain.encrypt(private_key.public, [1])
    for use in (other_private_key.decrypt_integers, lambda v: v.to_integers(other_private_key.public)):
        with pytest.raises(PeerProtocolError) as refused:
            use(vector)
        assert refused.value.code == "wrong_result_key"


def test_digits_that_are_not_canonical_are_refused(private_key: PrivateKey) -> None:
    n = private_key.public.n
    for digits in ((n, 1), (n + 1, 1), (1, n), (1, n + 1), (2**2048 - 1, 1), (1, 2**2048 - 1)):
        _refused(private_key, _body(private_key, *digits), "not below")
        _refused(private_key, _body(private_key, 1, 0, *digits), "not below")


def test_ciphertexts_that_are_no_units_are_refused(private_key: PrivateKey) -> None:
    for low in (0, private_key._p.prime, private_key._q.prime, 2 * private_key._p.prime):
        _refused(private_key, _body(private_key, low, 1), "shares a factor")
        _refused(private_key, _body(private_key, 1, 0, low, 1, 1, 0), "shares a factor")
    halves = _body(private_key, private_key._p.prime, 1, private_key._q.prime, 1)
    _refused(private_key, halves, "shares a factor")


def test_wrong_lengths_are_refused(private_key: PrivateKey) -> None:
    body = plain.encrypt(private_key.public, [1, 2]).body
    for wrong in (b"", body[:-1], body + b"\0", body[:256], body[1:]):
        _refused(private_key, wrong, "bytes are no")


def test_vectors_made_by_hand_are_checked_before_use(private_key: PrivateKey) -> None:
    key = private_key.public
    body = plain.encrypt(key, [1, 2]).body
    for arguments in (
        (b"", 1, 2, body),
        (key.key_id, 1, 0, b""),
        (key.key_id, 1, 3, body),
        (key.key_id, 1, -2, body),
        (key.key_id, 0, 2, body),
        (key.key_id, 5, 2, body),
    ):
        with pytest.raises(PeerProtocolError):
            CiphertextVector(*arguments)
    n = key.n
    for forged in (
        CiphertextVector(key.key_id, 1, 1, body),
        CiphertextVector(key.key_id, 1, 4, body),
        CiphertextVector(key.key_id, 1, 1, _body(private_key, n + 1, 1)),
        CiphertextVector(key.key_id, 1, 1, _body(private_key, 0, 1)),
    ):
        for use in (private_key.decrypt_integers, lambda v: plain.add(key, [v])):
            with pytest.raises(PeerProtocolError) as refused:
                use(forged)
            assert refused.value.code == "bad_ciphertext"


def test_foreign_integers_are_checked(private_key: PrivateKey) -> None:
    key = private_key.public
    for ciphertexts in ([], [-1], [key.n**2], [0], [1, private_key._p.prime], [key.n]):
        with pytest.raises(InvalidInput) as refused:
            CiphertextVector.from_integers(key, ciphertexts)
        assert refused.value.code == "bad_ciphertext"
