"""Another policy while the node runs: what cannot be used replaces nothing, and every change is recorded."""

import logging

import pytest
import sqlalchemy as sa

from kapok.nodes import approvals
from kapok.nodes.journal import tables
from kapok.nodes.policy import Policy
from kapok.nodes.reloading import load_in_force, reload
from kapok.nodes.runner import Consent, Release, Seal, releases
from kapok.nodes.states import NodeJobState
from kapok.persistence import open_database

COUNT = "SELECT COUNT(*) FROM clinic"
RULE = """
[[rule]]
analysts = ["spiffe://kapok.test/org/university/analyst/*"]
dataset = "clinic"
operations = ["count"]
columns = ["*"]
questions = 100
min_rows = 5
min_cell = 3
seals = ["paillier", "pad"]
approval = "automatic"
"""


@pytest.fixture
def node(world):
    node = world.nodes["a"]
    assert node.runner
    (node.home / "policy.toml").write_text(RULE)
    reload(node.home, "settings", node.journal, node.runner)
    return node


def rewrite(node, before, after, settings="settings"):
    text = (node.home / "policy.toml").read_text()
    assert before in text
    (node.home / "policy.toml").write_text(text.replace(before, after))
    reload(node.home, settings, node.journal, node.runner)


def recorded(node):
    engine = open_database(node.home / "journal.db", "kapok.nodes.journal.migrations")
    try:
        with engine.connect() as connection:
            return connection.execute(sa.select(tables.in_force).order_by(tables.in_force.c.number)).all()
    finally:
        engine.dispose()


def test_a_reload_judges_what_comes_after_it(world, node):
    assert isinstance(world.job(COUNT).offer(node)[0], Consent)
    rewrite(node, '"count"', '"sum"')
    refusal = world.refusal(world.job(COUNT).offer(node))
    assert refusal.code == "operation_not_allowed"


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        ("min_cell = 3", "min_cell = ", "bad_settings"),
        ("min_cell = 3", "min_cell = 3\nmin_sell = 3", "bad_settings"),
        ("questions = 100", "questions = -1", "bad_settings"),
        (RULE, None, "no_policy"),
    ],
)
def test_what_does_not_load_replaces_nothing_and_the_log_is_loud(world, node, caplog, before, after, code):
    kept = recorded(node)
    if after is None:
        (node.home / "policy.toml").unlink()
        reload(node.home, "settings", node.journal, node.runner)
    else:
        rewrite(node, before, after)
    [said] = [one for one in caplog.records if "NOT reloaded" in one.getMessage()]
    assert (said.levelno, said.code) == (logging.ERROR, code)
    assert "policy.toml" in said.what
    assert said.remedy
    assert recorded(node) == kept
    assert isinstance(world.job(COUNT).offer(node)[0], Consent)


def test_a_job_under_way_is_judged_anew_before_it_is_sealed(world, node):
    kept, lost = world.job(COUNT), world.job(COUNT)
    consents = kept.consent()
    others = lost.consent()
    rewrite(node, "min_cell = 3", "min_cell = 4")
    # With new keys, as after a restart: the attempt under the old ones is void.
    [again] = kept.open(node, consents)
    assert isinstance(again, Consent)
    assert again.token not in consents
    assert isinstance(kept.open(node, [again.token, *consents[1:]], attempt=2)[0], Seal)
    rewrite(node, '"count"', '"sum"')
    assert world.refusal(lost.open(node, others)).code == "operation_not_allowed"


def test_a_policy_that_comes_into_force_between_the_decision_and_the_note_stops_the_note(
    world, node, monkeypatch
):
    job = world.job(COUNT)
    seals = job.seal(job.consent())

    def meanwhile(*args, **more):
        rewrite(node, '"count"', '"sum"')
        return release(*args, **more)

    release = releases.release
    monkeypatch.setattr(releases, "release", meanwhile)
    assert world.refusal(job.complete(node, seals)).code == "policy_changed"
    assert node.journal.released(job.id, 1) is None


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("sealed", [False, True])
@pytest.mark.parametrize("step", ["offer", "open"])
def test_a_job_under_way_waits_for_the_officer_whom_a_new_policy_asks_for(
    world, node, monkeypatch, step, sealed, restarted
):
    monkeypatch.setattr("kapok.nodes.officers.time.time", world.clock)
    (node.home / "node.toml").write_text('broker = "127.0.0.1:1"\nstate = "."\n')
    job = world.job(COUNT)
    consents = job.consent()
    if sealed:
        job.seal(consents)
    rewrite(node, '"automatic"', '"manual"')
    if restarted:
        node.start()
        node.runner.put_in_force(load_in_force(node.home, "settings", node.journal))
    for _ in range(2):
        assert (job.offer(node) if step == "offer" else job.open(node, consents)) == []
    assert [one.job_id for one in approvals.pending(node.home)] == [job.id]
    assert job.open(node, consents, attempt=2) == []
    approvals.approve(node.home, job.id)
    [again] = node.runner.decided()
    assert isinstance(again, Consent)
    [seal] = job.open(node, [again.token, *consents[1:]], attempt=3)
    assert isinstance(seal, Seal)
    assert node.journal.job(job.id).decided_by


