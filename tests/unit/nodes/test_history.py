"""What the journal tells the holder's officer: all that was asked, and by which policy it was decided."""

import csv
import io
import json

import pytest
from support.officers import node_names, reopening, signed

from kapok.cli.app import run
from kapok.cli.history import history_as_csv
from kapok.errors import InvalidInput, NotFound
from kapok.nodes import approvals, officers
from kapok.nodes.history import history, moment_of
from kapok.nodes.policy import Policy
from kapok.nodes.reloading import reload
from kapok.nodes.settings import POLICY_FILE, template
from kapok.persistence import open_database
from kapok.wire.messages import Closed, ReopenCohort

COUNT = "SELECT COUNT(*) FROM clinic"
WOMEN = "SELECT COUNT(*) FROM clinic WHERE sex = 0"


@pytest.fixture(autouse=True)
def real_time(world, monkeypatch):
    monkeypatch.setattr(officers.time, "time", world.clock)


@pytest.fixture
def node(world, make_rule):
    node = world.nodes["a"]
    (node.home / "node.toml").write_text('broker = "127.0.0.1:1"\nstate = "."\n')
    node.policy = Policy((make_rule(dataset="other"), make_rule()))
    node.start()
    return node


def of(world, node, **options):
    return history(node.home, clock=world.clock, **options)


def test_everything_that_was_asked_is_there_with_what_became_of_it(world, node, make_rule):
    released, allowed = world.job(WOMEN), world.job(COUNT, by="two")
    released.release(released.seal(released.consent()))
    allowed.offer(node)
    refused = world.job(COUNT, organisation="insurer")
    refused.offer(node)
    narrow = make_rule(approval="manual", operations=("count",))
    node.judge_by(Policy((narrow,)))
    forbidden, waiting, approved, denied, gone = (
        world.job(sql) for sql in ("SELECT SUM(age) FROM clinic", COUNT, WOMEN, WOMEN, WOMEN)
    )
    for job in (forbidden, waiting, approved, denied, gone):
        job.offer(node)
    world.clock.now += 5
    approvals.approve(node.home, approved.id)
    approvals.deny(node.home, denied.id)
    node.runner.decided()
    node.runner.handle(Closed(gone.id))
    found = of(world, node).asked
    told = {one.job_id: one for one in found}
    assert [one.job_id for one in found] == [
        job.id for job in (released, allowed, refused, forbidden, waiting, approved, denied, gone)
    ]
    first = told[released.id]
    assert (first.outcome, first.rule, first.code) == ("released", 2, "")
    assert first.released_at == world.clock() - 5
    assert first.analyst == "spiffe://kapok.test/org/university/analyst/one"
    assert (first.dataset, first.question) == ("clinic", released.question.text)
    assert first.in_words == released.question.describe()
    assert (told[allowed.id].outcome, told[allowed.id].released_at) == ("allowed", None)
    stranger = told[refused.id]
    assert (stranger.outcome, stranger.code, stranger.clause) == (
        "refused",
        "not_authorised",
        "policy.analysts",
    )
    assert (stranger.rule, stranger.in_words) == (0, "")
    assert told[forbidden.id].code == "operation_not_allowed"
    assert told[forbidden.id].in_words
    assert told[forbidden.id].policy == told[waiting.id].policy == first.policy + 1
    assert told[waiting.id].outcome == "waiting"
    assert (told[approved.id].outcome, told[approved.id].decided_by) == ("allowed", officers.officer())
    assert told[approved.id].decided_at == world.clock()
    assert (told[denied.id].outcome, told[denied.id].code) == ("refused", "approval_denied")
    assert told[denied.id].decided_by == officers.officer()
    assert told[gone.id].outcome == "unanswered"
    world.clock.now += 3600
    assert {one.outcome for one in of(world, node).asked if one.job_id == waiting.id} == {"unanswered"}


