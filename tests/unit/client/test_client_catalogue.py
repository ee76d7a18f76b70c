import dataclasses

import msgspec
import pytest

from kapok.client.catalogue import choose_members, resolve, split_label, verified
from kapok.documents.dataset import DATASET_TYP
from kapok.documents.envelope import document_id
from kapok.errors import IdentityInvalid, InvalidInput, NotFound, PeerProtocolError
from kapok.identity.names import Role
from kapok.protocols.wraps import WrapKey


def test_entry_is_read_once_everything_in_it_verifies(domain, heart, catalogued):
    assert catalogued.schema == heart
    assert catalogued.hash == document_id(heart.to_payload())
    assert [member.name.organisation for member in catalogued.members] == [
        "cleveland",
        "hungarian",
        "switzerland",
        "va",
    ]
    assert [member.connected for member in catalogued.members] == [True, True, True, False]
    assert catalogued.members[0].tag_key == domain.tag_keys["cleveland"].public
    assert catalogued.unverified == ()


def test_altered_document_is_refused(domain, foreign_domain, heart):
    entry = domain.entry(heart)
    head, body, signature = entry.document.split(".")
    altered = ".".join((head, body[:-4] + ("AAAA" if body[-4:] != "AAAA" else "BBBB"), signature))
    with pytest.raises(IdentityInvalid):
        verified(dataclasses.replace(entry, document=altered), domain.verifier)
    with pytest.raises(IdentityInvalid):
        verified(foreign_domain.entry(heart), domain.verifier)


def test_membership_of_another_dataset_or_root_is_left_out_and_told(domain, foreign_domain, heart):
    entry = domain.entry(heart)
    other = domain.membership("cleveland", "00" * 32)
    foreign = foreign_domain.membership("cleveland", document_id(heart.to_payload()))
    for bad in (other, foreign, entry.document):
        found = verified(
            dataclasses.replace(entry, memberships=(*entry.memberships[1:], bad)), domain.verifier
        )
        assert len(found.members) == 3
        assert len(found.unverified) == 1
        with pytest.raises((IdentityInvalid, PeerProtocolError)):
            choose_members(found, None)
        assert len(choose_members(found, ["hungarian", "switzerland", "va"])) == 3


def test_two_keys_of_one_node_are_told(domain, heart, catalogued):
    entry = domain.entry(heart)
    second = domain.membership("cleveland", catalogued.hash, WrapKey.generate().public)
    found = verified(dataclasses.replace(entry, memberships=(*entry.memberships, second)), domain.verifier)
    assert [error.code for error in found.unverified] == ["two_memberships"]


def test_only_nodes_are_members(domain, heart, catalogued):
    from kapok.documents.envelope import encode
    from kapok.documents.statements import MEMBERSHIP_TYP, Membership

    statement = encode(Membership(dataset=catalogued.hash, tag_key=domain.tag_keys["va"].public))
    token = domain.signer(Role.ANALYST, "university").sign(MEMBERSHIP_TYP, statement)
    found = verified(dataclasses.replace(domain.entry(heart), memberships=(token,)), domain.verifier)
    assert found.members == ()
    assert [error.code for error in found.unverified] == ["foreign_membership"]


def test_resolving_by_name_and_hash(domain, heart, catalogued):
    other = msgspec.structs.replace(heart, description="another")
    entries = [domain.entry(heart), domain.entry(other)]
    with pytest.raises(InvalidInput) as caught:
        resolve("heart", None, entries, domain.verifier)
    assert caught.value.code == "ambiguous_dataset"
    for known in (heart, other):
        digest = document_id(known.to_payload())
        assert digest[:12] in caught.value.remedy
        assert resolve("heart", digest[:8].upper(), entries, domain.verifier).schema == known
    assert resolve("heart", None, entries[:1], domain.verifier).hash == catalogued.hash


def test_unknown_dataset_names_near_ones(domain, heart):
    for name, digits in (("hart", None), ("heart", "ffff")):
        with pytest.raises(NotFound) as caught:
            resolve(name, digits, [domain.entry(heart)], domain.verifier)
        assert caught.value.code == "unknown_dataset"
        assert ("did you mean heart?" if digits is None else "heart@") in caught.value.remedy


def test_labels_are_split():
    assert split_label("heart") == ("heart", None)
    assert split_label("heart@ab12") == ("heart", "ab12")


def test_members_are_all_or_those_named(catalogued):
    assert choose_members(catalogued, None) == catalogued.members
    named = choose_members(catalogued, ["va", catalogued.members[0].name.organisation_id, "va"])
    assert [member.name.organisation for member in named] == ["cleveland", "va"]
    with pytest.raises(NotFound) as caught:
        choose_members(catalogued, ["atlantis"])
    assert caught.value.code == "unknown_party"
    assert "switzerland" in caught.value.remedy
    with pytest.raises(NotFound) as nobody:
        choose_members(dataclasses.replace(catalogued, members=()), None)
    assert nobody.value.code == "no_members"


def test_document_of_another_type_is_not_a_dataset(domain, heart):
    entry = domain.entry(heart)
    token = domain.signer(Role.ANALYST, "university").sign("kapok-job+jws", heart.to_payload())
    with pytest.raises(IdentityInvalid, match=DATASET_TYP.replace("+", r"\+")):
        verified(dataclasses.replace(entry, document=token), domain.verifier)
