"""What came before a question: looked up in the journal, and the same as reading all of it would give."""

import contextlib
import random
import sqlite3
from dataclasses import replace

import msgspec
import pytest
from support.hospitals import Clock

from kapok.nodes.journal import Journal, NewJob, tables
from kapok.nodes.journal.reading import scope_of, tries_so_far
from kapok.nodes.states import NodeJobState
from kapok.protocols.secure_sum.cohort import CohortStatement

NEW = NewJob(job_id="", analyst="x", organisation="o", dataset="d", asset="t", question="q", deadline=2.0)


def numbered(index):
    return f"{index:064x}"


@contextlib.contextmanager
def counted_steps(connection):
    """Steps of SQLite's machine, counted while the block runs."""
    raw, steps = connection.driver, []
    raw.set_progress_handler(lambda: steps.append(1), 1)
    yield lambda: len(steps)
    raw.set_progress_handler(None, 0)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def journal(tmp_path, clock):
    journal = Journal.open(tmp_path / "journal.db", tmp_path / "instance", clock=clock)
    yield journal
    journal.close()


def test_tries_are_numbered_in_the_order_of_asking(journal):
    found = [journal.count_try(replace(NEW, job_id=numbered(index))) for index in (3, 1, 2, 3)]
    assert [one.number for one in found] == [1, 2, 3, 1]
    assert [journal.history(one).questions for one in found] == [0, 1, 2, 0]
    assert {one.state for one in found} == {NodeJobState.OFFERED}


def test_tries_are_as_many_as_counting_them_would_give(journal, clock):
    chance, asked = random.Random(4), []
    began = clock.now
    for index in range(120):
        new = replace(
            NEW,
            job_id=numbered(index),
            organisation=chance.choice("op"),
            asset=chance.choice(["t", "t", "u", ""]),
            refusal=chance.choice(["", "", "refused"]),
        )
        clock.now += chance.choice([0, 1, 50])
        asked.append((journal.count_try(new), not new.refusal))
    for job, _ in chance.sample(asked, 30):
        moments = [
            one.asked_at
            for one, tried in asked
            if tried and one.number < job.number
            if one.organisation == job.organisation and one.asset in (job.asset, "")
        ]
        for since in (0.0, began, job.asked_at - 100, job.asked_at, job.asked_at + 1):
            history = journal.history(job, since)
            assert history.questions == len(moments)
            assert history.today == sum(moment >= since for moment in moments)


def test_to_know_them_takes_no_longer_the_more_there_are(journal, clock):
    clock.now, steps = 5.0, []
    for index in range(80):
        job = journal.count_try(replace(NEW, job_id=numbered(index)))
        if index in (20, 79):
            with journal._read() as connection, counted_steps(connection) as count:
                assert tries_so_far(connection, "t", "o", before=job.number, day=1.0) == (index, index)
            steps.append(count())
    assert steps[0] == steps[1] > 0


NAMES = ['["a","b"]', '["a","b","c"]', '["b","c"]']
QUESTIONS = [bytes([index]) * 32 for index in range(3)]


def release(journal, index, **changes):
    journal.count_try(replace(NEW, job_id=numbered(index)))
    row = {
        "job_id": numbered(index),
        "round": 1,
        "attempt": 1,
        "asset": "t",
        "organisation": "o",
        "rule": "free",
        "names": NAMES[0],
        "question": QUESTIONS[0],
        "roster": b"r" * 32,
        "token": "",
        "released_at": float(index),
        "reopening": b"",
        **changes,
    }
    with journal._write() as connection:
        connection.change(tables.release.insert(), row)
    return row


@pytest.mark.parametrize("reopening", [b"", b"x" * 32])
def test_a_scope_is_what_all_its_releases_make_it(journal, reopening):
    if reopening:
        values = {"reopening_id": reopening.hex(), "asset": "t", "organisation": "o", "serial": 1}
        with journal._write() as connection:
            new = {"names": NAMES[2], "document": b"", "accepted_at": 0.0}
            connection.change(tables.reopening.insert(), values | new)
    chance = random.Random(6)
    rows = [
        release(
            journal,
            index,
            organisation=chance.choice("oop"),
            rule=chance.choice(["free", "free", "same-question"]),
            names=chance.choice(NAMES),
            question=chance.choice(QUESTIONS),
            reopening=chance.choice([b"", b"x" * 32]),
        )
        for index in range(40)
    ]
    here = [row for row in rows if row["organisation"] == "o" and row["reopening"] == reopening]
    first = [tuple(msgspec.json.decode(NAMES[2]))] if reopening else []

    def sets(found):
        return tuple(dict.fromkeys([*first, *(tuple(msgspec.json.decode(row["names"])) for row in found)]))

    for question in QUESTIONS:
        scope = journal.scope("t", "o", question)
        assert scope.cohorts() == sets(here)
        assert scope.fixed_with == "same-question"
        asked = sets(row for row in here if row["question"] == question)
        assert scope.statement("free") == CohortStatement.of("same-question", asked, reopening)
        assert scope.statement("fixed") == CohortStatement.of("fixed", sets(here), reopening)
    assert journal.scope("u", "o").cohorts() == ()


def test_a_scope_takes_no_longer_to_read_the_more_was_released(journal):
    steps = []
    for index in range(60):
        release(journal, index, names=NAMES[index % 2], question=QUESTIONS[index % 3])
        if index in (20, 59):
            with journal._read() as connection, counted_steps(connection) as count:
                scope_of(connection, "t", "o", QUESTIONS[0])
            steps.append(count())
    assert steps[0] == steps[1] > 0


def test_tries_of_an_older_journal_are_counted_when_it_is_opened(journal, tmp_path):
    for index, asset, refusal in ((1, "", ""), (2, "t", "refused"), (3, "t", ""), (4, "u", ""), (5, "t", "")):
        journal.count_try(replace(NEW, job_id=numbered(index), asset=asset, refusal=refusal))
    journal.close()
    with sqlite3.connect(tmp_path / "journal.db") as connection:
        for name in ("job_asked", "release_rule", "release_cohort", "release_question"):
            connection.execute(f"DROP INDEX ix_{name}")
        connection.execute("CREATE INDEX ix_release_scope ON release (asset, organisation)")
        connection.execute("DROP TABLE app_approval")
        connection.execute("ALTER TABLE job DROP COLUMN tries")
        connection.execute("ALTER TABLE seal DROP COLUMN question")
        connection.execute("ALTER TABLE seal DROP COLUMN app")
        connection.execute("UPDATE alembic_version SET version_num = '0003'")
    again = Journal.open(tmp_path / "journal.db", tmp_path / "instance", clock=lambda: 9.0)
    try:
        assert [again.history(again.job(numbered(index))).questions for index in (1, 2, 3, 5)] == [0, 1, 1, 2]
        assert again.history(again.count_try(replace(NEW, job_id=numbered(6)))).questions == 3
    finally:
        again.close()
