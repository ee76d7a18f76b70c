"""Jobs of several rounds: whose turn it is, what the analyst's parameters must be, who dies in between."""

import contextlib
import random

import pytest
from support.postgres import ON_POSTGRESQL

from kapok.broker.settings import Limits
from kapok.errors import (
    IdentityInvalid,
    LocalProtocolError,
    NotFound,
    PeerProtocolError,
    ProtocolError,
    Unavailable,
)
from kapok.protocols.secure_sum.roster import read_roster
from kapok.protocols.secure_sum.round_parameters import JobKey
from kapok.wire.messages import Completion, JobState, Offer, OpenAttempt, RoundParameters

pytestmark = pytest.mark.parametrize("place", ["sqlite", ON_POSTGRESQL], indirect=True)

ROUND = ["completion", "consultation", "continuation"]


def times(world, factor):
    return [factor * word for word in world.truth()]


def in_round(world, ada, number, rounds=3, **changes):
    """A job whose round before this one is summed, and this one begun."""
    asked = ada.ask(rounds=rounds, **changes)
    world.run()
    for later in range(2, number + 1):
        ada.steer(asked, later)
        if later < number:
            world.run()
    return asked


def seal_all(world):
    while any(node.work(OpenAttempt) for node in world.nodes.values()):
        pass


def test_each_round_has_its_own_sum_and_the_last_waits_for_its_analyst(world, ada):
    asked = ada.ask(rounds=3)
    world.run()
    for number in (1, 2):
        status = ada.status(asked)
        assert (status.state, status.round, status.attempt) == (JobState.STEERING, number, 1)
        assert ada.open(asked) == times(world, number)
        assert all(asked.id not in node.closed for node in world.nodes.values())
        ada.steer(asked, number + 1)
        assert world.stored_chunks() == (0, 0)
        world.run()
    status = ada.status(asked)
    assert (status.state, status.round, status.waiting_for) == (JobState.SUMMED, 3, ())
    assert ada.open(asked) == times(world, 3)
    world.jobs.acknowledge(ada.name, asked.id)
    assert world.history(asked) == ["opening", *ROUND, *ROUND, "completion", "summing", "acknowledgement"]


def test_an_analyst_that_needs_no_further_round_ends_the_job(world, ada):
    asked = in_round(world, ada, 2, rounds=9)
    world.run()
    world.jobs.acknowledge(ada.name, asked.id)
    assert ada.status(asked).state is JobState.FINISHED
    assert world.stored_chunks() == (0, 0)
    for node in world.nodes.values():
        node.work()
        for assignment in node.owed():
            node.handle(assignment)
        assert asked.id in node.closed


def test_broker_killed_after_every_step_loses_nothing(world, ada):
    asked = ada.ask(rounds=2)
    world.run(between=world.restart)
    ada.steer(asked, 2)
    world.restart()
    world.run(between=world.restart)
    assert ada.open(asked) == times(world, 2)


def test_parameters_that_come_twice_are_taken_once(world, ada):
    asked = ada.ask(rounds=3)
    world.run()
    sent = ada.parameters(asked, 2)
    for _ in range(3):
        world.jobs.steer(ada.name, asked.id, sent)
    world.run()
    assert ada.status(asked).state is JobState.STEERING
    world.jobs.steer(ada.name, asked.id, sent)
    assert (ada.status(asked).round, ada.status(asked).state) == (2, JobState.STEERING)
    assert ada.open(asked) == times(world, 2)


def test_what_the_nodes_do_not_need_any_more_is_forgotten(world, ada):
    asked = in_round(world, ada, 2)
    with world.store.snapshot() as tx:
        kept = tx.attempts.parameters(tx.attempts.latest(asked.id).id)
        upload, chunks = kept.upload, kept.chunks
        assert (chunks, tx.attempts.count_chunks(upload)) == (1, 1)
    world.run()
    with world.store.snapshot() as tx:
        assert tx.attempts.parameters(tx.attempts.latest(asked.id).id).chunks == 0
        assert tx.attempts.count_chunks(upload) == 0