def test_an_approval_outlives_another_policy(world, node, monkeypatch):
    monkeypatch.setattr("kapok.nodes.officers.time.time", world.clock)
    (node.home / "node.toml").write_text('broker = "127.0.0.1:1"\nstate = "."\n')
    rewrite(node, '"automatic"', '"manual"')
    job = world.job(COUNT)
    assert job.offer(node) == []
    approvals.approve(node.home, job.id)
    assert isinstance(node.runner.decided()[0], Consent)
    rewrite(node, "min_cell = 3", "min_cell = 4")
    assert isinstance(job.offer(node)[0], Consent)


def test_nothing_is_released_that_was_sealed_without_the_approval_that_its_rule_asks_for(world, node):
    """As a journal of a version that sealed it has it: consented by a manual rule, and by no officer."""
    job = world.job(COUNT)
    seals = job.seal(job.consent())
    rewrite(node, '"automatic"', '"manual"')
    number = recorded(node)[-1].number
    engine = open_database(node.home / "journal.db", "kapok.nodes.journal.migrations")
    with engine.begin() as connection:
        connection.execute(tables.seal.update().values(in_force=number))
    engine.dispose()
    assert world.refusal(job.complete(node, seals)).code == "approval_missing"
    assert node.journal.released(job.id, 1) is None
    assert node.journal.job(job.id).state is NodeJobState.REFUSED


def test_a_vector_that_was_sealed_under_another_policy_is_not_released(world, node):
    job = world.job(COUNT)
    seals = job.seal(job.consent())
    rewrite(node, "min_cell = 3", "min_cell = 50")
    refusal = world.refusal(job.complete(node, seals))
    assert (refusal.code, refusal.clause) == ("policy_changed", "policy.rule[1]")
    assert node.journal.released(job.id, 1) is None
    rewrite(node, "min_cell = 50", "min_cell = 3")
    assert world.refusal(job.complete(node, seals)) == refusal


def test_a_reload_without_a_change_disturbs_nothing(world, node):
    job = world.job(COUNT)
    seals = job.seal(job.consent())
    before = recorded(node)
    reload(node.home, "settings", node.journal, node.runner)
    assert recorded(node) == before
    assert isinstance(job.complete(node, seals)[0], Release)


def test_each_change_is_recorded_with_its_text_and_decisions_refer_to_it(world, node):
    job = world.job(COUNT)
    job.release(job.seal(job.consent()))
    first = recorded(node)[-1]
    assert (first.policy, first.settings, first.since) == (RULE, "settings", world.clock())
    assert node.journal.job(job.id).in_force == first.number
    world.clock.now += 60
    rewrite(node, '"count"', '"sum"')
    refused = world.job(COUNT)
    refused.offer(node)
    rewrite(node, '"sum"', '"count"', settings="other settings")
    rows = recorded(node)[-3:]
    assert [one.number for one in rows] == [first.number, first.number + 1, first.number + 2]
    assert node.journal.job(refused.id).in_force == rows[1].number
    assert rows[2].policy == RULE
    assert rows[2].policy_hash == first.policy_hash != rows[1].policy_hash
    assert rows[2].settings_hash != rows[1].settings_hash == first.settings_hash
    assert [one.since for one in rows] == [first.since, first.since + 60, first.since + 60]


def test_a_start_with_the_same_files_is_no_change(node, world):
    before = recorded(node)
    load_in_force(node.home, "settings", node.journal)
    assert recorded(node) == before
    node.judge_by(Policy())
    assert len(recorded(node)) == len(before) + 1
