"""A dishonest broker against the analyst's own client, over the wire: what it hands out is not believed.

The module begins with an honest answer, so that the broker has something to replay.
"""

from dataclasses import replace

import pytest
import pytest_asyncio
from support.dishonest_town import COUNT, ROWS

from kapok.documents.dataset import DATASET_TYP
from kapok.documents.envelope import encode
from kapok.documents.statements import MEMBERSHIP_TYP, REFUSAL_TYP, Membership, RefusalStatement
from kapok.errors import ConsentWithheld, KapokError
from kapok.identity.names import Role
from kapok.protocols.secure_sum import analyst
from kapok.protocols.wraps import WrapKey
from kapok.wire.messages import Closed, Completion, JobState, Offer, OpenAttempt

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened_session(opened_town, tmp_path_factory):
    """An analyst who has had an honest answer, and the evidence and the sum that the broker had of it."""
    opened_town.begin()
    seen = []
    opened_town.plot.evidence = lambda evidence: (seen.append(evidence), evidence)[1]
    opened_town.plot.chunk = lambda chunk: (seen.append(chunk), chunk)[1]
    async with opened_town.session(tmp_path_factory.mktemp("analyst")) as session:
        result = await session.query(COUNT)
        assert result.to_arrow().to_pylist() == [{"count": sum(ROWS.values())}]
        session.old_evidence, *session.old_sum = seen
        yield session


@pytest.fixture
def session(town, opened_session):
    """The analyst, as an attack finds it."""
    return opened_session


async def refused(session, deadline_s=120):
    """With which error a question ends; there is no answer of it."""
    before = set(session.folder.path.glob("*.arrow"))
    with pytest.raises(KapokError) as caught:
        await session.query(COUNT, deadline_s=deadline_s)
    assert set(session.folder.path.glob("*.arrow")) == before
    return caught.value


EVIDENCE = {
    "of an earlier answer": (lambda new, old: old, "wrong_job"),
    "releases of an earlier answer": (lambda new, old: replace(new, releases=old.releases), "wrong_attempt"),
    "seals of an earlier answer": (lambda new, old: replace(new, seals=old.seals), "wrong_attempt"),
    "consents of an earlier answer": (lambda new, old: replace(new, consents=old.consents), "wrong_job"),
    "a release left out": (lambda new, old: replace(new, releases=new.releases[1:]), "releases_missing"),
    "a release twice": (
        lambda new, old: replace(new, releases=(*new.releases, new.releases[0])),
        "released_twice",
    ),
    "a seal left out": (lambda new, old: replace(new, seals=new.seals[1:]), "seals_missing"),
    "a member left out": (lambda new, old: replace(new, consents=new.consents[1:]), "organisations_missing"),
    "another round": (lambda new, old: replace(new, round=2), "wrong_round"),
    "another attempt": (lambda new, old: replace(new, attempt=9), "wrong_attempt"),
    "no evidence of anything": (lambda new, old: replace(new, consents=(), seals=()), "too_few_parties"),
}


@pytest.mark.parametrize("shown", EVIDENCE)
async def test_the_broker_hands_out_other_evidence(town, session, shown):
    change, code = EVIDENCE[shown]
    town.plot.evidence = lambda new: change(new, session.old_evidence)
    assert (await refused(session)).code == code


def one_more(chunk):
    """The first word of a sum under the seal ``pad``, plus one."""
    return bytes([(chunk[0] + 1) % 256]) + chunk[1:]


SUMS = {
    "shifted": (lambda _town, _old: one_more, "tag_differs"),
    "of an earlier answer": (lambda _town, old: lambda _new: next(old), "tag_differs"),
    "one hospital's vector": (
        lambda town, _old: lambda _new: town.plot.vector_of("a").pop(0),
        "tag_differs",
    ),
    "cut off": (lambda _town, _old: lambda new: new[:-1], "sum_malformed"),
}


@pytest.mark.parametrize("shown", SUMS)
async def test_the_broker_hands_out_another_sum(town, session, shown):
    change, code = SUMS[shown]
    town.plot.chunk = change(town, iter(session.old_sum))
    assert (await refused(session)).code == code


async def test_a_shifted_sum_is_believed_without_its_tag(town, session, monkeypatch):
    """The defence taken out: the attack above is one."""
    monkeypatch.setattr(analyst, "_check_tag", lambda *_given: None)
    first = iter([True])
    town.plot.chunk = lambda chunk: one_more(chunk) if next(first, False) else chunk
    result = await session.query(COUNT)
    assert result.to_arrow().to_pylist() == [{"count": sum(ROWS.values()) + 1}]


