"""A session against a broker that lies, loses and comes back: real wire, handlers that misbehave."""

from __future__ import annotations

import base64
import time

import msgspec
import pytest

from kapok.client.profile import Profile
from kapok.client.session import AsyncSession, connect_async
from kapok.documents.envelope import document_id
from kapok.errors import (
    CohortTooSmall,
    IdentityInvalid,
    KapokError,
    LocalProtocolError,
    NotAuthorised,
    NotFound,
    PeerProtocolError,
    Refused,
    SealBroken,
    TimedOut,
    Unavailable,
)
from kapok.identity.issuing import revocation_list
from kapok.identity.names import Role
from kapok.identity.revocation import Revocations
from kapok.protocols.secure_sum.evidence import Evidence
from kapok.wire.messages import JobState

SQL = "SELECT COUNT(*) FROM heart"


async def test_specification_is_on_disk_before_it_leaves_and_is_sent_again_unchanged(session, broker):
    broker.submit_errors = [Unavailable("away"), Unavailable("away")]
    told = []
    job_id = await session.submit(SQL, progress=told.append)
    assert len(broker.submitted) == 3
    assert len(set(broker.submitted)) == 1
    assert session.folder.load(job_id).specification == broker.submitted[0]
    assert [one.step for one in told] == ["notice", "notice", "retrying", "retrying", "submitted"]


async def test_a_broker_without_room_is_asked_again_until_the_deadline_and_not_sooner_than_it_says(
    session, broker, monkeypatch
):
    """Longer than the profile's patience: the broker is there, and has said when to come again."""
    waits = []

    async def no_sleep(seconds):
        waits.append(seconds)

    monkeypatch.setattr("kapok.client.connection.asyncio.sleep", no_sleep)
    full = Unavailable("full", code="too_many_jobs", retry_after_s=7.0)
    broker.submit_errors = [full, full]
    assert session.profile.settings.patience_s < 7.0
    await session.submit(SQL, deadline_s=60)
    assert len(broker.submitted) == 3
    assert [7.0 <= wait < 8.0 for wait in waits] == [True, True]
    broker.submit_errors = [full]
    with pytest.raises(Unavailable) as caught:
        await session.submit(SQL, deadline_s=6)
    assert caught.value.code == "too_many_jobs"


async def test_an_analyst_keeps_the_list_that_it_was_shown_and_holds_every_broker_to_it(
    domain, session, broker
):
    serial, now = broker.greeter._known.certificate.serial_number, time.time()
    der = revocation_list(domain.key, domain.root.certificate, {serial: now}, number=5, now=now, days=30)
    await session.datasets()
    await session.connection.close()
    handed_on, withheld = Revocations(domain.root, der), Revocations(domain.root)
    for hands_on in (handed_on, withheld):
        broker.greeter._revocations = hands_on
        async with AsyncSession(session.profile) as later:
            with pytest.raises(IdentityInvalid) as caught:
                await later.datasets()
            assert caught.value.code == "certificate_revoked"
    assert (session.profile.known_folder / "revoked.crl").read_bytes() == der


async def test_broker_that_stays_away_leaves_the_job_to_be_sent_later(session, broker):
    broker.submit_errors = [Unavailable("away") for _ in range(99)]
    with pytest.raises(Unavailable) as caught:
        await session.submit(SQL)
    (job_id,) = session.folder.known()
    assert f"kapok job wait {job_id[:12]}" in caught.value.remedy
    assert session.folder.load(job_id).receiver_key is not None


async def test_refused_specification_ends_the_job_and_its_secrets(session, broker):
    broker.submit_errors = [CohortTooSmall("few", code="too_few")]
    with pytest.raises(CohortTooSmall):
        await session.submit(SQL)
    (job_id,) = session.folder.known()
    record = session.folder.load(job_id)
    assert (record.outcome, record.receiver_key, record.tag_seed) == ("failed", None, None)
    with pytest.raises(CohortTooSmall):
        await session.wait(job_id)


async def test_lost_watch_is_taken_up_again(session, broker):
    broker.watch_errors = [Unavailable("gone"), Unavailable("gone")]
    broker.states, broker.error = (
        [JobState.GATHERING, JobState.FAILED],
        TimedOut("late", code="deadline_passed"),
    )
    told = []
    with pytest.raises(TimedOut):
        await session.query(SQL, progress=told.append)
    steps = ["notice", "notice", "submitted", "retrying", "retrying", "gathering"]
    assert [one.step for one in told] == steps


