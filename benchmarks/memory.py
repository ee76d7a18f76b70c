"""Peak memory of a node and of the broker, each in a process of its own, and the sum that they make.

    python -m benchmarks.memory node|broker     one JSON document a line in, one out

The measuring process enrols the members, starts one process after the other, hands their signed texts around,
and opens the sum. Vectors go through files, a chunk at a time, as they go through sockets in a deployment.
"""

from __future__ import annotations

import json
import resource
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from cryptography.hazmat.primitives import serialization

from benchmarks.errors import BenchmarkError, WrongResult
from benchmarks.machine import unpinned
from benchmarks.parties import (
    WORD_BITS,
    Domain,
    folded,
    holder_of,
    params_hash,
    random_values,
    terms_of,
)
from kapok.documents.envelope import JwsSigner, JwsVerifier
from kapok.identity.credentials import CERTIFICATE_FILE, IDENTITY_FOLDER, KEY_FILE, ROOT_FILE, Credentials
from kapok.identity.keyfiles import encode_key, make_private_folder, write_new_file
from kapok.identity.names import PartyName
from kapok.protocols.paillier.private import PrivateKey
from kapok.protocols.paillier.public import EncodedKey
from kapok.protocols.secure_sum.aggregator import chunk_lengths
from kapok.protocols.secure_sum.analyst import Asked, OpenedSum, open_sum
from kapok.protocols.secure_sum.evidence import Evidence
from kapok.protocols.secure_sum.holder import release
from kapok.protocols.secure_sum.params import SumTerms
from kapok.protocols.sizes import KeyProfile
from kapok.protocols.words import WordVector
from kapok.protocols.wraps import WrapKey

__all__ = ["peak_bytes", "peaks_of_a_sum"]

_ATTEMPT: Final = 1


def peak_bytes() -> int:
    """The largest resident memory that this process ever had.

    Not `ru_maxrss` where Linux tells it better: that one begins with what the *parent* had when it started
    this process.
    """
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


@dataclass(frozen=True, slots=True)
class _Job:
    """What every process is told. Nothing in it is secret."""

    names: list[str]
    words: int
    result_key: tuple[str, str, str] | None
    receiver_key: str
    job_id: str

    @property
    def terms(self) -> SumTerms:
        key = self.result_key
        encoded = None
        if key is not None:
            profile: KeyProfile = "subgroup" if key[2] == "subgroup" else "standard"
            encoded = EncodedKey(bytes.fromhex(key[0]), bytes.fromhex(key[1]), profile)
        return terms_of(
            [PartyName.parse(name) for name in self.names],
            self.words,
            encoded,
            bytes.fromhex(self.receiver_key),
            bytes.fromhex(self.job_id),
        )

    def as_document(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _Job.__slots__}


