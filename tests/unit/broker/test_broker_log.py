"""What a broker's log says of jobs is what is on its disk."""

import logging

import pytest
import sqlalchemy

from kapok.errors import Unavailable
from kapok.logs import about


@pytest.fixture
def full(world):
    """Lets the disk be full, or not: by SQLite's own limit, which each connection has for itself."""
    pages = [2**30]

    def limited(connection, *_):
        connection.execute(f"PRAGMA max_page_count = {pages[0]}")

    def change(is_full):
        pages[0] = 1 if is_full else 2**30  # fewer than there are stands for as many as there are

    sqlalchemy.event.listen(world.store._engine, "checkout", limited)
    return change


def test_a_job_that_could_not_be_written_down_is_not_told_as_submitted(world, full, caplog):
    caplog.set_level(logging.INFO)
    asked = world.publisher.prepare(question="x" * 60_000)  # no page that there is has room for it
    full(True)
    for _ in range(3):
        with pytest.raises(Unavailable) as caught:
            world.jobs.submit(world.publisher.name, asked.token)
        assert caught.value.code == "store_unavailable"
    (line,) = [one for one in caplog.records if one.levelno >= logging.INFO]
    assert (line.getMessage(), line.why) == ("the store cannot be used", "SQLITE_FULL")
    assert "kapok doctor" in line.remedy
    full(False)
    with about(party="ada"):
        world.jobs.submit(world.publisher.name, asked.token)
    submitted = [one for one in caplog.records if one.getMessage() == "job submission"]
    assert [one.job for one in submitted] == [asked.id]
