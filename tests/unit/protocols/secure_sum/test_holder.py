"""The holder's verbs: what it refuses, what it repeats, what it never shows."""

import copy
import pickle
import threading
from dataclasses import replace

import pytest
from support.parties import exchange

from kapok.errors import CohortTooSmall, InvalidInput, KapokError, LocalProtocolError, PeerProtocolError
from kapok.protocols.paillier import tables, vectorised
from kapok.protocols.secure_sum import holder as module
from kapok.protocols.secure_sum import vector
from kapok.protocols.secure_sum.cohort import CohortStatement
from kapok.protocols.secure_sum.holder import release
from kapok.protocols.secure_sum.params import RosterRules
from kapok.protocols.secure_sum.records import ReleaseRecord
from kapok.protocols.words import WordVector


@pytest.fixture
def job():
    return exchange(rounds=2)


def seal(holder, attempt, values=(1, 2, 3), **changes):
    given = {"tag_seed": bytes(32), "data_version": "v1"} | changes
    return holder.seal(attempt, WordVector.from_integers(values, 64), **given)


def test_consent_is_one_text(job):
    assert job.holders[0].consent() == job.holders[0].consent()
    assert job.holders[0].consent() != job.holders[1].consent()


def test_open_refuses_a_roster_without_this_node():
    job = exchange(at_least=3)
    with pytest.raises(PeerProtocolError) as error:
        job.open(3, job.consents([0, 1, 2]))
    assert error.value.code == "not_in_roster"


def test_open_tells_that_its_keys_are_lost(job):
    before = job.consents()
    job.holders[1] = job.holder(job.identities[1])
    with pytest.raises(LocalProtocolError) as error:
        job.open(1, before)
    assert error.value.code == "keys_lost"
    job.open(1, job.consents())


def test_open_asks_the_policy(job):
    strict = job.holders[0] = job.holder(job.identities[0], rules=RosterRules(min_parties=5))
    with pytest.raises(CohortTooSmall):
        job.open(0, job.consents())
    assert strict.consent()


def test_open_asks_the_cohort_rule(job):
    job.holders[0] = job.holder(job.identities[0], cohort=CohortStatement("fixed", (("x", "y", "z"),)))
    for index in (0, 1):
        with pytest.raises(CohortTooSmall):
            job.open(index, job.consents())


@pytest.mark.parametrize("number", [0, 3, -1])
def test_open_refuses_a_round_out_of_the_terms(job, number):
    with pytest.raises(PeerProtocolError) as error:
        job.open(0, job.consents(), round=number)
    assert error.value.code == "bad_round"


@pytest.mark.parametrize("attempt", [0, 65_536])
def test_open_refuses_an_attempt_out_of_bounds(job, attempt):
    with pytest.raises(InvalidInput):
        job.open(0, job.consents(), attempt=attempt)


def test_a_refused_roster_changes_nothing(job):
    with pytest.raises(KapokError):
        job.open(0, job.consents([0, 1, 2]))
    assert job.open_sum(job.seal_all()).words == job.truth()


def test_sealing_again_returns_the_stored_result_whatever_is_given(job):
    attempt = job.open(0, job.consents())
    first = seal(job.holders[0], attempt)
    assert seal(job.holders[0], attempt, (9, 9, 9)) is first
    assert seal(job.holders[0], job.open(0, job.consents()), tag_seed=b"x" * 32) is first


def test_sealing_the_same_number_for_other_parameters_is_refused(job):
    consents = job.consents()
    seal(job.holders[0], job.open(0, consents))
    changed = job.holders[0].open(round=1, attempt=1, consents=consents, params_hash=bytes(32))
    with pytest.raises(PeerProtocolError) as error:
        seal(job.holders[0], changed)
    assert error.value.code == "attempt_changed"


def test_a_new_attempt_has_nothing_in_common_with_the_old(job):
    consents = job.consents()
    first = seal(job.holders[0], job.open(0, consents))
    second = seal(job.holders[0], job.open(0, consents, attempt=2))
    assert first.chunks != second.chunks
    assert first.record.release != second.record.release