class _Child:
    """A process that answers one JSON document a line."""

    def __init__(self, role: str) -> None:
        command = [sys.executable, "-m", "benchmarks.memory", role]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._role = role

    def ask(self, **question: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            print(json.dumps(question), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise BenchmarkError(f"the {self._role}'s process ended with status {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def end(self) -> None:
        self._process.communicate()


def peaks_of_a_sum(words: int, parties: int, result_key: PrivateKey | None) -> dict[str, list[float]]:
    """Peaks of the nodes and the broker in bytes, and what a node had before its vector.

    Raises:
        WrongResult: the sum is not that of the plain integers.
        BenchmarkError: a process failed.
    """
    with tempfile.TemporaryDirectory(prefix="kapok-benchmark-") as name:
        members = _Members(Path(name), words, parties, result_key)
        with unpinned():
            sealed = members.seal()
            broker = members.fold(sealed)
            opened = members.open(sealed)
    truth = np.zeros(words, dtype=np.int64)
    for index in range(parties):
        truth += random_values(words, members.seed + index)
    if not bool((np.asarray(opened.words) == truth).all()):
        raise WrongResult("secure-sum in processes: the sum is not that of the plain integers")
    return {"node": sealed.peaks, "broker": [broker], "start": sealed.before}


@dataclass(frozen=True, slots=True)
class _Sealed:
    """What the nodes' processes said."""

    consents: list[str]
    tokens: list[str]
    releases: list[str]
    peaks: list[float]
    before: list[float]


class _Members:
    """The members of one job, each with a folder and a process of its own, and their analyst."""

    def __init__(self, folder: Path, words: int, parties: int, result_key: PrivateKey | None) -> None:
        domain = Domain()
        self.homes = [folder / f"holder-{index:03}" for index in range(parties)]
        members = [_enrolled(domain, home, home.name) for home in self.homes]
        self.vectors = [str(folder / f"vector-{index:03}") for index in range(parties)]
        self.out = folder / "sum"
        self.seed, self._tag_seed = secrets.randbits(64), secrets.token_bytes(32)
        self._result_key, self._receiver_key = result_key, WrapKey.generate()
        self._verifier = JwsVerifier(members[0].root_pem)
        key = None if result_key is None else result_key.public.encode()
        self._job = _Job(
            [str(member.name) for member in members],
            words,
            None if key is None else (key.n.hex(), key.h_s.hex(), key.profile),
            self._receiver_key.public.hex(),
            secrets.token_hex(32),
        )

    def seal(self) -> _Sealed:
        """All nodes, one after the other where it takes time; their processes live as long as their keys."""
        nodes = [_Child("node") for _ in self.homes]
        try:
            begun = [
                node.ask(job=self._job.as_document(), home=str(home), seed=self.seed + index)
                for index, (node, home) in enumerate(zip(nodes, self.homes, strict=True))
            ]
            consents = [answer["consent"] for answer in begun]
            sealed = [
                node.ask(consents=consents, tag_seed=self._tag_seed.hex(), out=out)
                for node, out in zip(nodes, self.vectors, strict=True)
            ]
            tokens = [answer["token"] for answer in sealed]
            releases = [node.ask(seals=tokens)["release"] for node in nodes]
        finally:
            for node in nodes:
                node.end()
        peaks, before = ([answer["peak"] for answer in answers] for answers in (sealed, begun))
        return _Sealed(consents, tokens, releases, peaks, before)

    def fold(self, sealed: _Sealed) -> float:
        """The broker's process; its peak."""
        broker = _Child("broker")
        try:
            answer = broker.ask(
                job=self._job.as_document(),
                consents=sealed.consents,
                seals=sealed.tokens,
                files=self.vectors,
                out=str(self.out),
                home=str(self.homes[0]),
            )
        finally:
            broker.end()
        return float(answer["peak"])

    def open(self, sealed: _Sealed) -> OpenedSum:
        """The analyst's part, in this process."""
        asked = Asked(
            params_hash=params_hash(),
            tag_seed=self._tag_seed,
            receiver_key=self._receiver_key,
            result_key=self._result_key,
        )
        evidence = Evidence(
            round=1,
            attempt=_ATTEMPT,
            consents=sealed.consents,
            seals=sealed.tokens,
            releases=sealed.releases,
        )
        return open_sum(self._job.terms, asked, evidence, _pieces(self.out), self._verifier)


def _enrolled(domain: Domain, home: Path, organisation: str) -> Credentials:
    """A member's identity, in files as its own process will read them."""
    member = domain.credentials(organisation)
    home.mkdir(mode=0o700)
    folder = home / IDENTITY_FOLDER
    make_private_folder(folder)
    write_new_file(folder / KEY_FILE, encode_key(member.private_key(), None))
    certificate = member.certificate.public_bytes(serialization.Encoding.PEM)
    write_new_file(folder / CERTIFICATE_FILE, certificate, mode=0o644)
    write_new_file(folder / ROOT_FILE, member.root_pem, mode=0o644)
    return member


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while piece := stream.read(1 << 18):
            yield piece


def _answers(questions: IO[str]) -> Iterator[dict[str, Any]]:
    for line in questions:
        document: dict[str, Any] = json.loads(line)
        yield document


def _answer(**document: Any) -> None:
    print(json.dumps(document), flush=True)


def _node() -> None:
    """Consent; seal and send; release."""
    questions = _answers(sys.stdin)
    asked = next(questions)
    terms = _Job(**asked["job"]).terms
    credentials = Credentials.load(asked["home"])
    signer, verifier = JwsSigner(credentials), JwsVerifier(credentials.root_pem)
    holder = holder_of(terms, credentials, signer, verifier)
    _answer(consent=holder.consent(), peak=peak_bytes())
    attempted = next(questions)
    attempt = holder.open(
        round=1, attempt=_ATTEMPT, consents=attempted["consents"], params_hash=params_hash()
    )
    began = time.process_time()
    words = WordVector.from_int64(random_values(terms.words, asked["seed"]), WORD_BITS)
    tag_seed = bytes.fromhex(attempted["tag_seed"])
    sealed = holder.seal(attempt, words, tag_seed=tag_seed, data_version="benchmark")
    with Path(attempted["out"]).open("wb") as stream:
        for chunk in sealed.chunks:
            stream.write(chunk)
    _answer(token=sealed.token, peak=peak_bytes(), cpu_s=time.process_time() - began)
    seals = next(questions)["seals"]
    _answer(release=release(sealed.record, seals, signer=signer, verifier=verifier))


def _broker() -> None:
    """Check and fold all vectors, a chunk of each at a time."""
    asked = next(_answers(sys.stdin))
    terms = _Job(**asked["job"]).terms
    verifier = JwsVerifier(Credentials.load(asked["home"]).root_pem)
    streams = [Path(path).open("rb") for path in asked["files"]]  # noqa: SIM115
    columns = ([stream.read(length) for stream in streams] for length in chunk_lengths(terms, len(streams)))
    with Path(asked["out"]).open("wb") as out:
        for chunk in folded(
            terms,
            _ATTEMPT,
            consents=asked["consents"],
            seals=asked["seals"],
            columns=columns,
            verifier=verifier,
        ):
            out.write(chunk)
    for stream in streams:
        stream.close()
    _answer(peak=peak_bytes())


if __name__ == "__main__":
    {"node": _node, "broker": _broker}[sys.argv[1]]()
