"""Paillier encryption of vectors, beside the libraries one would take otherwise.

Ratios are to phe with gmpy2. Every batch is checked before it counts: ciphertexts are opened by plain Python
integers (a sample of a batch, for that takes long), what was decrypted is compared with what was encrypted.
Peers work in the form that suits them best, in memory; Kapok's own figures are bytes to bytes.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from typing import Any, Final

from benchmarks.keys import benchmark_key
from benchmarks.measuring import Contender
from benchmarks.oracle import sampled
from benchmarks.own import Kapok
from benchmarks.parties import WORD_BITS, random_values
from benchmarks.peers.paillier import Peers
from benchmarks.profiling import profile
from benchmarks.records import Aim, Parameters
from benchmarks.session import Session
from kapok.protocols.paillier.keygen import generate
from kapok.protocols.paillier.packing import SlotLayout
from kapok.protocols.paillier.plaintexts import PlaintextVector
from kapok.protocols.paillier.vector import CiphertextVector
from kapok.protocols.words import WordVector

__all__ = ["run"]

_PARTIES: Final = 10
_TAG_BITS: Final = WORD_BITS + 64
_SCALAR_BITS: Final = 32
# Ciphertexts of the vectors for which tables are made: 560,000 packed words.
_LONG: Final = 1_000_000
_SUBGROUP_SIZES: Final = (2048, 3072)
_STANDARD, _SUBGROUP, _POOL = "Kapok, standard", "Kapok, subgroup", "Kapok, from a filled pool"

# Least ratios to phe with gmpy2, one thread; least values per second; most bytes.
_ENCRYPT: Final = {
    2048: {_STANDARD: 40, _SUBGROUP: 90, _POOL: 1500},
    3072: {_STANDARD: 45, _SUBGROUP: 130, _POOL: 2500},
}
_DECRYPT: Final = {2048: {_STANDARD: 1.3, _SUBGROUP: 5}, 3072: {_STANDARD: 1.3, _SUBGROUP: 6}}
_DECRYPT_BITS: Final = {2048: {_STANDARD: 1.6}, 3072: {_STANDARD: 1.6}}
_SUM: Final = {2048: {_STANDARD: 1.3}, 3072: {_STANDARD: 1.4}}
_PACKED: Final = {2048: 280e3, 3072: 150e3}
_TABLES: Final = {2048: 200e6, 3072: 350e6}


def run(session: Session) -> None:
    """All figures for each key size.

    Raises:
        WrongResult: a batch was not what exact integers say.
    """
    for bits in session.options.bits:
        _Size(session, bits).run()


class _Size:
    """The figures of one key size."""

    def __init__(self, session: Session, bits: int) -> None:
        self.session, self.bits = session, bits
        self.keys = {_STANDARD: benchmark_key(bits)}
        if bits in _SUBGROUP_SIZES:
            self.keys[_SUBGROUP] = benchmark_key(bits, "subgroup")
        self.own = {name: Kapok(key, expected=_LONG) for name, key in self.keys.items()}
        self.peers = Peers(session, self.own[_STANDARD])
        self.batch = 1024 if session.options.short else 4096

    def run(self) -> None:
        """Everything; what does not depend on threads with one only."""
        self._encrypt()
        self._decrypt()
        self._sum()
        self._packed()
        if self.session.threads == 1:
            self._decrypt_bits()
            self._multiply()
            self._by_length()
            self._costs()
            if self.session.options.profile:
                self._profile()

    def _encrypt(self) -> None:
        contenders = [
            _encrypting(own, self.batch, name, self._aim(_ENCRYPT, name)) for name, own in self.own.items()
        ]
        contenders.append(_from_pool(self.own[_STANDARD], self.batch, self._aim(_ENCRYPT, _POOL)))
        self._figure("encrypt", "encrypt", "encryptions", [*contenders, *self.peers.encrypting()])
        for name, own in self.own.items():
            self._tables("encrypt", name, own)

    def _decrypt(self) -> None:
        contenders = [
            _decrypting(own, self.batch // 4, name, self._aim(_DECRYPT, name))
            for name, own in self.own.items()
        ]
        self._figure(
            "decrypt",
            "decrypt",
            "decryptions",
            [*contenders, *self.peers.decrypting()],
            absent=self.peers.cannot_decrypt,
        )

    def _decrypt_bits(self) -> None:
        """The same counted in bits of plaintext, where a higher degree has more of them."""
        degrees = (3,) if self.session.options.short else (2, 3, 4)
        count = max(256, self.batch // 8)
        contenders = []
        for degree in degrees:
            own = Kapok(self.keys[_STANDARD], degree)
            aim = self._aim(_DECRYPT_BITS, _STANDARD) if degree == 3 else None
            contenders.append(_decrypting(own, count, f"{_STANDARD}, s = {degree}", aim, own.plaintext_bits))
        one = Kapok(self.keys[_STANDARD])
        contenders.append(_decrypting(one, count, f"{_STANDARD}, s = 1", None, one.plaintext_bits))
        phe = [
            _per_bit(peer, one.plaintext_bits)
            for peer in self.peers.decrypting()
            if peer.name == self._baseline
        ]
        self._figure("decrypt-bits", "decrypt, per bit of plaintext", "bits", [*contenders, *phe])

    def _sum(self) -> None:
        contender = _adding(self.own[_STANDARD], self.batch, _STANDARD, self._aim(_SUM, _STANDARD))
        self._figure(
            "sum",
            f"sum of {_PARTIES} parties' vectors",
            "additions",
            [contender, *self.peers.adding(_PARTIES)],
            parameters={"parties": _PARTIES},
        )

    def _multiply(self) -> None:
        self._figure(
            "multiply",
            f"multiply by integers of {_SCALAR_BITS} bits",
            "products",
            [_multiplying(self.own[_STANDARD], self.batch // 8), *self.peers.multiplying(_SCALAR_BITS)],
        )

    def _packed(self) -> None:
        words = 100_000 if self.session.options.short else 1_000_000
        contenders = [
            _packing(own, words, name, self._packed_aim if name == _STANDARD else None)
            for name, own in self.own.items()
        ]
        self._figure(
            "packed",
            f"pack and encrypt words of {WORD_BITS} bits for {_PARTIES} parties, tables for long vectors",
            "values",
            contenders,
            parameters={"values": words, "parties": _PARTIES},
        )
        for name, own in self.own.items():
            self._tables("encrypt packed words", name, Kapok(own.key, _layout(own, words).degree))

    def _by_length(self) -> None:
        """Short vectors: what a small query costs."""
        lengths = (
            (1, 10, 100, 1000) if self.session.options.short else (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000)
        )
        for count in lengths:
            peer = [] if self.peers.fixed_base is None else self.peers.encrypting()[1:2]
            self._figure(
                "by-length",
                "encrypt vectors of different lengths, tables for long vectors made before",
                "encryptions",
                [_encrypting(self.own[_STANDARD], count, _STANDARD, None), *peer],
                parameters={"plaintexts": count},
                seconds=self.session.options.seconds / 4,
            )

    def _costs(self) -> None:
        """Key generation."""
        for name, profile_name in ((_STANDARD, "standard"), (_SUBGROUP, "subgroup")):
            if name in self.own:
                seconds = [
                    _key_seconds(self.bits, name) for _ in range(3 if self.session.options.short else 10)
                ]
                self.session.fact(
                    "paillier/key-generation",
                    f"make a key, {profile_name} profile",
                    "s",
                    seconds,
                    parameters={"bits": self.bits},
                    note="CPU time; a search for primes varies widely",
                )

    def _tables(self, figure: str, name: str, own: Kapok) -> None:
        """What the tables take with which a figure was just measured."""
        if self.session.threads == 1:
            size, products = own.table()
            most = _TABLES.get(self.bits)
            self.session.fact(
                "paillier/table-memory",
                f"table of powers to {figure}, {name.lower().removeprefix('kapok, ')} profile",
                "B",
                size,
                parameters={"bits": self.bits, "s": own.degree},
                aim=None if most is None else Aim(of="value", most=most),
                note=f"{products} products for an encryption",
            )

    def _profile(self) -> None:
        own, count = self.own[_STANDARD], 1024
        self.session.profiles.append(
            profile(
                "paillier/profile",
                f"encryption of {count} plaintexts",
                own.encrypt,
                prepare=lambda: own.random(count),
                parameters={"bits": self.bits, "s": 1},
            )
        )
        self.session.profiles.append(
            profile(
                "paillier/profile-sum",
                f"sum of {_PARTIES} parties' vectors of {count} ciphertexts",
                own.add,
                prepare=lambda: [own.drawn(count)[1] for _ in range(_PARTIES)],
                parameters={"bits": self.bits, "s": 1},
            )
        )

    @property
    def _baseline(self) -> str:
        return "phe with gmpy2"

    @property
    def _packed_aim(self) -> Aim | None:
        if self.session.threads > 1 or self.bits not in _PACKED:
            return None
        return Aim(of="rate", least=_PACKED[self.bits])

    def _aim(self, aims: dict[int, dict[str, Any]], name: str) -> Aim | None:
        """Aims are for one thread, as the baseline has."""
        least = aims.get(self.bits, {}).get(name)
        return None if least is None or self.session.threads > 1 else Aim(of="ratio", least=least)

    def _figure(
        self,
        key: str,
        title: str,
        unit: str,
        contenders: Sequence[Contender],
        *,
        parameters: Parameters | None = None,
        absent: dict[str, str] | None = None,
        seconds: float | None = None,
    ) -> None:
        self.session.figure(
            f"paillier/{key}",
            title,
            unit,
            contenders,
            baseline=self._baseline,
            parameters={"bits": self.bits} | (parameters or {}),
            absent=self.peers.absent if absent is None else absent,
            seconds=seconds,
        )


def _encrypting(own: Kapok, count: int, name: str, aim: Aim | None) -> Contender:
    return Contender(
        name=name,
        role="kapok",
        units=count,
        prepare=lambda: own.random(count),
        run=own.encrypt,
        check=lambda given, made: _opens(own, given, made),
        aim=aim,
        note=f"exponent of {own.public.exponent_bits} bits, vectors of {count:,}",
    )


def _from_pool(own: Kapok, count: int, aim: Aim | None) -> Contender:
    return Contender(
        name=_POOL,
        role="kapok",
        units=count,
        prepare=lambda: (own.random(count), own.filled_pool(count)),
        run=lambda given: given[1].encrypt(given[0]),
        check=lambda given, made: _opens(own, given[0], made),
        aim=aim,
        note=f"randomness made before, vectors of {count:,}",
    )


def _decrypting(own: Kapok, count: int, name: str, aim: Aim | None, units: int = 1) -> Contender:
    return Contender(
        name=name,
        role="kapok",
        units=count * units,
        prepare=lambda: own.drawn(count),
        run=lambda given: own.decrypt(given[1]),
        check=lambda given, made: own.integers(made) == given[0],
        aim=aim,
        note=f"vectors of {count:,}",
    )


def _per_bit(contender: Contender, bits: int) -> Contender:
    """A peer's decryptions, counted in bits."""
    return Contender(
        name=contender.name,
        role=contender.role,
        units=contender.units * bits,
        prepare=contender.prepare,
        run=contender.run,
        check=contender.check,
        note=contender.note,
    )


