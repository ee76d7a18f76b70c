"""Consents and refusals: who is waited for, what voids an attempt, and whose turn it is."""

import pytest

from kapok.broker.settings import Limits
from kapok.errors import (
    CohortTooSmall,
    ConsentWithheld,
    IdentityInvalid,
    InvalidInput,
    LocalProtocolError,
    NotFound,
    PeerProtocolError,
)
from kapok.protocols.secure_sum.messages import CONSENT_TYP
from kapok.wire.messages import Closed, Completion, JobState, Offer, OpenAttempt


def hospitals(world):
    return list(world.nodes.values())


def offers(node):
    return [one for one in node.owed() if isinstance(one, Offer)]


# Refusals


def test_one_refusal_fails_a_job_that_needs_everyone_with_its_reason(world, ada):
    ash, birch, *others = hospitals(world)
    asked = ada.ask()
    birch.refuses = {"code": "column_not_allowed", "clause": "policy.columns", "remedy": "leave age out"}
    for node in (ash, birch):
        node.work()
    status = ada.status(asked)
    assert status.state is JobState.FAILED
    assert type(status.error) is ConsentWithheld
    assert (status.error.code, status.error.clause, status.error.remedy, status.error.party) == (
        "column_not_allowed",
        "policy.columns",
        "leave age out",
        str(birch.name),
    )
    assert len(status.refusals) == 1
    assert status.waiting_for == ()
    assert all(node.owed() == [Closed(asked.id)] for node in (ash, birch, *others))


def test_a_refusal_after_sealing_voids_the_attempt_and_fails_the_job(world, ada):
    ash, birch, *_ = nodes = hospitals(world)
    asked = ada.ask()
    for node in nodes:
        node.work()
    ash.work()
    birch.refuse(asked.id, code="source_changed")
    assert ada.status(asked).error.code == "source_changed"
    assert world.stored_chunks() == (0, 0)
    with world.store.snapshot() as tx:
        assert tx.attempts.latest(asked.id).state == "voided"


def test_a_refusal_at_release_fails_the_job_and_abandons_the_attempt(world, ada):
    ash, birch, *_ = nodes = hospitals(world)
    asked = ada.ask()
    for _ in range(2):
        for node in nodes:
            node.work()
    ash.work()
    birch.refuse(asked.id, kind="CohortTooSmall", code="cohort_differs")
    status = ada.status(asked)
    assert (status.state, type(status.error), status.error.party) == (
        JobState.FAILED,
        CohortTooSmall,
        str(birch.name),
    )
    world.desk.fold_all()
    assert world.stored_chunks() == (0, 0)
    with world.store.snapshot() as tx:
        assert tx.attempts.latest(asked.id).state == "abandoned"


def test_who_has_released_cannot_refuse_any_more(world, ada):
    ash, *_ = nodes = hospitals(world)
    asked = ada.ask()
    for _ in range(2):
        for node in nodes:
            node.work()
    ash.work()
    with pytest.raises(PeerProtocolError) as caught:
        ash.refuse(asked.id)
    assert caught.value.code == "already_released"
    world.run()
    assert ada.open(asked) == world.truth()


def test_a_refusal_may_come_twice_and_after_the_end(world, ada):
    ash, birch, *_ = hospitals(world)
    asked = ada.ask()
    ash.refuse(asked.id)
    ash.refuse(asked.id)
    birch.refuse(asked.id, code="other_reason")
    status = ada.status(asked)
    assert (len(status.refusals), status.error.party) == (1, str(ash.name))


def test_refusals_are_verified(world, ada, another):
    ash, birch, *_ = hospitals(world)
    asked, other = ada.ask(), ada.ask()
    for token, code in (
        (birch.refusal(asked.id), "not_the_signer"),
        (ash.refusal(other.id), "wrong_job"),
        (ash.refusal(asked.id, code="Not Snake"), "bad_statement"),
        (ash.refusal(asked.id, message="x" * 9000), "bad_statement"),
    ):
        with pytest.raises(PeerProtocolError) as caught:
            world.desk.refuse(ash.name, asked.id, token)
        assert caught.value.code == code
    with pytest.raises(IdentityInvalid):
        world.desk.refuse(ash.name, asked.id, ash.joined)
    assert ada.status(asked).state is JobState.GATHERING


