import json

import pytest

from kapok.client.opening import check_result_key, failure_of, read_specification, verified_refusals
from kapok.client.submission import Request, prepare
from kapok.documents.envelope import encode
from kapok.documents.statements import REFUSAL_TYP, RefusalStatement
from kapok.errors import (
    BudgetExhausted,
    CohortTooSmall,
    ConsentWithheld,
    InternalError,
    NotFound,
    PeerProtocolError,
    SealBroken,
    TimedOut,
    Unavailable,
)
from kapok.identity.names import Role
from kapok.wire.messages import JobState, JobStatus


@pytest.fixture(scope="module")
def job(domain, catalogued, paillier_key_2048):
    record = prepare(
        Request(
            sql="SELECT COUNT(*) FROM heart", seal="paillier", at_least=None, parties=None, deadline_s=60
        ),
        catalogued,
        result_key=paillier_key_2048.public.encode,
        analyst=domain.name(Role.ANALYST, "university"),
        signer=domain.signer(Role.ANALYST, "university"),
        now=1000.0,
    )
    job_id, specification, _ = read_specification(record.specification, domain.verifier)
    return job_id, specification


def refusal(domain, job_id: str, organisation: str = "va", **changes: str) -> str:
    words = {
        "kind": "ConsentWithheld",
        "code": "column_not_allowed",
        "message": "the column age is not allowed",
        "clause": "policy.columns",
        "remedy": "leave it out",
    }
    statement = json.dumps({"job": job_id} | words | changes).encode()
    return domain.signer(Role.NODE, organisation).sign(REFUSAL_TYP, statement)


def status(error=None, state=JobState.FAILED, **changes):
    base = {
        "job_id": "ab" * 32,
        "state": state,
        "specification": "",
        "waiting_for": (),
        "roster": (),
        "refusals": (),
        "error": error,
        "submitted_at": 0.0,
        "changed_at": 0.0,
        "attempt": 0,
        "bytes_received": 0,
    }
    return JobStatus(**(base | changes))


def test_refusal_comes_back_as_the_class_that_the_node_raised(domain, job):
    job_id, specification = job
    (found,) = verified_refusals(job_id, specification, [refusal(domain, job_id)], domain.verifier)
    assert type(found) is ConsentWithheld
    assert found.code == "column_not_allowed"
    assert found.party == str(domain.name(Role.NODE, "va"))
    assert (found.clause, found.remedy) == ("policy.columns", "leave it out")


def test_forged_refusals_are_reported_as_the_brokers_forgeries(domain, foreign_domain, job):
    job_id, specification = job
    statement = encode(RefusalStatement(job_id, "ConsentWithheld", "no", "no", "", ""))
    forged = {
        "another root": refusal(foreign_domain, job_id),
        "another job": refusal(domain, "00" * 32),
        "not asked": refusal(domain, job_id, organisation="atlantis"),
        "the analyst itself": domain.signer(Role.ANALYST, "university").sign(REFUSAL_TYP, statement),
        "another kind of statement": domain.signer(Role.NODE, "va").sign("kapok-consent+jws", statement),
        "not a refusal": domain.signer(Role.NODE, "va").sign(REFUSAL_TYP, b'{"job": 1}'),
        "a malformed code": refusal(domain, job_id, code="No Such Code!"),
        "no code": refusal(domain, job_id, code=""),
        "not signed": "refused",
    }
    for what, token in forged.items():
        with pytest.raises(PeerProtocolError) as caught:
            verified_refusals(job_id, specification, [token], domain.verifier)
        assert caught.value.code == "forged_refusal", what


def test_unknown_kind_of_refusal_is_still_an_error(domain, job):
    job_id, specification = job
    for kind in ("SomethingLater", "KapokError"):
        (found,) = verified_refusals(
            job_id, specification, [refusal(domain, job_id, kind=kind)], domain.verifier
        )
        assert type(found) is InternalError


def test_nodes_own_refusal_is_preferred_to_the_brokers_words(domain, job):
    job_id, specification = job
    node = str(domain.name(Role.NODE, "va"))
    refusals = verified_refusals(job_id, specification, [refusal(domain, job_id)], domain.verifier)
    said = ConsentWithheld("the broker's own words", party=node)
    assert failure_of(status(said), refusals).message == "the column age is not allowed"