async def test_broker_that_hangs_up_again_and_again_is_said_when_patience_ends(domain, broker, tmp_path):
    broker.states = [JobState.GATHERING]
    home = domain.furnish(tmp_path / "hasty", Role.ANALYST, "university", broker.address, patience_s=0)
    told = []
    async with await connect_async(home) as session:
        with pytest.raises(Unavailable) as caught:
            await session.query(SQL, deadline_s=3, progress=told.append)
        (job_id,) = session.folder.known()
        assert session.folder.load(job_id).outcome == "open"
    assert caught.value.code == "hung_up"
    assert f"`kapok job wait {job_id[:12]}`" in caught.value.remedy
    assert "the broker hung up; trying again" in [one.text for one in told]


async def test_record_whose_secrets_are_gone_opens_nothing(session, broker, domain):
    job_id = await session.submit(SQL)
    record = msgspec.structs.replace(session.folder.load(job_id), receiver_key=None)
    session.folder.save(record)
    broker.states, broker.parts = [JobState.SUMMED], domain.hand_out(broker.submitted[-1])
    with pytest.raises(LocalProtocolError) as caught:
        await session.wait(job_id)
    assert (caught.value.code, caught.value.remedy) == ("secrets_gone", "ask again")


async def test_job_that_the_broker_never_got_is_sent_by_waiting(session, broker):
    broker.submit_errors = [Unavailable("away") for _ in range(99)]
    with pytest.raises(Unavailable):
        await session.submit(SQL)
    (job_id,) = session.folder.known()
    broker.submit_errors.clear()
    broker.watch_errors = [NotFound("no such job", code="unknown_job")]
    broker.states, broker.error = [JobState.FAILED], TimedOut("late")
    sent = len(broker.submitted)
    with pytest.raises(TimedOut):
        await session.wait(job_id)
    assert len(broker.submitted) == sent + 1


async def test_a_job_that_the_broker_has_lost_while_it_is_waited_for_is_sent_again(session, broker):
    """The broker was restored from a backup of before."""
    broker.watch_errors = [NotFound("no such job", code="unknown_job")]
    broker.states, broker.error = [JobState.FAILED], TimedOut("late")
    with pytest.raises(TimedOut):
        await session.query(SQL)
    first, second = broker.submitted
    assert first == second


async def test_sum_without_evidence_or_with_nonsense_opens_nothing_and_loses_nothing(session, broker):
    job_id = await session.submit(SQL)
    broker.parts = [b"\x00" * 16]
    with pytest.raises(PeerProtocolError) as nothing:
        await session.wait(job_id)
    assert nothing.value.code == "no_evidence"
    broker.parts = [Evidence(round=1, attempt=1, consents=("a",), seals=(), releases=()), b"\x00" * 16]
    with pytest.raises(KapokError) as nonsense:
        await session.wait(job_id)
    assert nonsense.value.exit_status in (7, 8)
    assert session.folder.load(job_id).receiver_key is not None
    assert broker.acknowledged == []


async def test_specification_of_another_job_is_not_believed(session, broker, domain):
    job_id = await session.submit(SQL)
    other = await session.submit(SQL)
    broker.foreign = session.folder.load(job_id).specification
    with pytest.raises(PeerProtocolError) as caught:
        await session.job(other)
    assert caught.value.code == "foreign_specification"


async def test_forged_refusal_is_reported_as_the_brokers(session, broker, domain):
    node = str(domain.name(Role.NODE, "va"))
    broker.states, broker.error = [JobState.FAILED], NotAuthorised("no", party=node)
    job_id = await session.submit(SQL)
    with pytest.raises(PeerProtocolError) as unsigned:
        await session.wait(job_id)
    assert unsigned.value.code == "forged_refusal"
    assert unsigned.value.party is None


async def test_result_of_a_job_that_goes_on_is_not_ready(session, broker):
    broker.states = [JobState.SEALING]
    job_id = await session.submit(SQL)
    with pytest.raises(Unavailable) as caught:
        await session.result(job_id)
    assert caught.value.code == "not_ready"
    assert "kapok job wait" in caught.value.remedy


async def test_cancelled_job_forgets_its_secrets(session, broker):
    job_id = await session.submit(SQL)
    await session.cancel(job_id)
    assert session.folder.load(job_id).receiver_key is None
    with pytest.raises(NotFound):
        await session.wait(job_id)


async def test_cancelled_job_that_the_broker_never_got_is_never_submitted(session, broker, monkeypatch):
    async def unknown(caller, job_id):
        raise NotFound("no such job", code="unknown_job")

    monkeypatch.setattr(broker, "cancel", unknown)
    broker.submit_errors = [Unavailable("away") for _ in range(99)]
    with pytest.raises(Unavailable):
        await session.submit(SQL)
    (job_id,) = session.folder.known()
    before = len(broker.submitted)
    await session.cancel(job_id)
    record = session.folder.load(job_id)
    assert (record.outcome, record.receiver_key, record.tag_seed) == ("cancelled", None, None)
    with pytest.raises(NotFound):
        await session.wait(job_id)
    assert len(broker.submitted) == before
    with pytest.raises(NotFound):
        await session.cancel(job_id)


