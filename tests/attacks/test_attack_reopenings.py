"""Attacks on the reopening of a cohort: who wants sums of two sets of nodes without those who are exposed.

The nodes are whole: real certificates, journals, tables. What the attacker wants is the difference of two
answers, which is the count of the one hospital that was left out.
"""

import pytest
from support.officers import reopening, signed

from kapok.documents.envelope import decode
from kapok.documents.reopening import REOPENING_ANSWER_TYP, ReopeningAnswer, SignedReopening
from kapok.errors import InvalidInput
from kapok.identity.names import Role
from kapok.nodes.runner import Refusal
from kapok.wire.messages import ReopenCohort

COUNT = "SELECT COUNT(*) FROM clinic"
ALL, WITHOUT_D = 114, 90

both_ways = pytest.mark.parametrize("defended", [True, False], ids=["defended", "defence removed"])


@pytest.fixture
def write(world, dataset_hash):
    def written(old=("abcd",), new="abc", signers=None, role=Role.OFFICER, **changes) -> SignedReopening:
        given = {"dataset": dataset_hash, "now": world.clock()} | changes
        return signed(reopening(old, new, **given), world.realm.credentials, signers, role)

    return written


@pytest.fixture
def unverified(monkeypatch):
    """Takes out the check of the signatures."""
    return lambda: monkeypatch.setattr(SignedReopening, "check", lambda self, *_: self.read())


def give(world, document, letters="abcd") -> dict[str, str]:
    """What each node answers: the code of its refusal, or nothing."""
    codes = {}
    for letter in letters:
        [answer] = world.nodes[letter].runner.handle(ReopenCohort(document.to_json()))
        signed_answer = world.verifier.verify(REOPENING_ANSWER_TYP, answer.token)
        codes[letter] = decode(ReopeningAnswer, signed_answer.payload).code
    return codes


def count(world, letters) -> int | None:
    """The answer over these hospitals, when none of them refuses."""
    job = world.job(COUNT, names=letters)
    offered = [job.offer(node) for node in job.nodes]
    if any(isinstance(one, Refusal) for [one] in offered):
        return None
    consents = [one.token for [one] in offered]
    opened = [job.open(node, consents) for node in job.nodes]
    if any(isinstance(one, Refusal) for [one] in opened):
        return None
    seals = [one for [one] in opened]
    released = [job.complete(node, seals) for node in job.nodes]
    if any(isinstance(one, Refusal) for [one] in released):
        return None
    answer = job.answer(job.unseal(consents, seals, [one.token for [one] in released]))
    return int(answer.rows[0][0])


@both_ways
@pytest.mark.parametrize("signers", ["a", "abc", "bcd"])
def test_a_reopening_without_the_signature_of_all_whom_it_exposes(
    world, write, unverified, defended, signers
):
    """An officer of one organisation alone; all but the one that leaves; all but the proposer."""
    if not defended:
        unverified()
    assert count(world, "abcd") == ALL
    codes = give(world, write(signers=signers))
    assert codes == dict.fromkeys("abcd", "signature_missing" if defended else "")
    assert count(world, "abc") == (None if defended else WITHOUT_D)


@both_ways
@pytest.mark.parametrize("role", [Role.ANALYST, Role.NODE, Role.BROKER])
def test_an_analyst_signs_as_an_officer(world, write, unverified, defended, role):
    if not defended:
        unverified()
    assert count(world, "abcd") == ALL
    codes = give(world, write(role=role))
    assert codes == dict.fromkeys("abcd", "signature_missing" if defended else "")
    assert count(world, "abc") == (None if defended else WITHOUT_D)


@both_ways
def test_the_broker_forges_a_reopening_from_signatures_under_another(world, write, unverified, defended):
    """Officers signed that d leaves; the broker puts their signatures under a payload by which a leaves."""
    if not defended:
        unverified()
    assert count(world, "abcd") == ALL
    forged = SignedReopening(write(new="bcd").payload, write(new="abc").signatures)
    codes = give(world, forged)
    assert codes == dict.fromkeys("abcd", "signature_missing" if defended else "")
    assert (count(world, "bcd") is None) is defended


@pytest.mark.parametrize("kept_from", "abc")
def test_the_broker_withholds_a_reopening_from_a_node(world, write, kept_from):
    """Nothing opens, and the node that has not heard of it is named: whoever refuses names it or is it."""
    assert count(world, "abcd") == ALL
    heard = "abcd".replace(kept_from, "")
    assert give(world, write(), heard) == dict.fromkeys(heard, "")
    assert count(world, "abc") is None
    job = world.job(COUNT, names="abc")
    assert world.refusal(job.offer(world.nodes[kept_from])).code == "cohort_differs"