def test_an_older_vector_is_not_kept(job):
    consents = job.consents()
    first = job.open(0, consents)
    seal(job.holders[0], first)
    seal(job.holders[0], job.open(0, consents, attempt=2))
    with pytest.raises(LocalProtocolError) as error:
        seal(job.holders[0], first)
    assert error.value.code == "seal_gone"


def test_an_older_attempt_is_never_sealed_after_a_later_one(job):
    consents = job.consents()
    seal(job.holders[0], job.open(0, consents, round=2))
    for number, attempt in ((1, 1), (1, 9)):
        with pytest.raises(LocalProtocolError) as error:
            seal(job.holders[0], job.open(0, consents, round=number, attempt=attempt))
        assert error.value.code == "seal_gone"
    seal(job.holders[0], job.open(0, consents, round=2, attempt=2))


def test_threads_that_seal_at_once_get_one_vector(job):
    attempt = job.open(0, job.consents())
    found = []
    threads = [
        threading.Thread(target=lambda value=value: found.append(seal(job.holders[0], attempt, [value] * 3)))
        for value in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(one) for one in found}) == 1
    assert len(found) == 8


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (WordVector.from_integers([1, 2], 64), "bad_contribution"),
        (WordVector.from_integers([1, 2, 3], 72), "bad_contribution"),
    ],
)
def test_a_contribution_of_another_shape_is_refused(job, words, code):
    attempt = job.open(0, job.consents())
    with pytest.raises(LocalProtocolError) as error:
        job.holders[0].seal(attempt, words, tag_seed=bytes(32), data_version="v")
    assert error.value.code == code
    seal(job.holders[0], attempt)


def test_an_attempt_of_other_keys_is_refused(job):
    attempt = job.open(0, job.consents())
    with pytest.raises(LocalProtocolError) as error:
        seal(job.holder(job.identities[0]), attempt)
    assert error.value.code == "keys_lost"


def test_an_attempt_whose_roster_was_replaced_is_refused(job):
    attempt = job.open(0, job.consents())
    job.holders[3] = job.holder(job.identities[3])
    other = job.open(0, job.consents())
    with pytest.raises(LocalProtocolError):
        seal(job.holders[0], replace(attempt, roster=other.roster))


def test_a_member_with_a_mask_key_of_small_order_is_named(job):
    attempt = job.open(0, job.consents())
    broken = replace(attempt.roster.members[2], mask_key=bytes(32))
    members = (*attempt.roster.members[:2], broken, attempt.roster.members[3])
    roster = replace(attempt.roster, members=members)
    context = replace(attempt.context, roster_hash=roster.hash)
    with pytest.raises(PeerProtocolError) as error:
        seal(job.holders[0], replace(attempt, roster=roster, context=context))
    assert (error.value.code, error.value.party) == ("bad_mask_key", job.names[2])


def test_a_node_that_the_specification_does_not_name_makes_no_holder(job):
    stranger = job.authority.enrol("stranger", "spiffe://kapok.test/org/x")
    with pytest.raises(LocalProtocolError) as error:
        job.holder(stranger)
    assert error.value.code == "not_a_member"


def test_a_receiver_key_that_cannot_be_used_is_refused_at_once(job):
    with pytest.raises(InvalidInput) as error:
        job.holder(job.identities[0], terms=replace(job.terms, receiver_key=b"\xff" * 1216))
    assert error.value.code == "bad_wrap_key"


def test_what_sealing_takes_is_made_ahead(job, paillier_key_2048, monkeypatch):
    monkeypatch.setattr(tables, "_kept", type(tables._kept)())
    job.holders[0].prepare()
    assert not tables._kept
    sealed_with = exchange(result_key=paillier_key_2048)
    holder = sealed_with.holders[0]
    holder.prepare()
    assert [name for name, _ in tables._kept] == [paillier_key_2048.public.key_id]
    ciphertexts = vector.layout(sealed_with.terms, 3).plaintexts
    assert len(holder._pool) == ciphertexts
    monkeypatch.setattr(vectorised, "encrypt", None)
    sealed = sealed_with.seal(0, sealed_with.open(0, sealed_with.consents()))
    assert sum(map(len, sealed.chunks)) == ciphertexts * 512
    assert len(holder._pool) == 0