def _adding(own: Kapok, count: int, name: str, aim: Aim | None) -> Contender:
    def check(given: list[tuple[list[int], CiphertextVector]], made: CiphertextVector) -> bool:
        places = sampled(count)
        sums = [sum(numbers[place] for numbers, _ in given) % own.key.n for place in places]
        return own.opened(made, places) == sums

    return Contender(
        name=name,
        role="kapok",
        units=count * (_PARTIES - 1),
        prepare=lambda: [own.drawn(count) for _ in range(_PARTIES)],
        run=lambda given: own.add([vector for _, vector in given]),
        check=check,
        aim=aim,
        note=f"vectors of {count:,}, bytes to bytes; digits canonical, ciphertexts units: checked",
    )


def _multiplying(own: Kapok, count: int) -> Contender:
    def prepare() -> tuple[tuple[list[int], CiphertextVector], list[int]]:
        return own.drawn(count), [secrets.randbits(_SCALAR_BITS) for _ in range(count)]

    def check(given: tuple[tuple[list[int], CiphertextVector], list[int]], made: CiphertextVector) -> bool:
        (numbers, _), scalars = given
        places, n = sampled(count), own.key.n
        return own.opened(made, places) == [numbers[place] * scalars[place] % n for place in places]

    return Contender(
        name=_STANDARD,
        role="kapok",
        units=count,
        prepare=prepare,
        run=lambda given: own.multiply(given[0][1], given[1]),
        check=check,
        note=f"vectors of {count:,}, bytes to bytes",
    )


