"""Uploads and releases: what is wrong is refused with the party's name, and changes nothing."""

from dataclasses import replace

import pytest

from kapok.errors import IdentityInvalid, InternalError, PeerProtocolError, TimedOut, Unavailable
from kapok.protocols.paillier.pool import ObfuscatorPool
from kapok.protocols.paillier.vector import CiphertextVector
from kapok.protocols.secure_sum.messages import RELEASE_TYP, SEAL_TYP, ReleaseStatement, encode, read
from kapok.wire.messages import Completion, JobState, OpenAttempt


@pytest.fixture
def opened(world, ada):
    """A job whose attempt is open."""
    asked = ada.ask()
    for node in world.nodes.values():
        node.work()
    return asked


@pytest.fixture
def complete(world, opened):
    """A job whose vectors are all in."""
    for node in world.nodes.values():
        node.work()
    return opened


def nodes_of(world):
    return list(world.nodes.values())


def attempt_for(node) -> OpenAttempt:
    return next(one for one in node.owed() if isinstance(one, OpenAttempt))


def completion_for(node) -> Completion:
    return next(one for one in node.owed() if isinstance(one, Completion))


def flipped(chunk: bytes) -> bytes:
    return bytes([chunk[0] ^ 1]) + chunk[1:]


BAD_VECTORS = {
    "bit_flipped": (lambda chunks: (flipped(chunks[0]), *chunks[1:]), "digest_differs"),
    "shorter": (lambda chunks: (chunks[0][:-8], *chunks[1:]), "bad_chunk"),
    "longer": (lambda chunks: (chunks[0] + bytes(8), *chunks[1:]), "bad_chunk"),
    "one_missing": (lambda chunks: chunks[:-1], "bad_chunk"),
    "one_too_many": (lambda chunks: (*chunks, chunks[0]), "bad_chunk"),
    "none": (lambda chunks: (), "bad_chunk"),
    "swapped": (lambda chunks: chunks[::-1], "bad_chunk"),
}


@pytest.mark.parametrize("which", BAD_VECTORS)
def test_a_malformed_vector_is_refused_by_name_and_a_good_one_counts_afterwards(world, ada, opened, which):
    alter, code = BAD_VECTORS[which]
    ash = nodes_of(world)[0]
    sealed = ash.sealed(attempt_for(ash))
    with pytest.raises(PeerProtocolError) as caught:
        world.jobs.seal(ash.name, opened.id, sealed.token, alter(sealed.chunks))
    assert (caught.value.code, caught.value.party) == (code, str(ash.name))
    assert world.stored_chunks() == (0, 0)
    assert ada.status(opened).waiting_for == tuple(world.nodes)
    assert ada.status(opened).bytes_received == 0
    world.run()
    assert ada.open(opened) == world.truth()


def test_a_ciphertext_that_is_not_canonical_is_refused(world, ada, paillier_key_2048):
    asked = ada.ask(result_key=paillier_key_2048.public.encode())
    nodes = nodes_of(world)
    for node in nodes:
        node.work()
    sealed = nodes[0].sealed(attempt_for(nodes[0]))
    for bad in (b"\xff" * 512, bytes(512)):
        with pytest.raises(PeerProtocolError) as caught:
            world.jobs.seal(nodes[0].name, asked.id, sealed.token, (bad + sealed.chunks[0][512:],))
        assert (caught.value.code, caught.value.party) == ("bad_ciphertext", str(nodes[0].name))
    assert world.stored_chunks() == (0, 0)


def test_seal_statements_are_verified(world, opened, ada):
    ash, birch, *_ = nodes_of(world)
    sealed = ash.sealed(attempt_for(ash))
    with pytest.raises(PeerProtocolError) as caught:
        world.jobs.seal(birch.name, opened.id, sealed.token, sealed.chunks)
    assert caught.value.code == "not_the_signer"
    with pytest.raises(IdentityInvalid):
        world.jobs.seal(ash.name, opened.id, ash.joined, sealed.chunks)
    head, payload, signature = sealed.token.split(".")
    with pytest.raises(IdentityInvalid):
        world.jobs.seal(ash.name, opened.id, ".".join((head, payload[:-2] + "AA", signature)), sealed.chunks)