async def test_job_is_named_before_it_is_sent_and_said_to_be_submitted_only_when_it_is(session, broker):
    broker.submit_errors = [CohortTooSmall("few", code="too_few")]
    told = []
    with pytest.raises(CohortTooSmall):
        await session.submit(SQL, progress=told.append)
    (job_id,) = session.folder.known()
    assert [(one.step, one.job_id) for one in told] == [("notice", ""), ("notice", job_id)]


async def test_jobs_that_the_broker_has_forgotten_are_still_listed(session, broker):
    job_id = await session.submit(SQL)
    (view,) = await session.jobs()
    assert (view.job_id, view.state, view.sql) == (job_id, "not at the broker", SQL)
    assert f"`kapok job wait {job_id[:12]}` submits it" in view.failure.remedy


async def test_broker_that_shows_no_such_dataset(session, broker):
    assert await session.datasets("other") == []
    with pytest.raises(NotFound):
        await session.query("SELECT COUNT(*) FROM other")


async def test_only_analysts_ask(domain, broker, tmp_path):
    home = domain.furnish(tmp_path / "node", Role.NODE, "va", broker.address)
    with pytest.raises(Refused) as caught:
        AsyncSession(Profile.load(home))
    assert type(caught.value) is NotAuthorised


async def test_dataset_hash_is_that_of_the_document(session, heart):
    (found,) = await session.datasets()
    assert found.hash == document_id(heart.to_payload())


async def test_one_document_that_does_not_verify_hides_no_other(session, broker, foreign_domain, heart):
    honest, told = broker.entry, []
    broker.entries = [foreign_domain.entry(heart), honest]
    found = await session.datasets(progress=told.append)
    assert [one.hash for one in found] == [document_id(heart.to_payload())]
    assert len(told) == 1
    assert "left out" in told[0].text
    assert await session.submit(SQL)
    broker.entries = [foreign_domain.entry(heart)]
    with pytest.raises(KapokError) as caught:
        await session.submit(SQL)
    assert caught.value.exit_status == 8


async def test_one_job_that_does_not_verify_hides_no_other(session, broker):
    first, second = await session.submit(SQL), await session.submit(SQL)
    broker.listed = [
        broker.status(first, JobState.GATHERING),  # shown with the specification of the second
        broker.status(second, JobState.GATHERING),
    ]
    views = {view.job_id: view for view in await session.jobs()}
    assert views[first].state == "not verified"
    assert views[first].failure.code == "foreign_specification"
    assert views[second].state == "gathering"


async def test_result_key_is_read_once_and_again_after_a_rotation(session):
    settings = msgspec.structs.replace(session.profile.settings, key_bits=2048)
    session.profile = Profile(session.profile.home, settings)
    first = session.result_key()
    assert session.result_key() is first
    session.profile.rotate_key()
    assert session.result_key().public.key_id != first.public.key_id


async def test_sum_is_opened_and_its_secrets_are_gone(session, broker, domain):
    job_id = await session.submit(SQL)
    broker.parts = domain.hand_out(broker.submitted[-1])
    result = await session.wait(job_id)
    assert result.rows == [(40,)]
    assert len(result.parties) == 4
    assert broker.acknowledged == [job_id]
    assert session.folder.load(job_id).receiver_key is None


async def test_an_answer_is_none_the_worse_for_a_broker_that_has_forgotten_the_sum(session, broker, domain):
    """It was cancelled in that very moment, or a retry had acknowledged it already."""

    async def gone(_caller, _job_id):
        raise NotFound("the job is cancelled: the broker keeps no sum of it", code="sum_gone")

    job_id = await session.submit(SQL)
    broker.parts, broker.acknowledge = domain.hand_out(broker.submitted[-1]), gone
    assert (await session.wait(job_id)).rows == [(40,)]
    assert session.folder.load(job_id).outcome == "opened"


async def test_shifted_sum_ends_the_job_and_its_secrets(session, broker, domain):
    job_id = await session.submit(SQL)
    evidence, first, *others = domain.hand_out(broker.submitted[-1])
    broker.parts = [evidence, bytes([first[0] ^ 1]) + first[1:], *others]
    for _ in range(2):
        with pytest.raises(SealBroken) as caught:
            await session.wait(job_id)
        assert caught.value.code == "tag_differs"
    record = session.folder.load(job_id)
    assert (record.outcome, record.receiver_key, record.tag_seed) == ("failed", None, None)
    assert broker.acknowledged == []