# Consents


def test_consents_are_verified(world, ada):
    ash, birch, *_ = hospitals(world)
    asked, other = ada.ask(), ada.ask()
    ash.work()
    for_asked, for_other = ash.holders[asked.id].consent(), ash.holders[other.id].consent()
    with pytest.raises(PeerProtocolError) as caught:
        world.desk.consent(birch.name, asked.id, for_asked)
    assert caught.value.code == "not_the_signer"
    with pytest.raises(PeerProtocolError) as caught:
        world.desk.consent(ash.name, asked.id, for_other)
    assert caught.value.code == "wrong_job"
    with pytest.raises(PeerProtocolError) as caught:
        world.desk.consent(ash.name, asked.id, ash.signer.sign(CONSENT_TYP, b"{}"))
    assert caught.value.code == "bad_statement"
    assert ada.status(asked).waiting_for == tuple(list(world.nodes)[1:])


def test_only_those_whom_a_job_asks_can_speak_about_it(make_world):
    world = make_world("ash", "birch", "cedar", "dogwood")
    members = tuple(world.nodes)[:3]
    asked = world.publisher.ask(members=members)
    outsider = hospitals(world)[3]
    assert outsider.owed() == []
    for verb in (world.desk.consent, world.desk.refuse, world.desk.release, world.desk.begin_upload):
        with pytest.raises(NotFound) as caught:
            verb(outsider.name, asked.id, "token")
        assert caught.value.code == "unknown_job"


def test_new_keys_while_gathering_replace_the_old_ones(world, ada):
    ash, *_others = hospitals(world)
    asked = ada.ask()
    ash.work()
    old = ash.holders[asked.id].consent()
    ash.consent(asked.id, asked.specification, ada.name)
    world.desk.consent(ash.name, asked.id, old)
    world.run()
    assert ada.status(asked).attempt == 1
    assert ada.open(asked) == world.truth()


def test_new_keys_in_an_open_attempt_void_it_and_open_the_next(world, ada):
    ash, birch, *_ = nodes = hospitals(world)
    asked = ada.ask()
    for node in nodes:
        node.work()
    birch.work()
    old = ash.holders[asked.id].consent()
    ash.restart()
    ash.work(OpenAttempt)
    status = ada.status(asked)
    assert (status.state, status.attempt, status.waiting_for) == (JobState.SEALING, 2, tuple(world.nodes))
    assert world.stored_chunks() == (0, 0)
    world.desk.consent(ash.name, asked.id, old)
    assert ada.status(asked).attempt == 2
    world.run()
    assert ada.open(asked) == world.truth()
    assert world.history(asked) == ["opening", "voiding", "opening", "completion", "summing"]


def test_a_node_that_restarts_after_sealing_costs_nothing(world, ada):
    ash, *_ = nodes = hospitals(world)
    asked = ada.ask()
    for node in nodes:
        node.work()
    ash.work()
    ash.restart()
    world.run()
    assert ada.status(asked).attempt == 1
    assert ada.open(asked) == world.truth()


def test_nothing_voids_an_attempt_once_all_vectors_are_in(world, ada):
    ash, *_ = nodes = hospitals(world)
    asked = ada.ask()
    for _ in range(2):
        for node in nodes:
            node.work()
    ash.restart()
    with pytest.raises(PeerProtocolError) as caught:
        ash.consent(asked.id, asked.specification, ada.name)
    assert caught.value.code == "attempt_complete"
    assert ada.status(asked).attempt == 1
    world.run()
    assert ada.open(asked) == world.truth()
    with pytest.raises(PeerProtocolError) as caught:
        ash.consent(asked.id, asked.specification, ada.name)
    assert caught.value.code == "job_ended"