def test_a_node_that_computed_from_other_parameters_is_named(world, ada, opened):
    from kapok.protocols.secure_sum.messages import SealStatement

    ash = nodes_of(world)[0]
    sealed = ash.sealed(attempt_for(ash))
    statement, _ = read(SealStatement, SEAL_TYP, sealed.token, world.verifier)
    import msgspec

    other = ash.signer.sign(SEAL_TYP, encode(msgspec.structs.replace(statement, params=b"\x07" * 32)))
    with pytest.raises(PeerProtocolError) as caught:
        world.jobs.seal(ash.name, opened.id, other, sealed.chunks)
    assert (caught.value.code, caught.value.party) == ("wrong_parameters", str(ash.name))


def test_a_resend_is_recognised_without_reading_it(world, ada, opened):
    ash, *others = nodes_of(world)
    sealed = ash.sealed(attempt_for(ash))
    world.jobs.seal(ash.name, opened.id, sealed.token, sealed.chunks)
    assert world.jobs.begin_upload(ash.name, opened.id, sealed.token) is None
    received = ada.status(opened).bytes_received
    world.jobs.seal(ash.name, opened.id, sealed.token, ())
    assert ada.status(opened).bytes_received == received
    world.run(others)
    assert world.jobs.begin_upload(ash.name, opened.id, sealed.token) is None
    world.run()
    world.jobs.acknowledge(ada.name, opened.id)
    assert world.jobs.begin_upload(ash.name, opened.id, sealed.token) is None


def test_another_vector_replaces_the_first_only_while_the_attempt_is_open(world, ada, opened):
    ash, *others = nodes_of(world)
    first = ash.sealed(attempt_for(ash))
    holder = ash.holders[opened.id]
    holder._sealed.clear()
    second = ash.sealed(attempt_for(ash))
    assert first.token != second.token
    world.jobs.seal(ash.name, opened.id, first.token, first.chunks)
    world.jobs.seal(ash.name, opened.id, second.token, second.chunks)
    assert world.stored_chunks() == (2, 0)
    world.run(others)
    with pytest.raises(PeerProtocolError) as caught:
        world.jobs.seal(ash.name, opened.id, first.token, first.chunks)
    assert caught.value.code == "attempt_complete"
    world.run()
    assert ada.open(opened) == world.truth()


def test_a_vector_of_a_void_attempt_is_refused(world, ada, opened):
    ash, birch, *_ = nodes_of(world)
    sealed = birch.sealed(attempt_for(birch))
    upload = world.jobs.begin_upload(birch.name, opened.id, sealed.token)
    ash.restart()
    ash.work(OpenAttempt)
    with pytest.raises(PeerProtocolError) as caught:
        upload.add(sealed.chunks)
    assert caught.value.code == "attempt_voided"
    with pytest.raises(PeerProtocolError) as caught:
        world.jobs.seal(birch.name, opened.id, sealed.token, sealed.chunks)
    assert caught.value.code == "wrong_attempt"
    world.run()
    assert ada.open(opened) == world.truth()


def test_a_vector_before_any_attempt_or_after_the_end_is_refused(world, ada, opened):
    ash = nodes_of(world)[0]
    sealed = ash.sealed(attempt_for(ash))
    fresh = ada.ask()
    with pytest.raises(PeerProtocolError) as caught:
        world.jobs.seal(ash.name, fresh.id, sealed.token, sealed.chunks)
    assert caught.value.code == "attempt_voided"
    world.jobs.cancel(ada.name, opened.id)
    with pytest.raises(PeerProtocolError) as caught:
        world.jobs.seal(ash.name, opened.id, sealed.token, sealed.chunks)
    assert caught.value.code == "attempt_voided"


