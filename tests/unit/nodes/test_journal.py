"""The journal: what it refuses when it was restored from a copy, and that its tables are its migrations'."""

import shutil

import msgspec
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from kapok.errors import InvalidInput, LocalProtocolError, Unavailable
from kapok.nodes.journal import Decision, tables
from kapok.nodes.journal.journal import MIGRATIONS
from kapok.nodes.policy import Policy
from kapok.nodes.runner import Release
from kapok.nodes.states import REFUSABLE, TRANSITIONS, Event, NodeJobState, after
from kapok.persistence import open_database
from kapok.wire.messages import Closed, Offer

COUNT = "SELECT COUNT(*) FROM clinic"


def keep_copy(node):
    assert node.runner
    node.stop()
    shutil.copy(node.home / "journal.db", node.home / "copy.db")
    node.start()


def restore_copy(node):
    node.stop()
    for name in ("journal.db", "journal.db-wal", "journal.db-shm"):
        (node.home / name).unlink(missing_ok=True)
    shutil.copy(node.home / "copy.db", node.home / "journal.db")


def number_to_accept(node) -> int:
    with pytest.raises(InvalidInput) as caught:
        node.start()
    assert caught.value.code == "journal_restored"
    return int(caught.value.remedy.split("accept_rollback = ")[1].split("`")[0])


def test_a_restored_journal_is_noticed_and_the_node_does_not_start(world):
    node = world.nodes["a"]
    keep_copy(node)
    world.job(COUNT).run()
    restore_copy(node)
    for _ in range(2):
        assert number_to_accept(node) > 0


def test_one_forgotten_try_is_enough_to_be_noticed(world):
    node = world.nodes["a"]
    keep_copy(node)
    world.job(COUNT).offer(node)
    restore_copy(node)
    assert number_to_accept(node)


def test_a_lost_mirror_or_a_lost_journal_is_noticed(world):
    node = world.nodes["a"]
    node.start()
    node.stop()
    (node.home / "instance").unlink()
    assert number_to_accept(node)
    (node.home / "instance").write_text("not a number")
    assert number_to_accept(node)
    (node.home / "instance").write_text("1000")
    (node.home / "journal.db").unlink()
    assert number_to_accept(node) == 1000


def test_a_journal_ahead_of_its_mirror_is_a_crash_between_the_two(world):
    node = world.nodes["a"]
    node.start()
    mirrored = int((node.home / "instance").read_text())
    node.stop()
    (node.home / "instance").write_text(str(mirrored - 1))
    node.start()


def test_once_accepted_nothing_of_before_is_ever_answered_again(world):
    node = world.nodes["a"]
    known = world.job(COUNT)
    consents = known.consent()
    known_seals = known.seal(consents)
    keep_copy(node)
    forgotten = world.job("SELECT SUM(age) FROM clinic")
    consents = forgotten.consent()
    seals = forgotten.seal(consents)
    assert isinstance(forgotten.complete(node, seals)[0], Release)
    restore_copy(node)
    node.accept = number_to_accept(node)
    node.start()
    # A job that the copy knows as open, and one that it does not know at all though it was released.
    assert world.refusal(known.offer(node)).code == "journal_restored"
    assert world.refusal(known.complete(node, known_seals)).code == "journal_restored"
    assert world.refusal(forgotten.offer(node)).code == "bad_tag_seed"
    assert world.refusal(forgotten.open(node, consents, attempt=2)).code == "bad_tag_seed"
    # New questions, sealed to the node's new key, are answered; the number that was accepted is spent.
    world.job(COUNT).run()
    keep_copy(node)
    world.job(COUNT).run()
    restore_copy(node)
    assert number_to_accept(node) > node.accept


def test_what_the_copy_knows_as_released_stays_released_once_accepted(world):
    node = world.nodes["a"]
    job = world.job(COUNT)
    seals = job.seal(job.consent())
    released = job.complete(node, seals)
    keep_copy(node)
    world.job(COUNT).offer(node)
    restore_copy(node)
    node.accept = number_to_accept(node)
    node.start()
    assert node.journal.job(job.id).state is NodeJobState.RELEASED
    assert job.complete(node, seals) == released
    assert job.offer(node) == []


def test_another_number_is_not_accepted(world):
    node = world.nodes["a"]
    keep_copy(node)
    world.job(COUNT).offer(node)
    restore_copy(node)
    node.accept = number_to_accept(node) - 1
    assert number_to_accept(node)


def test_nothing_is_answered_when_the_mirror_cannot_be_written(world, monkeypatch):
    node = world.nodes["a"]
    runner = node.start()
    job = world.job(COUNT)
    (node.home / "instance").unlink()
    (node.home / "instance").mkdir()
    with pytest.raises(Unavailable) as caught:
        runner.handle(Offer(job.token))
    assert caught.value.code == "journal_unavailable"


def test_nothing_is_answered_from_stored_state_before_the_mirror_has_followed(world):
    job, node = world.job(COUNT), world.nodes["a"]
    seals = job.seal(job.consent())
    mirror = node.home / "instance"
    mirror.unlink()
    mirror.mkdir()
    for _ in range(2):
        with pytest.raises(Unavailable) as caught:
            job.complete(node, seals)
        assert caught.value.code == "journal_unavailable"
    assert node.journal.released(job.id, 1)
    mirror.rmdir()
    assert isinstance(job.complete(node, seals)[0], Release)
    keep_copy(node)
    assert mirror.read_text().strip().isdigit()


