"""Makes `corpus/`: some good inputs for each target, small, from Kapok's own writers.

    python tests/fuzz/make_corpus.py

Keys are made anew each time, so that the files differ from run to run; nothing depends on what they say.
"""

from __future__ import annotations

import secrets
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import msgspec
import pyarrow as pa
from cryptography.hazmat.primitives import serialization
from fuzz.targets import CORPUS, DATASET, MEDIAN, ROOT, TARGETS
from support.hospitals import Realm
from support.parties import exchange

import kapok.nodes
from kapok.client.jobs import JobRecord
from kapok.client.result import Cost, Labels, PartyReport, Result
from kapok.client.vault import Vault
from kapok.computations.registry import computation
from kapok.documents import statements
from kapok.documents.envelope import JwsSigner, encode
from kapok.documents.reopening import Reopening, SignedReopening
from kapok.errors import ConsentWithheld, KapokError
from kapok.identity.issuing import certificate_request
from kapok.identity.keyfiles import encode_key, generate_key
from kapok.identity.names import Role
from kapok.identity.tokens import EnrolmentToken
from kapok.protocols.paillier.keygen import generate
from kapok.protocols.secure_sum.evidence import Evidence
from kapok.protocols.secure_sum.messages import ParametersStatement
from kapok.protocols.wraps import WrapKey
from kapok.wire import codec, failures
from kapok.wire.messages import (
    CatalogueEntry,
    Closed,
    CohortEvidence,
    Completion,
    JobState,
    JobStatus,
    KeptReopening,
    Offer,
    OpenAttempt,
    ReopenCohort,
    RoundParameters,
)
from kapok.wire.v1 import analyst_pb2, catalogue_pb2, enrolment_pb2, node_pb2

QUESTIONS = (
    "SELECT COUNT(*) FROM clinic",
    "SELECT ward, AVG(age), STDDEV(cost) FROM clinic WHERE day >= DATE '2013-02-01' GROUP BY ward "
    "HAVING COUNT(*) > 5",
    MEDIAN,
    "SELECT sex, SUM(CASE WHEN age BETWEEN 18 AND 65 THEN cost ELSE 0 END) / COUNT(*) AS x FROM clinic "
    "GROUP BY ROLLUP(sex) ORDER BY 1 LIMIT 3",
    "SELECT HISTOGRAM(age, 10), COUNT(DISTINCT ward) FILTER (WHERE smoker AND ward LIKE 'a%') FROM clinic",
    "SELECT EXTRACT(MONTH FROM day + INTERVAL '3' DAY), CORR(age, cost) FROM clinic GROUP BY 1",
)
UNSIGNED = frozenset({"reopening"})
"""Targets whose good inputs would take more parties than are made here."""
NODE_FILES = Path(kapok.nodes.__path__[0])


def main() -> None:
    """Write every seed."""
    realm = Realm()
    analyst = realm.credentials("university", Role.ANALYST, "one")
    shutil.rmtree(CORPUS, ignore_errors=True)
    ROOT.parent.mkdir(parents=True)
    ROOT.write_bytes(realm.root.pem)
    spec = specification(str(analyst.name))
    token = JwsSigner(analyst).sign(statements.JOB_TYP, encode(spec))
    seeds = {
        **texts(),
        **identities(realm, analyst),
        **signed(spec, token),
        **files(token),
        **wire(token),
    }
    missing = set(TARGETS) - set(seeds) - {"certificate_pem"}
    if missing:
        raise SystemExit(f"no seed for {sorted(missing)}")
    for target, contents in seeds.items():
        (CORPUS / target).mkdir(exist_ok=True)
        for number, content in enumerate(contents):
            (CORPUS / target / str(number)).write_bytes(content)
        for content in contents:
            try:
                TARGETS[target](content)
            except KapokError as error:
                if target not in UNSIGNED:
                    raise SystemExit(f"the seed of {target} is not good: {error.diagnostics()}") from error


def specification(analyst: str) -> statements.JobSpec:
    """A job's specification over the targets' dataset."""
    members = tuple(f"spiffe://kapok.test/org/{letter}/node/main" for letter in "abc")
    question = computation("query").parse(QUESTIONS[1], DATASET)
    return statements.JobSpec(
        analyst=analyst,
        suite="kapok-sum-1",
        computation="query",
        question=question.text,
        dataset="0" * 64,
        members=members,
        at_least=3,
        seal="pad",
        words=question.words,
        word_bits=question.word_bits,
        result_key=None,
        receiver_key=WrapKey.generate().public,
        tag_seeds=dict.fromkeys(members, b"seed"),
        rounds=question.rounds,
        deadline=1_800_000_100,
        nonce=secrets.token_bytes(32),
    )


