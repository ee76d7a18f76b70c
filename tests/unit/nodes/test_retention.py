"""What a node's journal forgets after a time, and what it never does."""

import pytest

from kapok.errors import InvalidInput
from kapok.nodes.journal.history import asked, read_only
from kapok.nodes.settings import load_settings

COUNT = "SELECT COUNT(*) FROM clinic"
DAY = 86_400.0


def of(node):
    found = read_only(
        node.home / "journal.db", lambda connection: asked(connection, now=node.journal._clock())
    )
    return {one.job_id: one for one in found}


def test_texts_of_what_was_not_released_go_and_everything_that_binds_stays(world):
    node = world.nodes["a"]
    released, refused = world.job(COUNT), world.job(COUNT, organisation="insurer")
    released.release(released.seal(released.consent()))
    refused.offer(node)
    before = of(node)
    world.clock.now += 61 * DAY
    young = world.job(COUNT, organisation="insurer", by="two")
    young.offer(node)
    scopes = node.journal.scope("clinic", released.caller.name.organisation_id)
    assert node.journal.forget_texts(world.clock.now - 60 * DAY) == 1
    assert node.journal.forget_texts(world.clock.now - 60 * DAY) == 0
    after = of(node)
    assert after[released.id] == before[released.id]
    gone = after[refused.id]
    assert (gone.question, gone.in_words, gone.code) == ("", "", "")
    assert (gone.outcome, gone.analyst, gone.asked_at) == ("refused", *_who(before[refused.id]))
    assert after[young.id].question
    assert node.journal.scope("clinic", released.caller.name.organisation_id) == scopes
    # The same question again is the same job, whose time is over: it is neither new nor released.
    record = node.journal.job(refused.id)
    assert record is not None
    assert record.refusal == ""


def _who(one):
    return one.analyst, one.asked_at


@pytest.mark.parametrize(("days", "good"), [(0, True), (59, False), (60, True), (-1, False)])
def test_how_long_is_a_setting_and_longer_than_any_job(tmp_path, days, good):
    (tmp_path / "node.toml").write_text(f'broker = "127.0.0.1:7443"\nhistory_days = {days}\n')
    if good:
        assert load_settings(tmp_path).history_days == days
        return
    with pytest.raises(InvalidInput) as caught:
        load_settings(tmp_path)
    assert caught.value.code == "bad_settings"
