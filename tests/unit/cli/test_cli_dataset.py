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

    def show(
        *options: str,
        nodes: tuple[PartyName, ...] = NODES,
        columns: tuple[Column, ...] = (Column(name="ill", type="boolean"),),
    ) -> str:
        schema = Dataset(name="heart", columns=columns, rows_max=1000)
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


def test_each_type_shows_what_it_may_hold(shown):
    day, second = {"minimum": "2013-01-01", "maximum": "2013-12-31"}, "T00:00:00"
    told = shown(
        columns=(
            Column(
                name="age", type="integer", minimum=0, maximum=120, unit="years", description="At admission."
            ),
            Column(name="dose", type="decimal", minimum=0, maximum="2.5", resolution="0.1", nullable=True),
            Column(name="carrier", type="text", domain=tuple(f"c{n}" for n in range(1234))),
            Column(name="ill", type="boolean"),
            Column(name="day", type="date", **day),
            Column(name="seen", type="timestamp", **{end: at + second for end, at in day.items()}),
        )
    )
    lines = {line.split()[0]: " ".join(line.split()) for line in told.splitlines() if line.strip()}
    assert lines["rows"] == "rows at most 1,000 of a holder"
    assert lines["column"] == "column type nullable values unit description"
    assert lines["age"] == "age integer 0 to 120 years At admission."
    assert lines["dose"] == "dose decimal yes 0 to 2.5 by 0.1"
    assert "c19 and 1,214 more" in told
    assert "c20" not in told
    assert lines["ill"] == "ill boolean false, true"
    assert lines["day"] == "day date 2013-01-01 to 2013-12-31"
    assert lines["seen"] == "seen timestamp 2013-01-01T00:00:00 to 2013-12-31T00:00:00 (UTC)"


def test_a_heading_under_which_nothing_stands_is_left_out(shown):
    [heading] = [line for line in shown(nodes=()).splitlines() if line.split()[:1] == ["column"]]
    assert heading.split() == ["column", "type", "values"]
