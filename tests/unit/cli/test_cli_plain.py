"""No text of another party reaches a terminal as it is."""

import json
import time

import pytest

from kapok.cli import live
from kapok.cli.app import run
from kapok.cli.terminal import note, print_json, print_table, report, say
from kapok.client.progress import Progress
from kapok.errors import ConsentWithheld
from kapok.nodes.journal import Decision, Journal, NewJob
from kapok.nodes.policy import Rule

EVIL = "age\x1b[2J\x1b[H\u202e\x9b1m\nquestion  SELECT COUNT(*) FROM harmless"


def is_plain(text: str) -> bool:
    return all(char.isprintable() or char == "\n" for char in text)


def test_every_way_to_the_terminal_is_plain(capsys):
    say(EVIL)
    note(EVIL)
    print_json({"question": EVIL})
    print_table((EVIL, "b"), [(EVIL, None)])
    report(ConsentWithheld(EVIL, party=EVIL), as_json=False)
    live.Live()(Progress(step="notice", text=EVIL))
    out, err = capsys.readouterr()
    assert is_plain(out)
    assert is_plain(err)


def test_json_says_exactly_what_was_said(capsys):
    print_json({"question": EVIL})
    assert json.loads(capsys.readouterr().out) == {"question": EVIL}


@pytest.fixture
def home(tmp_path):
    """A node's folder, in whose journal an analyst's text waits for an officer."""
    (tmp_path / "node.toml").write_text('broker = "127.0.0.1:1"\nstate = "."\n')
    now = time.time()
    journal = Journal.open(tmp_path / "journal.db", tmp_path / "instance", clock=lambda: now)
    asked = {"analyst": "a", "organisation": "o", "dataset": "d", "asset": "d", "deadline": now + 3600}
    rule = Rule(
        analysts=(), dataset="d", operations=("count",), columns=(), questions=1, min_rows=1, min_cell=1
    )
    for job_id in ("ab" * 32, "cd" * 32):
        journal.count_try(NewJob(job_id=job_id, question=EVIL, in_words=EVIL, **asked))
        journal.defer(job_id, specification="", decision=Decision(rule, 1, 1))
    journal.close()
    return tmp_path


def test_an_officer_sees_a_question_on_one_line_and_nothing_else_of_it(home, capsys):
    assert run(["node", "pending", "--home", str(home)]) == 0
    out = capsys.readouterr().out
    assert is_plain(out)
    assert sum(line.startswith("question") for line in out.splitlines()) == 2
    assert "\\u001b[2J" in out