@pytest.fixture
def waiting(world, make_rule):
    """A job that waits for an officer at a node that is stopped."""
    node = world.nodes["a"]
    node.policy = Policy((make_rule(approval="manual"),))
    job = world.job(COUNT)
    assert job.offer(node) == []
    node.stop()
    shutil.copy(node.home / "journal.db", node.home / "copy.db")
    return node, job


def decide(node, job, event):
    inbox = node.inbox()
    try:
        return inbox.decide(job.id, event)
    finally:
        inbox.close()


def test_an_officers_decision_that_a_copy_would_undo_is_noticed(waiting):
    node, job = waiting
    decide(node, job, Event.DENIAL)
    restore_copy(node)
    assert number_to_accept(node)


def test_an_officer_decides_nothing_over_a_restored_journal(world, waiting):
    node, job = waiting
    node.start()
    world.job(COUNT).offer(node)
    restore_copy(node)
    mirrored = (node.home / "instance").read_text()
    with pytest.raises(InvalidInput) as caught:
        decide(node, job, Event.APPROVAL)
    assert caught.value.code == "journal_restored"
    assert (node.home / "instance").read_text() == mirrored


def test_an_officers_decision_does_not_set_the_mirror_back(world, waiting):
    node, job = waiting
    node.start()
    decide(node, job, Event.DENIAL)
    world.job(COUNT).offer(node)
    mirrored = int((node.home / "instance").read_text())
    decide(node, job, Event.DENIAL)
    assert int((node.home / "instance").read_text()) == mirrored


def test_the_tables_are_those_that_the_migrations_make(tmp_path):
    engine = open_database(tmp_path / "journal.db", MIGRATIONS)
    try:
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            differences = compare_metadata(context, tables.metadata)
            assert differences == []
            assert set(sa.inspect(connection).get_table_names()) >= set(tables.metadata.tables)
    finally:
        engine.dispose()


def test_the_journal_holds_no_row_and_no_key(world):
    job = world.job("SELECT COUNT(*) FROM clinic WHERE age > 41")
    job.run()
    node = world.nodes["a"]
    node.stop()
    content = (node.home / "journal.db").read_bytes()
    assert node.tag_key.private_bytes() not in content
    assert job.tag_seed not in content
    assert (node.home / "journal.db").stat().st_mode & 0o077 == 0


def test_a_file_cannot_be_joined_under_two_assets_one_after_the_other(world):
    node = world.nodes["a"]
    node.journal.place(str(node.csv), "clinic")
    node.journal.place(str(node.csv), "clinic")
    with pytest.raises(InvalidInput, match="clinic") as caught:
        node.journal.place(str(node.csv), "hospital")
    assert caught.value.code == "asset_renamed"


def test_an_unknown_job_is_neither_closed_nor_sealed(world):
    node = world.nodes["a"]
    assert node.runner.handle(Closed("ab" * 32)) == []
    assert node.journal.job("ab" * 32) is None
    with pytest.raises(LocalProtocolError):
        node.journal.consent("ab" * 32, specification="", decision=Decision(None, 1, 1), cohort=None)


def test_a_closed_job_and_an_answered_one_cannot_go_back():
    assert {state for (state, _), _ in TRANSITIONS.items()} == set(NodeJobState)
    for event in set(Event) - {Event.CLOSING}:
        with pytest.raises(LocalProtocolError):
            after(NodeJobState.CLOSED, event)
    # An answered one goes on with its next round, or is refused it. That a round is released once is the
    # journal's unique key.
    goes_on = {Event.CLOSING, Event.RELEASE, Event.SEALING, Event.CONSENT, Event.REFUSAL}
    for event in set(Event) - goes_on:
        with pytest.raises(LocalProtocolError):
            after(NodeJobState.RELEASED, event)
    assert after(NodeJobState.DENIED, Event.REFUSAL) is NodeJobState.REFUSED
    assert (NodeJobState.DENIED, Event.CONSENT) not in TRANSITIONS
    assert (NodeJobState.PENDING, Event.CONSENT) not in TRANSITIONS
    assert set(NodeJobState) - {NodeJobState.CLOSED} == REFUSABLE


def test_a_mirror_that_cannot_be_read_stops_the_node_before_it_opens_anything(world):
    node = world.nodes["a"]
    (node.home / "instance").mkdir()
    with pytest.raises(InvalidInput) as caught:
        node.start()
    assert caught.value.code == "bad_file"
    assert str(node.home / "instance") in caught.value.message
    assert not (node.home / "journal.db").exists()


def test_a_job_that_was_never_asked_has_no_next_step(world, make_rule):
    with pytest.raises(LocalProtocolError) as caught:
        world.nodes["a"].journal.defer("00" * 32, specification="", decision=Decision(make_rule(), 1, 1))
    assert caught.value.code == "unknown_job"


def test_an_attempt_is_sealed_with_one_vector_and_no_other(world):
    node = world.nodes["a"]
    job = world.job(COUNT)
    job.seal(job.consent())
    stored = node.journal.sealed(job.id, 1, 1)
    node.journal.seal(stored.record, in_force=stored.in_force)
    other = msgspec.structs.replace(stored.record, vector_sha256=bytes(32))
    with pytest.raises(LocalProtocolError) as refused:
        node.journal.seal(other, in_force=stored.in_force)
    assert refused.value.code == "sealed_otherwise"
    assert node.journal.sealed(job.id, 1, 1) == stored
    assert node.journal.job(job.id).state is NodeJobState.SEALED