def test_parameters_that_do_not_come_whole_begin_no_round_and_leave_nothing(world, ada):
    asked = ada.ask(rounds=2)
    world.run()
    sent = ada.parameters(asked, 2)
    cut_off = world.jobs.begin_parameters(ada.name, asked.id, sent.statement)
    cut_off.add([sent.ciphertext[:5]])
    cut_off.abandon(OSError())
    empty = world.jobs.begin_parameters(ada.name, asked.id, sent.statement)
    with pytest.raises(Unavailable) as caught:
        empty.finish()
    assert caught.value.code == "upload_lost"
    interrupted = world.jobs.begin_parameters(ada.name, asked.id, sent.statement)
    interrupted.add([sent.ciphertext])
    world.restart()
    with pytest.raises(Unavailable):
        interrupted.finish()
    assert ada.status(asked).state is JobState.STEERING
    world.jobs.steer(ada.name, asked.id, sent)
    world.run()
    assert ada.open(asked) == times(world, 2)


def test_an_analyst_who_begins_many_uploads_of_a_job_fills_no_more_than_one_takes(world, ada):
    asked, other = ada.ask(rounds=2), ada.ask(rounds=2)
    world.run()
    sent, beside = ada.parameters(asked, 2), ada.parameters(other, 2)
    uploads = [world.jobs.begin_parameters(ada.name, asked.id, sent.statement) for _ in range(5)]
    untouched = world.jobs.begin_parameters(ada.name, other.id, beside.statement)
    for upload in (*uploads, untouched):
        upload.add([sent.ciphertext[:5]])
    for older in uploads[:-1]:
        with pytest.raises(Unavailable) as caught:
            older.add([sent.ciphertext[5:]])
        assert caught.value.code == "upload_lost"
    with world.store.snapshot() as tx:
        assert [tx.attempts.count_chunks(one._upload) for one in (*uploads, untouched)] == [0] * 4 + [1, 1]
    uploads[-1].finish([sent.ciphertext[5:]])
    world.run()
    assert ada.open(asked) == times(world, 2)
    assert ada.status(other).state is JobState.STEERING


def test_parameters_longer_than_the_broker_takes_are_refused(world, ada):
    asked = ada.ask(rounds=2)
    world.run()
    incoming = world.jobs.begin_parameters(ada.name, asked.id, ada.parameters(asked, 2).statement)
    with pytest.raises(PeerProtocolError) as caught:
        incoming.add([bytes(1 << 20)] * 129)
    assert caught.value.code == "parameters_too_long"


def test_only_the_nodes_of_an_open_attempt_get_its_parameters(world, ada, another):
    asked = in_round(world, ada, 2)
    node = next(iter(world.nodes.values()))
    eve = another("university", "eve")
    found = world.jobs.parameters(node.name, asked.id, 2, 1)
    for name, place in ((eve.name, (2, 1)), (node.name, (1, 1)), (node.name, (2, 2))):
        with pytest.raises(NotFound) as caught:
            world.jobs.parameters(name, asked.id, *place)
        assert caught.value.code == "parameters_gone"
    world.run()
    assert world.jobs.parameters(node.name, asked.id, 2, 1)[1] == 0
    with pytest.raises(NotFound):
        world.jobs.parameters_chunk(found[0], 0)


def test_a_node_with_new_keys_needs_the_parameters_anew(world, ada):
    asked = in_round(world, ada, 2)
    birch = next(iter(world.nodes.values()))
    birch.restart()
    world.run()
    status = ada.status(asked)
    assert (status.state, status.round, status.attempt) == (JobState.STEERING, 2, 2)
    evidence, chunks = world.jobs.evidence(ada.name, asked.id)
    assert (evidence.round, evidence.attempt, len(evidence.consents), chunks) == (2, 2, 4, 0)
    assert evidence.seals == evidence.releases == ()
    with pytest.raises(NotFound) as caught:
        world.jobs.acknowledge(ada.name, asked.id)
    assert caught.value.code == "no_sum_yet"
    ada.steer(asked, 2)
    world.run()
    assert ada.open(asked) == times(world, 2)
    assert world.reasons(asked) == [("keys_renewed", str(birch.name))]
    for node in world.nodes.values():
        assert [past.round for _, past in node.released] == [1, 2]


