"""Writes secure_sum.json with the oracle beside it: `python tests/vectors/generate_secure_sum.py`.

Every input is the SHA-256 of its own name, so that the file can be made again anywhere, bit for bit.
"""

import hashlib
import json
from pathlib import Path

import secure_sum_oracle as oracle

FILE = Path(__file__).with_name("secure_sum.json")
BASE = (9).to_bytes(32, "little")


def value_of(name: str, length: int = 32) -> bytes:
    out = b""
    while len(out) < length:
        out += hashlib.sha256(f"{name}/{len(out)}".encode()).digest()
    return out[:length]


def parties() -> list[dict]:
    names = [f"spiffe://kapok.test/org/{org}/node/nœud" for org in ("a", "b", "c")]
    return [
        {
            "name": name,
            "mask_private": value_of(f"mask {name}"),
            "mask_key": oracle.x25519(value_of(f"mask {name}"), BASE),
            "wrap_key": value_of(f"wrap {name}", 1216),
            "fingerprint": value_of(f"certificate {name}"),
            "b": value_of(f"b {name}"),
        }
        for name in names
    ]


def case(bits: int) -> dict:
    members = parties()
    half = 2 ** (bits - 1)
    vectors = [[1, -1, half // 4, 0, -half // 4], [7, 7, -7, 0, 1], [-8, 3, 5, 0, half // 4 - 1]]
    job, params, seed = value_of("job"), value_of("params"), value_of("seed")
    rounds, attempt = 3, 2
    roster = oracle.roster_hash(job, members)
    bound = oracle.context(job, rounds, attempt, roster, params)
    commitment = oracle.seed_commitment(seed, bound)
    tags = [oracle.tag(x, bits, seed, job, rounds, attempt, roster) for x in vectors]
    masked = []
    for i, (member, x, t) in enumerate(zip(members, vectors, tags, strict=True)):
        y = [
            a + m
            for a, m in zip(
                [*x, t],
                oracle.expand(oracle.own_key(member["b"], bound, member["name"]), 5, bits),
                strict=True,
            )
        ]
        for j, other in enumerate(members):
            if i == j:
                continue
            first, second = (member, other) if i < j else (other, member)
            key = oracle.pair_key(member["mask_private"], other["mask_key"], bound, commitment, first, second)
            sign = 1 if i < j else -1
            y = [a + sign * m for a, m in zip(y, oracle.expand(key, 5, bits), strict=True)]
        masked.append([a % 2**bits for a in y[:-1]] + [y[-1] % 2 ** (bits + 64)])
    return {
        "word_bits": bits,
        "job": job.hex(),
        "round": rounds,
        "attempt": attempt,
        "params": params.hex(),
        "seed": seed.hex(),
        "members": [
            {key: text if isinstance(text, str) else text.hex() for key, text in member.items()}
            for member in members
        ],
        "contributions": vectors,
        "roster_hash": roster.hex(),
        "context": bound.hex(),
        "seed_commitment": commitment.hex(),
        "tags": [str(t) for t in tags],
        "masked": [[str(word) for word in y] for y in masked],
        "sum": [sum(column) for column in zip(*vectors, strict=True)],
    }


def document() -> str:
    """The whole file."""
    return (
        json.dumps({"suite": "kapok-sum-1", "cases": [case(bits) for bits in (16, 64, 104)]}, indent=1) + "\n"
    )


if __name__ == "__main__":
    FILE.write_text(document(), encoding="utf-8")
