"""One ciphertext, two readings: an analyst that shows two nodes two things under what looks like one hash.

AES-GCM does not commit to its key: for two keys of the attacker's choice there is a ciphertext that decrypts,
with a good tag, under both (Dodis, Grubbs, Ristenpart, Woodage, CRYPTO 2018, section 3). The analyst wraps
one key to the victim and the other to everybody else. A hash over the ciphertext would be the same for all.
"""

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from support.parties import ANALYST_ORGANISATION, exchange

from kapok.errors import PeerProtocolError
from kapok.protocols.masking.pairwise import derive
from kapok.protocols.secure_sum import round_parameters as parameters_module
from kapok.protocols.secure_sum.framing import framed, label
from kapok.protocols.secure_sum.messages import PARAMETERS_TYP, ParametersStatement, encode
from kapok.protocols.secure_sum.roster import read_roster
from kapok.protocols.secure_sum.round_parameters import (
    Parameters,
    SealedParameters,
)
from kapok.protocols.wraps import wrap

NONCE = bytes(12)


def times(x: int, y: int) -> int:
    """Product in the field of GCM (NIST SP 800-38D, section 6.3)."""
    z, v = 0, y
    for at in range(127, -1, -1):
        if x >> at & 1:
            z ^= v
        v = v >> 1 ^ (0xE1 << 120 if v & 1 else 0)
    return z


def power(x: int, exponent: int) -> int:
    out = 1 << 127
    for bit in bin(exponent)[2:]:
        out = times(out, out)
        out = times(out, x) if bit == "1" else out
    return out


def block(key: bytes, counter: int, nonce: bytes = NONCE) -> int:
    encryptor = Cipher(AES(key), ECB()).encryptor()
    return int.from_bytes(encryptor.update(nonce + counter.to_bytes(4, "big")), "big")


def blocks(body: bytes) -> list[int]:
    return [int.from_bytes(body[start : start + 16], "big") for start in range(0, len(body), 16)]


def two_readings(one: bytes, two: bytes, plaintext: bytes, associated: bytes) -> bytes:
    """A ciphertext with tag that opens under both keys; under the first it begins with `plaintext` (whole
    blocks)."""
    body = [text ^ block(one, 2 + at) for at, text in enumerate(blocks(plaintext))]
    length = 8 * len(associated) << 64 | 8 * 16 * (len(body) + 1)
    weights, rest = [], []
    for key in (one, two):
        h = int.from_bytes(Cipher(AES(key), ECB()).encryptor().update(bytes(16)), "big")
        hashed = [*blocks(associated), *body, 0, length]
        total = 0
        for piece in hashed:
            total = times(total ^ piece, h)
        rest.append(total ^ block(key, 1))
        weights.append(times(h, h))
    last = times(rest[0] ^ rest[1], power(weights[0] ^ weights[1], 2**128 - 2))
    tag = rest[0] ^ times(last, weights[0])
    return b"".join(piece.to_bytes(16, "big") for piece in (*body, last, tag))


def test_there_is_a_ciphertext_that_opens_under_two_keys():
    one, two, associated = b"1" * 32, b"2" * 32, b"a" * 32
    ciphertext = two_readings(one, two, b"sixteen letters.", associated)
    read = [AESGCM(key).decrypt(NONCE, ciphertext, associated) for key in (one, two)]
    assert read[0].startswith(b"sixteen letters.")
    assert read[0] != read[1]


@pytest.mark.parametrize("defended", [True, False], ids=["defended", "defence removed"])
def test_one_ciphertext_shows_two_nodes_two_things(defended, monkeypatch):
    job = exchange(rounds=2)
    analyst = job.authority.enrol("ann", ANALYST_ORGANISATION)
    roster = read_roster(job.terms, job.consents(), job.authority)
    claimed = b"h" * 32
    secrets_of = [b"v" * 32, b"o" * 32, b"o" * 32, b"o" * 32]
    info = framed(label("parameters-key"), roster.job_id, roster.hash, 1)
    one, two = (derive(secret, info) for secret in secrets_of[:2])
    statement = ParametersStatement(
        job=job.terms.job_id,
        round=1,
        roster=roster.hash,
        params=claimed,
        name=analyst.party.name,
        wraps=tuple(
            wrap(member.wrap_key, secret, parameters_module._wrap_info(roster, member.name))
            for member, secret in zip(roster.members, secrets_of, strict=True)
        ),
    )
    sealed = SealedParameters(
        analyst.sign(PARAMETERS_TYP, encode(statement)),
        NONCE + two_readings(one, two, bytes(32) + b"the victim's own", claimed),
    )
    if not defended:
        # What a hash over the ciphertext would be: one and the same, whatever was read from it.
        monkeypatch.setattr(Parameters, "hash", property(lambda _self: claimed))
    read = []
    for holder in job.holders[:2]:
        try:
            found = holder.parameters(
                round=1, consents=job.consents(), sealed=sealed, analyst=analyst.party.name
            )
        except PeerProtocolError as error:
            read.append(error.code)
        else:
            read.append((found.plaintext, found.hash))
    if defended:
        assert read == ["bad_parameters", "bad_parameters"]
        return
    assert read[0][0].startswith(b"the victim's own")
    assert read[0][0] != read[1][0]
    assert read[0][1] == read[1][1]
