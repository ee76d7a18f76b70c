"""Plain types to messages and back, and what is refused on the way."""

from __future__ import annotations

import pytest

from kapok.errors import InternalError, InvalidInput, KapokError, NotFound, PeerProtocolError
from kapok.protocols.secure_sum.evidence import Evidence
from kapok.wire import codec
from kapok.wire.messages import (
    MOST_CHUNK_BYTES,
    CatalogueEntry,
    Closed,
    Completion,
    Idle,
    JobState,
    JobStatus,
    Offer,
    OpenAttempt,
    ReopenCohort,
    RoundParameters,
)
from kapok.wire.v1 import analyst_pb2, errors_pb2, node_pb2


def status(**changes) -> JobStatus:
    fields = {
        "job_id": "ab" * 32,
        "state": JobState.GATHERING,
        "specification": "spec",
        "waiting_for": ("n1", "n2"),
        "roster": (),
        "refusals": ("no",),
        "error": None,
        "submitted_at": 1700000000.125,
        "changed_at": 1700000001.5,
        "attempt": 0,
        "bytes_received": 2**63,
        "not_connected": ("n2",),
        "fewer_after_s": 30.5,
        "cohort_fixed": True,
        "round": 7,
    }
    return JobStatus(**{**fields, **changes})


def again(message):
    """The same message after a journey."""
    return type(message).FromString(message.SerializeToString())


@pytest.mark.parametrize("state", list(JobState))
def test_every_state_goes_there_and_back(state):
    assert codec.read_status(again(codec.write_status(status(state=state)))) == status(state=state)


def test_every_state_of_the_wire_but_unspecified_is_known():
    assert set(analyst_pb2.JobState.values()) == {0, *codec._STATES.values()}
    assert set(codec._STATES) == set(JobState)


@pytest.mark.parametrize("number", [0, 99])
def test_an_unspecified_or_unknown_state_is_refused(number):
    message = codec.write_status(status())
    message.state = number
    with pytest.raises(PeerProtocolError) as caught:
        codec.read_status(again(message))
    assert caught.value.code == "bad_answer"


def test_the_error_of_a_failed_job_goes_there_and_back():
    error = NotFound("gone", code="unknown_job", remedy="ask anew", clause="c", party="p")
    read = codec.read_status(again(codec.write_status(status(state=JobState.FAILED, error=error))))
    assert type(read.error) is NotFound
    assert read.error.diagnostics() == error.diagnostics()


def test_the_root_of_the_tree_arrives_as_an_internal_error():
    assert type(codec.read_error(codec.write_error(KapokError("m")))) is InternalError
    assert type(codec.read_error(errors_pb2.ErrorDetail(kind="", message="m"))) is InternalError


def test_text_that_is_no_unicode_does_not_stop_an_error():
    assert codec.read_error(again(codec.write_error(NotFound("a\udc80b")))).message == "a?b"


@pytest.mark.parametrize(
    "assignment",
    [
        Idle(),
        Offer("spec"),
        OpenAttempt(specification="spec", round=1, attempt=2**32 - 1, consents=("a", "b")),
        OpenAttempt(
            specification="spec",
            round=2,
            attempt=1,
            consents=("a",),
            parameters=RoundParameters("statement"),
        ),
        Completion(job_id="ab" * 32, round=1, attempt=2, seals=()),
        Closed("ab" * 32),
        ReopenCohort(b"{}"),
    ],
    ids=lambda assignment: type(assignment).__name__,
)
def test_every_assignment_goes_there_and_back(assignment):
    assert codec.read_assignment(again(codec.write_assignment(assignment))) == assignment


def test_an_assignment_of_no_kind_is_refused():
    with pytest.raises(PeerProtocolError):
        codec.read_assignment(node_pb2.WatchResponse())


@pytest.mark.parametrize(
    "part",
    [
        Evidence(round=1, attempt=2, consents=("a",), seals=("b", "c"), releases=()),
        b"x",
        bytes(MOST_CHUNK_BYTES),
    ],
    ids=["evidence", "small", "large"],
)
def test_every_part_of_a_sum_goes_there_and_back(part):
    assert codec.read_sum_part(again(codec.write_sum_part(part))) == part


@pytest.mark.parametrize(
    "message",
    [
        analyst_pb2.FetchSumResponse(),
        analyst_pb2.FetchSumResponse(chunk=b""),
        analyst_pb2.FetchSumResponse(chunk=bytes(MOST_CHUNK_BYTES + 1)),
    ],
    ids=["neither", "empty", "large"],
)
def test_a_part_of_a_sum_out_of_bounds_is_refused(message):
    with pytest.raises(PeerProtocolError):
        codec.read_sum_part(message)


def test_a_catalogue_entry_goes_there_and_back():
    entry = CatalogueEntry("doc", ("m1", "m2"), ("n1",))
    assert codec.read_entry(again(codec.write_entry(entry))) == entry


def test_an_id_is_sixty_four_digits():
    assert codec.read_id("job", "0123456789abcdef" * 4) == "0123456789abcdef" * 4
    for bad in ("", "0" * 63, "0" * 65, "0" * 63 + "\n", "0" * 64 + "\n", "G" * 64, None):
        with pytest.raises(InvalidInput) as caught:
            codec.read_id("job", bad)
        assert "job" in caught.value.message
