"""What the broker turns away at once, and that it says why."""

from dataclasses import replace

import msgspec
import pytest

from kapok.broker.settings import Limits
from kapok.documents.statements import JOB_TYP, ResultKey
from kapok.errors import (
    CohortTooSmall,
    IdentityInvalid,
    InvalidInput,
    KapokError,
    NotAuthorised,
    NotFound,
    PeerProtocolError,
    Unavailable,
)
from kapok.protocols.secure_sum.params import MOST_MEMBERS
from kapok.wire.messages import JobState

FOREIGN = "spiffe://kapok.test/org/elm/node/node"

BAD_SPECIFICATIONS = {
    "analyst": (
        {"analyst": "spiffe://kapok.test/org/university/analyst/eve"},
        NotAuthorised,
        "not_the_signer",
    ),
    "suite": ({"suite": "kapok-sum-9"}, InvalidInput, "unknown_suite"),
    "computation": ({"computation": "Query!"}, InvalidInput, "bad_specification"),
    "question": ({"question": "x" * 65_537}, InvalidInput, "question_too_long"),
    "rounds": ({"rounds": 1001}, InvalidInput, "too_many_rounds"),
    "no_rounds": ({"rounds": 0}, InvalidInput, "bad_terms"),
    "nonce": ({"nonce": b"short"}, InvalidInput, "bad_specification"),
    "dataset": ({"dataset": "0" * 64}, NotFound, "unknown_dataset"),
    "dataset_no_hash": ({"dataset": "heart"}, InvalidInput, "bad_specification"),
    "deadline_past": ({"deadline": 1_800_000_000}, InvalidInput, "bad_deadline"),
    "deadline_far": ({"deadline": 1_800_000_000 + 31 * 86_400}, InvalidInput, "bad_deadline"),
    "tag_seeds": ({"tag_seeds": {}}, InvalidInput, "bad_specification"),
    "word_bits": ({"word_bits": 63}, InvalidInput, "bad_terms"),
    "words": ({"words": 0}, InvalidInput, "bad_terms"),
    "too_large": ({"words": 2**24 + 1}, InvalidInput, "vector_too_large"),
    "receiver_key": ({"receiver_key": b"short"}, InvalidInput, "bad_terms"),
    "at_least_too_many": ({"at_least": 5}, InvalidInput, "bad_terms"),
    "at_least_too_few": ({"at_least": 2}, CohortTooSmall, "too_few_organisations"),
    "seal_without_key": ({"seal": "paillier"}, InvalidInput, "bad_terms"),
}


@pytest.mark.parametrize("which", BAD_SPECIFICATIONS)
def test_a_bad_specification_is_refused_and_leaves_nothing(world, ada, which):
    changes, kind, code = BAD_SPECIFICATIONS[which]
    asked = ada.prepare(**changes)
    with pytest.raises(kind) as caught:
        world.jobs.submit(ada.name, asked.token)
    assert (type(caught.value), caught.value.code) == (kind, code)
    assert world.jobs.jobs(world.jobs.listed(ada.name)) == []
    assert all(node.owed() == [] for node in world.nodes.values())


def test_members_must_be_sorted_and_different(world, ada):
    members = tuple(world.nodes)
    for wrong in (members[::-1], (*members, members[-1])):
        with pytest.raises(InvalidInput) as caught:
            ada.ask(members=wrong)
        assert caught.value.code == "bad_specification"


def test_a_sum_has_a_bounded_number_of_members(world, ada):
    many = tuple(f"spiffe://kapok.test/org/org{number:03}/node/node" for number in range(MOST_MEMBERS + 1))
    for members, code in ((many, "bad_terms"), (many[:-1], "not_joined")):
        with pytest.raises(KapokError) as caught:
            ada.ask(members=members)
        assert caught.value.code == code


def test_a_member_that_has_not_joined_is_named(world, ada):
    members = tuple(sorted((*world.nodes, FOREIGN), key=str.encode))
    with pytest.raises(NotFound, match="elm") as caught:
        ada.ask(members=members)
    assert (caught.value.code, caught.value.party) == ("not_joined", FOREIGN)