def test_attempts_are_bounded(make_world):
    world = make_world(limits=Limits(attempts_max=3))
    ash, *_ = nodes = hospitals(world)
    asked = world.publisher.ask()
    for node in nodes:
        node.work()
    for _ in range(3):
        ash.restart()
        ash.work()
    status = world.publisher.status(asked)
    assert (status.state, status.attempt) == (JobState.FAILED, 3)
    assert isinstance(status.error, LocalProtocolError)
    assert status.error.code == "too_many_attempts"


def test_consents_of_one_node_are_bounded(make_world):
    world = make_world(limits=Limits(attempts_max=2))
    ash, *_ = hospitals(world)
    asked = world.publisher.ask()
    for _ in range(3):
        ash.consent(asked.id, asked.specification, world.publisher.name)
    with pytest.raises(PeerProtocolError) as caught:
        ash.consent(asked.id, asked.specification, world.publisher.name)
    assert caught.value.code == "too_many_consents"


# Cancellation, and whose job it is


@pytest.mark.parametrize("stages", range(4))
def test_a_job_is_cancelled_at_any_stage_and_its_nodes_are_told(world, ada, stages):
    asked = ada.ask()
    for _ in range(stages):
        for node in hospitals(world):
            node.work()
    world.desk.fold_all()
    world.desk.cancel(ada.name, asked.id)
    world.desk.cancel(ada.name, asked.id)
    assert ada.status(asked).state is JobState.CANCELLED
    assert world.stored_chunks() == (0, 0)
    assert all(node.owed() == [Closed(asked.id)] for node in hospitals(world))


def test_an_ended_job_is_not_cancelled(world, ada):
    asked = ada.ask()
    world.run()
    world.desk.acknowledge(ada.name, asked.id)
    with pytest.raises(InvalidInput) as caught:
        world.desk.cancel(ada.name, asked.id)
    assert caught.value.code == "job_ended"


def test_nobody_sees_or_touches_anothers_job(world, ada, another):
    asked = ada.ask()
    world.run()
    eve = another("university", "eve")
    for verb in (world.desk.job, world.desk.cancel, world.desk.evidence, world.desk.acknowledge):
        with pytest.raises(NotFound) as caught:
            verb(eve.name, asked.id)
        assert caught.value.code == "unknown_job"
    with pytest.raises(NotFound):
        world.desk.sum_chunk(eve.name, asked.id, 0)
    assert world.desk.jobs(eve.name) == []
    assert ada.open(asked) == world.truth()


def test_an_operator_sees_all_jobs_and_changes_none(world, ada):
    operator = world.domain.credentials("university", "operator", "olga").name
    first, second = ada.ask(), ada.ask()
    assert [status.job_id for status in world.desk.jobs(operator)] == [second.id, first.id]
    assert world.desk.job(operator, first.id).state is JobState.GATHERING
    with pytest.raises(NotFound):
        world.desk.cancel(operator, first.id)


# At least so many


def test_with_at_least_the_others_go_on_without_one_who_refuses(world, ada):
    ash, *others = hospitals(world)
    asked = ada.ask(at_least=3)
    ash.refuses = {}
    world.run()
    status = ada.status(asked)
    assert status.state is JobState.SUMMED
    assert status.roster == tuple(str(node.name) for node in others)
    assert ada.open(asked) == world.truth(others)


def test_with_at_least_too_many_refusals_end_the_job(world, ada):
    ash, birch, *_ = hospitals(world)
    asked = ada.ask(at_least=3)
    ash.refuses = birch.refuses = {"remedy": "ask its officer"}
    world.run()
    error = ada.status(asked).error
    assert isinstance(error, CohortTooSmall)
    assert (error.code, error.remedy, error.party) == (
        "too_few_organisations",
        "ask its officer",
        str(birch.name),
    )
    assert str(ash.name) in error.message


def test_with_at_least_the_silent_are_left_out_only_after_the_grace(world, ada):
    ash, *others = hospitals(world)
    asked = ada.ask(at_least=3)
    world.run(others)
    world.clock.now += world.limits.consent_grace_s - 1
    world.desk.tick()
    assert ada.status(asked).state is JobState.GATHERING
    world.clock.now += 1
    world.desk.tick()
    assert ada.status(asked).roster == tuple(str(node.name) for node in others)
    assert ash.owed() == []
    world.run(others)
    assert ada.open(asked) == world.truth(others)


