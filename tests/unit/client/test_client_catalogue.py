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


def test_node_of_which_two_memberships_are_shown_is_not_asked(domain, heart, catalogued):
    entry = domain.entry(heart)
    for key in (WrapKey.generate().public, domain.tag_keys["cleveland"].public):
        second = domain.membership("cleveland", catalogued.hash, key)
        both = dataclasses.replace(entry, memberships=(*entry.memberships, second))
        found = verified(both, domain.verifier)
        assert [one.name.organisation for one in found.members] == ["hungarian", "switzerland", "va"]
        for parties in (None, ["cleveland", "va"], [found.members[0].name.organisation_id, "cleveland"]):
            with pytest.raises(PeerProtocolError) as caught:
                choose_members(found, parties)
            assert caught.value.code == "duplicate_membership"
            assert caught.value.party == str(domain.name(Role.NODE, "cleveland"))
        assert len(choose_members(found, ["va", "hungarian"])) == 2


@pytest.mark.parametrize("key", [b"\xff" * 1216, b"\1" * 1184 + bytes(32)])
def test_node_with_a_key_that_cannot_be_used_is_named_and_the_others_can_be_asked(domain, heart, key):
    entry = domain.entry(heart)
    bad = domain.membership("mallory", document_id(heart.to_payload()), key)
    found = verified(dataclasses.replace(entry, memberships=(*entry.memberships, bad)), domain.verifier)
    for parties in (None, ["mallory", "va"]):
        with pytest.raises(PeerProtocolError) as caught:
            choose_members(found, parties)
        assert caught.value.code == "bad_tag_key"
        assert caught.value.party == str(domain.name(Role.NODE, "mallory"))
        assert "--party cleveland --party hungarian --party switzerland --party va" in caught.value.remedy
    assert len(choose_members(found, ["cleveland", "hungarian", "switzerland", "va"])) == 4


def test_documents_that_do_not_verify_matter_to_those_alone_who_name_them(domain, foreign_domain, heart):
    junk = msgspec.structs.replace(heart, name="junk")
    twin = msgspec.structs.replace(heart, description="twin")
    bad = [foreign_domain.entry(junk), foreign_domain.entry(twin), foreign_domain.entry(heart)]
    for document in ("", "a.b", "a.!!!.c", "a.W10.c", "a." + "W" * 4000 + ".c"):
        bad.append(dataclasses.replace(bad[0], document=document))
    entries = [*bad, domain.entry(heart)]
    assert resolve("heart", None, entries, domain.verifier).schema == heart
    assert resolve("heart", document_id(heart.to_payload())[:8], entries, domain.verifier).schema == heart
    with pytest.raises(NotFound):
        resolve("other", None, entries, domain.verifier)
    for name, digits in (("junk", None), ("heart", document_id(twin.to_payload())[:8])):
        with pytest.raises(IdentityInvalid, match=name) as caught:
            resolve(name, digits, entries, domain.verifier)
        assert "publishes the same file again" in caught.value.remedy


def test_schema_that_cannot_be_used_matters_to_those_alone_who_name_it(domain, heart):
    entry = domain.entry(heart)
    token = domain.signer(Role.ANALYST, "university").sign(DATASET_TYP, b'{"name":"later","columns":7}')
    entries = [dataclasses.replace(entry, document=token), entry]
    assert resolve("heart", None, entries, domain.verifier).schema == heart
    with pytest.raises(InvalidInput) as caught:
        resolve("later", None, entries, domain.verifier)
    assert caught.value.code == "bad_dataset"


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
    for known in (heart, other):
        assert (
            resolve(document_id(known.to_payload()).upper(), None, entries, domain.verifier).schema == known
        )
    with pytest.raises(NotFound):
        resolve("ab" * 32, None, entries, domain.verifier)
    with pytest.raises(InvalidInput) as caught:
        resolve("heart", None, entries, domain.verifier)
    assert caught.value.code == "ambiguous_dataset"
    for known in (heart, other):
        digest = document_id(known.to_payload())
        assert digest[:12] in caught.value.remedy
        assert resolve("heart", digest[:8].upper(), entries, domain.verifier).schema == known
    assert resolve("heart", None, entries[:1], domain.verifier).hash == catalogued.hash


def test_a_bare_name_means_the_one_dataset_of_that_name_that_nodes_have_joined(domain, heart):
    twins = [msgspec.structs.replace(heart, description=text) for text in ("one", "two")]
    unjoined = [domain.entry(twin, members=()) for twin in twins]
    for entries in ([domain.entry(heart), *unjoined], [*unjoined, domain.entry(heart)]):
        found = resolve("heart", None, entries, domain.verifier)
        assert found.schema == heart
        assert len(found.members) == 4
    for entries in (unjoined, [domain.entry(heart), domain.entry(twins[0])]):
        with pytest.raises(InvalidInput) as caught:
            resolve("heart", None, entries, domain.verifier)
        assert caught.value.code == "ambiguous_dataset"
    digits = document_id(twins[0].to_payload())[:12]
    assert resolve("heart", digits, [domain.entry(heart), *unjoined], domain.verifier).schema == twins[0]


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
