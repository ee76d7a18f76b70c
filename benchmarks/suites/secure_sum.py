"""The masked sum through its real roles: what a node, the broker and the analyst spend on a vector.

    node      masks against every peer, tag, seal, digest, signature             per value of its vector
    broker    check every chunk, digest every vector, fold: wire to sum          per value that comes in
    analyst   check all signatures, decrypt, unmask, check the tag               per value of the sum

Statements are signed with real P-256 certificates. A whole round is done and its sum compared with that of
the plain integers before anything counts. Scaling over vector length and parties follows.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from benchmarks.keys import benchmark_key
from benchmarks.measuring import Contender
from benchmarks.parties import WORD_BITS
from benchmarks.peers.flower import SecAggPlusClient
from benchmarks.records import Aim, Figure, Parameters
from benchmarks.rounds import WholeRound
from benchmarks.session import Session
from benchmarks.spread import straight_line

__all__ = ["run"]

PARTIES: Final = 10
_WORD_BYTES: Final = WORD_BITS // 8
_LEAST_PARTIES: Final = 3
_MAIN_BITS: Final = 2048


def run(session: Session) -> None:
    """All figures; those about scaling with one thread only.

    Raises:
        WrongResult: a sum is not that of the plain integers.
    """
    short, main = session.options.short, min(session.options.bits)
    counts = (3, 8, 16, 32) if short else (3, 4, 8, 16, 32, 64)
    _one_size(session, None, 200_000 if short else 1_000_000)
    if session.threads == 1:
        _by_length(session, None, [1_000_000, 100_000, 10_000, 1_000])
        _by_parties(session, None, 100_000, counts)
    for bits in session.options.bits:
        # Opening takes minutes for a million values under a larger key.
        _one_size(session, bits, 50_000 if short else 1_000_000 if bits == _MAIN_BITS else 250_000)
        if session.threads == 1 and bits == main:
            _by_length(session, bits, [10_000, 1_000] if short else [1_000_000, 100_000, 10_000, 1_000])
            _by_parties(session, bits, 1_000 if short else 20_000, (3, 16) if short else counts)


def _one_size(session: Session, bits: int | None, words: int) -> None:
    """Node, broker and analyst at one size."""
    round_ = _round(PARTIES, words, bits)
    parameters: Parameters = {"seal": _seal(bits), "values": words, "parties": PARTIES}
    node = round_.node("Kapok node", aim=Aim(of="rate", least=20e6) if bits is None else None)
    if bits is None:
        absent: dict[str, str] = {}
        others = _mask_peers(session, words, absent)
        session.figure(
            "secure-sum/node",
            "a node hides and seals its vector",
            "values",
            [node, *others],
            baseline=others[1].name if len(others) > 1 else None,
            parameters=parameters,
            absent=absent,
        )
    else:
        found = session.figure(
            "secure-sum/node", "a node hides and seals its vector", "values", [node], parameters=parameters
        )
        _seal_seconds(session, found, bits, words)
    session.figure(
        "secure-sum/broker",
        "the broker checks and folds what comes from all parties",
        "values",
        [round_.broker("Kapok broker", aim=None if bits is None else Aim(of="rate", least=8e6))],
        parameters=parameters,
    )
    session.figure(
        "secure-sum/analyst",
        "the analyst opens the sum",
        "values",
        [round_.analyst("Kapok analyst")],
        parameters=parameters,
        repeats=2,
    )


def _seal_seconds(session: Session, found: Figure, bits: int, words: int) -> None:
    """The issue's figure: seconds of one core for a million values."""
    seconds = [run.cpu_s * 1_000_000 / words for run in found.entries[0].runs]
    session.fact(
        "secure-sum/seal-seconds",
        "CPU time of a node for 1,000,000 values, seal paillier",
        "s",
        seconds,
        parameters={"bits": bits, "parties": PARTIES},
        aim=Aim(of="value", most=4.0) if bits == 2048 else None,
        note="" if words == 1_000_000 else f"scaled up from {words:,} values",
    )