def test_a_newer_upload_of_the_same_node_ends_the_older(world, ada, opened):
    ash = nodes_of(world)[0]
    sealed = ash.sealed(attempt_for(ash))
    older = world.jobs.begin_upload(ash.name, opened.id, sealed.token)
    older.add(sealed.chunks[:1])
    newer = world.jobs.begin_upload(ash.name, opened.id, sealed.token)
    newer.add(sealed.chunks[:1])
    with pytest.raises(PeerProtocolError):
        older.add(sealed.chunks[1:])
    newer.finish(sealed.chunks[1:])
    older.abandon(PeerProtocolError("late"))
    world.run()
    assert ada.open(opened) == world.truth()


def test_an_upload_that_is_not_on_disk_leaves_its_number_to_another(world, ada, opened):
    ash, birch, *_ = nodes_of(world)
    of_ash, of_birch = (node.sealed(attempt_for(node)) for node in (ash, birch))
    lost = world.jobs.begin_upload(ash.name, opened.id, of_ash.token)
    kept = world.jobs.begin_upload(birch.name, opened.id, of_birch.token)

    def fail():
        with world.store.group_commit():
            lost.add(of_ash.chunks[:1])
            raise Unavailable("the disk is full")

    with pytest.raises(Unavailable) as caught:
        fail()
    kept.add(of_birch.chunks[:1])
    lost.abandon(caught.value)
    kept.finish(of_birch.chunks[1:])
    world.run()
    assert ada.open(opened) == world.truth()


def test_an_upload_is_abandoned_within_the_commit_in_which_it_began(world, opened):
    ash = nodes_of(world)[0]
    sealed = ash.sealed(attempt_for(ash))
    with world.store.group_commit():
        upload = world.jobs.begin_upload(ash.name, opened.id, sealed.token)
        upload.add(sealed.chunks[:1])
        upload.abandon(TimedOut("it stood still"))
    assert world.stored_chunks() == (0, 0)


def test_an_upload_cut_off_by_a_restart_is_forgotten_and_sent_again(world, ada, opened):
    ash = nodes_of(world)[0]
    sealed = ash.sealed(attempt_for(ash))
    world.jobs.begin_upload(ash.name, opened.id, sealed.token).add(sealed.chunks[:1])
    assert world.stored_chunks() == (1, 0)
    world.restart()
    assert world.stored_chunks() == (0, 0)
    world.run()
    assert ada.open(opened) == world.truth()


def test_chunks_that_turn_bad_in_the_store_fail_the_job_instead_of_hanging_it(world, ada, complete):
    from sqlalchemy import update

    from kapok.broker.store.schema import SealedChunkRow

    with world.store._engine.begin() as connection:
        connection.execute(update(SealedChunkRow).where(SealedChunkRow.number == 0).values(body=b"x"))
    world.jobs.fold_all()
    status = ada.status(complete)
    assert (status.state, type(status.error), status.error.code) == (
        JobState.FAILED,
        InternalError,
        "fold_failed",
    )
    assert world.stored_chunks() == (0, 0)


def test_a_ciphertext_that_shares_a_factor_with_the_key_fails_the_job_by_name(
    world, ada, paillier_key_2048, monkeypatch
):
    """A node and its analyst can make one: it passes alone, and is found in the sum."""
    asked = ada.ask(result_key=paillier_key_2048.public.encode())
    nodes = nodes_of(world)
    for node in nodes:
        node.work()
    multiple = CiphertextVector(
        paillier_key_2048.public.key_id, 1, 1, paillier_key_2048._p.prime.to_bytes(512, "little")
    )
    monkeypatch.setattr(ObfuscatorPool, "encrypt", lambda *_: multiple)
    nodes[2].work()
    monkeypatch.undo()
    world.run()
    error = ada.status(asked).error
    assert (type(error), error.code, error.party) == (
        PeerProtocolError,
        "bad_ciphertext",
        str(nodes[2].name),
    )
    assert world.stored_chunks() == (0, 0)


