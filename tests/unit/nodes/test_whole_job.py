"""The runner through whole jobs: restarts, messages that come twice, attempts that are voided."""

import csv
import pickle
import threading

import pytest
from support.hospitals import rule

from kapok.errors import PeerProtocolError
from kapok.identity.names import Role
from kapok.nodes.metrics import NodeMetrics
from kapok.nodes.policy import Policy
from kapok.nodes.runner import Consent, Release, Seal
from kapok.wire.messages import Closed, Idle

COUNT = "SELECT COUNT(*) FROM clinic"
GROUPED = "SELECT sex, COUNT(*), SUM(age), AVG(age) FROM clinic WHERE age < 70 GROUP BY sex"


def ages(world):
    found = []
    for node in world.nodes.values():
        with node.csv.open() as file:
            found += [int(row["age"]) for row in csv.DictReader(file)]
    return found


@pytest.mark.parametrize("seal", ["pad", "paillier"])
def test_a_question_is_answered_with_the_pooled_truth(world, paillier_key_2048, seal):
    job = world.job(
        "SELECT COUNT(*), SUM(age) FROM clinic",
        seal=seal,
        key=paillier_key_2048 if seal == "paillier" else None,
    )
    opened = job.run()
    assert job.answer(opened).rows == ((len(ages(world)), sum(ages(world))),)
    assert len({member.data_version for member in opened.members}) == 4


def test_small_cells_are_suppressed_inside_the_mask(world):
    # Hospital b has no row with sex = 0 and hospital d none with sex = 1: both would be "a few".
    job = world.job(GROUPED)
    answer = job.answer(job.run())
    assert all(value is None for row in answer.rows for value in row[1:])
    assert len(answer.suppressed) == len(answer.rows) * 3


def test_every_message_may_come_twice(world):
    job = world.job(COUNT)
    consents = job.consent()
    assert job.consent() == consents
    seals = job.seal(consents)
    assert job.seal(consents) == seals
    assert [one.chunks for one in job.seal(consents)] == [one.chunks for one in seals]
    releases = job.release(seals)
    assert job.release(seals) == releases
    assert job.answer(job.unseal(consents, seals, releases)).rows == ((114,),)
    for node in job.nodes:
        assert job.open(node, consents) == [seals[job.nodes.index(node)]]
        assert node.runner.handle(Closed(job.id)) == node.runner.handle(Closed(job.id)) == []
        assert job.offer(node) == job.open(node, consents) == job.complete(node, seals) == []
        assert node.runner.handle(Idle()) == []


def test_a_restart_between_seal_and_release_loses_nothing(world):
    job = world.job(COUNT)
    consents = job.consent()
    seals = job.seal(consents)
    for node in job.nodes:
        node.start()
    releases = job.release(seals)
    for node in job.nodes:
        node.start()
    assert job.release(seals) == releases
    assert job.answer(job.unseal(consents, seals, releases)).rows == ((114,),)


def test_a_restart_before_sealing_gives_new_keys_and_voids_the_attempt(world):
    job = world.job(COUNT)
    consents = job.consent()
    world.nodes["b"].start()
    [fresh] = job.open(world.nodes["b"], consents)
    assert isinstance(fresh, Consent)
    assert fresh.token not in consents
    assert job.open(world.nodes["b"], consents) == [fresh]
    consents[1] = fresh.token
    seals = job.seal(consents, attempt=2)
    assert job.answer(job.unseal(consents, seals, job.release(seals, attempt=2), attempt=2)).rows == ((114,),)


def test_a_restart_after_sealing_forgets_the_keys_for_any_other_attempt(world):
    job = world.job(COUNT)
    consents = job.consent()
    job.seal(consents)
    world.nodes["a"].start()
    [fresh] = job.open(world.nodes["a"], consents)
    assert isinstance(fresh, Consent)
    assert fresh.token != consents[0]