def test_a_node_that_dies_after_all_vectors_are_in_still_releases(world, ada):
    asked = in_round(world, ada, 2)
    seal_all(world)
    for node in world.nodes.values():
        node.restart()
    world.run()
    assert ada.open(asked) == times(world, 2)
    # Each of them comes with new keys when it is asked for the next round, and the analyst's turn comes anew.
    for attempt in range(1, len(world.nodes) + 1):
        ada.steer(asked, 3)
        world.run()
        assert (ada.status(asked).round, ada.status(asked).attempt) == (3, attempt + 1)
    ada.steer(asked, 3)
    world.run()
    assert ada.open(asked) == times(world, 3)


def test_a_consent_between_rounds_comes_when_it_is_asked_for(world, ada):
    asked = ada.ask(rounds=2)
    world.run()
    ash = next(iter(world.nodes.values()))
    ash.restart()
    with pytest.raises(PeerProtocolError) as caught:
        ash.consent(asked.id, asked.specification, ada.name)
    assert caught.value.code == "attempt_complete"
    ada.steer(asked, 2)
    world.run()
    # Another one, while the analyst is sealing for the keys of the first: the roster is new once more.
    overtaken = ada.parameters(asked, 2)
    birch = list(world.nodes.values())[1]
    birch.restart()
    birch.consent(asked.id, asked.specification, ada.name)
    with pytest.raises(PeerProtocolError) as caught:
        world.jobs.steer(ada.name, asked.id, overtaken)
    assert caught.value.code == "wrong_round"
    ada.steer(asked, 2)
    world.run()
    assert ada.open(asked) == times(world, 2)


def test_a_later_round_is_never_held_without_one_of_the_first(make_world):
    world = make_world(limits=Limits(consent_grace_s=5, seal_grace_s=5))
    ada = world.publisher
    asked = in_round(world, ada, 2, at_least=3)
    first, *others = world.nodes.values()
    world.run(others)
    world.clock.now += 60
    world.jobs.tick()
    status = ada.status(asked)
    assert (status.state, status.attempt, status.fewer_after_s) == (JobState.SEALING, 1, 0.0)
    assert status.waiting_for == (str(first.name),)
    first.refuse(asked.id)
    assert ada.status(asked).state is JobState.FAILED
    assert ada.status(asked).error.code == "analyst_unknown"


def test_a_refusal_after_keys_were_lost_ends_the_job(make_world):
    world = make_world()
    asked = in_round(world, world.publisher, 2, at_least=3)
    first, second, *_ = world.nodes.values()
    first.restart()
    second.restart()
    first.work()
    assert world.publisher.status(asked).state is JobState.STEERING
    world.publisher.steer(asked, 2)
    second.refuses = {}
    second.work(OpenAttempt)
    status = world.publisher.status(asked)
    assert status.state is JobState.STEERING
    second.refuse(asked.id)
    assert world.publisher.status(asked).state is JobState.FAILED


def test_a_deadline_that_passes_between_rounds_says_whose_turn_it_was(world, ada):
    asked = ada.ask(rounds=2)
    world.run()
    world.clock.now += 601
    world.jobs.tick()
    status = ada.status(asked)
    assert (status.state, status.error.code) == (JobState.FAILED, "deadline_passed")
    assert "after round 1" in status.error.message
    assert world.stored_chunks() == (0, 0)


def test_a_job_between_rounds_can_be_cancelled(world, ada):
    asked = ada.ask(rounds=2)
    world.run()
    world.jobs.cancel(ada.name, asked.id)
    assert ada.status(asked).state is JobState.CANCELLED
    assert world.stored_chunks() == (0, 0)


def refused(world, ada, asked, parameters, caller=None):
    with pytest.raises(ProtocolError) as caught:
        world.jobs.steer((caller or ada).name, asked.id, parameters)
    return caught.value.code


