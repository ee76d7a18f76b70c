"""Taking answers later: what is missing on this machine is said, and nothing is lost by it."""

import asyncio
import threading

import msgspec
import pytest

from kapok.client.profile import Profile
from kapok.errors import InvalidInput, NotFound, TimedOut, Unavailable
from kapok.wire.messages import JobState

SQL = "SELECT COUNT(*) FROM heart"


@pytest.fixture
def sealed(session):
    """A session whose sums are encrypted under a small result key."""
    settings = msgspec.structs.replace(session.profile.settings, seal="paillier", key_bits=2048)
    session.profile = Profile(session.profile.home, settings)
    return session


async def test_a_result_key_that_is_away_loses_nothing_and_none_is_made_in_its_place(sealed, broker, domain):
    job_id = await sealed.submit(SQL)
    broker.parts = domain.hand_out(broker.submitted[-1])
    path = sealed.profile.key_path
    away = path.rename(path.with_name("away.json"))
    for _ in range(2):
        with pytest.raises(NotFound) as caught:
            await sealed.wait(job_id)
        assert caught.value.code == "result_key_missing"
        assert str(path) in caught.value.message
        assert "bring it back" in caught.value.remedy
    assert not path.exists()
    away.rename(path)
    assert (await sealed.wait(job_id)).rows == [(40,)]


async def test_another_result_key_is_said_and_the_old_one_still_opens(sealed, broker, domain):
    job_id = await sealed.submit(SQL)
    broker.parts = domain.hand_out(broker.submitted[-1])
    path = sealed.profile.key_path
    old = path.read_bytes()
    sealed.profile.rotate_key()
    with pytest.raises(NotFound) as caught:
        await sealed.wait(job_id)
    assert caught.value.code == "result_key_rotated"
    assert sealed.folder.load(job_id).receiver_key is not None
    assert broker.acknowledged == []
    path.write_bytes(old)
    assert (await sealed.wait(job_id)).rows == [(40,)]


async def test_a_question_interrupted_before_it_was_sent_leaves_no_job(session, broker, monkeypatch):
    reached, go_on = threading.Event(), threading.Event()
    remember = session.known.remember

    def slow(known, dataset):
        reached.set()
        go_on.wait(10)
        remember(dataset)

    monkeypatch.setattr(type(session.known), "remember", slow)
    asking = asyncio.ensure_future(session.submit(SQL))
    assert await asyncio.to_thread(reached.wait, 10)
    assert len(session.folder.known()) == 1
    asking.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert session.folder.known() == []
    assert broker.submitted == []


async def test_a_job_that_the_broker_never_got_says_how_to_go_on(session, broker):
    broker.submit_errors = [Unavailable("away") for _ in range(99)]
    with pytest.raises(Unavailable):
        await session.submit(SQL)
    broker.submitted.clear()
    (job_id,) = session.folder.known()
    with pytest.raises(NotFound) as caught:
        await session.result(job_id)
    assert caught.value.code == "not_at_broker"
    view = await session.job(job_id)
    for error in (caught.value, view.failure):
        assert f"`kapok job wait {job_id[:12]}` submits it" in error.remedy
        assert f"`kapok job cancel {job_id[:12]}` withdraws it" in error.remedy
    assert session.folder.load(job_id).outcome == "open"


async def test_a_damaged_job_file_hides_no_other_job_and_can_be_removed(session, broker):
    kept, damaged = await session.submit(SQL), await session.submit(SQL)
    path = session.folder.path / f"{damaged}.json"
    path.write_text('{"x":1}')
    with pytest.raises(InvalidInput) as caught:
        await session.wait(damaged)
    assert str(path) in caught.value.message
    assert f"rm {path}" in caught.value.remedy
    assert {view.job_id: view.state for view in await session.jobs()} == {
        kept: "not at the broker",
        damaged: "damaged",
    }


async def test_a_job_whose_file_is_gone_cannot_be_opened_and_can_be_cancelled(session, broker):
    job_id = await session.submit(SQL)
    broker.listed = [broker.status(job_id, JobState.GATHERING)]
    (session.folder.path / f"{job_id}.json").unlink()
    for given in (job_id, job_id[:12]):
        for take in (session.wait, session.result):
            with pytest.raises(NotFound) as caught:
                await take(given)
            assert caught.value.code == "secrets_not_here"
            assert f"`kapok job cancel {job_id[:12]}`" in caught.value.remedy
    await session.cancel(job_id[:12])
    assert broker.states == [JobState.CANCELLED]
    assert session.folder.known() == []
    with pytest.raises(NotFound) as caught:
        await session.wait("feed")
    assert caught.value.code == "unknown_job"


class Silent:
    """Watches of a broker of which the first never says anything; what else is asked, it may answer."""

    def __init__(self, broker):
        self._watch, self.watches = broker.watch, 0

    async def __call__(self, caller, job_id):
        self.watches += 1
        if self.watches == 1:
            await asyncio.Event().wait()
        async for status in self._watch(caller, job_id):
            yield status


async def test_a_watch_that_has_lost_its_job_s_end_does_not_hang(session, broker, monkeypatch):
    monkeypatch.setattr("kapok.client.waiting._SILENCE_S", 0.05)
    monkeypatch.setattr(broker, "watch", Silent(broker))
    broker.states, broker.error = [JobState.FAILED], TimedOut("late", code="deadline_passed")
    with pytest.raises(TimedOut) as caught:
        await session.query(SQL)
    assert caught.value.code == "deadline_passed"
    assert broker.watch.watches == 1


async def test_a_broker_that_has_died_without_a_word_is_left(session, broker, monkeypatch):
    """Its connection stands, and it answers nothing: it is dialled anew, and the job is watched again."""
    monkeypatch.setattr("kapok.client.waiting._SILENCE_S", 0.05)
    monkeypatch.setattr(broker, "watch", Silent(broker))
    broker.states, broker.error = [JobState.GATHERING, JobState.FAILED], TimedOut("late")
    told = []

    async def dead(_caller, _job_id):
        raise TimedOut("no answer", code="call_timed_out")

    monkeypatch.setattr(broker, "job", dead)
    with pytest.raises(TimedOut, match="late"):
        await session.query(SQL, progress=told.append)
    assert [one.step for one in told][-2:] == ["retrying", "gathering"]
    assert broker.watch.watches == 2


async def test_a_question_of_which_nobody_knows_whether_it_has_arrived_stays_open(session, broker):
    """A call that took too long may have been heard: the question's secrets are kept."""
    broker.submit_errors = [TimedOut("slow", code="call_timed_out", remedy="try again") for _ in range(99)]
    with pytest.raises(TimedOut) as caught:
        await session.submit(SQL)
    (job_id,) = session.folder.known()
    assert caught.value.remedy == f"`kapok job wait {job_id[:12]}` sends it again; try again"
    assert session.folder.load(job_id).outcome == "open"
    assert session.folder.load(job_id).receiver_key is not None