SCHEMA = b"""name = "clinic"
rows_max = 1000
[[columns]]
name = "age"
type = "integer"
minimum = 0
maximum = 120
[[columns]]
name = "ward"
type = "text"
domain = ["a", "b"]
nullable = true
"""
RULE = b"""timezone = "Europe/Zurich"
[[rule]]
analysts = ["org/university/analyst/*"]
dataset = "clinic"
operations = ["count", "sum"]
columns = ["*"]
questions = 10
min_rows = 20
min_cell = 5
hours = ["mon-fri 08:00-18:00"]
dominance = {n = 2, percent = 80}
approval = "automatic"
"""


def texts() -> dict[str, list[bytes]]:
    """What people write: questions, names, schemas and settings."""
    node = (
        b'broker = "127.0.0.1:7443"\n[datasets.clinic]\nhash = "' + b"0" * 64 + b'"\n'
        b'[datasets.clinic.source]\nformat = "csv"\npath = "patients.csv"\n'
    )
    templates = {path.name: path.read_bytes() for path in NODE_FILES.glob("*.toml")}
    return {
        "question": [text.encode() for text in QUESTIONS],
        "names": [
            b"spiffe://kapok.test/org/a/node/main",
            b"[::1]:7443",
            b"broker.example.org:7443",
            b"mon-fri 08:00-18:00",
            b"2026-01-02T03:04:05Z",
        ],
        "schema": [SCHEMA],
        "dataset": [DATASET.to_payload()],
        "policy": [RULE, templates["policy.toml"]],
        "node_settings": [
            node,
            templates["node.toml"].replace(b"@BROKER_ADDRESS@", b"broker.example.org:7443"),
        ],
        "broker_settings": [b'listen = "127.0.0.1:0"\nlog_level = "info"\n[limits]\nopen_jobs_max = 3\n'],
        "authority_settings": [authority_settings()],
        "analyst_settings": [b'broker = "127.0.0.1:7443"\nseal = "pad"\nkey_bits = 2048\n'],
    }


def authority_settings() -> bytes:
    """The least that an authority's settings say."""
    return (
        b'trust_domain = "kapok.test"\nlisten = "127.0.0.1:7442"\naddress = "127.0.0.1:7442"\n'
        b'hosts = ["127.0.0.1"]\n'
    )


def identities(realm: Realm, analyst) -> dict[str, list[bytes]]:
    """Certificates, requests, keys and tokens."""
    key = generate_key()
    der = analyst.certificate.public_bytes(serialization.Encoding.DER)
    token = EnrolmentToken.generate("127.0.0.1:7442", realm.root, analyst.name, "127.0.0.1:7443")
    return {
        "certificate_der": [der],
        "certificate_request": [certificate_request(key, analyst.name)],
        "key_pem": [encode_key(key, None)],
        "enrolment_token": [token.text.encode()],
    }


def signed(spec: statements.JobSpec, token: str) -> dict[str, list[bytes]]:
    """What parties sign."""
    job = exchange(rounds=2)
    sealed = job.seal_all()
    consent, seal = (
        job.authority.verify(typ, text).payload
        for typ, text in (("kapok-consent+jws", job.consents()[0]), ("kapok-seal+jws", sealed[0].token))
    )
    release = job.authority.verify("kapok-release+jws", job.release_all(sealed)[0]).payload
    parameters = ParametersStatement(
        job=bytes(32), round=2, roster=bytes(32), params=bytes(32), name="a", wraps=(b"w", b"x")
    )
    refusal = statements.RefusalStatement("0" * 64, "ConsentWithheld", "denied", "no", "policy", "ask")
    opinion = statements.OpinionStatement("0" * 64, "automatic", None)
    reopening = Reopening(
        dataset="0" * 64,
        receiver="spiffe://kapok.test/org/university",
        serial=1,
        old=(tuple(f"spiffe://kapok.test/org/{letter}/node/main" for letter in "abc"),),
        new=tuple(f"spiffe://kapok.test/org/{letter}/node/main" for letter in "abcd"),
        proposer="spiffe://kapok.test/org/a/officer/chief",
        expires=1_900_000_000,
    )
    return {
        "job_specification": [encode(spec)],
        "token": [token.encode()],
        "consent": [consent],
        "seal_statement": [seal],
        "release": [release],
        "parameters_statement": [encode(parameters)],
        "refusal": [encode(refusal)],
        "opinion": [encode(opinion)],
        "membership": [encode(statements.Membership(dataset="0" * 64, tag_key=WrapKey.generate().public))],
        "reopening_answer": [b'{"reopening":"' + b"0" * 64 + b'","code":"","message":"","remedy":""}'],
        "reopening": [SignedReopening.of(reopening).to_json()],
        "release_record": [sealed[0].record.to_json()],
        "round_parameters": [round_parameters()],
    }


