"""The arithmetic by itself: products modulo N^(s+1) in a batch, against GMP one at a time.

    product   x·y for columns of x and prepared operands y, as the inner loop of everything costly has it
    square    x², as decryption has it
    read      canonical digits to residues;  write: back

GMP's part is `a * b % n` of gmpy2 over a list, which is what a Python program can have of it. Chains of
products start from fresh random numbers; a chain's last values are compared with Python's integers.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from benchmarks.keys import benchmark_key
from benchmarks.measuring import Contender
from benchmarks.oracle import sampled
from benchmarks.peers import load
from benchmarks.profiling import profile
from benchmarks.records import Aim
from benchmarks.session import Session
from kapok.protocols.arithmetic.chunks import Lane
from kapok.protocols.arithmetic.digits import from_integers, to_integers
from kapok.protocols.arithmetic.ring import Ring

__all__ = ["run"]

_GMP: Final = "gmpy2"
_CHAIN: Final = 64
_GMP_NUMBERS: Final = 64
_BLOCKS: Final = 8
_PRODUCT_AIM: Final = Aim(of="ratio", least=2.2)


def run(session: Session) -> None:
    """All operations for each key size and degree.

    Raises:
        WrongResult: a chain ended in something else than with Python's integers.
    """
    if session.threads > 1:
        return
    degrees = (1, 3) if session.options.short else (1, 2, 3, 4)
    for bits in session.options.bits:
        for degree in degrees:
            _measure(session, bits, degree)
        if session.options.profile:
            blocks = _Blocks(Ring.of(benchmark_key(bits).n, 1))
            session.profiles.append(
                profile(
                    "core/profile",
                    f"{_CHAIN} products of a block of {blocks.columns} columns",
                    blocks.products,
                    prepare=blocks.prepare,
                    parameters={"bits": bits, "s": 1},
                )
            )


def _measure(session: Session, bits: int, degree: int) -> None:
    n = benchmark_key(bits).n
    absent: dict[str, str] = {}
    gmp = session.peer(_GMP, lambda: _Gmp(load("gmpy2", "gmpy2"), n, degree), absent)
    blocks = _Blocks(Ring.of(n, degree))
    aim = _PRODUCT_AIM if degree == 1 and bits in (2048, 3072) else None
    operations = (
        (
            "product",
            "modular product in a batch",
            "products",
            blocks.of_products(aim),
            _Gmp.of_products,
        ),
        ("square", "modular square in a batch", "squares", blocks.of_squares(), _Gmp.of_squares),
        ("read", "digits to residues", "numbers", blocks.of_reading(), _Gmp.of_reading),
        ("write", "residues to canonical digits", "numbers", blocks.of_writing(), _Gmp.of_writing),
    )
    with threadpool_limits(limits=1, user_api="blas"):
        for key, title, unit, own, other in operations:
            session.figure(
                f"core/{key}",
                title,
                unit,
                [own, *([] if gmp is None else [other(gmp)])],
                baseline=_GMP,
                parameters={"bits": bits, "s": degree},
                absent=absent,
                seconds=session.options.seconds / 2,
            )


@dataclass(slots=True)
class _Operands:
    """Random numbers below the modulus."""

    x: list[int]
    y: list[int]


class _Blocks:
    """Blocks of columns, as `kapok.protocols.arithmetic.chunks` has them; they are one core's.

    Products are timed on the first block; reading and writing on all: bytes are moved by chunks of blocks.
    """

    def __init__(self, ring: Ring) -> None:
        self.ring = ring
        self.columns = ring.columns
        self.modulus: int = ring.modulus**ring.parts
        self._numbers = _BLOCKS * ring.columns
        self._lane = lane = Lane(ring, ring.columns, _BLOCKS)
        self._held = [lane.x, *(lane.kernel.residues() for _ in range(_BLOCKS - 1))]
        self._digits: npt.NDArray[np.uint8] = from_integers(ring, [])
        self._radix_inverse: int = pow(ring.constants.bases.product_a, -1, self.modulus)

    def of_products(self, aim: Aim | None) -> Contender:
        return self._contender(self.products, self._check_products, _CHAIN * self.columns, aim)

    def of_squares(self) -> Contender:
        return self._contender(self._squares, self._check_squares, _CHAIN * self.columns)

    def of_reading(self) -> Contender:
        return self._contender(self._read, self._check_read, self._numbers)

    def of_writing(self) -> Contender:
        return self._contender(self._write, self._check_written, self._numbers)

    def prepare(self) -> _Operands:
        """Fresh operands, read into the lane."""
        lane, operands = self._lane, _Operands(self._random(), self._random())
        self._digits = from_integers(self.ring, operands.x)
        self._read(operands)
        lane.kernel.read_ready(lane.read(from_integers(self.ring, operands.y[: self.columns])), lane.y)
        return operands

    def products(self, _operands: _Operands) -> None:
        """A chain x = x·y."""
        lane = self._lane
        for _ in range(_CHAIN):
            lane.kernel.multiply(lane.x, lane.y, lane.x)

    def _squares(self, _operands: _Operands) -> None:
        lane = self._lane
        for _ in range(_CHAIN):
            lane.kernel.square(lane.x, lane.x)

    def _read(self, _operands: _Operands) -> None:
        lane = self._lane
        for span, x in zip(lane.spans(len(self._digits)), self._held, strict=True):
            lane.kernel.read(lane.read(self._digits[span]), x)

    def _write(self, _operands: _Operands) -> npt.NDArray[np.uint8]:
        lane = self._lane
        digits = np.empty((self._numbers, self.ring.parts, self.ring.width), dtype=np.uint8)
        for span, x in zip(lane.spans(len(digits)), self._held, strict=True):
            lane.write(x, span)
        lane.flush(digits)
        return digits

    def _check_products(self, operands: _Operands, _made: None) -> bool:
        def expected(x: int, y: int) -> int:
            power: int = pow(y * self._radix_inverse, _CHAIN, self.modulus)
            return x * power % self.modulus

        return self._agree(operands, expected)

    def _check_squares(self, operands: _Operands, _made: None) -> bool:
        # Every step squares what it divides by A: A^−(2^n − 1) in all.
        divisor: int = pow(self._radix_inverse, (1 << _CHAIN) - 1, self.modulus)

        def expected(x: int, _y: int) -> int:
            power: int = pow(x, 1 << _CHAIN, self.modulus)
            return power * divisor % self.modulus

        return self._agree(operands, expected)

    def _check_read(self, operands: _Operands, _made: None) -> bool:
        return self._check_written(operands, self._write(operands))

    def _check_written(self, operands: _Operands, made: npt.NDArray[np.uint8]) -> bool:
        return to_integers(self.ring, made) == operands.x

    def _agree(self, operands: _Operands, expected: Callable[[int, int], int]) -> bool:
        """The first block, a sample of its columns: Python takes long for each."""
        made = to_integers(self.ring, self._write(operands))
        return all(
            made[place] == expected(operands.x[place], operands.y[place]) for place in sampled(self.columns)
        )

    def _random(self) -> list[int]:
        return [secrets.randbelow(self.modulus) for _ in range(self._numbers)]

    def _contender(
        self,
        work: Callable[[Any], Any],
        check: Callable[[Any, Any], bool],
        units: int,
        aim: Aim | None = None,
    ) -> Contender:
        return Contender(
            name="Kapok",
            role="kapok",
            units=units,
            prepare=self.prepare,
            run=work,
            check=check,
            aim=aim,
            note=f"blocks of {self.columns} columns",
        )


class _Gmp:
    """The same on lists of `mpz`. Its products hold the interpreter lock: always one thread."""

    def __init__(self, gmp: ModuleType, n: int, degree: int) -> None:
        self._mpz = gmp.mpz
        self._modulus = gmp.mpz(n) ** (degree + 1)
        self._width = (int(self._modulus).bit_length() + 7) // 8

    def of_products(self) -> Contender:
        def work(operands: tuple[list[Any], list[Any]]) -> list[Any]:
            numbers, factors = operands
            modulus = self._modulus
            for _ in range(_CHAIN):
                numbers = [x * y % modulus for x, y in zip(numbers, factors, strict=True)]
            return numbers

        def check(operands: tuple[list[Any], list[Any]], made: list[Any]) -> bool:
            modulus = int(self._modulus)
            pairs = zip(*operands, strict=True)
            return made == [int(x) * pow(int(y), _CHAIN, modulus) % modulus for x, y in pairs]

        return self._contender(work, check, _CHAIN)

    def of_squares(self) -> Contender:
        def work(operands: tuple[list[Any], list[Any]]) -> list[Any]:
            numbers, modulus = operands[0], self._modulus
            for _ in range(_CHAIN):
                numbers = [x * x % modulus for x in numbers]
            return numbers

        def check(operands: tuple[list[Any], list[Any]], made: list[Any]) -> bool:
            modulus = int(self._modulus)
            return made == [pow(int(x), 1 << _CHAIN, modulus) for x in operands[0]]

        return self._contender(work, check, _CHAIN)

    def of_reading(self) -> Contender:
        def prepare() -> list[bytes]:
            return [int(x).to_bytes(self._width, "little") for x in self._operands()[0]]

        def work(bodies: list[bytes]) -> list[Any]:
            return [self._mpz(int.from_bytes(body, "little")) for body in bodies]

        def check(bodies: list[bytes], made: list[Any]) -> bool:
            return [int(x).to_bytes(self._width, "little") for x in made] == bodies

        return self._contender(work, check, 1, prepare)

    def of_writing(self) -> Contender:
        def work(operands: tuple[list[Any], list[Any]]) -> list[bytes]:
            return [int(x).to_bytes(self._width, "little") for x in operands[0]]

        def check(operands: tuple[list[Any], list[Any]], made: list[bytes]) -> bool:
            return [int.from_bytes(body, "little") for body in made] == operands[0]

        return self._contender(work, check, 1)

    def _operands(self) -> tuple[list[Any], list[Any]]:
        modulus = int(self._modulus)
        x, y = ([self._mpz(secrets.randbelow(modulus)) for _ in range(_GMP_NUMBERS)] for _ in range(2))
        return x, y

    def _contender(
        self,
        work: Callable[[Any], Any],
        check: Callable[[Any, Any], bool],
        chain: int,
        prepare: Callable[[], Any] | None = None,
    ) -> Contender:
        return Contender(
            name=_GMP,
            role="reference",
            units=_GMP_NUMBERS * chain,
            prepare=prepare or self._operands,
            run=work,
            check=check,
            note="one at a time",
        )
