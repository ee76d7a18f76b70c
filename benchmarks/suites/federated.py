"""What a round of federated learning adds to the app's own work, step by step, for models of several sizes.

    node      encode: w·model as words in fixed point          mask: seal it for nine others
    broker    fold: check and add what comes from ten
    analyst   open: signatures, masks, tag                      decode: words → the mean

Each step alone, on one core, among ten parties; a mean is compared with that of the plain floats before
anything counts. Then whole exchanges between processes, transport and all (`benchmarks.federation`). Under
the seal `paillier` models end at a million values: ten million would take each of ten nodes half a minute of
a core, and the analyst five minutes.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks.errors import WrongResult
from benchmarks.federation import PHASES, Exchanges, federation, measure
from benchmarks.keys import benchmark_key
from benchmarks.machine import unpinned
from benchmarks.measuring import Contender
from benchmarks.parties import WORD_BITS
from benchmarks.peers.flower import SecAggPlusClient
from benchmarks.records import Aim, Figure, Parameters
from benchmarks.rounds import WholeRound
from benchmarks.session import Session
from kapok.computations.federated.layout import HEAD_WORDS, Layout, read_head, write_head
from kapok.protocols.words import WordVector

__all__ = ["run"]

PARTIES: Final = 10
_WEIGHT: Final = 100.0
_RANGE: Final = 16.0
_NAMES: Final = b'["arrays","metrics",["loss",-1]]'
_MILLION: Final = 1_000_000
_NODE_S: Final = 0.15
_ANALYST_S: Final = 0.3
_BYTES: Final = 4.5

Model = npt.NDArray[np.float32]


def run(session: Session) -> None:
    """Every size under both seals; one thread.

    Raises:
        WrongResult: a mean is not that of the plain floats, to its stated resolution.
    """
    if session.threads > 1:
        return
    short = session.options.short
    for values in (100_000, _MILLION) if short else (100_000, _MILLION, 10_000_000):
        _size(session, values, None)
    for bits in session.options.bits:
        for values in (10_000,) if short else (100_000, _MILLION):
            _size(session, values, bits)
    _whole(session)


def _whole(session: Session) -> None:
    """Exchanges of a training, ten nodes as processes of their own."""
    short, bits = session.options.short, session.options.bits[0]
    wanted = [("pad", values, 4) for values in (100_000, _MILLION, 10_000_000)]
    wanted += [("paillier", values, 3) for values in (100_000, _MILLION)]
    with unpinned(), tempfile.TemporaryDirectory(prefix="kapok-benchmark-") as folder:
        session.say(f"federated: {PARTIES} nodes, a broker and an analyst as processes")
        with federation(Path(folder) / "network", PARTIES, bits) as network:
            for seal, values, exchanges in wanted[:2] if short else wanted:
                session.say(f"federated: exchanges of {values} values under {seal}")
                found = measure(network, values, exchanges, seal=seal)
                named = seal if seal == "pad" else f"{seal} {bits}"
                _exchange(session, found, {"seal": named, "values": values, "parties": PARTIES})


def _exchange(session: Session, found: Exchanges, parameters: Parameters) -> None:
    whole = [sum(phases) for phases in zip(*(found.wall[phase] for phase in PHASES), strict=True)]
    for title, seconds in (("whole", whole), *((phase, found.wall[phase]) for phase in PHASES)):
        session.fact(
            "federated/exchange-wall",
            f"an exchange between processes: {title}",
            "s",
            seconds,
            parameters=parameters,
            note=f"wall time; all processes share {os.cpu_count()} cores",
        )
    for who, spent in found.cpu.items():
        session.fact(
            "federated/exchange-cpu",
            f"an exchange: {who}",
            "s",
            spent,
            parameters=parameters,
            note="CPU time",
        )
    session.fact(
        "federated/exchange-bytes",
        "bytes that a node sends for each value, as the broker counted",
        "B",
        found.bytes_up / PARTIES / int(parameters["values"]),
        parameters=parameters,
    )


def _size(session: Session, values: int, bits: int | None) -> None:
    coded, round_ = _Coded(values), _round(values, bits)
    parameters: Parameters = {
        "seal": "pad" if bits is None else f"paillier {bits}",
        "values": values,
        "parties": PARTIES,
    }
    absent: dict[str, str] = {}
    found = session.figure(
        "federated/steps",
        "what a round adds to the app's own work",
        "values",
        [
            coded.encode(),
            _of_values(round_.node("node: mask and seal"), values),
            _of_values(round_.broker("broker: check and fold", per_party=False), values),
            _of_values(round_.analyst("analyst: open"), values),
            coded.decode(),
            *_secagg(session, values, absent),
        ],
        parameters=parameters,
        absent=absent,
        repeats=2,
    )
    _facts(session, found, values, bits, parameters)


def _facts(session: Session, found: Figure, values: int, bits: int | None, parameters: Parameters) -> None:
    """Seconds of one core, and bytes up for each value."""
    spent = {
        entry.name: min(run.cpu_s for run in entry.runs) for entry in found.entries if entry.role == "kapok"
    }
    measured = values == _MILLION and bits is None
    node = sum(spent[name] for name in spent if name.startswith("node"))
    session.fact(
        "federated/node-seconds",
        "a node's own share: encode, mask, seal",
        "s",
        node,
        parameters=parameters,
        aim=Aim(of="value", most=_NODE_S) if measured else None,
    )
    analyst = sum(spent[name] for name in spent if name.startswith("analyst"))
    session.fact(
        "federated/analyst-seconds",
        "the analyst's share: open and decode",
        "s",
        analyst,
        parameters=parameters,
        aim=Aim(of="value", most=_ANALYST_S) if measured else None,
    )
    if bits is None:
        up = (values + HEAD_WORDS) * WORD_BITS // 8 + (WORD_BITS + 64) // 8
        session.fact(
            "federated/bytes-up",
            "bytes that a node sends for each value",
            "B",
            up / values,
            parameters=parameters,
            aim=Aim(of="value", most=_BYTES) if values >= _MILLION else None,
            note="the vector; signed statements come on top, some kilobytes",
        )


def _round(values: int, bits: int | None) -> WholeRound:
    return WholeRound(PARTIES, values + HEAD_WORDS, None if bits is None else benchmark_key(bits).private)


def _of_values(contender: Contender, values: int) -> Contender:
    """Counted in values of the model, without the head."""
    return Contender(
        name=contender.name,
        role=contender.role,
        units=values,
        prepare=contender.prepare,
        run=contender.run,
        check=contender.check,
    )


def _secagg(session: Session, values: int, absent: dict[str, str]) -> list[Contender]:
    name = f"Flower SecAgg+ client, {PARTIES - 1} neighbours"
    client = session.peer(name, lambda: SecAggPlusClient(PARTIES - 1), absent)
    if client is None:
        return []
    return [
        Contender(
            name=client.name,
            role="peer",
            units=values,
            prepare=lambda: np.random.default_rng().integers(0, 1 << WORD_BITS, values, dtype=np.int64),
            run=client.mask,
            check=lambda given, made: bool((client.unmask(made) == given).all()),
            note=client.note,
        )
    ]


@dataclass(slots=True)
class _Coded:
    """Encoding and decoding of a model of float32, checked over all parties."""

    values: int
    layout: Layout = field(init=False)

    def __post_init__(self) -> None:
        self.layout = Layout(
            integer=((self.values, False),),
            bits=WORD_BITS,
            value_range=_RANGE,
            integer_range=1.0,
            examples=PARTIES * _WEIGHT,
        )
        models = [self._model() for _ in range(3)]
        total = self._encode(models[0]).add(*(self._encode(one) for one in models[1:]))
        mean, exact = self._decode(total), np.mean(np.array(models, dtype=np.float64), axis=0)
        farthest = float(np.abs(mean - exact).max())
        if farthest > 1.0001 * self.layout.resolution(len(models), len(models) * _WEIGHT):
            raise WrongResult(f"federated: the mean of a model is off by {farthest:.3g}")

    def encode(self) -> Contender:
        return Contender(
            name="node: encode",
            role="kapok",
            units=self.values,
            prepare=self._model,
            run=self._encode,
            check=lambda model, words: bool(
                np.abs(self._decode(words) - model).max() <= 1.0001 * self._resolution
            ),
        )

    def decode(self) -> Contender:
        return Contender(
            name="analyst: decode",
            role="kapok",
            units=self.values,
            prepare=lambda: self._encode(self._model()),
            run=self._decode,
            check=lambda words, mean: bool(np.abs(mean - self._decode(words)).max() == 0),
        )

    @property
    def _resolution(self) -> float:
        return self.layout.resolution(1, _WEIGHT)

    def _model(self) -> Model:
        return np.random.default_rng().uniform(-_RANGE, _RANGE, self.values).astype(np.float32)

    def _encode(self, model: Model) -> WordVector:
        head = WordVector.from_int64(write_head(_WEIGHT, _NAMES, (0.5,)), WORD_BITS)
        body = head.body + self.layout.encode([model], _WEIGHT)
        return WordVector(WORD_BITS, HEAD_WORDS + self.values, body)

    def _decode(self, words: WordVector) -> npt.NDArray[Any]:
        end = HEAD_WORDS * WORD_BITS // 8
        head = read_head(WordVector.from_bytes(words.body[:end], WORD_BITS).to_int64())
        return self.layout.decode(memoryview(words.body)[end:], head.weight)[0]
