"""A dishonest broker against nodes, over the wire: the daemons themselves, the broker's with a plot.

Each attack says with which code it is refused, and that nothing was released by it.
"""

import msgspec
import pytest
from support.dishonest_broker import refusal_code

from kapok.documents.envelope import JwsSigner, document_id
from kapok.documents.reopening import SignedReopening
from kapok.documents.statements import INQUIRY_TYP, JOB_TYP, ResultKey
from kapok.errors import KapokError
from kapok.identity.names import Role
from kapok.nodes.runner import Consent, Release, Seal
from kapok.protocols.wraps import WrapKey
from kapok.wire.messages import Closed, Completion, JobState, Offer, OpenAttempt, ReopenCohort

pytestmark = pytest.mark.asyncio(loop_scope="module")


def without(*kinds):
    """A plot that withholds assignments of some kinds."""
    return lambda _node, assignment: None if isinstance(assignment, kinds) else assignment


def opening(job, heard, attempt=1, round_=1, parameters=None):
    """Asks for a seal under the roster of these consents."""
    return OpenAttempt(
        specification=job.token,
        round=round_,
        attempt=attempt,
        consents=tuple(one.token for one in heard),
        parameters=parameters,
    )


def completion(job, seals, attempt=1, round_=1):
    return Completion(job_id=job.id, round=round_, attempt=attempt, seals=tuple(one.token for one in seals))


async def agreed(town, letters="abcd", **changes):
    """A question to which all have consented; nothing else is asked of them by itself."""
    town.plot.show = without(OpenAttempt, Completion, Closed)
    town.plot.keeps = lambda heard: heard.verb == "consent"
    job = await town.ask(at_least=3, **changes)
    return job, dict(zip(letters, await town.plot.until("consent", letters, job.id), strict=True))


async def sealed(town, job, consents, attempt=1):
    """What nodes seal when each is shown its own roster: letter → consents."""
    answers = {}
    for letter, shown in consents.items():
        [answers[letter]] = await town.plot.tell(letter, opening(job, shown, attempt))
    return answers


def every(letters, consents):
    """One roster for all of these."""
    return dict.fromkeys(letters, consents)


def nothing_was_released(town, job):
    assert town.released(job) == {}
    assert town.plot.sent("release", job.id) == []


FORGERIES = {
    "signed by the broker": lambda town, job: (town.signer(Role.BROKER, "exchange", "main"), job.spec),
    "signed by a node": lambda town, job: (town.signer(Role.NODE, "c", "main"), job.spec),
    "signed by another analyst": lambda town, job: (town.signer(Role.ANALYST, "spy", "one"), job.spec),
    "another receiver": lambda town, job: (
        None,
        msgspec.structs.replace(job.spec, receiver_key=WrapKey.generate().public),
    ),
    "another result key": lambda town, job: (
        None,
        msgspec.structs.replace(
            job.spec, seal="paillier", result_key=ResultKey(b"\x0f" * 256, b"\x02", "standard")
        ),
    ),
    "fewer members": lambda town, job: (None, msgspec.structs.replace(job.spec, at_least=3)),
}


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_the_broker_forges_a_question_or_alters_one(town, forgery):
    """Under the analyst's name with another signature, or the analyst's signature over something else."""
    job = town.job()
    signer, spec = FORGERIES[forgery](town, job)
    head, _, signature = job.token.split(".")
    payload = msgspec.json.encode(spec)
    forged = signer.sign(JOB_TYP, payload) if signer else town.spliced(head, payload, signature)
    for letter in "ab":
        assert await town.plot.tell(letter, Offer(forged)) == []
        assert town.journal(letter, f"SELECT * FROM job WHERE job_id = '{document_id(payload)}'") == []
    # Not even a refusal was signed that could be shown to the analyst whose question it was to be.
    assert town.plot.heard == []


async def test_an_inquiry_is_offered_as_a_job(town):
    """`kapok explain` signs everything that a question has; what would open its sum is thrown away."""
    job = town.job()
    inquiry = JwsSigner(job.caller).sign(INQUIRY_TYP, msgspec.json.encode(job.spec))
    assert await town.plot.tell("a", Offer(inquiry)) == []
    assert town.plot.heard == []