def test_with_at_least_and_too_few_the_grace_changes_nothing(world, ada):
    asked = ada.ask(at_least=3)
    world.run(hospitals(world)[:2])
    world.clock.now += 500
    world.desk.tick()
    assert ada.status(asked).state is JobState.GATHERING


def test_with_at_least_one_that_does_not_seal_is_left_behind(world, ada):
    ash, *others = hospitals(world)
    asked = ada.ask(at_least=3)
    for node in hospitals(world):
        node.work()
    world.run(others)
    world.clock.now += world.limits.seal_grace_s
    world.desk.tick()
    status = ada.status(asked)
    assert (status.state, status.attempt, status.roster) == (
        JobState.SEALING,
        2,
        tuple(str(node.name) for node in others),
    )
    ash.consent(asked.id, asked.specification, ada.name)
    assert ada.status(asked).attempt == 2
    world.run(others)
    assert ada.open(asked) == world.truth(others)


def test_with_at_least_a_refusal_while_sealing_opens_an_attempt_without_it(world, ada):
    ash, *others = hospitals(world)
    asked = ada.ask(at_least=3)
    for node in hospitals(world):
        node.work()
    ash.refuse(asked.id)
    world.run(others)
    assert ada.status(asked).attempt == 2
    assert ada.open(asked) == world.truth(others)


def test_by_default_nobody_is_left_behind(world, ada):
    asked = ada.ask()
    for node in hospitals(world):
        node.work()
    world.run(hospitals(world)[1:])
    world.clock.now += 599
    world.desk.tick()
    assert (ada.status(asked).state, ada.status(asked).attempt) == (JobState.SEALING, 1)


def test_a_cohort_is_waited_for_though_at_least_would_do_with_fewer(world, ada):
    ash, *others = hospitals(world)
    first = ada.ask()
    world.run()
    assert ada.open(first) == world.truth()
    second = ada.ask(at_least=3)
    world.run(others)
    world.clock.now += 500
    world.desk.tick()
    assert ada.status(second).waiting_for == (str(ash.name),)
    world.run()
    assert ada.open(second) == world.truth()


def test_the_roster_is_the_cohort_even_if_another_would_join(world, ada):
    _ash, *others = hospitals(world)
    first = ada.ask(members=tuple(str(node.name) for node in others))
    world.run()
    assert ada.open(first) == world.truth(others)
    second = ada.ask(at_least=3)
    world.run()
    assert ada.status(second).roster == tuple(str(node.name) for node in others)
    assert ada.open(second) == world.truth(others)


def test_a_cohort_that_cannot_be_whole_ends_the_job(world, ada):
    ash, *_ = hospitals(world)
    ada.ask()
    world.run()
    second = ada.ask(at_least=3)
    ash.refuses = {}
    world.run()
    error = ada.status(second).error
    assert isinstance(error, CohortTooSmall)
    assert error.party == str(ash.name)


# Whose turn it is while no cohort is fixed


def test_two_first_jobs_at_once_run_one_after_the_other(world, ada):
    first, second = ada.ask(), ada.ask()
    for node in hospitals(world):
        node.work()
    assert ada.status(first).state is JobState.SEALING
    assert ada.status(second).state is JobState.GATHERING
    assert ada.status(second).waiting_for == ()
    assert not any(offers(node) for node in hospitals(world))
    for _ in range(2):
        for node in hospitals(world):
            node.work()
        world.desk.fold_all()
    assert ada.status(first).state is JobState.SUMMED
    assert all(len(offers(node)) == 1 for node in hospitals(world))
    world.run()
    assert ada.open(first) == ada.open(second) == world.truth()


def test_two_first_jobs_over_different_rosters_do_not_both_release(world, ada):
    first = ada.ask()
    second = ada.ask(members=tuple(world.nodes)[1:])
    world.run()
    assert ada.open(first) == world.truth()
    error = ada.status(second).error
    assert isinstance(error, CohortTooSmall)
    assert error.code == "cohort_differs"


