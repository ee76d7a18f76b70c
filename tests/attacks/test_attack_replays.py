"""Attacks that use what was said once a second time, in another place, or under another signature."""

import secrets
from dataclasses import replace

import pytest
from support.collusion import masked_words, own_mask
from support.nodes import Deployment, subtract
from support.parties import again, exchange, with_other_signature

from kapok.errors import IdentityInvalid, KapokError, LocalProtocolError, PeerProtocolError
from kapok.protocols.masking.pairwise import derive
from kapok.protocols.secure_sum import aggregator, sealing
from kapok.protocols.secure_sum import holder as holder_module
from kapok.protocols.secure_sum.holder import release
from kapok.protocols.secure_sum.messages import CONSENT_TYP, RELEASE_TYP, SEAL_TYP
from kapok.protocols.secure_sum.roster import read_roster
from kapok.protocols.words import WordVector
from kapok.protocols.wraps import WrapKey

both_ways = pytest.mark.parametrize("defended", [True, False], ids=["defended", "defence removed"])


def other_place(job, place):
    """The same parties' statements for another attempt, round, or job."""
    match place:
        case "attempt":
            return job, job.seal_all(attempt=2)
        case "round":
            return job, job.seal_all(round=2)
        case "roster":
            later = replace(job, holders=[])
            return later, later.seal_all()
        case "job":
            later = again(job)
            return later, later.seal_all()
    raise AssertionError(place)


@pytest.fixture(params=["attempt", "round", "roster", "job"])
def replayed(request):
    job = exchange(rounds=2)
    first = job.seal_all()
    later, second = other_place(job, request.param)
    return job, first, later, second


def test_replay_of_a_seal(replayed):
    job, first, _, second = replayed
    members = read_roster(job.terms, job.consents(), job.authority)
    with pytest.raises(PeerProtocolError) as error:
        aggregator.check_seal(job.terms, members, 1, 1, second[1].token, job.authority)
    assert (error.value.code, error.value.party) == ("wrong_attempt", job.names[1])
    tokens = [first[0].token, second[1].token, first[2].token, first[3].token]
    with pytest.raises(PeerProtocolError) as error:
        release(first[0].record, tokens, signer=job.identities[0], verifier=job.authority)
    assert (error.value.code, error.value.party) == ("wrong_attempt", job.names[1])
    with pytest.raises(PeerProtocolError) as error:
        job.open_sum(first, seals=tokens, releases=[])
    assert error.value.party == job.names[1]


def test_replay_of_a_release(replayed):
    job, first, later, second = replayed
    members = read_roster(job.terms, job.consents(), job.authority)
    old = later.release_all(second)
    seal = aggregator.check_seal(job.terms, members, 1, 1, first[1].token, job.authority)
    with pytest.raises(PeerProtocolError) as error:
        aggregator.check_release(job.terms, members, 1, 1, seal, old[1], job.authority)
    assert (error.value.code, error.value.party) == ("wrong_attempt", job.names[1])
    mixed = job.release_all(first)
    mixed[1] = old[1]
    with pytest.raises(PeerProtocolError) as error:
        job.open_sum(first, releases=mixed)
    assert error.value.party == job.names[1]


def test_a_b_that_was_released_opens_no_other_attempt(replayed):
    """The receiver has b from one place: as ρ it opens in no other, and for no other name."""
    job, first, _, second = replayed
    name = job.names[1]
    sealed_b = second[1].record.release
    receiver = job.receiver_key
    assert receiver.unwrap(sealed_b, sealing.release_info(second[1].record.context, name))
    with pytest.raises(PeerProtocolError):
        receiver.unwrap(sealed_b, sealing.release_info(first[1].record.context, name))
    with pytest.raises(PeerProtocolError):
        receiver.unwrap(sealed_b, sealing.release_info(second[1].record.context, job.names[2]))


