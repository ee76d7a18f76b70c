"""`kapok job show`: where a job is, and what it waits for."""

import json
from typing import Any

import pytest

from kapok.cli.app import run
from kapok.client.waiting import JobView

NODES = tuple(f"spiffe://t.example/org/{name}/node/main" for name in ("ash", "birch", "cedar"))


@pytest.fixture
def shown(monkeypatch, capsys):
    """What `job show` prints of a job."""

    def show(*options: str, **more: Any) -> str:
        class Session:
            async def __aenter__(self):
                return self

            async def __aexit__(self, *_):
                return None

            async def job(self, job_id):
                return JobView(
                    job_id="ab12" * 16, state="gathering", sql="SELECT", submitted_at=0, members=NODES, **more
                )

        async def connect(_home):
            return Session()

        monkeypatch.setattr("kapok.client.session.connect_async", connect)
        assert run(["job", "show", "ab12", *options]) == 0
        return capsys.readouterr().out

    return show


def test_whose_turn_it_is_and_who_of_them_is_away(shown):
    lines = shown(waiting_for=NODES[:2], not_connected=NODES[:1]).splitlines()
    assert [line.split(maxsplit=1)[1] for line in lines if line.startswith("member")] == [
        f"{NODES[0]}  (its turn, not connected)",
        f"{NODES[1]}  (its turn)",
        NODES[2],
    ]
    assert not [line for line in lines if line.startswith("at least")]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"fewer_after_s": 30.0}, "at least  goes on with fewer after 30 s"),
        ({"cohort_fixed": True}, "at least  does not go on with fewer: earlier answers have fixed"),
    ],
)
def test_when_it_goes_on_with_fewer(shown, more, said):
    assert said in shown(waiting_for=NODES[:1], **more)


def test_in_which_round_it_is(shown):
    assert "state     gathering (round 2 of 5)" in shown(round=2, rounds=5)
    assert "round" not in shown()


def test_the_document_says_all_of_it(shown):
    document = json.loads(shown("--json", waiting_for=NODES[:2], not_connected=NODES[:1], fewer_after_s=30.0))
    assert document["waiting_for"] == list(NODES[:2])
    assert document["not_connected"] == [NODES[0]]
    assert (document["fewer_after_s"], document["cohort_fixed"]) == (30.0, False)
