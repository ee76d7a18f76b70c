"""Who is a member depends on data once, when a table is joined, and never again."""

import hashlib

import msgspec
import pytest

from kapok.documents.dataset import DATASET_TYP
from kapok.documents.envelope import JwsSigner, JwsVerifier, decode
from kapok.documents.statements import MEMBERSHIP_TYP, Membership
from kapok.errors import PeerProtocolError
from kapok.identity.names import Role
from kapok.nodes.joining import Documents, Joining
from kapok.nodes.settings import CsvSource, DatasetEntry, NodeSettings
from kapok.nodes.sources.version import VersionKey
from kapok.wire.messages import CatalogueEntry

FIT, UNFIT = "age,sex,smoker\n40,1,no\n", "age,sex,smoker\n999,1,no\n"


@pytest.fixture
def connect(realm, dataset, tmp_path):
    """What a node does at each connection, after a restart: returns the memberships that it publishes."""
    publisher = realm.credentials("university", Role.ANALYST, "one")
    document = JwsSigner(publisher).sign(DATASET_TYP, dataset.to_payload())
    verifier = JwsVerifier(realm.root.pem, lambda: 1_800_000_000.0)
    digest = hashlib.sha256(dataset.to_payload()).hexdigest()
    entry = DatasetEntry(hash=digest, source=CsvSource(tmp_path / "patients.csv"), asset="clinic")

    def connected(tag_key=b"k" * 1216):
        joining = Joining(
            settings=NodeSettings(broker="127.0.0.1:1", datasets={"clinic": entry}),
            documents=Documents(tmp_path / "state", verifier),
            joined={},
            version_key=VersionKey(b"v" * 32),
            tag_key=tag_key,
            signer=JwsSigner(realm.credentials("a", Role.NODE, "main")),
            place=lambda _path, _asset: None,
        )
        joining.open_kept()
        for missing in joining.missing():
            joining.take(missing, CatalogueEntry(document=document, memberships=(), connected=()))
        members, wanting = joining.memberships()
        assert len(members) + len(wanting) == 1
        return [decode(Membership, verifier.verify(MEMBERSHIP_TYP, token).payload) for _, token in members]

    (tmp_path / "state").mkdir()
    return connected


def test_a_table_is_joined_when_it_is_fit_and_not_before(connect, tmp_path):
    assert connect() == []
    for content, joined in ((UNFIT, False), (FIT, True)):
        (tmp_path / "patients.csv").write_text(content)
        assert bool(connect()) is joined


def test_another_document_than_the_one_of_the_hash_is_neither_taken_nor_kept(realm, dataset, tmp_path):
    """Else a broker that shows another schema would have the node answer for what it never agreed to."""
    publisher = realm.credentials("university", Role.ANALYST, "one")
    other = JwsSigner(publisher).sign(DATASET_TYP, msgspec.structs.replace(dataset, rows_max=2).to_payload())
    documents = Documents(tmp_path, JwsVerifier(realm.root.pem, lambda: 1_800_000_000.0))
    digest = hashlib.sha256(dataset.to_payload()).hexdigest()
    with pytest.raises(PeerProtocolError) as caught:
        documents.take(digest, CatalogueEntry(document=other, memberships=(), connected=()))
    assert caught.value.code == "wrong_document"
    assert documents.kept(digest) is None
    assert list(tmp_path.iterdir()) == []


def test_once_joined_a_reconnection_tells_nothing_of_the_table(connect, tmp_path):
    table = tmp_path / "patients.csv"
    table.write_text(FIT)
    first = connect()
    for content in (UNFIT, "x", ""):
        table.write_text(content)
        assert connect() == first
    table.unlink()
    # A new tag key, after a journal was restored, is published too.
    assert connect(b"o" * 1216)[0].tag_key == b"o" * 1216


def test_a_table_that_went_bad_after_joining_is_named_to_its_holder(connect, tmp_path, caplog):
    table = tmp_path / "patients.csv"
    table.write_text(FIT)
    connect()
    assert not caplog.records
    table.write_text(UNFIT)
    connect()
    (record,) = [one for one in caplog.records if "suppressed" in one.getMessage()]
    assert "age" in record.what
    assert "999" not in record.what
