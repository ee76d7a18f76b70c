"""The analyst opens one attempt's sum or nothing, and says who was at fault where that can be told."""

import hashlib
from dataclasses import replace

import pytest
from support.parties import exchange

from kapok.errors import CohortTooSmall, InvalidInput, KapokError, PeerProtocolError, SealBroken
from kapok.protocols.secure_sum.messages import (
    RELEASE_TYP,
    SEAL_TYP,
    ReleaseStatement,
    SealStatement,
    encode,
    read,
)
from kapok.protocols.wraps import WrapKey, wrap


@pytest.fixture(scope="module")
def done():
    job = exchange()
    sealed = job.seal_all()
    return job, sealed, job.release_all(sealed)


def failure(job, sealed, **changes):
    with pytest.raises(KapokError) as error:
        job.open_sum(sealed, **changes)
    return error.value


def reseal(job, sealed, index, **changes):
    """The seal and release of a member that lies about something, with its own valid signatures."""
    statement, _ = read(SealStatement, SEAL_TYP, sealed[index].token, job.authority)
    fields = {name: getattr(statement, name) for name in statement.__struct_fields__}
    return job.identities[index].sign(SEAL_TYP, encode(SealStatement(**fields | changes)))


def reopen(job, sealed, index, release):
    record = sealed[index].record
    statement = ReleaseStatement(
        job=record.job,
        round=1,
        attempt=1,
        roster=record.roster,
        params=record.params,
        name=record.name,
        release=release,
    )
    return job.identities[index].sign(RELEASE_TYP, encode(statement))


def swap(items, index, item):
    return [*items[:index], item, *items[index + 1 :]]


def test_order_does_not_matter(done):
    job, sealed, releases = done
    opened = job.open_sum(
        sealed,
        consents=job.consents()[::-1],
        seals=[one.token for one in sealed][::-1],
        releases=releases[::-1],
    )
    assert opened.words == job.truth()
    assert [report.organisation for report in opened.members] == [
        one.party.organisation for one in job.identities
    ]


def test_sum_may_come_cut_anywhere(done):
    job, sealed, releases = done
    body = b"".join(job.fold_all(sealed))
    for size in (1, 7, len(body)):
        pieces = [body[start : start + size] for start in range(0, len(body), size)]
        assert job.open_sum(sealed, sum_chunks=iter(pieces), releases=releases).words == job.truth()


def test_sum_of_another_length(done):
    job, sealed, releases = done
    chunks = job.fold_all(sealed)
    for bad in ([], chunks[:-1], [*chunks, b"x"], [b"\x00" * 10_000_000]):
        error = failure(job, sealed, sum_chunks=bad, releases=releases)
        assert (type(error), error.code) == (SealBroken, "sum_malformed")


@pytest.mark.parametrize("what", ["seals", "releases"])
def test_missing_or_doubled_statements_are_named(done, what):
    job, sealed, releases = done
    all_of = {"seals": [one.token for one in sealed], "releases": releases}
    error = failure(job, sealed, **all_of | {what: all_of[what][:-1]})
    assert (error.code, error.party) == (f"{what}_missing", job.names[3])
    error = failure(job, sealed, **all_of | {what: [*all_of[what], all_of[what][1]]})
    twice = {"seals": "sealed_twice", "releases": "released_twice"}
    assert (error.code, error.party) == (twice[what], job.names[1])


def test_a_consent_that_is_missing(done):
    job, sealed, releases = done
    assert isinstance(failure(job, sealed, consents=job.consents()[:3], releases=releases), CohortTooSmall)


def test_wrong_private_keys_are_told_before_anything_else(done, paillier_key_2048):
    job, sealed, _ = done
    for changes in ({"receiver_key": WrapKey.generate()}, {"result_key": paillier_key_2048}):
        error = failure(job, sealed, **changes)
        assert (type(error), error.code) == (InvalidInput, "wrong_key")
    encrypted = exchange(result_key=paillier_key_2048)
    assert failure(encrypted, encrypted.seal_all(), result_key=None, releases=[]).code == "wrong_key"