@both_ways
def test_replay_of_a_seal_gets_through_without_the_check(defended, monkeypatch):
    job = exchange()
    token = job.seal_all(attempt=2)[1].token
    members = read_roster(job.terms, job.consents(), job.authority)
    if not defended:
        monkeypatch.setattr(aggregator, "_check_attempt", lambda *_: None)
        assert aggregator.check_seal(job.terms, members, 1, 1, token, job.authority).attempt == 2
        return
    with pytest.raises(PeerProtocolError):
        aggregator.check_seal(job.terms, members, 1, 1, token, job.authority)


def test_a_statement_of_one_type_does_not_pass_for_another():
    job = exchange()
    sealed = job.seal_all()
    consent, seal, opening = job.consents()[0], sealed[0].token, job.release_all(sealed)[0]
    for token, own in ((consent, CONSENT_TYP), (seal, SEAL_TYP), (opening, RELEASE_TYP)):
        for typ in {CONSENT_TYP, SEAL_TYP, RELEASE_TYP} - {own}:
            with pytest.raises(IdentityInvalid):
                job.authority.verify(typ, token)


def test_an_altered_signature_changes_no_identity():
    """ECDSA: (r, −s) verifies too. Identities are hashes of payloads, so that it is the same consent, roster
    and seal."""
    job = exchange()
    altered = [with_other_signature(token) for token in job.consents()]
    assert set(altered).isdisjoint(job.consents())
    before = read_roster(job.terms, job.consents(), job.authority)
    assert read_roster(job.terms, altered, job.authority).hash == before.hash
    sealed = [job.seal(index, job.open(index, altered)) for index in range(4)]
    seals = [with_other_signature(one.token) for one in sealed]
    releases = [
        with_other_signature(release(one.record, seals, signer=identity, verifier=job.authority))
        for one, identity in zip(sealed, job.identities, strict=True)
    ]
    assert job.open_sum(sealed, consents=altered, seals=seals, releases=releases).words == job.truth()


def test_an_altered_signature_is_no_second_consent():
    """Counted by its text, one node's consent would be two members."""
    job = exchange(at_least=3)
    consents = job.consents([0, 1, 2])
    with pytest.raises(PeerProtocolError) as error:
        job.open(0, [*consents, with_other_signature(consents[2])])
    assert error.value.code == "bad_roster"


@both_ways
def test_receiver_key_substitution(defended, monkeypatch):
    """The broker puts its own key in the place of R: with the releases it would open the sum itself."""
    job = exchange()
    brokers = WrapKey.generate()
    forged_id = job.terms.job_id if not defended else secrets.token_bytes(32)
    forged = replace(job.terms, receiver_key=brokers.public, job_id=forged_id)
    shown = replace(job, terms=forged, receiver_key=brokers, holders=[])
    if not defended:
        # A job's identity that does not cover the receiver's key: nodes and analyst do not notice.
        sealed = shown.seal_all()
        assert shown.open_sum(sealed).words == job.truth()
        return
    # The identity is the hash of the whole specification: the forged one is another job, which nobody asked
    # for.
    consents = [*shown.consents([0]), *job.consents([1, 2, 3])]
    with pytest.raises(PeerProtocolError) as error:
        shown.open(0, consents)
    assert error.value.code == "wrong_job"
    with pytest.raises(PeerProtocolError) as error:
        job.open(1, consents)
    assert (error.value.code, error.value.party) == ("wrong_job", job.names[0])
    with pytest.raises(KapokError):
        job.open_sum(shown.seal_all())


@both_ways
def test_release_for_two_attempts_of_a_round(defended, monkeypatch):
    """The rest of the roster goes on without d: with both attempts released, the difference is d."""
    if not defended:
        monkeypatch.setattr(holder_module, "check_roster", lambda *_: None)
        monkeypatch.setattr("kapok.protocols.secure_sum.cohort.check_release", lambda *_: None)
    world = Deployment({"a": [1], "b": [20], "c": [300], "d": [4000]}, dict.fromkeys("abcd", "free"))
    job = world.job()
    one, two = world.seal(job, "abcd", attempt=1), world.seal(job, "abc", attempt=2)
    world.release(one)
    world.release(two)
    assert (subtract(one.opened(), two.opened()) == [4000]) is not defended


