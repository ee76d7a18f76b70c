"""Consents: what makes one count, new keys, and what voids an attempt."""

import pytest

from kapok.broker.settings import Limits
from kapok.errors import LocalProtocolError, NotFound, PeerProtocolError
from kapok.protocols.secure_sum.messages import CONSENT_TYP
from kapok.wire.messages import JobState, OpenAttempt


def hospitals(world):
    return list(world.nodes.values())


def test_consents_are_verified(world, ada):
    ash, birch, *_ = hospitals(world)
    asked, other = ada.ask(), ada.ask()
    ash.work()
    for_asked, for_other = ash.holders[asked.id].consent(), ash.holders[other.id].consent()
    with pytest.raises(PeerProtocolError) as caught:
        world.jobs.consent(birch.name, asked.id, for_asked)
    assert caught.value.code == "not_the_signer"
    with pytest.raises(PeerProtocolError) as caught:
        world.jobs.consent(ash.name, asked.id, for_other)
    assert caught.value.code == "wrong_job"
    with pytest.raises(PeerProtocolError) as caught:
        world.jobs.consent(ash.name, asked.id, ash.signer.sign(CONSENT_TYP, b"{}"))
    assert caught.value.code == "bad_statement"
    assert ada.status(asked).waiting_for == tuple(list(world.nodes)[1:])


def test_only_those_whom_a_job_asks_can_speak_about_it(make_world):
    world = make_world("ash", "birch", "cedar", "dogwood")
    members = tuple(world.nodes)[:3]
    asked = world.publisher.ask(members=members)
    outsider = hospitals(world)[3]
    assert outsider.owed() == []
    for verb in (world.jobs.consent, world.jobs.refuse, world.jobs.release, world.jobs.begin_upload):
        with pytest.raises(NotFound) as caught:
            verb(outsider.name, asked.id, "token")
        assert caught.value.code == "unknown_job"


def test_new_keys_while_gathering_replace_the_old_ones(world, ada):
    ash, *_others = hospitals(world)
    asked = ada.ask()
    ash.work()
    old = ash.holders[asked.id].consent()
    ash.consent(asked.id, asked.specification, ada.name)
    world.jobs.consent(ash.name, asked.id, old)
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
    assert world.reasons(asked) == [("keys_renewed", str(ash.name))]
    world.jobs.consent(ash.name, asked.id, old)
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
