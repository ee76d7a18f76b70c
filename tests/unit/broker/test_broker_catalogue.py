"""Datasets and memberships."""

import msgspec
import pytest

from kapok.broker.settings import Limits
from kapok.documents.dataset import DATASET_TYP, Column, Dataset
from kapok.documents.envelope import JwsSigner
from kapok.documents.statements import MEMBERSHIP_TYP
from kapok.errors import (
    BudgetExhausted,
    IdentityInvalid,
    InvalidInput,
    NotAuthorised,
    NotFound,
    PeerProtocolError,
)
from kapok.identity.credentials import Credentials
from kapok.identity.issuing import issue
from kapok.identity.keyfiles import generate_key

_DAY = 86400


def dataset(name="lungs"):
    columns = (Column(name="age", type="integer", minimum=0, maximum=120),)
    return Dataset(name=name, columns=columns, rows_max=10)


def test_the_first_publisher_of_a_document_stays_its_publisher(world, ada, another):
    bob = another("elsewhere", "bob")
    payload = dataset().to_payload()
    first, second = (one.signer.sign(DATASET_TYP, payload) for one in (ada, bob))
    published = world.catalogue.publish(ada.name, first)
    assert world.catalogue.publish(bob.name, second) == published
    assert world.catalogue.dataset(published).document == first
    assert [world.catalogue.dataset(one).document for one in world.catalogue.hashes("lungs")] == [first]
    assert len(world.catalogue.hashes(None)) == 2
    assert world.catalogue.hashes("kidneys") == []


def renewed(world, party) -> JwsSigner:
    """The same party with a new key and certificate, made by the world's clock."""
    key, domain, now = generate_key(), world.domain, world.clock()
    certificate = issue(domain.key, domain.root.certificate, key.public_key(), party.name, now=now)
    return JwsSigner(Credentials(key, certificate, domain.root, now))


def test_publishing_again_replaces_the_signature_before_the_first_one_expires(world, ada):
    payload = dataset().to_payload()
    published = world.catalogue.publish(ada.name, ada.signer.sign(DATASET_TYP, payload))
    world.clock.now += 300 * _DAY
    newer = renewed(world, ada).sign(DATASET_TYP, payload)
    assert world.catalogue.publish(ada.name, newer) == published
    world.restart()
    assert world.catalogue.dataset(published).document == newer
    world.clock.now += 100 * _DAY  # the first certificate has expired by now
    world.verifier.verify(DATASET_TYP, world.catalogue.dataset(published).document)
    assert len(world.catalogue.hashes("lungs")) == 1


def test_another_party_may_publish_what_no_valid_signature_holds_any_more(make_world, another):
    world = make_world(limits=Limits(datasets_max=1))
    bob = another("elsewhere", "bob", world)
    (kept,) = map(world.catalogue.dataset, world.catalogue.hashes("heart"))
    payload = world.verifier.verify(DATASET_TYP, kept.document).payload
    world.clock.now += 400 * _DAY
    token = renewed(world, bob).sign(DATASET_TYP, payload)
    assert world.catalogue.publish(bob.name, token) == world.dataset_hash
    assert world.catalogue.dataset(world.dataset_hash).document == token
    with pytest.raises(BudgetExhausted):  # it counts as bob's from now on
        world.catalogue.publish(bob.name, renewed(world, bob).sign(DATASET_TYP, dataset().to_payload()))


def test_documents_are_verified(world, ada, another):
    bob = another("elsewhere", "bob")
    token = ada.signer.sign(DATASET_TYP, dataset().to_payload())
    with pytest.raises(PeerProtocolError) as caught:
        world.catalogue.publish(bob.name, token)
    assert caught.value.code == "not_the_signer"
    with pytest.raises(IdentityInvalid):
        world.catalogue.publish(ada.name, ada.signer.sign(MEMBERSHIP_TYP, dataset().to_payload()))
    with pytest.raises(InvalidInput) as caught:
        world.catalogue.publish(ada.name, ada.signer.sign(DATASET_TYP, b"{}"))
    assert caught.value.code == "bad_dataset"
    assert len(world.catalogue.hashes(None)) == 1


def test_datasets_of_one_publisher_are_bounded(make_world):
    world = make_world(limits=Limits(datasets_max=2))
    ada = world.publisher
    world.catalogue.publish(ada.name, ada.signer.sign(DATASET_TYP, dataset().to_payload()))
    with pytest.raises(BudgetExhausted) as caught:
        world.catalogue.publish(ada.name, ada.signer.sign(DATASET_TYP, dataset("third").to_payload()))
    assert caught.value.code == "too_many_datasets"


def test_an_unknown_dataset_is_not_found(world):
    with pytest.raises(NotFound) as caught:
        world.catalogue.dataset("0" * 64)
    assert caught.value.code == "unknown_dataset"


def test_memberships_are_listed_by_name_and_say_who_is_connected(world):
    _ash, birch, *_ = world.nodes.values()
    world.up.add(str(birch.name))
    entry = world.catalogue.dataset(world.dataset_hash)
    assert entry.memberships == tuple(node.joined for node in world.nodes.values())
    assert entry.connected == (str(birch.name),)


def test_joining_again_replaces_the_statement(world):
    ash = next(iter(world.nodes.values()))
    before = ash.joined
    ash.join()
    entry = world.catalogue.dataset(world.dataset_hash)
    assert ash.joined in entry.memberships
    assert before not in entry.memberships
    assert len(entry.memberships) == 4


def test_memberships_are_verified(world, ada):
    ash, birch, *_ = world.nodes.values()

    def membership(signer, dataset_hash=world.dataset_hash, tag_key=bytes(1216)):
        return signer.sign(MEMBERSHIP_TYP, msgspec.json.encode({"dataset": dataset_hash, "tag_key": tag_key}))

    for caller, token, kind, code in (
        (ash.name, membership(birch.signer), PeerProtocolError, "not_the_signer"),
        (ada.name, membership(ada.signer), NotAuthorised, "wrong_role"),
        (ash.name, membership(ash.signer, "0" * 64), NotFound, "unknown_dataset"),
        (ash.name, membership(ash.signer, tag_key=b""), PeerProtocolError, "bad_statement"),
        (ash.name, membership(ash.signer, tag_key=bytes(1217)), PeerProtocolError, "bad_statement"),
        (ash.name, ash.signer.sign(MEMBERSHIP_TYP, b"{}"), PeerProtocolError, "bad_statement"),
    ):
        with pytest.raises(kind) as caught:
            world.catalogue.join(caller, token)
        assert caught.value.code == code


def test_the_catalogue_outlives_a_restart(world):
    before = [world.catalogue.dataset(one) for one in world.catalogue.hashes(None)]
    world.restart()
    assert [world.catalogue.dataset(one) for one in world.catalogue.hashes(None)] == before
