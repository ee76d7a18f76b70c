"""Private result keys: how they are made, kept and refused."""

from __future__ import annotations

import contextlib
import copy
import json
import math
import pickle
import secrets
from collections.abc import Callable

import pytest

from kapok.errors import InvalidInput
from kapok.protocols.paillier import plain
from kapok.protocols.paillier.keygen import generate
from kapok.protocols.paillier.number_theory import is_probable_prime, jacobi
from kapok.protocols.paillier.opening import Factor
from kapok.protocols.paillier.private import PrivateKey, _are_sound_orders, is_sound_pair
from kapok.protocols.paillier.vector import CiphertextVector


def _has_the_structure(key: PrivateKey, bits: int) -> None:
    p, q, n = key._p.prime, key._q.prime, key.public.n
    assert p * q == n
    assert n.bit_length() == bits
    assert p % 4 == q % 4 == 3
    assert math.gcd(p - 1, q - 1) == 2
    assert abs(p - q) > 2 ** (bits // 2 - 100)
    assert all(pow(2, prime - 1, prime) == 1 for prime in (p, q))
    # An N⁴-th power, of a −y² that is a non-residue modulo both primes.
    assert pow(key.public.h_s, key._p.order * key._q.order, n**5) == 1
    assert jacobi(key.public.h_s, p) == jacobi(key.public.h_s, q) == -1


def test_generated_keys_have_the_structure_that_encryption_needs(
    private_key: PrivateKey, other_private_key: PrivateKey
) -> None:
    _has_the_structure(private_key, 2048)
    _has_the_structure(other_private_key, 2048)
    assert private_key.public.n != other_private_key.public.n


def test_one_base_serves_all_degrees(private_key: PrivateKey) -> None:
    """It is the N^s-th power of its own root, in each degree: as Damgård, Jurik and Nielsen define it."""
    n, phi = private_key.public.n, (private_key._p.prime - 1) * (private_key._q.prime - 1)
    for degree in (1, 2, 3, 4):
        h_s = private_key.public.h_s % n ** (degree + 1)
        h = pow(h_s, pow(n**degree, -1, phi), n)
        assert pow(h, n**degree, n ** (degree + 1)) == h_s


def test_keys_of_the_subgroup_have_their_structure(subgroup_key: PrivateKey) -> None:
    _has_the_structure(subgroup_key, 2048)
    n, h = subgroup_key.public.n, subgroup_key.public.h_s % subgroup_key.public.n
    orders = [factor.order // 2 for factor in (subgroup_key._p, subgroup_key._q)]
    assert [order.bit_length() for order in orders] == [224, 224]
    assert all(is_probable_prime(order) for order in orders)
    assert all((factor.prime - 1) % factor.order == 0 for factor in (subgroup_key._p, subgroup_key._q))
    # −y² has order exactly 2·p′·q′.
    order = 2 * orders[0] * orders[1]
    assert pow(h, order, n) == 1
    assert all(pow(h, order // part, n) != 1 for part in (2, *orders))


@pytest.mark.slow
def test_the_subgroup_at_3072_bits() -> None:
    key = generate(3072, "subgroup")
    _has_the_structure(key, 3072)
    assert {factor.order.bit_length() for factor in (key._p, key._q)} == {257}
    assert key.public.exponent_bits == 512
    assert key.decrypt_integers(plain.encrypt(key.public, [7], 3)) == [7]


@pytest.mark.parametrize("bits", [1024, 2049, 4096])
def test_other_sizes_have_no_subgroup(bits: int) -> None:
    with pytest.raises(InvalidInput) as refused:
        generate(bits, "subgroup")
    assert refused.value.code in ("key_too_small", "bad_key_size")
    assert str(refused.value.remedy) == "choose one of 2048, 3072 bits"


def test_randomness_outside_the_subgroup_is_opened_too(subgroup_key: PrivateKey) -> None:
    """Such as that of another library: any N-th power."""
    n = subgroup_key.public.n
    foreign = [(1 + m * n) * pow(secrets.randbelow(n), n, n * n) % (n * n) for m in (5, n - 1)]
    ours = plain.encrypt(subgroup_key.public, [8]).to_integers(subgroup_key.public)
    vector = CiphertextVector.from_integers(subgroup_key.public, [foreign[0], *ours, foreign[1]])
    assert subgroup_key.decrypt_integers(vector) == [5, 8, n - 1]


@pytest.mark.parametrize("change", [lambda p, q: (p - 1, q - 1), lambda p, q: (2, 2), lambda p, q: (6, q)])
def test_orders_that_are_not_the_subgroups_are_refused(
    subgroup_key: PrivateKey, change: Callable[[int, int], tuple[int, int]]
) -> None:
    p, q = subgroup_key._p, subgroup_key._q
    orders = change(p.prime, q.prime)
    wrong = [Factor(factor.prime, order) for factor, order in zip((p, q), orders, strict=True)]
    with pytest.raises(InvalidInput) as refused:
        PrivateKey(wrong[0], wrong[1], subgroup_key.public.h_s, "subgroup")
    assert refused.value.code == "bad_private_key"


def test_the_default_is_3072_bits() -> None:
    key = generate()
    _has_the_structure(key, 3072)
    assert key.decrypt_integers(plain.encrypt(key.public, [key.public.n - 1])) == [key.public.n - 1]


@pytest.mark.parametrize("bits", [-1, 0, 512, 1024, 2046, 2047])
def test_small_keys_are_not_made(bits: int) -> None:
    with pytest.raises(InvalidInput) as refused:
        generate(bits)
    assert refused.value.code == "key_too_small"
    assert "3072" in str(refused.value.remedy)


@pytest.mark.parametrize("bits", [2049, 2304, 8192])
def test_odd_sizes_are_not_made(bits: int) -> None:
    with pytest.raises(InvalidInput) as refused:
        generate(bits)
    assert refused.value.code == "bad_key_size"


def test_the_key_file_round_trips(private_key: PrivateKey) -> None:
    body = private_key.to_json_bytes()
    assert json.loads(body)["version"] == "2"
    restored = PrivateKey.from_json_bytes(body)
    assert restored.public == private_key.public
    assert restored.decrypt_integers(plain.encrypt(private_key.public, [42])) == [42]
    assert restored.to_json_bytes() == body


def test_nothing_shows_the_factors(private_key: PrivateKey) -> None:
    shown = f"{private_key} {private_key!r}"
    assert shown == "<PrivateKey of 2048 bits> <PrivateKey of 2048 bits>"
    assert not hasattr(private_key, "__dict__")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_keys_are_not_pickled(private_key: PrivateKey, protocol: int) -> None:
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(private_key, protocol)


def test_keys_are_not_copied(private_key: PrivateKey) -> None:
    for duplicate in (copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="never pickled"):
            duplicate(private_key)


def _changed(**changes: object) -> Callable[[dict[str, object]], bytes]:
    return lambda fields: json.dumps(fields | changes).encode()


@pytest.mark.parametrize(
    "damage",
    [
        lambda _fields: b"",
        lambda _fields: b"\xff\xfe",
        lambda _fields: b"[]",
        lambda _fields: b"{" * 10_000,
        lambda fields: json.dumps(fields).encode()[:-1],
        lambda fields: json.dumps(fields).encode() + b" " * 20_000,
        _changed(format="kapok-paillier-public-key"),
        _changed(version="1"),
        _changed(version=1),
        _changed(extra="1"),
        _changed(p=7),
        _changed(p=""),
        _changed(p="-7"),
        _changed(p="0x7"),
        _changed(p="7\n"),
        _changed(p="7"),
        _changed(p="f" * 4000),
        _changed(key_id="00" * 32),
        _changed(profile="subgroup"),
        _changed(profile="short"),
        _changed(p_order="2"),
        _changed(h_s="1"),
        _changed(h_s="4"),
        lambda fields: json.dumps({name: fields[name] for name in fields if name != "h_s"}).encode(),
        lambda fields: json.dumps(fields | {"p": fields["q"]}).encode(),
        lambda fields: json.dumps(fields | {"p": f"{int(str(fields['p']), 16) + 4:x}"}).encode(),
        lambda fields: json.dumps(fields | {"h_s": f"{int(str(fields['h_s']), 16) ^ 2:x}"}).encode(),
        lambda fields: json.dumps(fields | {"h_s": f"{int(str(fields['h_s']), 16) ^ 1 << 9000:x}"}).encode(),
    ],
)
def test_damaged_key_files_are_refused(
    private_key: PrivateKey, damage: Callable[[dict[str, object]], bytes]
) -> None:
    fields = json.loads(private_key.to_json_bytes())
    with pytest.raises(InvalidInput) as refused:
        PrivateKey.from_json_bytes(damage(dict(fields)))
    assert refused.value.code == "bad_private_key"
    assert refused.value.__cause__ is None
    for secret in (fields["p"], fields["q"]):
        assert secret[:16] not in refused.value.diagnostics()


def test_factors_of_two_keys_do_not_mix(private_key: PrivateKey, other_private_key: PrivateKey) -> None:
    with pytest.raises(InvalidInput) as refused:
        PrivateKey(private_key._p, other_private_key._q, private_key.public.h_s).check(1)
    assert refused.value.code == "bad_private_key"


def test_negative_factors_are_refused(private_key: PrivateKey) -> None:
    p, q = (Factor(-factor.prime, factor.order) for factor in (private_key._p, private_key._q))
    with pytest.raises(InvalidInput):
        PrivateKey(p, q, private_key.public.h_s)


def test_nothing_of_a_factor_is_shown_or_pickled(private_key: PrivateKey) -> None:
    private_key.decrypt_integers(plain.encrypt(private_key.public, [1]))
    secrets_of_it = (private_key._p, *private_key._modulo_factors(1)[:2])
    for secret in secrets_of_it:
        assert str(private_key._p.prime)[:9] not in f"{secret} {secret!r}"
        with pytest.raises(TypeError, match="never pickled"):
            pickle.dumps(secret)


@pytest.mark.parametrize("digit", [1, 2, 3, 4])
def test_a_base_that_is_wrong_in_any_digit_opens_no_sum_of_that_degree(
    private_key: PrivateKey, digit: int
) -> None:
    """Else sums of that degree would open to wrong numbers."""
    n, h_s = private_key.public.n, private_key.public.h_s
    wrong = PrivateKey(private_key._p, private_key._q, (h_s + 5 * n**digit) % n**5)
    for degree in range(1, 5):
        vector = plain.encrypt(wrong.public, [7], degree)
        if degree < digit:
            assert wrong.decrypt_integers(vector) == [7]
            continue
        for refusing in (wrong.check, lambda found=vector: wrong.decrypt_integers(found)):
            with pytest.raises(InvalidInput) as refused:
                refusing()
            assert refused.value.code == "bad_private_key"


# Numbers of the forms that are looked at; none need be prime.
P = 3 * 2**254 + 3


@pytest.mark.parametrize(
    ("p", "q", "sound"),
    [
        (P, P + 2**253 + 4, True),
        (P + 2**253 + 4, P, True),
        (P + 2, P + 2**253 + 4, False),  # p ≡ 1 (mod 4)
        (P, P + 2**253 + 2, False),  # q ≡ 1 (mod 4)
        (P, P + 7 * 2**250, False),  # gcd(p−1, q−1) is 14
        (P, P + 4, False),  # too near
        (P, P + 2**155 + 4, False),
        (P, P + 2**156 + 4, True),
        (P // 2 + 2, 2 * P + 2**253 + 5, False),  # of two sizes
        (2**255 + 3, 2**255 + 2**253 + 7, False),  # a product of 511 bits
        (-P, -P - 2**253 - 4, False),
        (P, P, False),
    ],
    ids=range(12),
)
def test_a_pair_of_factors_is_looked_at_from_every_side(p: int, q: int, sound: bool) -> None:
    assert is_sound_pair(p, q, 512) is sound
    assert not is_sound_pair(p, q, 513)


def _of_the_subgroup(order: int, cofactor: int) -> Factor:
    return Factor(2 * order * cofactor + 1, 2 * order)


ORDERS = (2**223 + 1, 2**223 + 3)


@pytest.mark.parametrize(
    ("p", "q", "sound"),
    [
        (_of_the_subgroup(ORDERS[0], 2**800 + 1), _of_the_subgroup(ORDERS[1], 2**800 + 3), True),
        # Both orders too short, one of them, too long.
        (_of_the_subgroup(2**222 + 1, 2**801 + 1), _of_the_subgroup(2**222 + 3, 2**801 + 3), False),
        (_of_the_subgroup(ORDERS[0], 2**800 + 1), _of_the_subgroup(2**222 + 3, 2**801 + 3), False),
        (_of_the_subgroup(2**222 + 3, 2**801 + 3), _of_the_subgroup(ORDERS[0], 2**800 + 1), False),
        (_of_the_subgroup(2**224 + 1, 2**799 + 1), _of_the_subgroup(2**224 + 3, 2**799 + 3), False),
        # An order that does not divide p − 1, or that of the one divides what is left of the other.
        (Factor(2**1024 - 1, 2 * ORDERS[0]), _of_the_subgroup(ORDERS[1], 2**800 + 3), False),
        (_of_the_subgroup(ORDERS[0], 2**800 + 1), Factor(2**1024 - 1, 2 * ORDERS[1]), False),
        (_of_the_subgroup(ORDERS[0], ORDERS[1]), _of_the_subgroup(ORDERS[1], 2**800 + 3), False),
        (_of_the_subgroup(ORDERS[0], ORDERS[0]), _of_the_subgroup(ORDERS[1], 2**800 + 3), False),
    ],
)
def test_orders_of_the_subgroup_are_looked_at_from_every_side(p: Factor, q: Factor, sound: bool) -> None:
    assert _are_sound_orders(p, q, 2048, "subgroup") is sound
    assert not _are_sound_orders(p, q, 3072, "subgroup")
    assert not _are_sound_orders(p, q, 2048, "standard")


def test_factors_that_are_not_prime_open_nothing(private_key: PrivateKey) -> None:
    key = _with_a_composite(private_key)
    with pytest.raises(InvalidInput) as refused:
        key.check(1)
    assert refused.value.code == "bad_private_key"


def _with_a_composite(private_key: PrivateKey) -> PrivateKey:
    """A key of the right form, whose first factor is no prime and has no small factor either."""
    p, q = private_key._p.prime, private_key._q.prime
    for one in range(p + 4, p + 40_000, 4):
        if pow(2, one - 1, one) != 1:
            with contextlib.suppress(InvalidInput):
                return PrivateKey(Factor(one, one - 1), Factor(q, q - 1), 4)
    raise AssertionError("there is none so near")