async def test_forged_refusal_of_an_ended_job_leaves_no_secrets_either(session, broker):
    broker.states, broker.refusals = [JobState.FAILED], ("nobody.signed.this",)
    job_id = await session.submit(SQL)
    with pytest.raises(PeerProtocolError) as caught:
        await session.wait(job_id)
    assert caught.value.code == "forged_refusal"
    assert session.folder.load(job_id).receiver_key is None


async def test_sum_longer_than_any_of_this_job_is_not_taken(session, broker, domain):
    job_id = await session.submit(SQL)
    parts = domain.hand_out(broker.submitted[-1])
    broker.parts = [*parts, b"\0"]
    with pytest.raises(PeerProtocolError) as more:
        await session.wait(job_id)
    assert more.value.code == "sum_too_long"
    broker.parts = [parts[0], *parts]
    with pytest.raises(PeerProtocolError) as twice:
        await session.wait(job_id)
    assert twice.value.code == "evidence_twice"
    broker.parts = parts
    assert (await session.wait(job_id)).rows == [(40,)]


async def test_endless_sum_is_hung_up_on(session, broker, domain):
    job_id = await session.submit(SQL)
    evidence, *_ = domain.hand_out(broker.submitted[-1])
    broker.parts = [evidence]
    broker.endless = b"\0" * 2**16
    with pytest.raises(PeerProtocolError) as caught:
        await session.wait(job_id)
    assert caught.value.code == "sum_too_long"


async def test_job_of_a_locked_profile_opens_with_its_passphrase_alone(domain, broker, tmp_path, monkeypatch):
    monkeypatch.setenv("KAPOK_PASSPHRASE", "right")
    home = domain.furnish(tmp_path / "locked", Role.ANALYST, "university", broker.address)
    async with await connect_async(home) as session:
        job_id = await session.submit(SQL)
        record = session.folder.unlock(session.folder.load(job_id))
    content = (home / "jobs" / f"{job_id}.json").read_bytes()
    for secret in (record.receiver_key, record.tag_seed):
        assert secret not in content
        assert base64.b64encode(secret) not in content
    broker.parts = domain.hand_out(broker.submitted[-1])
    for passphrase, code in (("", "passphrase_needed"), ("wrong", "passphrase_wrong")):
        monkeypatch.setenv("KAPOK_PASSPHRASE", passphrase)
        async with await connect_async(home) as session:
            with pytest.raises(IdentityInvalid) as caught:
                await session.wait(job_id)
        assert caught.value.code == code
    monkeypatch.setenv("KAPOK_PASSPHRASE", "right")
    async with await connect_async(home) as session:
        assert (await session.wait(job_id)).rows == [(40,)]
        assert session.folder.load(job_id).locked is None


async def test_it_is_said_whom_the_question_is_put_to_before_it_is_signed(session, broker):
    told = []
    await session.submit(SQL, parties=["va", "cleveland", "hungarian"], progress=told.append)
    assert told[0].text == "asking 3 nodes: cleveland/main, hungarian/main, va/main (not connected)"
    told.clear()
    broker.submit_errors = [CohortTooSmall("few", code="too_few")]
    with pytest.raises(CohortTooSmall):
        await session.submit(SQL, progress=told.append)
    assert "switzerland/main" in told[0].text


async def test_an_analyst_whose_certificate_ends_soon_is_told_with_each_question(session, domain):
    told = []
    await session.submit(SQL, progress=told.append)
    assert not [one for one in told if "certificate" in one.text]
    for days, said in ((13, "ends in 12 days"), (2, "ends in 1 day,")):
        session._credentials = type(domain)().credentials(Role.ANALYST, "university", days=days)
        told.clear()
        await session.submit(SQL, progress=told.append)
        assert (told[0].step, said in told[0].text, "kapok enroll" in told[0].text) == ("notice", True, True)


async def test_member_that_the_broker_hides_stops_the_question_until_it_is_left_out_by_name(
    session, broker, domain, heart
):
    await session.submit(SQL)
    sent = len(broker.submitted)
    broker.entry = domain.entry(heart, ("cleveland", "hungarian", "va"))
    for parties in (None, ["cleveland", "hungarian", "switzerland"]):
        with pytest.raises(Unavailable) as caught:
            await session.submit(SQL, parties=parties)
        assert caught.value.code == "member_missing"
        assert caught.value.party == str(domain.name(Role.NODE, "switzerland"))
        assert "--party cleveland --party hungarian --party va" in caught.value.remedy
    assert len(broker.submitted) == sent
    assert await session.submit(SQL, parties=["cleveland", "hungarian", "va"])
    with pytest.raises(Unavailable):  # once is not for ever
        await session.submit(SQL)
    broker.entry = domain.entry(heart)
    assert await session.submit(SQL)