def test_other_refusals_are_named_too(domain, job):
    job_id, specification = job
    tokens = [
        refusal(domain, job_id),
        refusal(domain, job_id, "hungarian", kind="BudgetExhausted", code="spent"),
    ]
    refusals = verified_refusals(job_id, specification, tokens, domain.verifier)
    said = BudgetExhausted("x", party=str(domain.name(Role.NODE, "hungarian")))
    found = failure_of(status(said), refusals)
    assert found.code == "spent"
    assert "org/va/" in found.remedy
    late = failure_of(status(TimedOut("late", code="deadline_passed")), refusals)
    assert type(late) is TimedOut
    assert "org/va/" in late.remedy


def test_refusal_that_the_broker_cannot_show_is_not_believed(domain):
    said = ConsentWithheld("no", party=str(domain.name(Role.NODE, "va")))
    assert failure_of(status(said), ()).code == "forged_refusal"


@pytest.mark.parametrize(
    "said",
    [
        CohortTooSmall(
            "this node has released with another set", code="cohort_differs", clause="policy.cohort"
        ),
        PeerProtocolError("sealed noise", code="release_does_not_open"),
        SealBroken("it shifted the sum", code="tag_differs"),
        Unavailable("gone"),
        InternalError("it crashed", code="internal_error"),
    ],
)
def test_what_no_node_signed_is_the_brokers_word_and_names_no_party(domain, said):
    said.party = str(domain.name(Role.NODE, "va"))
    found = failure_of(status(said), ())
    assert type(found) is type(said)
    assert (found.code, found.party) == ("broker_says", None)
    assert found.message.startswith("the broker says")
    assert said.message in found.message
    assert said.code in found.message


def test_too_few_organisations_is_nobodys_own_error_and_keeps_its_code():
    said = CohortTooSmall("fewer than 3 organisations can take part", code="too_few_organisations")
    assert failure_of(status(said), ()).code == "too_few_organisations"


def test_refusal_that_was_signed_for_another_reason_does_not_cover_the_brokers_words(domain, job):
    job_id, specification = job
    refusals = verified_refusals(job_id, specification, [refusal(domain, job_id)], domain.verifier)
    said = CohortTooSmall("it leaves", code="cohort_differs", party=str(domain.name(Role.NODE, "va")))
    found = failure_of(status(said), refusals)
    assert (found.code, found.party) == ("broker_says", None)
    assert "column_not_allowed" in found.remedy
    tokens = [refusal(domain, job_id, kind="CohortTooSmall", code="cohort_differs", message="its own words")]
    signed = verified_refusals(job_id, specification, tokens, domain.verifier)
    own = failure_of(status(said), signed)
    assert (type(own), own.message, own.party) == (CohortTooSmall, "its own words", said.party)


def test_whom_a_deadline_waited_for_is_the_brokers_word(domain):
    said = TimedOut(
        "late", code="deadline_passed", party=str(domain.name(Role.NODE, "va")), remedy="ask again"
    )
    found = failure_of(status(said), ())
    assert (type(found), found.code, found.party, found.remedy) == (
        TimedOut,
        "deadline_passed",
        None,
        "ask again",
    )
    assert found.message == "the broker waited for va/main: late"


def test_the_brokers_own_reasons_pass():
    for said in (TimedOut("late"), CohortTooSmall("few"), Unavailable("gone")):
        assert failure_of(status(said), ()) is said
    assert failure_of(status(state=JobState.CANCELLED), ()).code == "job_cancelled"
    assert failure_of(status(), ()).code == "job_failed"


def test_key_that_was_rotated_meanwhile_is_said(job, paillier_key_2048):
    from kapok.protocols.paillier.keygen import generate

    job_id, specification = job
    check_result_key(job_id, specification, paillier_key_2048)
    other = generate(2048)
    with pytest.raises(NotFound) as caught:
        check_result_key(job_id, specification, other)
    assert caught.value.code == "result_key_rotated"
    for key in (paillier_key_2048, other):
        assert key.public.key_id.hex()[:16] in caught.value.message
    assert f"`kapok job wait {job_id[:12]}`" in caught.value.remedy
