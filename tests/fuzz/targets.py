"""Everything in Kapok that reads what others wrote, as functions of bytes.

A target may return, or raise a class of `kapok.errors`. What else it raises is a defect, as are a hang and
memory out of proportion to what was read. Two drive them, from the corpus that `make_corpus.py` makes:
Hypothesis in `test_fuzz.py` (`make test`), which also builds inputs that are nearly right, and atheris in
`drive.py` (`make fuzz`), which follows the branches of the code.
"""

from __future__ import annotations

import functools
import io
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import kapok.wire  # noqa: F401 - first: it silences gRPC's core, which reads its settings once

# isort: split
import msgspec
from google.protobuf.message import DecodeError

from kapok.authority.settings import AuthoritySettings
from kapok.broker.settings import BrokerSettings
from kapok.cli.hints import pasteable
from kapok.cli.job import _say_view
from kapok.client.jobs import JobFolder
from kapok.client.known import KnownMembers
from kapok.client.opening import failure_of
from kapok.client.profile import Profile
from kapok.client.progress import progress_of
from kapok.client.result import Result
from kapok.client.vault import Vault
from kapok.client.waiting import JobView
from kapok.computations.query.parse import reference_of
from kapok.computations.registry import computation
from kapok.documents import statements
from kapok.documents.dataset import Column, Dataset
from kapok.documents.envelope import JwsVerifier, decode
from kapok.documents.reopening import ReopeningAnswer, SignedReopening
from kapok.errors import KapokError
from kapok.errors.plain import plain
from kapok.identity.certificates import TrustRoot, certificate_from_der, certificate_from_pem, party_name
from kapok.identity.issuing import requested_key
from kapok.identity.keyfiles import decode_key
from kapok.identity.names import PartyName
from kapok.identity.tokens import EnrolmentToken
from kapok.nodes.history import moment_of
from kapok.nodes.hours import Window
from kapok.nodes.policy import load_policy
from kapok.nodes.settings import POLICY_FILE, SETTINGS_FILE, load_settings
from kapok.protocols.paillier.private import PrivateKey
from kapok.protocols.secure_sum import messages
from kapok.protocols.secure_sum.records import ReleaseRecord
from kapok.settings import load
from kapok.wire import codec, failures, version
from kapok.wire.address import Address
from kapok.wire.v1 import analyst_pb2, catalogue_pb2, enrolment_pb2, node_pb2, officer_pb2

__all__ = ["CORPUS", "DATASET", "MESSAGES", "TARGETS", "Target", "is_told"]

Target = Callable[[bytes], object]
CORPUS = Path(__file__).parent / "corpus"
ROOT = CORPUS / "certificate_pem" / "root"
DATASET = Dataset(
    name="clinic",
    columns=(
        Column(name="age", type="integer", minimum=0, maximum=120),
        Column(name="cost", type="decimal", minimum=0, maximum=1000, resolution="0.01", nullable=True),
        Column(name="sex", type="integer", domain=(0, 1), nullable=True),
        Column(name="ward", type="text", domain=("a", "b", "c"), nullable=True),
        Column(name="smoker", type="boolean"),
        Column(name="day", type="date", minimum="2013-01-01", maximum="2013-12-31"),
    ),
    rows_max=1000,
)
MEDIAN = "SELECT COUNT(*), MEDIAN(age) FROM clinic"


@functools.cache
def _folder() -> Path:
    """A folder in memory, where there is one: files are written there to be read."""
    memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="kapok-fuzz-", dir=memory if memory.is_dir() else None))


@functools.cache
def _verifier() -> JwsVerifier:
    return JwsVerifier(ROOT.read_bytes(), lambda: 1_800_000_000.0)


@functools.cache
def _opener() -> Vault:
    """One for all: a key is derived once for each salt, and that takes a while on purpose."""
    return Vault(passphrase="open sesame")


def _text(raw: bytes) -> str:
    """As a command line gives it: bytes that are no UTF-8 come as surrogates."""
    return raw.decode("utf-8", "surrogateescape")


def _from_file(name: str, read: Callable[[Path], object]) -> Target:
    """Reads a file of this name; the folder of it is given."""

    def target(raw: bytes) -> object:
        path = _folder() / name
        path.write_bytes(raw)
        path.chmod(0o600)
        return read(path)

    return target


def _statement(kind: type[msgspec.Struct]) -> Target:
    return lambda raw: decode(kind, raw, party="spiffe://kapok.test/org/a/node/main")


def _specification(raw: bytes) -> object:
    spec = decode(statements.JobSpec, raw)
    analyst = PartyName.parse(spec.analyst)
    question = computation(spec.computation).parse(spec.question, DATASET)
    return spec.terms("0" * 64, analyst), spec.params_hash, question.text, question.describe()


def _token(raw: bytes) -> object:
    found = [_verifier().verify(typ, _text(raw)) for typ in (statements.JOB_TYP,)]
    return [decode(statements.JobSpec, one.payload) for one in found]


def _question(raw: bytes) -> object:
    text = _text(raw)
    name = reference_of(text)
    question = computation("query").parse(text, DATASET)
    again = computation("query").parse(question.text, DATASET)
    if again.text != question.text:
        raise AssertionError("the canonical text is not canonical")
    return name, question.describe(), question.columns, question.substance


def _parameters(raw: bytes) -> object:
    kind = computation("query")
    return kind.go_on().read(kind.parse(MEDIAN, DATASET), DATASET, raw)