def test_a_round_is_released_for_one_attempt_only_whatever_happens_in_between(world):
    job = world.job(COUNT)
    node = world.nodes["a"]
    consents = job.consent()
    first = job.seal(consents, attempt=1)
    second = job.seal(consents, attempt=2)
    assert isinstance(job.complete(node, first, attempt=1)[0], Release)
    for _ in range(2):
        refusal = world.refusal(job.complete(node, second, attempt=2))
        assert refusal.code == "already_released"
        node.start()
    assert isinstance(job.complete(node, first, attempt=1)[0], Release)
    assert world.refusal(job.open(node, consents, attempt=3)).code == "already_released"


def test_an_older_attempt_is_not_sealed_again(world):
    job = world.job(COUNT)
    consents = job.consent()
    job.seal(consents, attempt=2)
    assert job.open(world.nodes["a"], consents, attempt=1) == []


def test_one_attempt_is_never_sealed_for_two_rosters(world):
    job = world.job(COUNT, at_least=3)
    consents = job.consent()
    assert isinstance(job.open(world.nodes["a"], consents)[0], Seal)
    assert world.refusal(job.open(world.nodes["a"], consents[:3])).code == "attempt_changed"


def test_a_release_waits_for_the_seals_of_all(world):
    job = world.job(COUNT)
    seals = job.seal(job.consent())
    assert world.refusal(job.complete(world.nodes["a"], seals[:3])).code == "seals_missing"


def test_a_release_of_an_attempt_that_was_not_sealed_is_refused(world):
    job = world.job(COUNT)
    seals = job.seal(job.consent())
    assert world.refusal(job.complete(world.nodes["a"], seals, attempt=2)).code == "seal_unknown"


def test_a_closed_job_can_never_be_released(world):
    job = world.job(COUNT)
    seals = job.seal(job.consent())
    node = world.nodes["a"]
    node.runner.handle(Closed(job.id))
    assert job.complete(node, seals) == []
    assert node.journal.sealed(job.id, 1, 1) is None


def test_a_roster_with_a_stranger_is_refused_with_its_name(world):
    job = world.job(COUNT, names="abc")
    consents = job.consent()
    other = world.job(COUNT)
    foreign = other.offer(world.nodes["d"])[0].token
    refusal = world.refusal(job.open(world.nodes["a"], [*consents, foreign]))
    assert refusal.kind == PeerProtocolError.__name__
    assert refusal.code == "wrong_job"
    # The refusal stands, whatever roster comes afterwards, and after a restart too.
    assert world.refusal(job.open(world.nodes["a"], consents)) == refusal
    world.nodes["a"].start()
    assert world.refusal(job.offer(world.nodes["a"])) == refusal


def test_two_jobs_at_once_do_not_disturb_each_other(world):
    first, second = world.job(COUNT), world.job("SELECT SUM(age) FROM clinic")
    consents = [first.consent(), second.consent()]
    seals = [second.seal(consents[1]), first.seal(consents[0])]
    assert second.answer(second.unseal(consents[1], seals[0], second.release(seals[0]))).rows == (
        (sum(ages(world)),),
    )
    assert first.answer(first.unseal(consents[0], seals[1], first.release(seals[1]))).rows == ((114,),)


def test_keys_are_forgotten_when_the_deadline_passes(world):
    job = world.job(COUNT)
    consents = job.consent()
    node = world.nodes["a"]
    world.clock.now += 61
    node.runner.expire()
    assert world.refusal(job.open(node, consents)).code == "deadline_passed"


def test_a_job_that_is_worked_on_past_its_deadline_does_not_hold_up_the_look(world):
    """A worker holds it for as long as its app runs, which may be hours."""
    job = world.job(COUNT)
    consents = job.consent()
    node = world.nodes["a"]
    world.clock.now += 61
    with node.runner._context.open.working_on(job.id):
        looking = threading.Thread(target=node.runner.expire, daemon=True)
        looking.start()
        looking.join(30)
        assert not looking.is_alive()
    node.runner.expire()
    assert world.refusal(job.open(node, consents)).code == "deadline_passed"