async def test_an_old_job_is_replayed(town):
    """Offered, opened and completed again, in another attempt, to running nodes and to one that restarted."""
    job = await town.ask()
    await town.state(job, JobState.SUMMED)
    consents = await town.plot.until("consent", "abcd", job.id)
    seals = await town.plot.until("seal", "abcd", job.id)
    first = {one.node: one.token for one in town.plot.heard if one.verb == "release"}
    for restart in (False, True):
        if restart:
            await town.nodes["a"].stop()
            await town.nodes["a"].start()
        renewed = await town.plot.tell("a", Offer(job.token))
        assert all(isinstance(answer, Consent) for answer in renewed)
        for attempt in (1, 2, 7):
            answers = await town.plot.tell("a", opening(job, [*renewed, *consents[1:]], attempt))
            assert not any(isinstance(answer, Seal) for answer in answers)
            answers = await town.plot.tell("a", completion(job, seals, attempt))
            assert all(answer.token == first["a"] for answer in answers if isinstance(answer, Release))
    assert town.released(job) == {letter: [(1, 1)] for letter in "abcd"}
    assert len({one.token for one in town.plot.heard if (one.verb, one.node) == ("release", "a")}) == 1
    again = await town.ask()
    await town.state(again, JobState.SUMMED)


async def test_assignments_come_in_another_order(town):
    """A release before anything, a seal before the consent, a later round first."""
    town.plot.keeps = lambda _heard: False
    job = town.job()
    assert await town.plot.tell("a", Completion(job_id=job.id, round=1, attempt=1, seals=())) == []
    [consent] = await town.plot.tell("a", opening(job, []))
    assert isinstance(consent, Consent)
    answers = await town.plot.tell("a", completion(job, [consent]))
    assert refusal_code(answers, town.verifier) == "seal_unknown"
    other = town.job()
    await town.plot.tell("b", Offer(other.token))
    answers = await town.plot.tell("b", opening(other, [], round_=2))
    assert refusal_code(answers, town.verifier) == "bad_parameters"
    assert await town.plot.tell("c", Closed(job.id)) == []
    for asked in (job, other):
        nothing_was_released(town, asked)
        assert town.plot.sent("seal", asked.id) == []


async def test_the_broker_shows_each_node_another_roster(town):
    """Each of them is good in itself; the masks do not cancel, and the seals show it before any release."""
    job, by = await agreed(town)
    rosters = {"a": "abc", "b": "abd", "c": "abcd", "d": "abcd"}
    seals = await sealed(town, job, {who: [by[one] for one in shown] for who, shown in rosters.items()})
    assert all(isinstance(one, Seal) for one in seals.values())
    for letter, shown in rosters.items():
        answers = await town.plot.tell(letter, completion(job, [seals[one] for one in shown]))
        assert refusal_code(answers, town.verifier) == "wrong_attempt"
    nothing_was_released(town, job)


async def test_the_broker_makes_members_up(town, make_realm):
    """The names are those of the specification, the certificates of a root of the broker's own."""
    job, by = await agreed(town)
    phantoms = make_realm(town.realm._now)
    consents = [by["a"], *(town.consent_by(phantoms, job, letter) for letter in "bcd")]
    answers = await town.plot.tell("a", opening(job, consents))
    assert refusal_code(answers, town.verifier) == "foreign_certificate"
    nothing_was_released(town, job)
    assert town.plot.sent("seal", job.id) == []


KEYS = {
    "signed by the broker": (Role.BROKER, "exchange", "main"),
    "signed by a colluding node": (Role.NODE, "c", "main"),
}


@pytest.mark.parametrize("signer", KEYS)
async def test_the_broker_puts_its_own_keys_in_the_place_of_a_node(town, signer):
    """A consent in b's name with keys that the broker knows, in the place of b's own."""
    job, by = await agreed(town)
    forged = town.consent_by(town.realm, job, "b", by=town.credentials_of(*KEYS[signer]))
    answers = await town.plot.tell("a", opening(job, [by["a"], forged, by["c"], by["d"]]))
    assert refusal_code(answers, town.verifier) == "bad_statement"
    nothing_was_released(town, job)
    assert town.plot.sent("seal", job.id) == []