def failed(status, **changes):
    return replace(status, state=JobState.FAILED, **changes)


def refusal(town, job_id, by):
    """A node's signed refusal."""
    statement = RefusalStatement(
        job_id, "ConsentWithheld", "approval_denied", "no", "policy.approval", "none"
    )
    return town.signer(Role.NODE, by, "main").sign(REFUSAL_TYP, encode(statement))


def denied(town, letter):
    return ConsentWithheld("the officer denied it", code="approval_denied", party=town.name(letter))


WORDS = {
    "that b refused, and shows nothing": (
        lambda town, status: failed(status, error=denied(town, "b")),
        "forged_refusal",
    ),
    "a refusal of another job": (
        lambda town, status: failed(
            status, error=denied(town, "b"), refusals=(refusal(town, "0" * 64, "b"),)
        ),
        "forged_refusal",
    ),
    "a refusal of a node that was not asked": (
        lambda town, status: failed(
            status, error=denied(town, "e"), refusals=(refusal(town, status.job_id, "e"),)
        ),
        "forged_refusal",
    ),
    "that it is b's fault, in other words": (
        lambda town, status: failed(status, error=KapokError("broken", code="broken", party=town.name("b"))),
        "broker_says",
    ),
    "nothing": (lambda _town, status: failed(status), "job_failed"),
}


@pytest.mark.parametrize("said", WORDS)
async def test_the_broker_says_of_a_node_what_it_has_not_signed(town, session, said):
    change, code = WORDS[said]
    town.plot.status = lambda status: change(town, status)
    error = await refused(session)
    assert (error.code, error.party) == (code, None)


async def test_the_broker_answers_a_call_in_a_nodes_name(town, session):
    """Not in the job's status, where refusals are shown, but as the error of the call itself."""

    def deny(_evidence):
        raise denied(town, "b")

    town.plot.evidence = deny
    error = await refused(session)
    assert (error.code, error.party) == ("broker_says", None)
    assert "without a node's signature" in error.message


def without_b(town, entry):
    kept = [token for token in entry.memberships if town.signer_of(token) != town.name("b")]
    return replace(entry, memberships=tuple(kept))


def with_its_own_key(town, entry, by, dataset_hash=""):
    """B's membership, with a tag key of the broker's own, signed by whoever colludes with it."""
    statement = Membership(dataset=dataset_hash or town.hash, tag_key=WrapKey.generate().public)
    forged = by.sign(MEMBERSHIP_TYP, encode(statement))
    return replace(entry, memberships=(*without_b(town, entry).memberships, forged))


CATALOGUES = {
    "hides a member": (without_b, "member_missing"),
    "a member's key replaced, signed by another node": (
        lambda town, entry: with_its_own_key(town, entry, town.signer(Role.NODE, "c", "main")),
        "member_missing",
    ),
    "a member's key replaced, signed by the broker": (
        lambda town, entry: with_its_own_key(town, entry, town.signer(Role.BROKER, "exchange", "main")),
        "member_missing",
    ),
    "a membership of another dataset": (
        lambda town, entry: with_its_own_key(town, entry, town.signer(Role.NODE, "b", "main"), "0" * 64),
        "foreign_membership",
    ),
    "a schema under a signature that is not over it": (
        lambda town, entry: replace(entry, document=town.altered(entry.document)),
        "bad_signature",
    ),
    "another schema of that name": (
        lambda town, entry: replace(
            entry,
            document=town.signer(Role.BROKER, "exchange", "main").sign(
                DATASET_TYP, town.dataset.to_payload().replace(b"1000", b"2000")
            ),
        ),
        "foreign_membership",
    ),
}


@pytest.mark.parametrize("shown", CATALOGUES)
async def test_the_broker_shows_another_catalogue(town, session, shown):
    change, code = CATALOGUES[shown]
    town.plot.shown = lambda entry: change(town, entry)
    assert (await refused(session)).code == code
    assert town.plot.heard == []


@pytest.mark.parametrize("withheld", [Offer, OpenAttempt, Completion])
async def test_the_broker_withholds(town, session, withheld):
    """It can stop a job: that ends at its deadline, and the word on whom it waited for is the broker's."""
    town.plot.show = lambda _node, asked: None if isinstance(asked, withheld | Closed) else asked
    error = await refused(session, deadline_s=2)
    assert (error.code, error.party) == ("deadline_passed", None)
    assert error.message.startswith("the broker waited for ")
    assert town.plot.sent("release") == []