def round_parameters() -> bytes:
    """What the second round of a median asks for."""
    kind = computation("query")
    question = kind.parse(MEDIAN, DATASET)
    return kind.go_on().advance(question, DATASET, None, [100] * question.words).parameters


def files(token: str) -> dict[str, list[bytes]]:
    """What an analyst keeps."""
    key = generate(2048).to_json_bytes()
    locked = Vault(passphrase="open sesame").lock(key, "result key")
    record = JobRecord(
        job_id="0" * 64,
        sql=QUESTIONS[0],
        specification=token,
        dataset=DATASET.to_payload(),
        submitted_at=1.0,
        receiver_key=b"r" * 32,
        tag_seed=b"t" * 32,
    )
    labels = Labels(
        job_id="0" * 64,
        question=QUESTIONS[0],
        dataset="clinic",
        dataset_hash="0" * 64,
        suppressed=(),
        parties=(
            PartyReport(name="spiffe://kapok.test/org/a/node/main", organisation="a", data_version="v"),
        ),
        cost=Cost(seconds=1.0, stages={}, sealed_bytes=1, bytes_sent=1, bytes_received=1),
    )
    path = CORPUS / "answer.arrow"
    Result.of(pa.table({"count": [3]}), labels).save(path)
    answer = path.read_bytes()
    path.unlink()
    return {
        "result_key": [key],
        "vault": [msgspec.json.encode(locked), key],
        "job_file": [msgspec.json.encode(record)],
        "known": [b'{"members":["spiffe://kapok.test/org/a/node/main"]}'],
        "result": [answer],
    }


def wire(token: str) -> dict[str, list[bytes]]:
    """Messages as the wire carries them."""
    error = ConsentWithheld("no", code="denied", remedy="ask", clause="policy", party="a")
    status = JobStatus(
        job_id="0" * 64,
        state=JobState.SEALING,
        specification="",
        waiting_for=("a", "b"),
        roster=("a", "b"),
        refusals=(),
        error=error,
        submitted_at=1.8e9,
        changed_at=1.8e9,
        attempt=1,
        bytes_received=3,
        fewer_after_s=30.0,
    )
    assignments = (
        Offer("spec"),
        Closed("0" * 64),
        ReopenCohort(b"{}"),
        OpenAttempt(
            specification="spec", round=2, attempt=1, consents=("a",), parameters=RoundParameters("s", b"c")
        ),
        Completion(job_id="0" * 64, round=1, attempt=1, seals=("a", "b")),
    )
    evidence = Evidence(round=1, attempt=1, consents=("a",), seals=("b",), releases=("c",))
    cohort = CohortEvidence(specification="s", round=1, attempt=1, consents=("a",), releases=("b",))
    seen = codec.write_status(status).SerializeToString()
    request = certificate_request(generate_key(), Realm().credentials("a", Role.NODE, "main").name)
    made = {
        "watch_response": [codec.write_assignment(one) for one in assignments],
        "sum_part": [codec.write_sum_part(evidence), codec.write_sum_part(b"chunk")],
        "entry": [codec.write_entry(CatalogueEntry("d", ("m",), ("c",)))],
        "cohort": [codec.write_cohort(cohort)],
        "reopenings": [codec.write_reopening(KeptReopening(b"{}", ("a",), 1.0))],
        "steer": [analyst_pb2.SteerJobRequest(chunk=b"chunk")],
        "seal": [node_pb2.SealRequest(chunk=b"chunk")],
        "get_job": [analyst_pb2.GetJobRequest(job_id="0" * 64)],
        "list_datasets": [catalogue_pb2.ListDatasetsRequest(name="clinic")],
        "enrol": [enrolment_pb2.EnrolRequest(token_secret=b"s" * 32, certificate_request_der=request)],
    }
    return {
        **{f"wire_{name}": [one.SerializeToString() for one in found] for name, found in made.items()},
        "wire_status": [seen],
        "wire_shown_status": [seen],
        "wire_error": [failures.trailing(error)[0][1]],
        "wire_metadata": [b"kapok-wire=1\nkapok-release=0.1.0\nkapok-time=1800000000.000"],
    }


if __name__ == "__main__":
    main()
