"""The one-round path from consent to opened sum, both seals, every message through its signed text."""

import pytest
from support.parties import exchange

from kapok.protocols.secure_sum import aggregator, vector
from kapok.protocols.secure_sum.records import ReleaseRecord


@pytest.fixture(params=["pad", "paillier"])
def result_key(request, paillier_key_2048):
    return paillier_key_2048 if request.param == "paillier" else None


@pytest.mark.parametrize("word_bits", [16, 24, 64, 104, 192])
def test_sum_is_exact(result_key, word_bits):
    most = 2 ** (word_bits - 3)
    job = exchange(
        [[most - 1, -most, 0], [-1, -1, 5], [most, -most, 0], [0, 7, -5]],
        result_key=result_key,
        word_bits=word_bits,
    )
    opened = job.open_sum(job.seal_all())
    assert opened.words == job.truth()
    assert opened.cohort == tuple(job.names)
    assert [report.data_version for report in opened.members] == ["v1"] * 4


def test_vector_of_several_chunks(result_key, monkeypatch):
    monkeypatch.setattr(vector, "MOST_CHUNK_BYTES", 1024)
    words = 300
    job = exchange(
        [[number * party - 99 for number in range(words)] for party in range(3)], result_key=result_key
    )
    sealed = job.seal_all()
    lengths = aggregator.chunk_lengths(job.terms, 3)
    assert [len(chunk) for chunk in sealed[0].chunks] == list(lengths)
    assert sum(lengths) == aggregator.vector_bytes(job.terms, 3)
    assert len(lengths) > 2
    assert max(lengths) == aggregator.chunk_bytes(job.terms) == 1024
    assert job.open_sum(sealed).words == job.truth()


def test_every_step_of_the_aggregator_accepts_an_honest_exchange(result_key):
    job = exchange(result_key=result_key)
    roster = aggregator.open_roster(job.terms, job.consents(), job.authority)
    sealed = job.seal_all()
    releases = job.release_all(sealed)
    for one, token in zip(sealed, releases, strict=True):
        statement = aggregator.check_seal(
            job.terms, roster, 1, 1, one.token, job.authority, params_hash=job.params_hash
        )
        aggregator.check_chunks(job.terms, one.chunks, party=statement.name)
        found = aggregator.check_release(job.terms, roster, 1, 1, statement, token, job.authority)
        assert found.release == one.record.release


def test_release_works_from_the_journal_alone():
    job = exchange()
    sealed = job.seal_all()
    for one in sealed:
        again = ReleaseRecord.from_json(one.record.to_json())
        assert again == one.record
    assert job.open_sum(sealed).words == job.truth()