def test_what_is_made_ahead_is_bounded_and_ends_when_sealing_begins(paillier_key_2048, monkeypatch):
    monkeypatch.setattr(module, "MOST_AHEAD", 2)
    holder = exchange([range(200)] * 3, result_key=paillier_key_2048).holders[0]
    with holder._sealing:
        holder.prepare()
    assert len(holder._pool) == 0
    holder.prepare()
    assert len(holder._pool) == 2


def test_a_result_key_that_cannot_be_used_is_refused_at_once(job, paillier_key_2048):
    sealed_with = exchange(result_key=paillier_key_2048)
    key = sealed_with.terms.result_key
    with pytest.raises(InvalidInput) as error:
        sealed_with.holder(
            sealed_with.identities[0],
            terms=replace(sealed_with.terms, result_key=key._replace(n=key.n[:-1] + b"\x00")),
        )
    assert error.value.code == "bad_result_key"


def released(job, sealed, seals, index=0):
    return release(sealed[index].record, seals, signer=job.identities[index], verifier=job.authority)


def test_release_needs_every_members_seal_once(job):
    sealed = job.seal_all()
    tokens = [one.token for one in sealed]
    released(job, sealed, tokens[::-1])
    for seals, code in (
        (tokens[1:], "seals_missing"),
        ([], "seals_missing"),
        ([*tokens, tokens[1]], "sealed_twice"),
    ):
        with pytest.raises(PeerProtocolError) as error:
            released(job, sealed, seals)
        assert error.value.code == code


def test_release_names_who_sealed_another_attempt(job):
    sealed = job.seal_all()
    tokens = [one.token for one in sealed]
    other = job.seal(2, job.open(2, job.consents(), attempt=2))
    with pytest.raises(PeerProtocolError) as error:
        released(job, sealed, [*tokens[:2], other.token, tokens[3]])
    assert (error.value.code, error.value.party) == ("wrong_attempt", job.names[2])


def test_release_names_who_is_not_in_the_roster():
    job = exchange(at_least=3)
    sealed = job.seal_all([0, 1, 2])
    whole = job.seal(3, job.open(3, job.consents()))
    with pytest.raises(PeerProtocolError) as error:
        released(job, sealed, [*(one.token for one in sealed), whole.token])
    assert (error.value.code, error.value.party) == ("not_in_roster", job.names[3])


def test_release_notices_that_its_own_vector_was_replaced(job):
    consents = job.consents()
    attempt = job.open(0, consents)
    first = seal(job.holders[0], attempt)
    record = ReleaseRecord.from_json(first.record.to_json())
    forged = replace_record(record, vector_sha256=bytes(32))
    others = [job.seal(index, job.open(index, consents)) for index in (1, 2, 3)]
    with pytest.raises(PeerProtocolError) as error:
        release(
            forged,
            [first.token, *(one.token for one in others)],
            signer=job.identities[0],
            verifier=job.authority,
        )
    assert error.value.code == "vector_replaced"


def replace_record(record, **changes):
    fields = {name: getattr(record, name) for name in record.__struct_fields__}
    return ReleaseRecord(**fields | changes)


def test_a_record_that_cannot_be_read():
    with pytest.raises(LocalProtocolError) as error:
        ReleaseRecord.from_json(b"{}")
    assert error.value.code == "bad_release_record"


def test_nothing_secret_prints_or_is_pickled(job):
    sealed = job.seal_all()[0]
    shown = repr(job.holders[0]) + repr(sealed) + repr(sealed.record)
    assert sealed.record.release.hex() not in shown
    assert repr(sealed.record.release) not in shown
    assert repr(sealed.chunks[0]) not in shown
    with pytest.raises(TypeError):
        pickle.dumps(sealed.record)
    for secret in (job.holders[0], sealed):
        for action in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError):
                action(secret)


def test_the_record_has_no_b(job, monkeypatch):
    marker = b"this is the secret b: 32 bytes!!"
    monkeypatch.setattr("kapok.protocols.secure_sum.holder.secrets.token_bytes", lambda _length: marker)
    text = job.seal_all()[0].record.to_json()
    import base64

    assert marker not in text
    assert base64.b64encode(marker) not in text
    assert marker.hex().encode() not in text
