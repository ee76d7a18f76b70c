import dataclasses
import stat

import pytest

from kapok.client.known import KnownMembers
from kapok.errors import IdentityInvalid, InvalidInput, Unavailable


@pytest.fixture
def known(tmp_path) -> KnownMembers:
    return KnownMembers(tmp_path / "known")


def without(dataset, organisation):
    left = tuple(one for one in dataset.members if one.name.organisation != organisation)
    return dataclasses.replace(dataset, members=left)


def test_nobody_is_missing_before_the_first_question(known, catalogued):
    known.check(catalogued, None)
    assert not known.path.exists()


def test_member_that_was_seen_is_missed_by_name(known, catalogued):
    known.remember(catalogued)
    known.check(catalogued, None)
    fewer = without(catalogued, "va")
    known.remember(fewer)  # nothing is taken off
    with pytest.raises(Unavailable) as caught:
        known.check(fewer, None)
    assert caught.value.code == "member_missing"
    assert "/org/va/" in caught.value.party
    assert "--party cleveland --party hungarian --party switzerland" in caught.value.remedy
    assert "va" not in caught.value.remedy.split(";")[1]
    known.check(fewer, ["cleveland", "hungarian"])
    with pytest.raises(Unavailable):
        known.check(fewer, ["cleveland", catalogued.members[3].name.organisation_id])
    path = known.path / f"{catalogued.hash}.json"
    assert str(path) in caught.value.remedy
    path.unlink()
    known.check(fewer, None)


def test_datasets_do_not_mix(known, catalogued):
    known.remember(catalogued)
    known.check(dataclasses.replace(without(catalogued, "va"), hash="ab" * 32), None)


def test_member_whose_membership_no_longer_verifies_is_told_of_as_that(known, catalogued):
    known.remember(catalogued)
    expired = IdentityInvalid("expired", party=str(catalogued.members[3].name))
    known.check(dataclasses.replace(without(catalogued, "va"), unverified=(expired,)), None)


def test_file_is_private_and_damage_is_said(known, catalogued):
    known.remember(catalogued)
    path = known.path / f"{catalogued.hash}.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for content in (b"{", b'{"members":["nobody"]}', b"[]"):
        path.write_bytes(content)
        with pytest.raises(InvalidInput) as caught:
            known.check(catalogued, None)
        assert caught.value.code == "bad_known_file"
