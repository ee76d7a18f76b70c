"""Refusals: what they end, and that who has released cannot refuse any more."""

import pytest

from kapok.errors import CohortTooSmall, ConsentWithheld, IdentityInvalid, PeerProtocolError
from kapok.wire.messages import Closed, JobState


def hospitals(world):
    return list(world.nodes.values())


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
    world.jobs.fold_all()
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


def test_who_has_refused_cannot_consent_any_more(world, ada):
    ash, *others = hospitals(world)
    asked = ada.ask(at_least=3)
    ash.refuse(asked.id)
    with pytest.raises(PeerProtocolError) as caught:
        ash.consent(asked.id, asked.specification, ada.name)
    assert (caught.value.code, caught.value.party) == ("already_refused", str(ash.name))
    world.run(others)
    assert ada.open(asked) == world.truth(others)


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
        (ash.refusal(asked.id, code=""), "bad_statement"),
        (ash.refusal(asked.id, message="x" * 9000), "bad_statement"),
    ):
        with pytest.raises(PeerProtocolError) as caught:
            world.jobs.refuse(ash.name, asked.id, token)
        assert caught.value.code == code
    with pytest.raises(IdentityInvalid):
        world.jobs.refuse(ash.name, asked.id, ash.joined)
    assert ada.status(asked).state is JobState.GATHERING
