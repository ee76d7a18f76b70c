"""The runner through jobs of several rounds: restarts in between, and what a broker may do to parameters."""

import csv
import secrets
from statistics import median_low

import pytest
from support import bisection

from kapok.computations import registry
from kapok.computations.registry import Next
from kapok.nodes import officers
from kapok.nodes.runner import Consent, Refusal, Release, Seal
from kapok.nodes.states import NodeJobState
from kapok.protocols.secure_sum.round_parameters import Parameters
from kapok.wire.messages import Closed, RoundParameters

MIDDLE = b"60"


def ages(world):
    found = []
    for node in world.nodes.values():
        with node.csv.open() as file:
            found += [int(row["age"]) for row in csv.DictReader(file)]
    return found


@pytest.fixture
def job(world, monkeypatch):
    """The median of all ages, by halves."""
    monkeypatch.setitem(registry._MODULES, "bisection", bisection.__name__)
    return world.job("age", kind="bisection")


@pytest.fixture
def begun(job):
    """Its consents, once the first round is summed."""
    consents = job.consent()
    job.release(job.seal(consents))
    return consents


def code(world, answer):
    return world.refusal(answer).code


def test_rounds_follow_one_another_until_there_is_an_answer(world, job):
    assert job.spec.rounds == 8
    consents, number, state, parameters, plaintext = job.consent(), 1, None, None, b""
    while True:
        seals = job.seal(consents, number=number, parameters=parameters)
        releases = job.release(seals, number=number)
        opened = job.unseal(consents, seals, releases, number=number, plaintext=plaintext)
        outcome = job.kind.steps.advance(job.question, world.nodes["a"].runner, state, opened.words)
        if not isinstance(outcome, Next):
            break
        number, state, plaintext = number + 1, outcome.state, outcome.parameters
        parameters = job.parameters(consents, plaintext, number)
    assert outcome.value == median_low(ages(world))
    assert number == job.spec.rounds
    for node in job.nodes:
        assert node.journal.job(job.id).state is NodeJobState.RELEASED
        assert job.offer(node) == [Consent(job.id, consents[job.nodes.index(node)])]
        node.start()
        assert job.offer(node) == []
        assert node.runner.handle(Closed(job.id)) == []


def test_every_message_of_a_later_round_may_come_twice(world, job, begun):
    parameters = job.parameters(begun, MIDDLE)
    seals = job.seal(begun, number=2, parameters=parameters)
    assert job.seal(begun, number=2, parameters=parameters) == seals
    releases = job.release(seals, number=2)
    assert job.release(seals, number=2) == releases
    opened = job.unseal(begun, seals, releases, number=2, plaintext=MIDDLE)
    assert opened.words[0] == sum(age <= 60 for age in ages(world))


def test_a_round_is_released_once_whatever_attempt_comes_after(world, job, begun):
    parameters = job.parameters(begun, MIDDLE)
    seals = job.seal(begun, number=2, parameters=parameters)
    job.release(seals, number=2)
    for node in job.nodes:
        assert job.open(node, begun, attempt=2, number=2, parameters=parameters) == []
        assert code(world, job.complete(node, seals, attempt=2, number=2)) == "seal_unknown"
    again = job.parameters(begun, b"30", number=2)
    for node in job.nodes:
        assert not any(isinstance(one, Seal) for one in job.open(node, begun, 3, 2, again))


def test_a_node_that_restarts_between_rounds_comes_with_new_keys_and_old_parameters_do_not_fit(
    world, job, begun
):
    node, parameters = world.nodes["b"], job.parameters(begun, MIDDLE)
    node.start()
    [fresh] = job.open(node, begun, number=2, parameters=parameters)
    assert isinstance(fresh, Consent)
    assert node.journal.job(job.id).state is NodeJobState.RELEASED
    renewed = [fresh.token if one == begun[1] else one for one in begun]
    others = [one for one in job.nodes if one is not node]
    for other in others:
        answer = job.open(other, renewed, attempt=2, number=2, parameters=parameters)
        assert code(world, answer) == "wrong_round"
    assert others


def test_a_job_goes_on_after_a_restart_between_rounds(world, job, begun):
    node = world.nodes["b"]
    node.start()
    [fresh] = job.open(node, begun, number=2, parameters=job.parameters(begun, MIDDLE))
    renewed = [fresh.token if one == begun[1] else one for one in begun]
    seals = job.seal(renewed, attempt=2, number=2, parameters=job.parameters(renewed, MIDDLE))
    for one in job.nodes:
        one.start()
    releases = job.release(seals, attempt=2, number=2)
    opened = job.unseal(renewed, seals, releases, attempt=2, number=2, plaintext=MIDDLE)
    assert opened.words[0] == sum(age <= 60 for age in ages(world))


def test_a_restored_journal_answers_no_later_round(world, job, begun):
    node = world.nodes["a"]
    node._new_tag_key()  # as accepting a restored journal makes one
    node.start()
    answer = job.open(node, begun, number=2, parameters=job.parameters(begun, MIDDLE))
    assert code(world, answer) == "bad_tag_seed"


def test_a_policy_that_has_changed_between_rounds_is_the_one_that_counts(world, job, begun, make_rule):
    node = world.nodes["a"]
    seals = job.seal(begun, number=2, parameters=job.parameters(begun, MIDDLE))
    node.policy = type(node.policy)((make_rule(operations=("sum",)),))
    node.start()
    assert code(world, job.complete(node, seals, number=2)) == "operation_not_allowed"


