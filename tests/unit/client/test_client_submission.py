import dataclasses
import hashlib

import pytest

from kapok.client.catalogue import VerifiedDataset
from kapok.client.jobs import JobRecord
from kapok.client.opening import read_specification
from kapok.client.submission import Request, prepare
from kapok.documents.statements import ResultKey
from kapok.errors import CohortTooSmall, InvalidInput, NotAuthorised, NotFound
from kapok.identity.names import Role
from kapok.protocols.secure_sum.analyst import tag_seed_info
from kapok.protocols.secure_sum.params import MOST_MEMBERS
from kapok.protocols.wraps import WrapKey

SQL = "select sex, count(*), avg(age) from heart group by sex"


def request(**changes: object) -> Request:
    base = {"sql": SQL, "seal": "pad", "at_least": None, "parties": None, "deadline_s": 60}
    return Request(**(base | changes))


@pytest.fixture
def make(domain, catalogued):
    def work(
        wanted: Request, dataset: VerifiedDataset = catalogued, organisation: str = "university"
    ) -> JobRecord:
        def no_key() -> tuple[bytes, bytes]:
            raise AssertionError("nobody asked for a key")

        return prepare(
            wanted,
            dataset,
            result_key=no_key,
            analyst=domain.name(Role.ANALYST, organisation),
            signer=domain.signer(Role.ANALYST, organisation),
            now=1_700_000_000.9,
        )

    return work


def test_specification_says_what_was_asked_and_its_hash_is_the_job(domain, catalogued, make):
    record = make(request())
    job_id, specification, signer = read_specification(record.specification, domain.verifier)
    payload = domain.verifier.verify("kapok-job+jws", record.specification).payload
    assert record.job_id == job_id == hashlib.sha256(payload).hexdigest()
    assert signer == domain.name(Role.ANALYST, "university")
    assert specification.analyst == str(signer)
    assert specification.dataset == catalogued.hash
    assert specification.members == tuple(str(member.name) for member in catalogued.members)
    assert (specification.at_least, specification.rounds, specification.seal) == (4, 1, "pad")
    assert specification.deadline == 1_700_000_060
    assert specification.words == 2 * (2 + 3)
    assert specification.result_key is None
    assert record.sql == SQL
    terms = specification.terms(job_id, signer)
    assert len(terms.members) == 4
    assert terms.receiver_key == WrapKey.from_private_bytes(record.receiver_key).public


def test_every_member_and_nobody_else_opens_its_tag_seed(domain, catalogued, make):
    record = make(request())
    _, specification, _ = read_specification(record.specification, domain.verifier)
    assert specification.tag_seeds.keys() == set(specification.members)
    for member in catalogued.members:
        key = domain.tag_keys[member.name.organisation]
        info = tag_seed_info(bytes.fromhex(catalogued.hash), specification.nonce, str(member.name))
        assert key.unwrap(specification.tag_seeds[str(member.name)], info) == record.tag_seed
    assert record.tag_seed.hex() not in record.specification


def test_two_jobs_share_no_secret(domain, make):
    one, two = make(request()), make(request())
    assert one.job_id != two.job_id
    assert one.tag_seed != two.tag_seed
    assert one.receiver_key != two.receiver_key


def test_specification_under_another_analysts_signature_is_not_read(domain, make):
    payload = domain.verifier.verify("kapok-job+jws", make(request()).specification).payload
    twin = domain.signer(Role.ANALYST, "elsewhere").sign("kapok-job+jws", payload)
    with pytest.raises(NotAuthorised) as caught:
        read_specification(twin, domain.verifier)
    assert caught.value.code == "not_the_signer"


def test_result_key_travels_with_seal_paillier_only(domain, catalogued, paillier_key_2048):
    record = prepare(
        request(seal="paillier"),
        catalogued,
        result_key=paillier_key_2048.public.encode,
        analyst=domain.name(Role.ANALYST, "university"),
        signer=domain.signer(Role.ANALYST, "university"),
        now=0.0,
    )
    _, specification, _ = read_specification(record.specification, domain.verifier)
    assert specification.result_key == ResultKey(*paillier_key_2048.public.encode())
    assert specification.seal_in_words == "paillier, key of profile standard"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"seal": "wax"}, "bad_seal"),
        ({"at_least": 2}, "bad_at_least"),
        ({"deadline_s": 0}, "bad_deadline"),
        ({"deadline_s": 10**9}, "bad_deadline"),
    ],
)
def test_requests_that_cannot_be(changes, code):
    with pytest.raises(InvalidInput) as caught:
        request(**changes)
    assert caught.value.code == code
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("SELECT AVG(agee) FROM heart", "unknown_column"),
        ("SELECT MIN(age) FROM heart", "unknown_function"),
        ("SELECT", "bad_sql"),
    ],
)
def test_questions_that_cannot_be_asked(make, sql, code):
    with pytest.raises(InvalidInput) as caught:
        make(request(sql=sql))
    assert caught.value.code == code


def test_more_nodes_than_a_sum_can_have(catalogued, make):
    one = catalogued.members[0]
    many = tuple(
        dataclasses.replace(one, name=dataclasses.replace(one.name, name=f"n{number}"))
        for number in range(MOST_MEMBERS + 1)
    )
    with pytest.raises(InvalidInput) as caught:
        make(request(), dataclasses.replace(catalogued, members=many))
    assert caught.value.code == "too_many_members"
    assert f"{MOST_MEMBERS} nodes at most" in caught.value.remedy


def test_too_few_named_organisations_are_told_whom_else_they_can_ask(catalogued, make):
    with pytest.raises(CohortTooSmall) as caught:
        make(request(parties=("va",)))
    assert caught.value.message == "only 1 organisation other than your own would answer"
    assert caught.value.remedy == (
        "a sum needs 3 or more: ask more parties, of cleveland, hungarian, switzerland (--party)"
    )
    with pytest.raises(CohortTooSmall) as caught:
        make(request(parties=("va", "hungarian", "cleveland"), at_least=4))
    assert caught.value.remedy == "ask for fewer, or ask more parties, of switzerland (--party)"
    with pytest.raises(CohortTooSmall) as caught:
        make(request(), dataclasses.replace(catalogued, members=catalogued.members[:2]))
    assert "a dataset that more have joined" in caught.value.remedy
    with pytest.raises(CohortTooSmall) as caught:
        make(request(parties=("cleveland", "hungarian", "switzerland")), organisation="switzerland")
    assert "ask more parties, of va (--party)" in caught.value.remedy


def test_too_few_organisations(catalogued, make):
    few = dataclasses.replace(catalogued, members=catalogued.members[:2])
    with pytest.raises(CohortTooSmall):
        make(request(), few)
    with pytest.raises(CohortTooSmall):
        make(request(parties=("va", "hungarian")))
    with pytest.raises(CohortTooSmall):
        make(request(at_least=5))
    with pytest.raises(NotFound):
        make(request(parties=("va", "atlantis")))


def test_analysts_own_organisation_does_not_count(catalogued, make):
    three = dataclasses.replace(catalogued, members=catalogued.members[:3])
    assert make(request(), three)
    with pytest.raises(CohortTooSmall, match="other than your own"):
        make(request(), three, "cleveland")