def test_the_scope_is_free_again_when_the_first_job_fails(world, ada):
    first, second = ada.ask(), ada.ask()
    for node in hospitals(world):
        node.work()
    hospitals(world)[0].refuse(first.id)
    assert ada.status(second).state is JobState.SEALING
    world.run()
    assert ada.open(second) == world.truth()


def test_after_an_abandoned_attempt_the_others_are_asked_again(world, ada):
    ash, _birch, *_ = nodes = hospitals(world)
    first, second = ada.ask(), ada.ask()
    for _ in range(2):
        for node in nodes:
            node.work()
    ash.work()
    world.desk.cancel(ada.name, first.id)
    assert all(len(offers(node)) == 1 for node in nodes)
    world.run()
    assert ada.open(second) == world.truth()
    with world.store.snapshot() as tx:
        assert {row.cohorts for row in tx.jobs.consents(second.id).values()} >= {"[]"}
        assert tx.jobs.consents(second.id)[str(ash.name)].cohorts != "[]"


def test_other_organisations_and_fixed_scopes_do_not_wait(world, ada, another):
    bob = another("elsewhere", "bob")
    first, elsewhere = ada.ask(), bob.ask()
    for node in hospitals(world):
        node.work()
    assert ada.status(first).state is bob.status(elsewhere).state is JobState.SEALING
    world.run()
    third, fourth = ada.ask(), ada.ask()
    for node in hospitals(world):
        node.work()
    assert ada.status(third).state is ada.status(fourth).state is JobState.SEALING
    world.run()
    assert ada.open(third) == ada.open(fourth) == world.truth()


def test_nodes_with_the_rule_free_never_wait(world, ada):
    for node in hospitals(world):
        node.rule = "free"
    first, second = ada.ask(), ada.ask()
    for node in hospitals(world):
        node.work()
    assert ada.status(first).state is ada.status(second).state is JobState.SEALING


def test_under_same_question_other_questions_do_not_wait(world, ada):
    for node in hospitals(world):
        node.rule = "same-question"
    first, same = ada.ask(), ada.ask()
    other = ada.ask(question="SELECT SUM(age) FROM heart")
    for node in hospitals(world):
        node.work()
    assert [ada.status(one).state for one in (first, same, other)] == [
        JobState.SEALING,
        JobState.GATHERING,
        JobState.SEALING,
    ]


def test_statements_that_make_the_roster_impossible_are_asked_for_once_more(world, ada):
    """A node whose statement is old hides a cohort that is fixed: it is asked again, and only once."""
    ash, birch, *others = nodes = hospitals(world)
    asked = ada.ask()
    ash.work()
    cohort = tuple(str(node.name) for node in nodes[:3])
    birch.released = [(ada.name.organisation_id, _past(cohort))]
    for node in (birch, *others):
        node.work()
    assert ada.status(asked).state is JobState.GATHERING
    assert [len(offers(node)) for node in nodes] == [1, 0, 1, 1]
    world.run()
    error = ada.status(asked).error
    assert error.code == "cohort_differs"
    assert world.history(asked) == ["opening", "failure"]


def _past(names):
    from kapok.protocols.secure_sum.cohort import PastRelease

    return PastRelease(
        job_id=b"\x01" * 32,
        round=1,
        attempt=1,
        roster_hash=b"\x02" * 32,
        names=names,
        params_hash=b"\x03" * 32,
    )


def test_a_stale_consent_that_comes_again_counts_again(world, ada):
    ash, *_ = nodes = hospitals(world)
    first, second = ada.ask(), ada.ask()
    for node in nodes:
        node.work()
    token = ash.holders[second.id].consent()
    for _ in range(2):
        for node in nodes:
            node.work((OpenAttempt, Completion))
        world.desk.fold_all()
    assert ada.status(first).state is JobState.SUMMED
    world.desk.consent(ash.name, second.id, token)
    assert not offers(ash)
    world.run()
    assert ada.open(second) == world.truth()
