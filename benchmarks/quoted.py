"""Figures of others that do not install beside Kapok: quoted, never measured here, and marked so."""

from __future__ import annotations

from typing import Final

from benchmarks.records import Quoted

__all__ = ["QUOTED"]

_SAME_KIND: Final = (
    "measured once on a 2-core AMD Zen 4 machine, one core, median of three; not measured in this run"
)

QUOTED: Final = (
    Quoted(
        name="sf-heu 0.6.0b0 ZPaillier (Python 3.10 only)",
        what="encrypt, 2048-bit key",
        figure="18.9 × phe 1.5.0 with gmpy2; add 2.0 ×, decrypt 1.7 ×",
        source=_SAME_KIND,
    ),
    Quoted(
        name="ipcl-python (Python 3.8 only, AVX-512 IFMA)",
        what="encrypt, 2048-bit key",
        figure="7.4 × phe 1.5.0 with gmpy2; add 0.6 ×, decrypt 4.6 ×; refuses 3072 bits",
        source=_SAME_KIND,
    ),
    Quoted(
        name="fate_utils, packed",
        what="31 values of 64 bits in a ciphertext, 2048-bit key",
        figure="encrypt 3.4 k, add 7.7 M, decrypt 13 k values/s",
        source=_SAME_KIND,
    ),
    Quoted(
        name="HEU batch encoder",
        what="2 values in a ciphertext, 2048-bit key",
        figure="encrypt about 4.6 k values/s",
        source=_SAME_KIND,
    ),
)