def test_a_policy_that_asks_for_an_officer_between_rounds_ends_the_job(world, job, begun, make_rule):
    node, parameters = world.nodes["a"], job.parameters(begun, MIDDLE)
    automatic = node.policy
    node.judge_by(type(node.policy)((make_rule(approval="manual"),)))
    refusal = job.open(node, begun, number=2, parameters=parameters)
    assert code(world, refusal) == "approval_missing"
    assert node.journal.released(job.id, 1)
    node.judge_by(automatic)
    assert job.open(node, begun, number=2, parameters=parameters)[0].token == refusal[0].token


def test_a_job_that_meets_a_pause_between_rounds_answers_no_later_one(world, job, begun, monkeypatch):
    monkeypatch.setattr(officers.time, "time", world.clock)
    node, parameters = world.nodes["a"], job.parameters(begun, MIDDLE)
    (node.home / "node.toml").write_text('broker = "127.0.0.1:1"\nstate = "."\n')
    officers.pause(node.home)
    refusal = job.open(node, begun, number=2, parameters=parameters)
    assert code(world, refusal) == "holder_paused"
    officers.resume(node.home)
    for restarted in (False, True):
        if restarted:
            node.start()
        for answer in (job.offer(node), job.open(node, begun, number=2, parameters=parameters)):
            assert [one.token for one in answer] == [one.token for one in refusal]
    assert node.journal.job(job.id).state is NodeJobState.REFUSED


def test_rounds_count_as_one_question(world, job, begun):
    seals = job.seal(begun, number=2, parameters=job.parameters(begun, MIDDLE))
    job.release(seals, number=2)
    other = world.job("SELECT COUNT(*) FROM clinic")
    other.consent()
    journal = world.nodes["a"].journal
    assert journal.history(journal.job(other.id)).questions == 1


# What a broker, or an analyst, may do to parameters.


def test_parameters_that_are_missing_or_not_wanted_are_refused(world, job):
    consents = job.consent()
    node = world.nodes["a"]
    parameters = job.parameters(consents, MIDDLE, number=1)
    assert code(world, job.open(node, consents, parameters=parameters)) == "bad_parameters"
    assert code(world, job.open(world.nodes["b"], consents, number=2)) == "bad_parameters"


@pytest.mark.parametrize(
    ("how", "expected"),
    {
        "another round's": "wrong_round",
        "above the limit": "bad_round",
        "another job's": "wrong_round",
        "another analyst's": "not_the_analyst",
        "other ciphertext": "bad_parameters",
        "cut": "bad_parameters",
        "out of bounds": "bad_parameters",
    }.items(),
)
def test_parameters_that_are_not_the_analysts_for_this_round_are_refused(world, job, begun, how, expected):
    node, number = world.nodes["a"], 2
    good = job.parameters(begun, MIDDLE)
    match how:
        case "another round's":
            shown = job.parameters(begun, MIDDLE, number=3)
        case "above the limit":
            shown, number = good, job.spec.rounds + 1
        case "another job's":
            other = world.job("age", kind="bisection")
            shown = other.parameters(other.consent(), MIDDLE)
        case "another analyst's":
            eve = world.job("age", kind="bisection", by="eve")
            shown = job.parameters(begun, MIDDLE, name=str(eve.caller.name), signer=signer_of(eve))
        case "other ciphertext":
            shown = RoundParameters(good.statement, job.parameters(begun, b"70").ciphertext)
        case "cut":
            shown = RoundParameters(good.statement, good.ciphertext[:40])
        case _:
            shown = job.parameters(begun, b"5000")
    [answer] = job.open(node, begun, number=number, parameters=shown)
    assert isinstance(answer, Refusal)
    refusal = world.refusal([answer])
    assert refusal.code == expected
    # A refusal goes through the broker, which may not read parameters.
    assert "60" not in refusal.message + refusal.remedy
    assert "5000" not in refusal.message + refusal.remedy


def signer_of(job):
    from kapok.documents.envelope import JwsSigner

    return JwsSigner(job.caller)


def test_two_parameters_of_one_round_give_noise_or_nothing(world, job, begun):
    one, two = job.parameters(begun, MIDDLE), job.parameters(begun, b"30")
    seals = [
        seal
        for node, parameters in zip(job.nodes, (one, one, two, two), strict=True)
        for seal in job.open(node, begun, number=2, parameters=parameters)
    ]
    assert all(isinstance(seal, Seal) for seal in seals)
    for node in job.nodes:
        assert code(world, job.complete(node, seals, number=2)) == "wrong_attempt"


def test_an_attempt_that_was_sealed_is_not_sealed_with_other_parameters(world, job, begun):
    node = world.nodes["a"]
    [first] = job.open(node, begun, number=2, parameters=job.parameters(begun, MIDDLE))
    seed = Parameters(b"30", secrets.token_bytes(32))
    again = job.open(node, begun, number=2, parameters=job.parameters(begun, b"", parameters=seed))
    # The same attempt of the same roster: the stored bytes, whatever the broker shows beside them.
    assert again == [first]


def test_releases_of_two_rounds_are_two_and_each_is_its_own(job, begun):
    seals = job.seal(begun, number=2, parameters=job.parameters(begun, MIDDLE))
    for node in job.nodes:
        [first] = job.complete(node, seals, number=2)
        assert isinstance(first, Release)
        stored = node.journal.released(job.id, 1), node.journal.released(job.id, 2)
        assert stored[0].token != stored[1].token == first.token