def _status(raw: bytes) -> object:
    """A job's status as a broker tells it, shown as the command line shows it."""
    status = codec.read_status(analyst_pb2.JobStatus.FromString(raw))
    told = pasteable(plain(progress_of(status, 3, 2).text))
    view = JobView(
        job_id=status.job_id,
        state=status.state.value,
        sql="",
        submitted_at=status.submitted_at,
        waiting_for=status.waiting_for,
        members=status.roster,
        not_connected=status.not_connected,
        fewer_after_s=status.fewer_after_s,
        failure=failure_of(status, ()),
        round=status.round,
    )
    with redirect_stdout(io.StringIO()) as shown:
        _say_view(view)
    text = told + shown.getvalue()
    if any(not (char.isprintable() or char == "\n") for char in text):
        raise AssertionError("a broker steers the terminal")
    return text


def _wire(kind: Any, read: Callable[[Any], object]) -> Target:
    return lambda raw: read(kind.FromString(raw))


def _trailer(raw: bytes) -> object:
    error = failures.carried([(failures.KEY, raw)])
    return error.diagnostics() if error else None


def _metadata(raw: bytes) -> object:
    pairs = [
        (line.partition(b"=")[0].decode("latin-1"), line.partition(b"=")[2]) for line in raw.split(b"\n")
    ]
    told = [(key, value.decode("latin-1")) for key, value in pairs]
    version.check_caller(told)
    version.check_answer(told, "broker:1")
    return version.read_about(told)


def _vault(raw: bytes) -> object:
    secret = _opener().unlock_file(raw, "result key", Path("result-key.json"))
    return PrivateKey.from_json_bytes(secret)


def _job_file(path: Path) -> object:
    folder = JobFolder(path.parent)
    record = folder.unlock(folder.load(path.stem))
    return JobView.of_record(record), record.failure and record.failure.error().diagnostics()


def _node_settings(path: Path) -> object:
    return load_settings(path.parent)


def _result(path: Path) -> object:
    result = Result.load(path)
    return str(result), result.rows, result._repr_html_(), result.to_document()


def _reopening(raw: bytes) -> object:
    document = SignedReopening.from_json(raw)
    return document.check(_verifier(), time.time())


def _names(raw: bytes) -> object:
    text = _text(raw)
    found: list[object] = []
    for read in (PartyName.parse, Address.parse, Window.parse, moment_of):
        try:
            found.append(read(text))
        except KapokError as error:
            found.append(error.diagnostics())
    return found


MESSAGES: dict[str, tuple[Any, Callable[[Any], object]]] = {
    "watch_response": (node_pb2.WatchResponse, codec.read_assignment),
    "sum_part": (analyst_pb2.FetchSumResponse, codec.read_sum_part),
    "status": (analyst_pb2.JobStatus, codec.read_status),
    "entry": (catalogue_pb2.CatalogueEntry, codec.read_entry),
    "cohort": (officer_pb2.ListCohortsResponse, codec.read_cohort),
    "reopenings": (officer_pb2.ListReopeningsResponse, codec.read_reopening),
    "steer": (analyst_pb2.SteerJobRequest, lambda request: codec.check_chunk(request.chunk)),
    "seal": (node_pb2.SealRequest, lambda request: codec.check_chunk(request.chunk)),
    "get_job": (analyst_pb2.GetJobRequest, lambda request: codec.read_id("job", request.job_id)),
    "list_datasets": (catalogue_pb2.ListDatasetsRequest, lambda request: codec.read_name(request.name)),
    "enrol": (enrolment_pb2.EnrolRequest, lambda request: requested_key(request.certificate_request_der)),
}
"""Messages, and what reads them. Bytes that are none give protobuf's `DecodeError`: gRPC ends the call."""

TARGETS: dict[str, Target] = {
    **{f"wire_{name}": _wire(kind, read) for name, (kind, read) in MESSAGES.items()},
    "wire_shown_status": _status,
    "wire_error": _trailer,
    "wire_metadata": _metadata,
    "job_specification": _specification,
    "consent": _statement(messages.ConsentStatement),
    "seal_statement": _statement(messages.SealStatement),
    "release": _statement(messages.ReleaseStatement),
    "parameters_statement": _statement(messages.ParametersStatement),
    "refusal": _statement(statements.RefusalStatement),
    "opinion": _statement(statements.OpinionStatement),
    "membership": _statement(statements.Membership),
    "reopening_answer": _statement(ReopeningAnswer),
    "round_parameters": _parameters,
    "token": _token,
    "enrolment_token": lambda raw: EnrolmentToken.parse(_text(raw)),
    "certificate_der": lambda raw: party_name(certificate_from_der(raw)),
    "certificate_pem": lambda raw: TrustRoot(certificate_from_pem(raw)),
    "certificate_request": requested_key,
    "key_pem": lambda raw: decode_key(raw, None, Path("key.pem")),
    "question": _question,
    "names": _names,
    "schema": _from_file("clinic.toml", Dataset.from_toml),
    "dataset": Dataset.from_payload,
    "policy": _from_file(POLICY_FILE, lambda path: load_policy(path.parent)),
    "node_settings": _from_file(SETTINGS_FILE, _node_settings),
    "broker_settings": _from_file("broker.toml", lambda path: load(path, BrokerSettings)),
    "authority_settings": _from_file("authority.toml", lambda path: load(path, AuthoritySettings)),
    "analyst_settings": _from_file("analyst.toml", lambda path: Profile.load(path.parent)),
    "result": _from_file("answer.arrow", _result),
    "vault": _vault,
    "result_key": PrivateKey.from_json_bytes,
    "job_file": _from_file(f"{'0' * 64}.json", _job_file),
    "known": _from_file(f"{'1' * 64}.json", lambda path: KnownMembers(path.parent)._seen("1" * 64)),
    "reopening": _reopening,
    "release_record": ReleaseRecord.from_json,
}


def is_told(error: BaseException) -> bool:
    """Whether an error is one that a caller is told in words."""
    return isinstance(error, KapokError | DecodeError)