# Releases


def test_releases_are_verified(world, ada, complete):
    ash, birch, *_ = nodes_of(world)
    token = ash.release_token(completion_for(ash))
    with pytest.raises(PeerProtocolError) as caught:
        world.jobs.release(birch.name, complete.id, token)
    assert caught.value.party in (str(ash.name), str(birch.name))
    record = ash.records[complete.id, 1, 1]
    forged = ReleaseStatement(
        job=record.job,
        round=1,
        attempt=1,
        roster=record.roster,
        params=record.params,
        name=record.name,
        release=flipped(record.release),
    )
    with pytest.raises(PeerProtocolError) as caught:
        world.jobs.release(ash.name, complete.id, ash.signer.sign(RELEASE_TYP, encode(forged)))
    assert (caught.value.code, caught.value.party) == ("release_differs", str(ash.name))
    assert ada.status(complete).waiting_for == tuple(world.nodes)
    world.run()
    assert ada.open(complete) == world.truth()


def test_nothing_is_released_before_all_vectors_are_in(world, ada, opened):
    ash, *_others = nodes_of(world)
    ash.work()
    with pytest.raises(PeerProtocolError) as caught:
        world.jobs.release(ash.name, opened.id, "token")
    assert caught.value.code == "not_complete"
    assert not any(isinstance(one, Completion) for one in ash.owed())


def test_a_release_may_come_again_at_any_later_time(world, ada, complete):
    ash, *others = nodes_of(world)
    completion = completion_for(ash)
    ash.work()
    again = ash.release_token(completion)
    world.jobs.release(ash.name, complete.id, again)
    assert ada.status(complete).waiting_for == tuple(str(node.name) for node in others)
    world.run()
    world.jobs.release(ash.name, complete.id, again)
    world.jobs.acknowledge(ada.name, complete.id)
    world.jobs.release(ash.name, complete.id, again)
    assert ada.status(complete).state is JobState.FINISHED


def test_a_release_after_the_end_is_not_kept(world, ada, complete):
    ash = nodes_of(world)[0]
    token = ash.release_token(completion_for(ash))
    world.jobs.cancel(ada.name, complete.id)
    with pytest.raises(PeerProtocolError) as caught:
        world.jobs.release(ash.name, complete.id, token)
    assert caught.value.code == "job_ended"
    with world.store.snapshot() as tx:
        assert tx.attempts.releases(tx.attempts.latest(complete.id).id) == {}


def test_completion_is_offered_with_every_members_seal(world, complete):
    for node in nodes_of(world):
        completion = completion_for(node)
        assert (completion.job_id, completion.round, completion.attempt) == (complete.id, 1, 1)
        assert set(completion.seals) == {
            other.records[complete.id, 1, 1].seal for other in world.nodes.values()
        }


def test_the_sum_waits_for_the_fold_and_for_the_releases(world, ada, complete):
    for node in nodes_of(world):
        node.work()
    assert ada.status(complete).state is JobState.RELEASING
    world.jobs.fold_all()
    assert ada.status(complete).state is JobState.SUMMED


def test_evidence_is_that_of_the_attempt_that_was_summed(world, ada, opened):
    ash = nodes_of(world)[0]
    ash.restart()
    world.run()
    evidence, chunks = world.jobs.evidence(ada.name, opened.id)
    assert (evidence.round, evidence.attempt, chunks) == (1, 2, 2)
    assert [len(tokens) for tokens in (evidence.consents, evidence.seals, evidence.releases)] == [4, 4, 4]
    assert ash.holders[opened.id].consent() in evidence.consents
    assert replace(evidence, seals=()) != evidence