def test_it_is_for_one_analyst_or_from_a_date_on(world, node):
    early, other = world.job(COUNT), world.job(COUNT, organisation="insurer", by="two")
    early.offer(node)
    other.offer(node)
    moment = world.clock.now = world.clock.now + 30
    late = world.job(COUNT, by="two")
    late.offer(node)

    def jobs(**options):
        return [one.job_id for one in of(world, node, **options).asked]

    assert jobs() == [early.id, other.id, late.id]
    assert jobs(since=moment) == [late.id]
    assert jobs(analyst="org/university/analyst/*") == [early.id, late.id]
    assert jobs(analyst="org/*/analyst/two") == [other.id, late.id]
    assert jobs(analyst="spiffe://kapok.test/org/insurer/analyst/*", since=moment) == []
    with pytest.raises(InvalidInput) as caught:
        jobs(analyst="university")
    assert caught.value.code == "bad_party_name"


def test_it_is_read_beside_the_running_node_and_without_it_and_changes_nothing(world, node):
    world.job(COUNT).offer(node)
    beside = of(world, node)
    node.stop()
    files = {path: path.read_bytes() for path in node.home.iterdir()}
    assert of(world, node) == beside
    assert {path: path.read_bytes() for path in files} == files


def test_policies_and_pauses_are_told_from_a_date_on(world, node):
    (node.home / "policy.toml").write_text("# nobody\n")
    start = world.clock()
    world.clock.now += 100
    officers.pause(node.home, "an audit")
    world.clock.now += 100
    officers.resume(node.home)
    reload(node.home, "settings", node.journal, node.runner)
    found = of(world, node)
    assert [(one.number, one.since) for one in found.policies] == [(1, start), (2, start + 200)]
    assert found.policies[1].policy == "# nobody\n"
    assert [(one.reason, one.paused_at, one.resumed_at) for one in found.pauses] == [
        ("an audit", start + 100, start + 200)
    ]
    assert found.paused is None
    # What was in force at the date is told as well.
    assert [one.number for one in of(world, node, since=start + 50).policies] == [1, 2]
    assert [one.number for one in of(world, node, since=start + 300).policies] == [2]
    assert of(world, node, since=start + 300).pauses == ()
    officers.pause(node.home)
    assert of(world, node, since=start + 300).paused is not None


def test_a_file_of_an_earlier_version_is_named(world, node, tmp_path):
    node.stop()
    engine = open_database(node.home / "journal.db", "kapok.nodes.journal.migrations")
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    engine.dispose()
    with pytest.raises(InvalidInput) as caught:
        of(world, node)
    assert caught.value.code == "older_database"
    (tmp_path / "node.toml").write_text('broker = "127.0.0.1:1"\n')
    with pytest.raises(NotFound) as missing:
        history(tmp_path)
    assert missing.value.code == "no_journal"


def test_csv_has_a_line_for_everything_that_happened(world, node):
    world.job(WOMEN).offer(node)
    world.clock.now += 5
    officers.pause(node.home, "an audit")
    world.clock.now += 5
    world.job(COUNT).offer(node)
    officers.resume(node.home)
    lines = list(csv.DictReader(io.StringIO(history_as_csv(of(world, node)))))
    assert sorted(one["event"] for one in lines[:2]) == ["policy", "question"]
    first, policy = sorted(lines[:2], key=lambda one: one["event"], reverse=True)
    pause, refused = lines[2:]
    assert (first["outcome"], refused["outcome"]) == ("allowed", "refused")
    assert (refused["code"], refused["counted"], first["counted"]) == ("holder_paused", "no", "yes")
    assert first["at"] == "2027-01-15T08:00:00+00:00"
    assert (first["released_at"], first["rule"], first["policy"]) == ("", "2", "1")
    assert policy["policy"] == "1"
    assert of(world, node).policies[0].policy_hash in policy["in_words"]
    assert (pause["event"], pause["at"], pause["until"]) == (
        "pause",
        "2027-01-15T08:00:05+00:00",
        "2027-01-15T08:00:10+00:00",
    )
    assert (pause["in_words"], pause["decided_by"], pause["job"]) == ("an audit", officers.officer(), "")