def _packing(own: Kapok, words: int, name: str, aim: Aim | None) -> Contender:
    layout = _layout(own, words)
    at_degree = Kapok(own.key, layout.degree, expected=own.expected)

    def prepare() -> tuple[WordVector, int]:
        return WordVector.from_int64(random_values(words), WORD_BITS), secrets.randbits(_TAG_BITS)

    def check(given: tuple[WordVector, int], made: CiphertextVector) -> bool:
        packed = layout.pack(*given)
        unpacked, tag = layout.unpack(packed)
        return (
            unpacked.to_bytes() == given[0].to_bytes() and tag == given[1] and _opens(at_degree, packed, made)
        )

    return Contender(
        name=name,
        role="kapok",
        units=words,
        prepare=prepare,
        run=lambda given: at_degree.encrypt(layout.pack(*given)),
        check=check,
        aim=aim,
        note=f"s = {layout.degree}, {layout.plaintexts} ciphertexts",
    )


def _layout(own: Kapok, words: int) -> SlotLayout:
    degree = SlotLayout(own.key.bits, words, WORD_BITS, _TAG_BITS, _PARTIES).best_degree
    return SlotLayout(own.key.bits, words, WORD_BITS, _TAG_BITS, _PARTIES, degree)


def _key_seconds(bits: int, name: str) -> float:
    began = time.process_time()
    generate(bits, "subgroup" if name == _SUBGROUP else "standard")
    return time.process_time() - began


def _opens(own: Kapok, plaintexts: PlaintextVector, made: CiphertextVector) -> bool:
    """Whether a sample of a batch is what was encrypted, by plain integers."""
    numbers, places = own.integers(plaintexts), sampled(len(plaintexts))
    return own.opened(made, places) == [numbers[place] for place in places]
