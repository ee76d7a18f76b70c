"""Parameters of several rounds: they reach the roster and nobody else, and are what the analyst signed."""

import pickle
from dataclasses import replace

import pytest
from support.parties import ANALYST_ORGANISATION, again, exchange

from kapok.errors import InvalidInput, LocalProtocolError, PeerProtocolError
from kapok.protocols.secure_sum.messages import PARAMETERS_TYP, ParametersStatement, encode
from kapok.protocols.secure_sum.roster import read_roster
from kapok.protocols.secure_sum.round_parameters import (
    JobKey,
    Parameters,
    SealedParameters,
    seal_parameters,
)
from kapok.protocols.words import WordVector

MODEL = b"coefficients of round 1"
SEED = b"\x05" * 32


@pytest.fixture
def job():
    return exchange(rounds=3)


@pytest.fixture
def analyst(job):
    return job.authority.enrol("ann", ANALYST_ORGANISATION)


def sealed_for(job, analyst, *, number=1, parameters=None, key=None, terms=None):
    key = key or JobKey(read_roster(job.terms, job.consents(), job.authority))
    return seal_parameters(
        terms or job.terms,
        key,
        round=number,
        parameters=parameters or Parameters(MODEL, SEED),
        name=analyst.party.name,
        signer=analyst,
    )


def opened(job, analyst, sealed, *, index=1, number=1):
    return job.holders[index].parameters(
        round=number, consents=job.consents(), sealed=sealed, analyst=analyst.party.name
    )


def test_every_holder_reads_the_same(job, analyst):
    sealed = sealed_for(job, analyst)
    found = [opened(job, analyst, sealed, index=index) for index in range(4)]
    assert {one.plaintext for one in found} == {MODEL}
    assert {one.tag_seed for one in found} == {SEED}
    assert {one.hash for one in found} == {Parameters(MODEL, SEED).hash}


def test_a_job_of_three_rounds(job, analyst):
    key = JobKey(read_roster(job.terms, job.consents(), job.authority))
    for number in (1, 2, 3):
        parameters = Parameters(b"model %d" % number, bytes([number]) * 32)
        token = sealed_for(job, analyst, number=number, parameters=parameters, key=key)
        sealed = []
        for index, holder in enumerate(job.holders):
            mine = opened(job, analyst, token, index=index, number=number)
            attempt = holder.open(round=number, attempt=1, consents=job.consents(), params_hash=mine.hash)
            words = WordVector.from_integers([value * number for value in job.contributions[index]], 64)
            sealed.append(holder.seal(attempt, words, tag_seed=mine.tag_seed, data_version="v1"))
        opened_sum = job.open_sum(
            sealed, round=number, params_hash=parameters.hash, tag_seed=parameters.tag_seed
        )
        assert opened_sum.words == [value * number for value in job.truth()]


def test_the_ciphertext_shows_nothing_and_the_hash_confirms_no_guess(job, analyst):
    sealed = sealed_for(job, analyst)
    assert MODEL not in sealed.ciphertext
    assert SEED not in sealed.ciphertext
    assert Parameters(MODEL, SEED).hash != Parameters(MODEL, b"\x06" * 32).hash


def test_a_stored_key_goes_on_after_a_restart(job, analyst):
    roster = read_roster(job.terms, job.consents(), job.authority)
    first = JobKey(roster)
    second = JobKey(roster, secret=first.private_bytes())
    assert opened(job, analyst, sealed_for(job, analyst, key=second)).plaintext == MODEL


@pytest.mark.parametrize("number", [0, 4])
def test_a_round_above_the_limit_is_refused_by_both(job, analyst, number):
    with pytest.raises(LocalProtocolError, match="limit"):
        sealed_for(job, analyst, number=number)
    generous = sealed_for(job, analyst, number=max(number, 1), terms=replace(job.terms, rounds=10))
    with pytest.raises(PeerProtocolError) as error:
        opened(job, analyst, generous, number=number)
    assert error.value.code == "bad_round"


