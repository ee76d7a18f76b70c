"""The masked sum written a second time, from the protocol's description, with hashlib, hmac and integers.

Slow and short on purpose: the generator makes the vectors with it, and nothing in it comes from Kapok or from
the libraries that Kapok uses. X25519 is RFC 7748, section 5; HKDF is RFC 5869; AES is FIPS 197; counter mode
is NIST SP 800-38A, section 6.5.
"""

import hashlib
import hmac

SUITE = b"kapok-sum-1/"
P = 2**255 - 19


def framed(*fields: bytes) -> bytes:
    return b"".join(len(field).to_bytes(8, "big") + field for field in fields)


def number(value: int) -> bytes:
    return value.to_bytes(8, "big")


def hkdf(secret: bytes, info: bytes) -> bytes:
    extracted = hmac.digest(bytes(32), secret, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")


def x25519(scalar: bytes, point: bytes) -> bytes:
    k = int.from_bytes(scalar, "little") & ~7 & ~(1 << 255) | 1 << 254
    x1 = int.from_bytes(point, "little") & (2**255 - 1)
    x2, z2, x3, z3, swap = 1, 0, x1, 1, 0
    for t in range(254, -1, -1):
        bit = k >> t & 1
        if swap ^ bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = bit
        a, b, c, d = (x2 + z2) % P, (x2 - z2) % P, (x3 + z3) % P, (x3 - z3) % P
        aa, bb, da, cb = a * a % P, b * b % P, d * a % P, c * b % P
        x3, z3 = (da + cb) ** 2 % P, x1 * (da - cb) ** 2 % P
        x2, z2 = aa * bb % P, (aa - bb) * (aa + 121665 * (aa - bb)) % P
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")


def _times(a: int, b: int) -> int:
    """Product in the field of FIPS 197, section 4.2."""
    out = 0
    for _ in range(8):
        out ^= a if b & 1 else 0
        a = a << 1 ^ (0x11B if a & 0x80 else 0)
        b >>= 1
    return out


def _make_sbox() -> list[int]:
    box = []
    for value in range(256):
        inverse = next((one for one in range(256) if _times(value, one) == 1), 0)
        rotations = [(inverse << shift | inverse >> (8 - shift)) & 0xFF for shift in range(5)]
        box.append(rotations[0] ^ rotations[1] ^ rotations[2] ^ rotations[3] ^ rotations[4] ^ 0x63)
    return box


SBOX = _make_sbox()


def _round_keys(key: bytes) -> list[bytes]:
    words = [list(key[start : start + 4]) for start in range(0, 32, 4)]
    constant = 1
    for index in range(8, 60):
        word = words[-1]
        if index % 8 == 0:
            word = [SBOX[word[1]] ^ constant, SBOX[word[2]], SBOX[word[3]], SBOX[word[0]]]
            constant = _times(constant, 2)
        elif index % 8 == 4:
            word = [SBOX[byte] for byte in word]
        words.append([a ^ b for a, b in zip(words[-8], word, strict=True)])
    return [bytes(byte for word in words[start : start + 4] for byte in word) for start in range(0, 60, 4)]


def aes256(key: bytes, block: bytes) -> bytes:
    keys = _round_keys(key)
    state = [a ^ b for a, b in zip(block, keys[0], strict=True)]
    for turn in range(1, 15):
        state = [SBOX[state[(index + 4 * (index % 4)) % 16]] for index in range(16)]
        if turn < 14:
            mixed = []
            for start in range(0, 16, 4):
                column = state[start : start + 4]
                mixed += [
                    _times(column[i], 2)
                    ^ _times(column[(i + 1) % 4], 3)
                    ^ column[(i + 2) % 4]
                    ^ column[(i + 3) % 4]
                    for i in range(4)
                ]
            state = mixed
        state = [a ^ b for a, b in zip(state, keys[turn], strict=True)]
    return bytes(state)


def stream(key: bytes, length: int) -> bytes:
    blocks = (aes256(key, counter.to_bytes(16, "big")) for counter in range(-(-length // 16)))
    return b"".join(blocks)[:length]


def expand(key: bytes, words: int, bits: int) -> list[int]:
    """The words of b bits, then the tag's of b + 64."""
    width = bits // 8
    body = stream(key, (words + 1) * width + 8)
    data = [int.from_bytes(body[start * width : (start + 1) * width], "little") for start in range(words)]
    return [*data, int.from_bytes(body[words * width :], "little")]


def roster_hash(job: bytes, members: list[dict]) -> bytes:
    fields = [SUITE + b"roster", job]
    for member in members:
        fields += [member["name"].encode(), member["mask_key"], member["wrap_key"], member["fingerprint"]]
    return hashlib.sha256(framed(*fields)).digest()


def context(job: bytes, rounds: int, attempt: int, roster: bytes, params: bytes) -> bytes:
    return framed(SUITE + b"context", job, number(rounds), number(attempt), roster, params)


def pair_key(
    private: bytes, public: bytes, bound: bytes, commitment: bytes, first: dict, second: dict
) -> bytes:
    info = framed(
        SUITE + b"pairwise-mask",
        bound,
        commitment,
        first["name"].encode(),
        first["mask_key"],
        second["name"].encode(),
        second["mask_key"],
    )
    return hkdf(x25519(private, public), info)


def seed_commitment(seed: bytes, bound: bytes) -> bytes:
    return hkdf(seed, framed(SUITE + b"tag-commitment", bound))


def own_key(b: bytes, bound: bytes, name: str) -> bytes:
    return hkdf(b, framed(SUITE + b"own-mask", bound, name.encode()))


def tag(
    values: list[int], bits: int, seed: bytes, job: bytes, rounds: int, attempt: int, roster: bytes
) -> int:
    info = framed(SUITE + b"tag-coefficients", job, number(rounds), number(attempt), roster)
    width = bits // 8 + 8
    body = stream(hkdf(seed, info), width * len(values))
    coefficients = [
        int.from_bytes(body[at * width : (at + 1) * width], "little") for at in range(len(values))
    ]
    return sum(a * x for a, x in zip(coefficients, values, strict=True)) % 2 ** (8 * width)