def test_the_same_release_twice_is_one_release():
    world = Deployment({"a": [1], "b": [20], "c": [300], "d": [4000]})
    asked = world.seal(world.job(), "abcd")
    world.release(asked)
    world.release(asked)
    assert not asked.refused
    assert asked.opened() == [4321]


@both_ways
def test_cloned_randomness(defended, monkeypatch):
    """A machine is cloned with its random generator: b is the same in two attempts, and one of them was
    released."""
    marks = {}

    def cloned(length):
        return marks.setdefault("b", bytes(range(length)))

    monkeypatch.setattr(holder_module.secrets, "token_bytes", cloned)
    if not defended:
        monkeypatch.setattr(sealing, "own_key", lambda b, _context, name: derive(b, name.encode()))
    job = exchange(at_least=3)
    first, second = job.seal_all(), job.seal_all([0, 1, 2], attempt=2)
    whole = job.open_sum(first).words
    # The first attempt was released. With its masks the colluders try the second, which never is.
    rest = WordVector.zeros(3, 64)
    for one, old in zip(second, first, strict=False):
        rest = rest.add(masked_words(job, one)[0]).subtract(own_mask(job, old).words)
    assert (subtract(whole, rest.to_integers()) == job.contributions[3]) is not defended


def test_cloned_randomness_of_two_nodes(monkeypatch):
    """Two nodes that were cloned from one image: the name keeps their masks apart."""
    monkeypatch.setattr(holder_module.secrets, "token_bytes", bytes)
    job = exchange()
    masks = {own_mask(job, one).tag for one in job.seal_all()}
    assert len(masks) == 4


@both_ways
def test_a_second_contribution_under_the_same_masks(defended):
    """Asked twice for one attempt, with other data in between, a holder would show the difference."""
    job = exchange()
    attempt = job.open(0, job.consents())
    first = job.seal(0, attempt, [100, 200, 300])
    if not defended:
        job.holders[0]._sealed.clear()
    second = job.seal(0, attempt, [101, 200, 300])
    bare = [masked_words(job, one)[0].subtract(own_mask(job, one).words) for one in (first, second)]
    difference = bare[1].subtract(bare[0]).to_integers()
    assert (difference == [1, 0, 0]) is not defended
    assert (second is first) is defended


def test_a_second_contribution_for_another_roster_of_the_same_number():
    job = exchange(at_least=3)
    job.seal(0, job.open(0, job.consents()))
    with pytest.raises(PeerProtocolError) as error:
        job.seal(0, job.open(0, job.consents([0, 1, 2])))
    assert error.value.code == "attempt_changed"


def test_a_restarted_node_does_not_go_on_with_an_old_roster():
    job = exchange()
    consents = job.consents()
    job.seal(0, job.open(0, consents))
    job.holders[0] = job.holder(job.identities[0])
    with pytest.raises(LocalProtocolError) as error:
        job.open(0, consents)
    assert error.value.code == "keys_lost"


def test_a_release_before_all_vectors_are_in():
    """Less than the whole roster's vectors: the masks of the missing one stay, but nobody should rely on that
    alone."""
    job = exchange()
    sealed = job.seal_all()[:3]
    with pytest.raises(PeerProtocolError) as error:
        release(
            sealed[0].record, [one.token for one in sealed], signer=job.identities[0], verifier=job.authority
        )
    assert error.value.code == "seals_missing"
    rest = WordVector.zeros(3, 64)
    for one in sealed:
        rest = rest.add(masked_words(job, one)[0]).subtract(own_mask(job, one).words)
    assert rest.to_integers() != job.truth([0, 1, 2])


def test_the_broker_alone_has_nothing_of_the_sum():
    """All vectors folded, no release: what the broker holds is masked by every κ."""
    job = exchange()
    *data, _ = job.fold_all(job.seal_all())
    folded = WordVector.from_bytes(b"".join(data), 64).to_integers()
    assert all(seen != true for seen, true in zip(folded, job.truth(), strict=True))
    assert all(abs(value) > 2**24 for value in folded)