@pytest.mark.parametrize("larger_first", [True, False])
async def test_the_broker_pretends_that_a_node_dropped(town, larger_first):
    """All four have sealed. It opens a second attempt without d, and asks for the releases of both."""
    job, by = await agreed(town)
    one = await sealed(town, job, every("abcd", list(by.values())))
    two = await sealed(town, job, every("abc", [by[letter] for letter in "abc"]), attempt=2)
    assert all(isinstance(answer, Seal) for answer in (*one.values(), *two.values()))
    order = [completion(job, one.values()), completion(job, two.values(), attempt=2)]
    for asked in order if larger_first else order[::-1]:
        for letter in "abc":
            await town.plot.tell(letter, asked)
    await town.plot.tell("d", order[0])
    attempts = town.released(job)
    # Of one of the two sums a release is wanting for ever: no node has released both.
    assert attempts == {
        **{letter: [(1, 1 if larger_first else 2)] for letter in "abc"},
        **{"d": [(1, 1)]},
    }
    # Nor in a later job with the same nodes but d.
    later, by = await agreed(town)
    seals = await sealed(town, later, every("abc", [by[letter] for letter in "abc"]))
    codes = {
        refusal_code([answer], town.verifier) for answer in seals.values() if not isinstance(answer, Seal)
    }
    assert codes == ({"cohort_differs"} if larger_first else set())


async def test_the_broker_asks_for_a_release_with_a_seal_left_out_or_another_in_its_place(town):
    """The vector of one member is withheld, or that of another attempt is put there."""
    job, by = await agreed(town)
    seals = await sealed(town, job, every("abcd", list(by.values())))
    older = await sealed(town, job, every("abcd", list(by.values())), attempt=2)
    answers = await town.plot.tell("a", completion(job, [seals[letter] for letter in "abc"]))
    assert refusal_code(answers, town.verifier) == "seals_missing"
    answers = await town.plot.tell("b", completion(job, [seals["a"], seals["b"], seals["c"], older["d"]]))
    assert refusal_code(answers, town.verifier) == "wrong_attempt"
    nothing_was_released(town, job)


async def test_the_broker_opens_attempts_without_end(town):
    """Each costs the node a query and a vector: it stops after a hundred."""
    job, by = await agreed(town)
    answers = await town.plot.tell("a", opening(job, by.values(), attempt=101))
    assert refusal_code(answers, town.verifier) == "too_many_attempts"
    nothing_was_released(town, job)


async def test_the_broker_reopens_a_cohort_by_itself(town):
    """A reopening that no officer has signed, one that the broker has, one that is none."""
    job = await town.ask()
    await town.state(job, JobState.SUMMED)
    before = town.journal("a", "SELECT * FROM release")
    for forged in (b"", b"{}", SignedReopening(b"{}", ()).to_json(), b"\xff" * 100):
        answers = await town.plot.tell("a", ReopenCohort(forged))
        assert all(answer.token for answer in answers)
    assert town.journal("a", "SELECT * FROM reopening") == []
    assert town.journal("a", "SELECT * FROM release") == before
    fewer, by = await agreed(town)
    answers = await sealed(town, fewer, {"a": [by[letter] for letter in "abc"]})
    assert refusal_code([answers["a"]], town.verifier) == "cohort_differs"


async def test_the_broker_hands_out_other_parameters(town, tmp_path):
    """In a later round a node fetches something else than the analyst sealed: it refuses, in its name."""
    town.plot.ciphertexts["b"] = b"parameters of the broker's own"
    async with town.session(tmp_path) as session:
        with pytest.raises(KapokError) as caught:
            await session.query("SELECT MEDIAN(age) FROM clinic", deadline_s=120)
        [job] = session.folder.known()
    assert (caught.value.code, caught.value.party) == ("bad_parameters", town.name("b"))
    for letter in "abcd":
        assert town.journal(letter, f"SELECT round FROM release WHERE job_id = '{job}'") == [(1,)]