def test_records_of_seals_are_forgotten_some_time_after_the_deadline(world):
    job = world.job(COUNT)
    job.seal(job.consent())
    node = world.nodes["a"]
    for later, kept in ((60, True), (599, True), (2, False)):
        world.clock.now += later
        node.runner.expire()
        assert (node.journal.sealed(job.id, 1, 1) is not None) is kept


def test_attempts_are_bounded(world):
    job = world.job(COUNT)
    consents = job.consent()
    assert world.refusal(job.open(world.nodes["a"], consents, attempt=101)).code == "too_many_attempts"


def test_there_is_a_limit_to_open_jobs(world):
    node = world.nodes["a"]
    for _ in range(8):
        assert isinstance(world.job(COUNT).offer(node)[0], Consent)
    late = world.job(COUNT)
    refusal = world.refusal(late.offer(node))
    assert (refusal.kind, refusal.code) == ("Unavailable", "too_many_jobs")
    world.clock.now += 61
    node.runner.expire()
    assert isinstance(world.job(COUNT).offer(node)[0], Consent)


def test_an_open_job_is_not_pickled_and_does_not_show_its_seed(world):
    job, node = world.job(COUNT), world.nodes["a"]
    job.consent()
    opened = node.runner._context.open.get(job.id)
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(opened.admitted)
    assert opened.admitted.tag_seed == job.tag_seed
    assert repr(job.tag_seed)[2:-1] not in repr(opened)


def test_an_organisations_second_node_cannot_be_left_out(world):
    second = world.add("a2", [(50, 1, "yes")] * 20)
    second.credentials = world.realm.credentials("a", Role.NODE, "second")
    job = world.job(COUNT)
    consents = [token for node, token in zip(job.nodes, job.consent(), strict=True) if node is not second]
    assert world.refusal(job.open(world.nodes["b"], consents)).code == "members_missing"


def test_releases_are_independent_of_their_order(world):
    job = world.job(COUNT, names="abc")
    consents = job.consent()
    seals = job.seal(consents)
    nodes = [job.nodes[index] for index in (2, 0, 1)]
    assert job.answer(job.unseal(consents, seals, job.release(seals, nodes))).rows == ((90,),)


def test_what_could_not_be_made_ahead_is_made_when_sealing(world, paillier_key_2048, monkeypatch, caplog):
    def full(_pool, _most):
        raise MemoryError

    monkeypatch.setattr("kapok.protocols.paillier.pool.ObfuscatorPool.fill", full)
    monkeypatch.setattr("kapok.nodes.runner.offers.Thread", AtOnce)
    job = world.job(COUNT, seal="paillier", key=paillier_key_2048)
    assert job.answer(job.run()).rows == ((114,),)
    assert [one.job for one in caplog.records if one.message == "not prepared"] == [job.id] * 4


class AtOnce:
    """A thread that has ended when it was started."""

    def __init__(self, *, target, args, **_):
        self.start = lambda: target(*args)


def test_a_question_that_is_judged_anew_is_counted_once(world):
    node, metrics = world.nodes["a"], NodeMetrics(lambda: 0.0, world.clock)
    node.observer = metrics

    def counted(decision, code=""):
        labels = {"decision": decision, "code": code}
        return metrics.registry.get_sample_value("kapok_node_questions_total", labels)

    job = world.job(COUNT)
    for _ in range(2):
        node.start()
        assert isinstance(job.offer(node)[0], Consent)
    assert counted("consented") == 1
    manual = Policy((rule(approval="manual"),))
    node.judge_by(manual)
    later = world.job(COUNT)
    for offered in (job, later, later):
        assert offered.offer(node) == []
    assert counted("deferred") == 1
    node.judge_by(Policy(()))
    refused = world.job(COUNT)
    for _ in range(2):
        assert world.refusal(refused.offer(node)).code == "not_authorised"
    assert counted("refused", "not_authorised") == 1
