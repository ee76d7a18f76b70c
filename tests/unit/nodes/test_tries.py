"""How many questions came before one: the running count in the journal is what counting would give."""

import random
import sqlite3
from dataclasses import replace

import pytest
from support.hospitals import Clock

from kapok.nodes.journal import Journal, NewJob
from kapok.nodes.journal.reading import tries_so_far
from kapok.nodes.states import NodeJobState

NEW = NewJob(job_id="", analyst="x", organisation="o", dataset="d", asset="t", question="q", deadline=2.0)


def numbered(index):
    return f"{index:064x}"


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
    assert [journal.tries_before(one) for one in found] == [0, 1, 2, 0]
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
            assert journal.tries_before(job, since) == sum(moment >= since for moment in moments)


def test_to_know_them_takes_no_longer_the_more_there_are(journal, clock):
    """Counted in steps of SQLite's machine."""
    clock.now, steps = 5.0, []
    for index in range(300):
        job = journal.count_try(replace(NEW, job_id=numbered(index)))
        if index in (20, 299):
            with journal._read() as connection:
                raw, ticks = connection.connection.driver_connection, []
                raw.set_progress_handler(lambda ticks=ticks: ticks.append(1), 1)
                assert tries_so_far(connection, "t", "o", before=job.number, since=1.0) == index
                raw.set_progress_handler(None, 0)
                steps.append(len(ticks))
    assert steps[0] == steps[1] > 0


def test_tries_of_an_older_journal_are_counted_when_it_is_opened(journal, tmp_path):
    for index, asset, refusal in ((1, "", ""), (2, "t", "refused"), (3, "t", ""), (4, "u", ""), (5, "t", "")):
        journal.count_try(replace(NEW, job_id=numbered(index), asset=asset, refusal=refusal))
    journal.close()
    with sqlite3.connect(tmp_path / "journal.db") as connection:
        connection.execute("DROP INDEX ix_job_asked")
        connection.execute("ALTER TABLE job DROP COLUMN tries")
        connection.execute("UPDATE alembic_version SET version_num = '0003'")
    again = Journal.open(tmp_path / "journal.db", tmp_path / "instance", clock=lambda: 9.0)
    try:
        assert [again.tries_before(again.job(numbered(index))) for index in (1, 2, 3, 5)] == [0, 1, 1, 2]
        assert again.tries_before(again.count_try(replace(NEW, job_id=numbered(6)))) == 3
    finally:
        again.close()