def test_another_rounds_parameters_are_refused(job, analyst):
    with pytest.raises(PeerProtocolError) as error:
        opened(job, analyst, sealed_for(job, analyst, number=2), number=1)
    assert error.value.code == "wrong_round"


def test_parameters_signed_by_somebody_else_are_refused(job, analyst):
    mallory = job.authority.enrol("mallory", ANALYST_ORGANISATION)
    with pytest.raises(PeerProtocolError) as error:
        opened(job, analyst, sealed_for(job, mallory))
    assert error.value.code == "not_the_analyst"
    assert error.value.party == mallory.party.name


def test_parameters_for_another_roster_are_refused(job, analyst):
    sealed = sealed_for(job, analyst)
    job.holders[3] = job.holder(job.identities[3])
    with pytest.raises(PeerProtocolError) as error:
        opened(job, analyst, sealed)
    assert error.value.code == "wrong_round"


def test_the_roster_of_another_job_is_refused(job, analyst):
    other = again(job)
    with pytest.raises(LocalProtocolError):
        sealed_for(job, analyst, key=JobKey(read_roster(other.terms, other.consents(), other.authority)))


@pytest.mark.parametrize("place", [0, 12, 40, -1])
def test_an_altered_ciphertext_is_refused(job, analyst, place):
    sealed = sealed_for(job, analyst)
    altered = bytearray(sealed.ciphertext)
    altered[place] ^= 1
    with pytest.raises(PeerProtocolError) as error:
        opened(job, analyst, replace(sealed, ciphertext=bytes(altered)))
    assert error.value.code == "bad_parameters"


@pytest.mark.parametrize("length", [0, 11, 12, 59])
def test_a_short_ciphertext_is_refused(job, analyst, length):
    sealed = sealed_for(job, analyst)
    with pytest.raises(PeerProtocolError) as error:
        opened(job, analyst, replace(sealed, ciphertext=sealed.ciphertext[:length]))
    assert error.value.code == "bad_parameters"


def test_a_hash_that_is_not_that_of_the_plaintext_is_refused(job, analyst):
    """What a holder computes from is what is hashed, whatever the statement says it should be."""
    roster = read_roster(job.terms, job.consents(), job.authority)
    key = JobKey(roster)
    claimed = Parameters(b"other coefficients", SEED).hash
    statement = ParametersStatement(
        job=job.terms.job_id,
        round=1,
        roster=roster.hash,
        params=claimed,
        name=analyst.party.name,
        wraps=key.wraps,
    )
    ciphertext = bytes(12) + key.cipher(1).encrypt(bytes(12), SEED + MODEL, claimed)
    sealed = SealedParameters(analyst.sign(PARAMETERS_TYP, encode(statement)), ciphertext)
    with pytest.raises(PeerProtocolError, match="not what was signed"):
        opened(job, analyst, sealed)


def test_too_few_wraps_are_refused(job, analyst):
    key = JobKey(read_roster(job.terms, job.consents(), job.authority))
    key.wraps = key.wraps[:-1]
    with pytest.raises(PeerProtocolError, match="wraps"):
        opened(job, analyst, sealed_for(job, analyst, key=key))


def test_a_wrap_key_that_cannot_be_used_names_its_member(job):
    roster = read_roster(job.terms, job.consents(), job.authority)
    broken = replace(roster.members[2], wrap_key=b"\xff" * 1184 + bytes(32))
    with pytest.raises(PeerProtocolError) as error:
        JobKey(replace(roster, members=(*roster.members[:2], broken, *roster.members[3:])))
    assert (error.value.code, error.value.party) == ("bad_wrap_key", broken.name)


def test_a_seed_of_another_length_is_refused():
    with pytest.raises(InvalidInput):
        Parameters(MODEL, b"short")


def test_secrets_do_not_print_and_are_not_pickled(job):
    key = JobKey(read_roster(job.terms, job.consents(), job.authority))
    parameters = Parameters(MODEL, SEED)
    assert "coefficients" not in repr(parameters)
    assert key.private_bytes().hex() not in repr(key)
    for secret in (key, parameters):
        with pytest.raises(TypeError):
            pickle.dumps(secret)