def test_a_member_that_computed_from_other_parameters_is_named(done):
    job, sealed, releases = done
    seals = swap([one.token for one in sealed], 2, reseal(job, sealed, 2, params=bytes(32)))
    error = failure(job, sealed, seals=seals, releases=releases)
    assert (error.code, error.party) == ("wrong_parameters", job.names[2])


def test_a_member_that_sealed_under_another_roster_is_named(done):
    job, sealed, releases = done
    seals = swap([one.token for one in sealed], 2, reseal(job, sealed, 2, roster=bytes(32)))
    error = failure(job, sealed, seals=seals, releases=releases)
    assert (error.code, error.party) == ("wrong_attempt", job.names[2])


def test_a_release_that_does_not_match_its_commitment_is_named(done):
    job, sealed, releases = done
    forged = wrap(job.terms.receiver_key, bytes(32), b"info")
    error = failure(job, sealed, releases=swap(releases, 1, reopen(job, sealed, 1, forged)))
    assert (error.code, error.party) == ("release_differs", job.names[1])


@pytest.mark.parametrize("inside", [b"", bytes(31), bytes(32)])
def test_a_release_that_does_not_open_is_named(done, inside):
    job, sealed, releases = done
    forged = wrap(job.terms.receiver_key, inside, b"some other purpose")
    digest = hashlib.sha256(forged).digest()
    seals = swap([one.token for one in sealed], 1, reseal(job, sealed, 1, release_sha256=digest))
    releases = swap(releases, 1, reopen(job, sealed, 1, forged))
    error = failure(job, sealed, seals=seals, releases=releases)
    assert (type(error), error.code, error.party) == (
        PeerProtocolError,
        "release_does_not_open",
        job.names[1],
    )


def test_a_release_with_a_b_of_another_length_is_named(done):
    from kapok.protocols.secure_sum.sealing import release_info

    job, sealed, releases = done
    forged = wrap(job.terms.receiver_key, bytes(31), release_info(sealed[1].record.context, job.names[1]))
    digest = hashlib.sha256(forged).digest()
    seals = swap([one.token for one in sealed], 1, reseal(job, sealed, 1, release_sha256=digest))
    error = failure(job, sealed, seals=seals, releases=swap(releases, 1, reopen(job, sealed, 1, forged)))
    assert (error.code, error.party) == ("release_does_not_open", job.names[1])


@pytest.mark.parametrize("changes", [{"round": 2}, {"attempt": 2}])
def test_another_attempt_than_the_one_asked_for(done, changes):
    job, sealed, releases = done
    error = failure(job, sealed, terms=replace(job.terms, rounds=2), releases=releases, **changes)
    assert error.code == "wrong_attempt"


def test_a_round_above_the_limit(done):
    job, sealed, releases = done
    assert failure(job, sealed, releases=releases, round=2).code == "wrong_attempt"


def test_wrong_seed_opens_nothing(done):
    job, sealed, releases = done
    error = failure(job, sealed, releases=releases, tag_seed=bytes(32))
    assert (type(error), error.code) == (SealBroken, "tag_differs")


def test_words_do_not_print(done):
    job, sealed, releases = done
    opened = job.open_sum(sealed, releases=releases)
    assert str(opened.words[0]) not in repr(opened).replace(opened.roster_hash.hex(), "")


def test_an_encrypted_sum_that_is_no_ciphertext(paillier_key_2048):
    job = exchange(result_key=paillier_key_2048)
    sealed = job.seal_all()
    length = sum(len(chunk) for chunk in sealed[0].chunks)
    for bad in (bytes(length), b"\xff" * length):
        error = failure(job, sealed, sum_chunks=[bad])
        assert (type(error), error.code) == (SealBroken, "sum_malformed")


def test_a_sum_that_never_ends_is_not_read_to_its_end(done):
    job, sealed, releases = done

    def endless():
        for _ in range(4):
            yield bytes(40)
        raise AssertionError("more was read than the sum can be long")

    error = failure(job, sealed, sum_chunks=endless(), releases=releases)
    assert error.code == "sum_malformed"