def test_the_command_tells_it_to_people_in_csv_and_in_json(world, node, capsys):
    job = world.job(WOMEN)
    job.release(job.seal(job.consent()))
    world.job(COUNT, organisation="insurer").offer(node)
    officers.pause(node.home, "an audit")
    command = ["node", "history", "--home", str(node.home)]
    assert run(command) == 0
    out = capsys.readouterr().out
    for said in (
        job.question.describe(),
        "2027-01-15T08:00:00+00:00  " + job.id[:8],
        "released 2027-01-15T08:00:00+00:00",
        "rule 2 of policy 1",
        "[not_authorised]",
        "an audit",
    ):
        assert said in out
    assert run([*command, "--json", "--analyst", "org/insurer/analyst/*"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["paused"] is True
    assert [one["code"] for one in document["asked"]] == ["not_authorised"]
    assert set(document) == {"asked", "policies", "pauses", "reopenings", "apps", "paused"}
    assert document["asked"][0]["asked_at"] == "2027-01-15T08:00:00+00:00"
    assert document["policies"][0]["since"] == "2027-01-15T08:00:00+00:00"
    assert [document["pauses"][0][name] for name in ("paused_at", "resumed_at")] == [
        "2027-01-15T08:00:00+00:00",
        None,
    ]
    assert run([*command, "--csv"]) == 0
    # A heading, the policy, two questions, the pause.
    assert len(capsys.readouterr().out.splitlines()) == 5
    assert run([*command, "--policy"]) == 0
    assert "policy 1, in force since" in capsys.readouterr().out
    assert run([*command, "--csv", "--policy"]) == 3
    assert "[bad_options]" in capsys.readouterr().err
    assert run([*command, "--since", "yesterday"]) == 3
    assert "[bad_date]" in capsys.readouterr().err


def test_reopenings_and_pauses_are_told_between_the_questions_and_to_whom_they_concern(
    world, node, dataset_hash, capsys
):
    world.job(WOMEN).run()
    document = signed(
        reopening(("abcd",), "abc", dataset=dataset_hash, now=world.clock()), world.realm.credentials
    )
    world.clock.now += 10
    node.runner.handle(ReopenCohort(document.to_json()))
    world.clock.now += 10
    officers.pause(node.home, "an audit")
    world.clock.now += 10
    officers.resume(node.home)
    world.job(COUNT, names="abc").offer(node)
    [one] = of(world, node).reopenings
    assert (one.reopening, one.accepted_at) == (document.id, world.clock() - 20)
    assert (one.asset, one.organisation) == (node.asset, "spiffe://kapok.test/org/university")
    assert (one.serial, one.names) == (1, tuple(sorted(node_names("abc"))))
    for analyst, told in (("org/university/analyst/*", 1), ("org/*/analyst/x", 1), ("org/x/analyst/*", 0)):
        assert len(of(world, node, analyst=analyst).reopenings) == told
    assert of(world, node, since=world.clock() - 5).reopenings == ()
    assert run(["node", "history", "--home", str(node.home)]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if not line.startswith(" ")]
    assert [line[:25] for line in lines] == [
        f"2027-01-15T08:00:{second}+00:00" for second in ("00", 10, 20, 30)
    ]
    assert "cohort of" in lines[1]
    assert "an audit" in lines[2]


def test_dates_are_of_this_machines_time_zone_unless_they_name_one():
    assert moment_of("2026-11-25T00:00:00+00:00") == 1795564800
    assert moment_of("2026-11-26") - moment_of("2026-11-25") == 86400
    for text in ("", "25.11.2026", "2026-13-01", "now"):
        with pytest.raises(InvalidInput) as caught:
            moment_of(text)
        assert caught.value.code == "bad_date"


def test_a_policy_is_shown_word_for_word(world, node, capsys):
    """Not as a hint of ours, in which a command gets the folder: its hash stands above it."""
    written = template(POLICY_FILE)
    assert "`kapok " in written
    node.journal.put_in_force(written, "settings")
    assert run(["node", "history", "--policy", "--home", str(node.home)]) == 0
    shown = [line.removeprefix("    | ") for line in capsys.readouterr().out.splitlines() if "    | " in line]
    assert "\n".join(shown).endswith(written.rstrip("\n"))