def _mask_peers(session: Session, words: int, absent: dict[str, str]) -> list[Contender]:
    """AES alone as the bound, and Flower's clients."""
    modes = [_aes_alone(words)]
    for neighbours in (PARTIES - 1, 20, 4):
        name = f"Flower SecAgg+ client, {neighbours} neighbours"
        client = session.peer(name, lambda count=neighbours: SecAggPlusClient(count), absent)  # type: ignore[misc]
        if client is not None:
            modes.append(
                Contender(
                    name=client.name,
                    role="peer",
                    units=words,
                    prepare=lambda: np.random.default_rng().integers(
                        0, 1 << WORD_BITS, words, dtype=np.int64
                    ),
                    run=client.mask,
                    check=lambda given, made, client=client: (  # type: ignore[misc]
                        bool((client.unmask(made) == given).all()) and bool((made != given).any())
                    ),
                    note=client.note,
                )
            )
    return modes


def _aes_alone(words: int) -> Contender:
    """As much keystream of AES-256-CTR as the masks take, and nothing done with it."""
    zeros, out = bytes(words * _WORD_BYTES), bytearray(words * _WORD_BYTES + 16)

    def streams(keys: list[bytes]) -> list[bytes]:
        for key in keys:
            Cipher(AES(key), CTR(bytes(16))).encryptor().update_into(zeros, out)
        return keys

    def check(keys: list[bytes], _made: object) -> bool:
        # CTR from a zero counter: the first block of keystream is AES of the zero block (SP 800-38A, 6.5).
        block = Cipher(AES(keys[-1]), CTR(bytes(16))).encryptor().update(bytes(16))
        return bytes(out[:16]) == block and any(block)

    return Contender(
        name=f"AES-256-CTR alone, {PARTIES} streams",
        role="reference",
        units=words,
        prepare=lambda: [os.urandom(32) for _ in range(PARTIES)],
        run=streams,
        check=check,
        note="the masks' keystream, not added to anything",
    )


def _by_length(session: Session, bits: int | None, lengths: Iterable[int]) -> None:
    # The longest first: its round is at hand from the figures before.
    found = [_scaling(session, "secure-sum/by-length", bits, words, PARTIES) for words in lengths]
    _linearity(session, found[::-1], "values", bits)


def _by_parties(session: Session, bits: int | None, words: int, counts: Iterable[int]) -> None:
    found = [_scaling(session, "secure-sum/by-parties", bits, words, parties) for parties in counts]
    _linearity(session, found, "parties", bits)


def _scaling(session: Session, key: str, bits: int | None, words: int, parties: int) -> Figure:
    round_ = _round(parties, words, bits)
    return session.figure(
        key,
        "all three roles",
        "values",
        # Values of the vector for all three, so that their costs can be drawn over one axis.
        [round_.node("node"), round_.broker("broker", per_party=False), round_.analyst("analyst")],
        parameters={
            "seal": _seal(bits),
            "values": words,
            "parties": parties,
        },
        seconds=session.options.seconds / 4,
        repeats=2,
    )


def _linearity(session: Session, found: list[Figure], over: str, bits: int | None) -> None:
    """Cost = fixed part + slope·size, by least squares of relative errors: how far is the farthest point."""
    sizes = np.array([float(figure.parameters[over]) for figure in found])
    for place, entry in enumerate(found[0].entries):
        costs = np.array(
            [one.units_per_run / one.rate_cpu.median for one in (fig.entries[place] for fig in found)]
        )
        line = straight_line(sizes, costs)
        session.fact(
            f"secure-sum/linear-in-{over}",
            f"cost of the {entry.name} against {over}: farthest from a straight line",
            "%",
            100 * line.farthest,
            parameters={
                "seal": _seal(bits),
                "from": found[0].parameters[over],
                "to": found[-1].parameters[over],
            },
            note=f"{1e3 * line.fixed:.3g} ms + {1e9 * line.slope:.3g} ns for each of the {over}",
        )


def _seal(bits: int | None) -> str:
    return "pad" if bits is None else f"paillier {bits}"


@lru_cache(maxsize=2)
def _round(parties: int, words: int, bits: int | None) -> WholeRound:
    return WholeRound(
        max(parties, _LEAST_PARTIES), words, None if bits is None else benchmark_key(bits).private
    )