def test_a_member_that_is_no_node_is_refused(world, ada):
    analyst = "spiffe://kapok.test/org/elm/analyst/eve"
    with pytest.raises(InvalidInput, match="no node"):
        ada.ask(members=tuple(sorted((*world.nodes, analyst), key=str.encode)))


def test_two_organisations_and_the_analysts_own_are_too_few(make_world):
    world = make_world("ash", "birch", "university")
    with pytest.raises(CohortTooSmall) as caught:
        world.publisher.ask()
    assert caught.value.code == "too_few_organisations"
    assert caught.value.clause == "specification.members"


def test_a_bad_result_key_is_refused(world, ada):
    with pytest.raises(InvalidInput) as caught:
        ada.ask(seal="paillier", result_key=(b"\x01" * 256, b"\x02" * 1280, "standard"))
    assert caught.value.code == "bad_result_key"


def test_only_the_signer_can_submit(world, ada):
    from_bob = world.domain.credentials("university", "analyst", "bob").name
    with pytest.raises(NotAuthorised) as caught:
        world.jobs.submit(from_bob, ada.prepare().token)
    assert caught.value.code == "not_the_signer"


def test_a_node_cannot_submit(world, ada):
    node = next(iter(world.nodes.values()))
    payload = msgspec.json.encode(ada.prepare().specification)
    with pytest.raises(NotAuthorised) as caught:
        world.jobs.submit(node.name, node.signer.sign(JOB_TYP, payload))
    assert caught.value.code == "wrong_role"


def test_a_tampered_specification_is_refused(world, ada):
    head, payload, signature = ada.prepare().token.split(".")
    tampered = ".".join((head, payload[:-4] + "AAAA", signature))
    with pytest.raises(IdentityInvalid):
        world.jobs.submit(ada.name, tampered)


def test_a_payload_that_is_no_specification_is_refused(world, ada):
    with pytest.raises(PeerProtocolError) as caught:
        world.jobs.submit(ada.name, ada.signer.sign(JOB_TYP, b'{"suite":1}'))
    assert caught.value.code == "bad_statement"


def test_the_same_specification_signed_anew_is_the_same_job(world, ada):
    asked = ada.ask()
    again = ada.signer.sign(JOB_TYP, msgspec.json.encode(asked.specification))
    assert again != asked.token
    world.run()
    world.clock.now += 10_000
    assert world.jobs.submit(ada.name, again) == asked.id
    assert ada.status(asked).state is JobState.SUMMED


def test_anothers_specification_cannot_be_taken_over(world, ada, another):
    asked = ada.ask()
    eve = another("university", "eve")
    copy = eve.signer.sign(JOB_TYP, msgspec.json.encode(asked.specification))
    with pytest.raises(InvalidInput) as caught:
        world.jobs.submit(eve.name, copy)
    assert caught.value.code == "duplicate_job"
    assert ada.status(asked).state is JobState.GATHERING


def test_an_organisation_has_only_so_many_open_jobs(make_world, another):
    world = make_world(limits=Limits(open_jobs_max=2))
    ada = world.publisher
    first, _second = ada.ask(), ada.ask()
    with pytest.raises(Unavailable) as caught:
        ada.ask()
    assert (caught.value.code, caught.value.retryable) == ("too_many_jobs", True)
    another("elsewhere", "bob", world).ask()
    world.jobs.cancel(ada.name, first.id)
    ada.ask()


def test_terms_are_read_from_the_specification(world, ada, paillier_key_2048):
    key = paillier_key_2048.public.encode()
    asked = ada.ask(result_key=key)
    with world.store.snapshot() as tx:
        admitted = world.context.admitted(tx, tx.jobs.get(asked.id))
    assert admitted.terms == asked.terms
    assert admitted.specification.result_key == ResultKey(*key)
    assert admitted.needs_everyone
    assert not replace(admitted, terms=replace(admitted.terms, at_least=3)).needs_everyone