def test_the_broker_withholds_a_reopening_from_the_newcomer(world, write):
    assert count(world, "abc") == WITHOUT_D
    assert give(world, write(["abc"], "abcd"), "abc") == dict.fromkeys("abc", "")
    job = world.job(COUNT)
    refusal = world.refusal(job.open(world.nodes["a"], job.consent()))
    assert (refusal.code, world.nodes["d"].name in refusal.message) == ("reopening_differs", True)


def test_an_old_reopening_is_replayed_to_go_back(world, write):
    """d left and came back; whoever replays its leaving wants a sum without it, of newer data."""
    first, second = write(), write(["abc"], "abcd", serial=2)
    assert count(world, "abcd") == ALL
    for document in (first, second):
        assert give(world, document) == dict.fromkeys("abcd", "")
    for _ in range(2):
        assert give(world, first) == dict.fromkeys("abcd", "reopening_superseded")
        assert count(world, "abc") is None
        for node in world.nodes.values():
            node.start()
    assert count(world, "abcd") == ALL


@pytest.mark.parametrize("halves", [("ab", "cd"), ("abc", "d"), ("a", "bcd")])
def test_nodes_are_shown_different_reopenings(world, write, halves):
    """Officers signed two that contradict one another: each node goes by one, and no roster has both."""
    assert count(world, "abcd") == ALL
    one, other = write(new="abc"), write(new="abd")
    assert give(world, one, halves[0]) == dict.fromkeys(halves[0], "")
    assert give(world, other, halves[1]) == dict.fromkeys(halves[1], "")
    assert give(world, other, halves[0]) == dict.fromkeys(halves[0], "reopening_superseded")
    opened = [letters for letters in ("abc", "abd", "abcd") if count(world, letters) is not None]
    assert opened == (["abc"] if halves[0] == "abc" else [])
    mended = write(["abc", "abcd", "abd"], "abcd", serial=2)
    assert give(world, mended) == dict.fromkeys("abcd", "")
    assert count(world, "abcd") == ALL


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"receiver": "institute", "old": ["abd"]}, ""),
        ({"dataset": "ab" * 32}, "dataset_not_joined"),
        ({"old": ["abd"]}, "cohort_not_named"),
        ({"expires": 1}, "reopening_expired"),
    ],
    ids=["another receiver", "another dataset", "another old cohort", "expired"],
)
def test_a_reopening_of_something_else_does_not_change_this_cohort(world, write, changes, code):
    assert count(world, "abcd") == ALL
    assert give(world, write(**changes), "abc") == dict.fromkeys("abc", code)
    assert count(world, "abc") is None


def test_a_node_that_is_restored_from_before_the_reopening(world, write):
    """It is noticed; where its people accept the copy, it states the old cohort, and others refuse it."""
    assert count(world, "abcd") == ALL
    node = world.nodes["a"]
    node.stop()
    copy = (node.home / "journal.db").read_bytes()
    node.start()
    assert give(world, write()) == dict.fromkeys("abcd", "")
    node.stop()
    for beside in ("-wal", "-shm"):
        (node.home / f"journal.db{beside}").unlink(missing_ok=True)
    (node.home / "journal.db").write_bytes(copy)
    with pytest.raises(InvalidInput) as caught:
        node.start()
    assert caught.value.code == "journal_restored"
    node.accept = int(caught.value.remedy.split("accept_rollback = ")[1].split("`")[0])
    node.start()
    assert count(world, "abc") is None
    assert count(world, "abcd") is None
    assert give(world, write(), "a") == {"a": ""}
    assert count(world, "abc") == WITHOUT_D


@pytest.mark.parametrize("before", ["", "a", "ab", "abc", "abcd"])
def test_a_cohort_is_reopened_while_a_job_is_open(world, write, before):
    """Who accepts releases nothing for the old cohort after: that sum opens only if all had released."""
    assert count(world, "abcd") == ALL
    job = world.job(COUNT)
    seals = job.seal(job.consent())
    early = [job.complete(world.nodes[letter], seals) for letter in before]
    assert give(world, write()) == dict.fromkeys("abcd", "")
    late = [job.complete(world.nodes[letter], seals) for letter in "abcd" if letter not in before]
    assert not any(isinstance(one, Refusal) for [one] in early)
    assert all(isinstance(one, Refusal) for [one] in late)
    assert count(world, "abc") == WITHOUT_D


def test_what_the_officers_signed_for_is_what_they_get(world, write):
    """Said, not stopped: with all signatures the two sums subtract, and the difference is d's."""
    before = count(world, "abcd")
    assert give(world, write()) == dict.fromkeys("abcd", "")
    assert before - count(world, "abc") == 24
