"""`kapok dataset show`: the columns, and who has joined."""

import json

import pytest

from kapok.cli.app import run
from kapok.client.catalogue import VerifiedDataset
from kapok.client.memberships import Member
from kapok.documents.dataset import Column, Dataset
from kapok.identity.names import PartyName

ANALYST = PartyName.parse("spiffe://t.example/org/university/analyst/research")
NODES = tuple(PartyName.parse(f"spiffe://t.example/org/{name}/node/main") for name in ("ash", "birch"))


@pytest.fixture
def shown(monkeypatch, capsys):
    """What `dataset show` prints of a dataset that these nodes joined, the first of them connected."""

    def show(*options: str, nodes: tuple[PartyName, ...] = NODES) -> str:
        schema = Dataset(name="heart", columns=(Column(name="ill", type="boolean"),), rows_max=9)
        members = tuple(Member(name, b"", connected=number == 0) for number, name in enumerate(nodes))

        class Session:
            async def __aenter__(self):
                return self

            async def __aexit__(self, *_):
                return None

            async def dataset(self, name):
                return VerifiedDataset("ab" * 32, schema, schema.to_payload(), ANALYST, members, ())

        async def connect(_home):
            return Session()

        monkeypatch.setattr("kapok.client.session.connect_async", connect)
        assert run(["dataset", "show", "heart", *options]) == 0
        return capsys.readouterr().out

    return show


def test_who_has_joined_is_listed_by_organisation_and_node(shown):
    lines = [line.split() for line in shown().splitlines()]
    assert ["joined", "by", "node", "connected", "name"] in lines
    assert ["ash", "main", "yes", str(NODES[0])] in lines
    assert ["birch", "main", "no", str(NODES[1])] in lines


def test_a_dataset_that_nobody_has_joined_says_how_holders_do(shown):
    assert "joined by     nobody yet: holders name the hash in their node.toml" in shown(nodes=())


def test_the_document_names_organisation_and_node(shown):
    assert json.loads(shown("--json"))["members"] == [
        {"name": str(NODES[0]), "organisation": "ash", "node": "main", "connected": True},
        {"name": str(NODES[1]), "organisation": "birch", "node": "main", "connected": False},
    ]
