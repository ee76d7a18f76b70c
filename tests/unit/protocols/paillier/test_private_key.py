"""Private result keys: how they are made, kept and refused."""

from __future__ import annotations

import copy
import json
import math
import pickle
from collections.abc import Callable

import pytest

from kapok.errors import InvalidInput
from kapok.protocols.paillier import plain
from kapok.protocols.paillier.number_theory import jacobi
from kapok.protocols.paillier.private import PrivateKey, generate


def _has_the_structure(key: PrivateKey, bits: int) -> None:
    p, q, n = key._p, key._q, key.public.n
    assert p * q == n
    assert n.bit_length() == bits
    assert p % 4 == q % 4 == 3
    assert math.gcd(p - 1, q - 1) == 2
    assert abs(p - q) > 2 ** (bits // 2 - 100)
    assert all(pow(2, prime - 1, prime) == 1 for prime in (p, q))
    # An N-th power whose root −y² is a non-residue modulo both primes.
    assert pow(key.public.h_s, (p - 1) * (q - 1), n * n) == 1
    assert jacobi(key.public.h_s, p) == jacobi(key.public.h_s, q) == -1


def test_generated_keys_have_the_structure_that_encryption_needs(
    private_key: PrivateKey, other_private_key: PrivateKey
) -> None:
    _has_the_structure(private_key, 2048)
    _has_the_structure(other_private_key, 2048)
    assert private_key.public.n != other_private_key.public.n


def test_the_default_is_3072_bits() -> None:
    key = generate()
    _has_the_structure(key, 3072)
    assert key.decrypt(plain.encrypt(key.public, [key.public.n - 1])) == [key.public.n - 1]


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
    assert json.loads(body)["version"] == "1"
    restored = PrivateKey.from_json_bytes(body)
    assert restored.public == private_key.public
    assert restored.decrypt(plain.encrypt(private_key.public, [42])) == [42]
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
        _changed(version="2"),
        _changed(version=1),
        _changed(extra="1"),
        _changed(p=7),
        _changed(p=""),
        _changed(p="-7"),
        _changed(p="0x7"),
        _changed(p="7\n"),
        _changed(p="7"),
        _changed(p="f" * 4000),
        _changed(h_s="1"),
        _changed(h_s="4"),
        lambda fields: json.dumps({name: fields[name] for name in ("format", "version", "p", "q")}).encode(),
        lambda fields: json.dumps(fields | {"p": fields["q"]}).encode(),
        lambda fields: json.dumps(fields | {"p": f"{int(str(fields['p']), 16) + 4:x}"}).encode(),
        lambda fields: json.dumps(fields | {"h_s": f"{int(str(fields['h_s']), 16) ^ 2:x}"}).encode(),
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
        PrivateKey(private_key._p, other_private_key._q, private_key.public.h_s)
    assert refused.value.code == "bad_private_key"


def test_negative_factors_are_refused(private_key: PrivateKey) -> None:
    with pytest.raises(InvalidInput):
        PrivateKey(-private_key._p, -private_key._q, private_key.public.h_s)
