"""Sizes that roles fix in common, also those whose code may not open what has that size.

The broker takes public keys and chunks, and imports neither `kapok.protocols.wraps` nor anything that masks.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

__all__ = [
    "DEFAULT_KEY_BITS",
    "GENERATED_KEY_BITS",
    "MLKEM_PUBLIC_BYTES",
    "MOST_CHUNK_BYTES",
    "TAG_SEED_BYTES",
    "WRAP_KEY_BYTES",
    "X25519_BYTES",
    "KeyBits",
    "KeyProfile",
]

X25519_BYTES: Final = 32
MLKEM_PUBLIC_BYTES: Final = 1184
WRAP_KEY_BYTES: Final = MLKEM_PUBLIC_BYTES + X25519_BYTES
"""Of a public key of `kapok.protocols.wraps`: ML-KEM-768 encapsulation key (FIPS 203) ‖ X25519 (RFC 7748)."""

MOST_CHUNK_BYTES: Final = 256 * 1024
"""Of a sealed vector, as it travels."""

TAG_SEED_BYTES: Final = 32
"""Of the seed of a round's tag, which the analyst draws (`kapok.protocols.secure_sum.tag`)."""

KeyBits = Literal[2048, 3072, 4096]
"""Of a Paillier result key that is made here; a key that was made elsewhere may have any size in between."""

GENERATED_KEY_BITS: Final[tuple[int, ...]] = get_args(KeyBits)
DEFAULT_KEY_BITS: Final = 3072

KeyProfile = Literal["standard", "subgroup"]
"""How a result key's randomness is made (`kapok.protocols.paillier.public`): ``standard`` unless asked by
name."""