def test_parameters_are_the_analysts_own_for_this_job_and_roster(world, ada, another):
    asked, other = ada.ask(rounds=2), ada.ask(rounds=2)
    world.run()
    eve = another("university", "eve")
    signed_by_eve = ada.parameters(asked, 2, name=str(eve.name), signer=eve.signer)
    assert refused(world, ada, asked, signed_by_eve) == "not_the_analyst"
    assert refused(world, ada, asked, ada.parameters(other, 2)) == "wrong_round"
    with pytest.raises(IdentityInvalid):
        world.jobs.steer(ada.name, asked.id, RoundParameters("not a statement", b""))
    with pytest.raises(NotFound):
        world.jobs.steer(eve.name, asked.id, ada.parameters(asked, 2))
    with pytest.raises(LocalProtocolError):
        ada.parameters(asked, 3)


def test_rounds_come_in_their_order_each_once(world, ada):
    asked = ada.ask(rounds=4)
    assert refused(world, ada, asked, ada_parameters_without_evidence(world, ada, asked)) == "not_steering"
    world.run()
    first_again, skipped = ada.parameters(asked, 1), ada.parameters(asked, 3)
    assert refused(world, ada, asked, first_again) == "wrong_round"
    assert refused(world, ada, asked, skipped) == "wrong_round"
    ada.steer(asked, 2)
    assert refused(world, ada, asked, skipped) == "not_steering"
    world.run()
    assert refused(world, ada, asked, first_again) == "wrong_round"
    ada.steer(asked, 3)
    world.run()
    assert ada.open(asked) == times(world, 3)


def ada_parameters_without_evidence(world, ada, asked):
    """Parameters for the roster to come, by an analyst that is too early."""
    for node in world.nodes.values():
        node.work(Offer)
    with world.store.snapshot() as tx:
        consents = [row.consent for row in tx.attempts.roster(tx.attempts.latest(asked.id).id)]
    key = JobKey(read_roster(asked.terms, consents, world.verifier))
    evidence = world.jobs.evidence
    world.jobs.evidence = lambda *_: (type("E", (), {"consents": consents}), 0)
    try:
        return ada.parameters(asked, 2, key=key)
    finally:
        world.jobs.evidence = evidence


@pytest.mark.parametrize("seed", range(3))
def test_whoever_dies_when_the_job_ends_with_the_right_sum_and_one_release_of_each_round(make_world, seed):
    world = make_world("ash", "birch", "cedar")
    ada, chance = world.publisher, random.Random(seed)
    asked, opened = ada.ask(rounds=3), {}
    for step in range(600):
        node = chance.choice(list(world.nodes.values()))
        match chance.choices(["work", "node", "broker", "analyst", "fold"], (14, 1, 1, 4, 3))[0]:
            case "work":
                with contextlib.suppress(ProtocolError, KeyError):
                    node.work()
            case "node" if step < 300:
                node.restart()
            case "broker":
                world.restart()
            case "fold":
                world.jobs.fold_all()
            case "analyst" if ada.status(asked).state is JobState.STEERING:
                evidence, _ = world.jobs.evidence(ada.name, asked.id)
                if evidence.releases:
                    opened[evidence.round] = ada.open(asked)
                ada.steer(asked, evidence.round + bool(evidence.releases))
        if ada.status(asked).state is JobState.SUMMED:
            break
    opened[3] = ada.open(asked)
    assert opened == {number: times(world, number) for number in (1, 2, 3)}
    for node in world.nodes.values():
        released = [(past.round, past.attempt) for _, past in node.released]
        assert sorted(number for number, _ in released) == [1, 2, 3]


def test_a_completion_that_comes_late_is_of_its_own_round(world, ada):
    asked = ada.ask(rounds=2)
    ash, *others = world.nodes.values()
    world.run(others)
    ash.work(Offer)
    world.run(others)
    ash.work(OpenAttempt)
    [late] = [one for one in ash.owed() if isinstance(one, Completion)]
    world.run()
    ada.steer(asked, 2)
    with pytest.raises(PeerProtocolError) as caught:
        ash.release(late)
    assert caught.value.code == "not_complete"
    world.run()
    assert ada.open(asked) == times(world, 2)
