"""A result key that is not one is refused, whatever is wrong with it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kapok.errors import InvalidInput
from kapok.protocols.paillier.number_theory import has_small_factor, jacobi
from kapok.protocols.paillier.private import PrivateKey
from kapok.protocols.paillier.public import PublicKey


def _refused(make: Callable[[], PublicKey], why: str) -> None:
    with pytest.raises(InvalidInput, match=why) as refused:
        make()
    assert refused.value.code == "bad_result_key"
    assert refused.value.remedy


def test_encoding_round_trips(private_key: PrivateKey) -> None:
    key = private_key.public
    n, h_s, profile = key.encode()
    assert (len(n), len(h_s), profile) == (256, 5 * 256, "standard")
    assert int.from_bytes(n, "big") == key.n
    digits = [int.from_bytes(h_s[start : start + 256], "little") for start in range(0, len(h_s), 256)]
    assert sum(digit * key.n**place for place, digit in enumerate(digits)) == key.h_s
    assert all(digit < key.n for digit in digits)
    decoded = PublicKey.decode(n, h_s, profile)
    assert decoded == key
    assert decoded.key_id == key.key_id
    assert len(key.key_id) == 32
    assert (key.bits, key.digit_bytes, key.exponent_bits) == (2048, 256, 1024)
    assert [key.ciphertext_bytes(degree) for degree in (1, 2, 3, 4)] == [512, 768, 1024, 1280]


def test_the_profile_is_in_the_key_id(subgroup_key: PrivateKey) -> None:
    key = subgroup_key.public
    assert (key.profile, key.exponent_bits, key.encode().profile) == ("subgroup", 448, "subgroup")
    assert PublicKey.decode(*key.encode()) == key
    renamed = PublicKey(key.n, key.h_s)
    assert renamed != key
    assert renamed.key_id != key.key_id


def test_unknown_profiles_are_refused(private_key: PrivateKey) -> None:
    n, h_s, _ = private_key.public.encode()
    for profile in ("", "Standard", "short"):
        _refused(lambda profile=profile: PublicKey.decode(n, h_s, profile), "does not know")  # type: ignore[misc]


def test_the_subgroup_profile_has_two_sizes(private_key: PrivateKey) -> None:
    # A modulus of 2050 bits without small factors, whatever else it is.
    n = 4 * private_key.public.n + 1
    while has_small_factor(n):
        n += 2
    base = 4 if jacobi(4, n) == 1 else 9
    assert PublicKey(n, base).exponent_bits == 1025
    _refused(lambda: PublicKey(n, base, "subgroup"), "not defined for")


def test_key_ids_tell_keys_apart(private_key: PrivateKey, other_private_key: PrivateKey) -> None:
    key = private_key.public
    same_modulus = PublicKey(key.n, pow(key.h_s, 3, key.n**5))
    assert len({key.key_id, same_modulus.key_id, other_private_key.public.key_id}) == 3


def test_repr_is_short(private_key: PrivateKey) -> None:
    assert repr(private_key.public) == (
        f"PublicKey(profile='standard', key_id={private_key.public.key_id!r})"
    )


@pytest.mark.parametrize("bits", [0, 1, 512, 1024, 2047])
def test_a_small_modulus_is_refused(bits: int) -> None:
    _refused(lambda: PublicKey(2**bits - 1, 4), "smaller than 2048")


def test_a_negative_modulus_is_refused(private_key: PrivateKey) -> None:
    _refused(lambda: PublicKey(-private_key.public.n, 4), "smaller than 2048")


def test_a_large_modulus_is_refused() -> None:
    _refused(lambda: PublicKey(2**4096 + 1, 4), "larger than 4096")
    _refused(
        lambda: PublicKey.decode(b"\x01" + bytes(511) + b"\x01", bytes(1026), "standard"), "larger than 4096"
    )
    _refused(lambda: PublicKey.decode(b"\xff" * 100_000, b"\xff" * 500_000, "standard"), "larger than 4096")


def test_an_even_modulus_is_refused(private_key: PrivateKey) -> None:
    _refused(lambda: PublicKey(private_key.public.n + 1, private_key.public.h_s), "even")


@pytest.mark.parametrize("factor", [3, 251, 65_521])
def test_a_small_factor_is_refused(private_key: PrivateKey, factor: int) -> None:
    odd = private_key.public.n // factor | 1
    _refused(lambda: PublicKey(odd * factor, private_key.public.h_s), "small prime factor")


def test_a_base_out_of_range_is_refused(private_key: PrivateKey) -> None:
    key = private_key.public
    for h_s in (-1, 0, 1, key.n**5, key.n**5 + key.h_s):
        _refused(lambda h_s=h_s: PublicKey(key.n, h_s), "out of range")  # type: ignore[misc]


def test_a_base_of_trivial_residue_is_refused(private_key: PrivateKey) -> None:
    n = private_key.public.n
    for h_s in (n, 5 * n, n + 1, n * n - n + 1, n - 1, 2 * n - 1, n * n - 1):
        _refused(lambda h_s=h_s: PublicKey(n, h_s), "0, 1 or −1")  # type: ignore[misc]


def test_a_base_that_shares_a_factor_is_refused(private_key: PrivateKey) -> None:
    for factor in (private_key._p.prime, private_key._q.prime):
        for h_s in (factor, factor * 12345, factor * factor):
            _refused(lambda h_s=h_s: PublicKey(private_key.public.n, h_s), "shares a factor")  # type: ignore[misc]


def test_a_base_of_jacobi_symbol_minus_one_is_refused(private_key: PrivateKey) -> None:
    n = private_key.public.n
    residue = next(number for number in range(2, 1000) if jacobi(number, n) == -1)
    _refused(lambda: PublicKey(n, residue), "Jacobi")
    _refused(lambda: PublicKey(n, residue + 7 * n), "Jacobi")


def test_other_encodings_are_refused(private_key: PrivateKey) -> None:
    n, h_s, profile = private_key.public.encode()
    for wrong in (
        (b"\0" + n, h_s + bytes(5)),
        (n, h_s[1:]),
        (n, b"\0" + h_s),
        (n, h_s[:512]),
        (b"", b""),
        (n, b""),
        (n, b"\xff" * 256 + h_s[256:]),
        (n, h_s[:1024] + n[::-1]),
    ):
        _refused(lambda wrong=wrong: PublicKey.decode(*wrong, profile), "canonical")  # type: ignore[misc]
    _refused(lambda: PublicKey.decode(n, bytes(5 * 256), profile), "out of range")
    _refused(lambda: PublicKey.decode(n[:255], h_s[: 5 * 255], profile), "smaller than 2048|canonical")
