"""All peers with Paillier encryption that are installed, as contenders of each verb."""

from __future__ import annotations

import secrets
from typing import Any, Final

from benchmarks.measuring import Contender
from benchmarks.own import Kapok
from benchmarks.peers import PaillierPeer
from benchmarks.peers.gmpy2_fixed_base import FixedBase
from benchmarks.peers.heu import Heu
from benchmarks.peers.phe_gmpy2 import PheGmpy2
from benchmarks.peers.rust_paillier import RustPaillier
from benchmarks.session import Session
from kapok.protocols.paillier.plaintexts import PlaintextVector

__all__ = ["Peers"]

# Some libraries keep bits of a plaintext free, for signs and sums.
_BITS_LESS: Final = 64
_POOL: Final = 512
_SHORT_TABLE_BYTES: Final = 64_000_000
_TABLE_BYTES: Final = {2048: 200_000_000, 3072: 350_000_000, 4096: 500_000_000}
_QUICK_PRIMES_BITS: Final = 2048

_Numbers = tuple[list[int], Any]


class Peers:
    """Whoever is installed, under one key; gmpy2's table is as large as Kapok's may be.

    Attributes:
        phe: The baseline of ratios, or None.
        fixed_base: gmpy2 with a table, or None.
        absent: Who is not there, and why.
        cannot_decrypt: The same, and whose keys take too long for the short form.
    """

    def __init__(self, session: Session, own: Kapok) -> None:
        """Load them, and encrypt the numbers that their operands are drawn from."""
        short, key = session.options.short, own.key
        self.absent: dict[str, str] = {}
        most = _SHORT_TABLE_BYTES if short else _TABLE_BYTES[key.bits]
        self.phe = session.peer(PheGmpy2.name, lambda: PheGmpy2(key), self.absent)
        self.fixed_base = session.peer(FixedBase.name, lambda: FixedBase(key, most_bytes=most), self.absent)
        rust = session.peer(RustPaillier.name, lambda: RustPaillier(key), self.absent)
        heu = session.peer(Heu.name, lambda: Heu(key), self.absent)
        self._key = key
        found: list[PaillierPeer | None] = [self.phe, self.fixed_base, rust, heu]
        self._all = [peer for peer in found if peer is not None]
        self._opening = [peer for peer in self._all if peer is not rust]
        self.cannot_decrypt = dict(self.absent)
        if rust is not None and short and key.bits > _QUICK_PRIMES_BITS:
            self.cannot_decrypt[rust.name] = (
                "not measured in the short form: its safe primes take long to find"
            )
        elif rust is not None:
            self._opening.append(RustPaillier(key, own_keys=True))
        self._numbers = [secrets.randbits(key.bits - _BITS_LESS) for _ in range(_POOL)]
        plaintexts = PlaintextVector.from_integers(own.public, self._numbers)
        self._ciphertexts = own.encrypt(plaintexts).to_integers(own.public)

    def encrypting(self) -> list[Contender]:
        """Fresh integers to ciphertexts."""
        return [_encrypting(peer, self._key.bits - _BITS_LESS) for peer in self._all]

    def decrypting(self) -> list[Contender]:
        """Ciphertexts to integers."""
        return [self._decrypting(peer) for peer in self._opening]

    def adding(self, parties: int) -> list[Contender]:
        """Vectors of so many parties: objects in memory, and for gmpy2 bytes too."""
        contenders = [self._adding(peer, parties) for peer in self._all]
        if self.fixed_base is not None:
            contenders.append(self._adding_bytes(self.fixed_base, parties))
        return contenders

    def multiplying(self, scalar_bits: int) -> list[Contender]:
        """The product with integers, of phe."""
        phe = self.phe
        if phe is None:
            return []

        def prepare() -> tuple[_Numbers, list[int]]:
            return self._drawn(phe, phe.batch), [secrets.randbits(scalar_bits) for _ in range(phe.batch)]

        def check(given: tuple[_Numbers, list[int]], made: Any) -> bool:
            (numbers, _), scalars = given
            n = self._key.n
            return _agree(phe.opened(made), [x * y % n for x, y in zip(numbers, scalars, strict=True)])

        return [
            _contender(
                phe,
                phe.batch,
                prepare=prepare,
                run=lambda given: phe.multiply(given[0][1], given[1]),
                check=check,
            )
        ]

    def _decrypting(self, peer: PaillierPeer) -> Contender:
        return _contender(
            peer,
            peer.batch,
            prepare=lambda: self._drawn(peer, peer.batch),
            run=lambda given: peer.decrypt(given[1]),
            check=lambda given, made: bool(made == given[0]),
        )

    def _adding(self, peer: PaillierPeer, parties: int) -> Contender:
        count = max(peer.batch, 64)

        def check(given: list[_Numbers], made: Any) -> bool:
            return _agree(peer.opened(made), self._sums(given))

        return _contender(
            peer,
            count * (parties - 1),
            prepare=lambda: [self._drawn(peer, count) for _ in range(parties)],
            run=lambda given: peer.add([vector for _, vector in given]),
            check=check,
        )

    def _adding_bytes(self, peer: FixedBase, parties: int) -> Contender:
        width, count = -(-self._key.bits // 4), 128

        def prepare() -> list[_Numbers]:
            drawn = [self._drawn(peer, count) for _ in range(parties)]
            return [
                (numbers, b"".join(int(one).to_bytes(width, "little") for one in vector))
                for numbers, vector in drawn
            ]

        def check(given: list[_Numbers], made: bytes) -> bool:
            totals = [int.from_bytes(made[at : at + width], "little") for at in range(0, len(made), width)]
            return peer.decrypt(totals) == self._sums(given)

        return Contender(
            name="gmpy2, bytes to bytes",
            role="reference",
            units=count * (parties - 1),
            prepare=prepare,
            run=lambda given: peer.add_bytes([vector for _, vector in given], width),
            check=check,
            note="little-endian integers, nothing checked",
        )

    def _drawn(self, peer: PaillierPeer, count: int) -> _Numbers:
        """Numbers out of the pool and their ciphertexts in the peer's form."""
        places = [secrets.randbelow(_POOL) for _ in range(count)]
        numbers = [self._numbers[place] for place in places]
        return numbers, peer.encrypted(numbers, [self._ciphertexts[place] for place in places])

    def _sums(self, given: list[_Numbers]) -> list[int]:
        return [sum(column) % self._key.n for column in zip(*(numbers for numbers, _ in given), strict=True)]


def _encrypting(peer: PaillierPeer, bits: int) -> Contender:
    def prepare() -> _Numbers:
        numbers = [secrets.randbits(bits) for _ in range(peer.batch)]
        return numbers, peer.encode(numbers)

    return _contender(
        peer,
        peer.batch,
        prepare=prepare,
        run=lambda given: peer.encrypt(given[1]),
        check=lambda given, made: _agree(peer.opened(made), given[0]),
    )


def _agree(opened: dict[int, int], expected: list[int]) -> bool:
    return all(expected[place] == number for place, number in opened.items())


def _contender(peer: PaillierPeer, units: int, **steps: Any) -> Contender:
    return Contender(name=peer.name, role="peer", units=units, note=peer.note, **steps)
