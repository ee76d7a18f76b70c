"""One suite for both databases that the broker's store runs on: SQLite, and a real PostgreSQL server."""

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable
from support.broker import history, stored_chunks
from support.postgres import PASSWORD
from support.stored import (
    ADA,
    LONG,
    NOW,
    ORGANISATION,
    add_attempt,
    add_consent,
    add_job,
    add_vector,
    job_row,
)

from kapok.broker.store import Store, attempts
from kapok.broker.store.jobs import CURRENT, STALE, SUPERSEDED
from kapok.broker.store.schema import (
    Base,
    DatasetRow,
    EventRow,
    MemberRow,
    ReleaseRow,
)
from kapok.errors import InternalError, Unavailable


def test_tables_are_those_that_the_migrations_make(store):
    with store._engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_every_table_can_be_made_on_postgresql():
    for table in Base.metadata.sorted_tables:
        text = str(CreateTable(table).compile(dialect=postgresql.dialect()))
        assert text.strip().startswith(f"CREATE TABLE {table.name}")
    made = str(CreateTable(Base.metadata.tables["attempt"]).compile(dialect=postgresql.dialect()))
    assert "id BIGSERIAL NOT NULL" in made


def test_what_was_committed_is_there_after_opening_again(place):
    first = Store.open(place, PASSWORD)
    job_id = add_job(first)
    first.close()
    second = Store.open(place, PASSWORD)
    with second.snapshot() as tx:
        job = tx.jobs.get(job_id)
        assert (job.analyst, job.deadline) == (ADA, NOW + 60)
        assert tx.jobs.payload(job_id) == b"{}"
        assert (job.attempts, job.asked_again, job.bytes_received, job.error) == (0, False, 0, None)
        assert [member.node for member in tx.jobs.members(job_id)] == ["n1", "n2"]
    second.close()


def test_a_transaction_that_raises_leaves_nothing(store):
    def fail_halfway():
        with store.transaction() as tx:
            tx.jobs.add(job_row(), [MemberRow(job="a" * 64, node="n1", organisation="n1")], **LONG)
            raise KeyError

    with pytest.raises(KeyError):
        fail_halfway()
    with store.snapshot() as tx:
        assert tx.jobs.get("a" * 64) is None


def test_transactions_together_are_all_or_nothing_each_and_on_disk_at_once(store):
    def fail_halfway():
        with store.transaction() as tx:
            tx.jobs.get("a" * 64).state = "failed"
            tx.jobs.add(job_row("b" * 64), [], **LONG)
            raise KeyError

    with store.group_commit():
        add_job(store, "a" * 64)
        with pytest.raises(KeyError):
            fail_halfway()
        with pytest.raises(InternalError):
            add_job(store, "a" * 64)
        with store.snapshot() as tx:
            assert tx.jobs.get("a" * 64) is None
        with store.transaction() as tx:
            assert tx.jobs.get("a" * 64).state == "gathering"
            tx.jobs.get("a" * 64).state = "sealing"
        add_job(store, "c" * 64)
    with store.snapshot() as tx:
        assert [job.id[0] for job in tx.jobs.in_states(["sealing", "gathering", "failed"])] == ["a", "c"]
        assert tx.jobs.get("a" * 64).state == "sealing"


def test_whoever_is_told_of_transactions_together_is_told_when_they_are_on_disk(store):
    seen = []

    def look():
        with store.snapshot() as tx:
            seen.append(tx.jobs.count(["gathering"]))

    store.when_on_disk(look)
    with store.group_commit():
        for letter in "ab":
            add_job(store, letter * 64)
            store.when_on_disk(look)
        assert seen == [0]
    assert seen == [0, 2, 2]

    def lost():
        with store.group_commit():
            store.when_on_disk(look)
            raise KeyError

    with pytest.raises(KeyError):
        lost()
    assert seen == [0, 2, 2]


def test_where_the_database_fails_none_of_those_together_counts(store):
    def fail_halfway():
        with store.transaction() as tx:
            tx.jobs.add(job_row("b" * 64), [], **LONG)
            raise sqlalchemy.exc.OperationalError("INSERT", {}, Exception("disk full"))

    def all_three():
        with store.group_commit():
            add_job(store, "a" * 64)
            with pytest.raises(Unavailable):
                fail_halfway()
            # SQLite may have rolled back the first: nothing more is begun.
            with pytest.raises(Unavailable):
                add_job(store, "c" * 64)

    with pytest.raises(Unavailable) as caught:
        all_three()
    assert caught.value.code == "store_unavailable"
    with store.snapshot() as tx:
        assert tx.jobs.count(["gathering"]) == 0
    add_job(store, "d" * 64)


def test_a_snapshot_keeps_no_change(store):
    job_id = add_job(store)
    with store.snapshot() as tx:
        tx.jobs.get(job_id).state = "failed"
    with store.snapshot() as tx:
        assert tx.jobs.get(job_id).state == "gathering"


def test_errors_of_the_database_do_not_come_out_raw(store):
    add_job(store)
    with pytest.raises(InternalError) as caught:
        add_job(store)
    assert caught.value.code == "store_failed"
    assert "INSERT" not in caught.value.diagnostics()
    with pytest.raises(Unavailable) as unavailable, store.transaction():
        raise sqlalchemy.exc.OperationalError("SELECT secret", {}, Exception("disk full"))
    assert unavailable.value.code == "store_unavailable"
    assert "secret" not in unavailable.value.diagnostics()


def test_jobs_are_kept_in_the_order_of_submission(store):
    for letter in "cab":
        add_job(store, letter * 64)
    with store.snapshot() as tx:
        assert [job.id[0] for job in tx.jobs.in_states(["gathering"])] == ["c", "a", "b"]
        assert [job[0] for job in tx.jobs.of_analyst(ADA, 2)] == ["b", "a"]
        assert [job[0] for job in tx.jobs.of_analyst(None, 9)] == ["b", "a", "c"]
        assert tx.jobs.of_analyst("eve", 9) == []
        assert [job.id[0] for job in tx.jobs.neighbours(tx.jobs.get("a" * 64), ["gathering"])] == ["c", "b"]
        assert tx.jobs.count(["gathering"], organisation=ORGANISATION) == 3
        assert tx.jobs.count(["gathering"], analyst=ADA) == 3
        assert tx.jobs.count(["gathering"], analyst="eve") == 0
        assert tx.jobs.count(["sealing"], organisation=ORGANISATION) == 0


def test_jobs_are_found_by_node_deadline_and_age(store):
    add_job(store, "a" * 64, nodes=("n1",))
    add_job(store, "b" * 64, nodes=("n2",), deadline=NOW + 10, changed_at=NOW - 10)
    add_job(store, "c" * 64, nodes=("n2",), state="failed", changed_at=NOW + 5)
    with store.snapshot() as tx:
        assert [job.id[0] for job in tx.jobs.timed(["gathering"]) if job.deadline <= NOW + 10] == ["b"]
        assert tx.jobs.unchanged_since(["gathering"], NOW - 1, 9) == ["b" * 64]
        assert tx.duties.closed("n2", ["failed"], NOW, 9) == ["c" * 64]
        assert tx.duties.closed("n2", ["failed"], NOW + 6, 9) == []
        assert tx.duties.closed("n1", ["failed"], NOW, 9) == []
        assert tx.duties.just_closed(["n1", "n2"], ["failed"], NOW) == {"n1": [], "n2": ["c" * 64]}
        assert tx.duties.just_closed(["n2"], ["failed"], NOW + 6) == {"n2": []}


LIVE = {"gathering": "gathering", "sealing": "sealing", "releasing": "releasing"}


def duties(store, node):
    with store.snapshot() as tx:
        return tx.duties.of([node], **LIVE)[node]


def move(store, job_id, state):
    with store.transaction() as tx:
        tx.jobs.get(job_id).state = state


def test_a_node_owes_a_consent_until_it_has_given_or_refused_one(store):
    for letter in "cab":
        add_job(store, letter * 64)
    assert [duty.job[0] for duty in duties(store, "n1")] == ["c", "a", "b"]
    assert duties(store, "n1")[0][1:] == ("gathering", 1, None, None, None, None, False)
    assert duties(store, "n3") == []
    add_consent(store, "c" * 64, "n1", "1" * 64, STALE)
    add_consent(store, "a" * 64, "n1", "1" * 64, CURRENT)
    with store.transaction() as tx:
        tx.jobs.member("b" * 64, "n1").refusal = "token"
        tx.jobs.member("c" * 64, "n1").asked = 2
    assert [(duty.job[0], duty.asked) for duty in duties(store, "n1")] == [("c", 2)]
    assert len(duties(store, "n2")) == 3


def test_a_node_owes_a_vector_and_then_a_release_to_the_newest_attempt(store):
    job_id = add_job(store, nodes=("n1", "n2", "n3"))
    add_vector(store, add_attempt(store, job_id, 1, "voided"), "n1")
    attempt = add_attempt(store, job_id, 2)
    move(store, job_id, "sealing")
    assert duties(store, "n1") == [(job_id, "sealing", 0, attempt, 1, 2, "open", False)]
    assert duties(store, "n3") == []
    add_vector(store, attempt, "n1", counted=False)
    assert len(duties(store, "n1")) == 1
    add_vector(store, attempt, "n1")
    assert (duties(store, "n1"), len(duties(store, "n2"))) == ([], 1)
    move(store, job_id, "releasing")
    assert [duty.attempt for duty in duties(store, "n1")] == [attempt]
    assert duties(store, "n2") == []
    with store.transaction() as tx:
        tx.attempts.add_release(ReleaseRow(attempt=attempt, node="n1", token="r", received_at=NOW))
    assert duties(store, "n1") == []


def test_a_node_that_was_left_behind_may_consent_while_others_go_on(store):
    job_id = add_job(store, nodes=("n1", "n2", "n3"))
    add_attempt(store, job_id, 1)
    with store.transaction() as tx:
        tx.jobs.member(job_id, "n3").left_behind = True
    for state in ("sealing", "releasing"):
        move(store, job_id, state)
        assert [(duty.state, duty.left_behind) for duty in duties(store, "n3")] == [(state, True)]
    add_consent(store, job_id, "n3", "1" * 64, CURRENT)
    assert duties(store, "n3") == []


def test_what_many_nodes_owe_is_read_together(store):
    """More nodes than one statement takes; each is told its own, in the order of submission."""
    nodes = [f"n{number:04}" for number in range(1200)]
    for letter in "ba":
        add_job(store, letter * 64, nodes=tuple(nodes))
    add_consent(store, "b" * 64, "n1100", "1" * 64, CURRENT)
    with store.snapshot() as tx:
        found = tx.duties.of(
            [*nodes, "other"], gathering="gathering", sealing="sealing", releasing="releasing"
        )
    owed = {node: [duty.job[0] for duty in some] for node, some in found.items()}
    assert owed == {node: ["b", "a"] for node in nodes} | {"n1100": ["a"], "other": []}


def test_what_the_answers_to_a_job_come_to(store):
    job_id = add_job(store)

    def tally():
        with store.snapshot() as tx:
            return tuple(map(bool, tx.jobs.tally(job_id)))

    assert tally() == (True, False, False)
    add_consent(store, job_id, "n1", "1" * 64, STALE)
    add_consent(store, job_id, "n2", "1" * 64, CURRENT)
    assert tally() == (True, False, False)
    with store.transaction() as tx:
        assert tx.jobs.consenting(job_id) == {"n2"}
        tx.jobs.leave_behind(job_id, ["n1"])
    assert tally() == (False, True, False)
    with store.transaction() as tx:
        tx.jobs.consent(job_id, "n2", "1" * 64).cohorts = '[["n1","n2"]]'
    assert tally() == (False, True, True)
    with store.transaction() as tx:
        tx.jobs.drop_consents(job_id, ["n2"])
    assert tally() == (True, True, False)
    with store.snapshot() as tx:
        assert (tx.jobs.member(job_id, "n2").asked, tx.jobs.member(job_id, "n1").asked) == (2, 1)
        assert tx.jobs.consent(job_id, "n2", "1" * 64).standing == STALE


def test_only_current_consents_are_listed_and_all_are_kept(store):
    job_id = add_job(store)
    for digest, standing in (("1" * 64, SUPERSEDED), ("2" * 64, STALE), ("3" * 64, CURRENT)):
        add_consent(store, job_id, "n1", digest, standing)
    with store.snapshot() as tx:
        assert {node: row.digest[0] for node, row in tx.jobs.consents(job_id).items()} == {"n1": "3"}
        assert tx.jobs.consent(job_id, "n1", "2" * 64).standing == STALE
        assert tx.jobs.consent(job_id, "n2", "2" * 64) is None
        assert len(tx.jobs.all_consents(job_id, "n1")) == 3


def test_the_latest_attempt_and_its_sorted_roster(store):
    job_id = add_job(store)
    add_attempt(store, job_id, 1, "voided")
    attempt_id = add_attempt(store, job_id, 2)
    with store.snapshot() as tx:
        assert tx.attempts.latest(job_id).id == attempt_id
        assert [row.node for row in tx.attempts.roster(attempt_id)] == ["n1", "n2"]
        assert tx.attempts.names(attempt_id) == ("n1", "n2")
        assert tx.attempts.size(attempt_id) == 2
        assert tx.attempts.seats(attempt_id, "n2")
        assert not tx.attempts.seats(attempt_id, "n3")
        assert [row.number for row in tx.attempts.in_state("open")] == [2]
        assert tx.attempts.latest("b" * 64) is None


def test_a_number_of_an_attempt_is_given_once(store):
    job_id = add_job(store)
    add_attempt(store, job_id, 1)
    with pytest.raises(InternalError):
        add_attempt(store, job_id, 1)


def test_scopes_are_occupied_by_attempts_in_the_states_asked_for(store):
    job_id = add_job(store)
    add_attempt(store, job_id, 1, "voided", ("s1", None))
    add_attempt(store, job_id, 2, "open", ("s2", None))
    with store.snapshot() as tx:
        assert tx.attempts.occupied({"s2", "s9"}, ["open"])
        assert not tx.attempts.occupied({"s1"}, ["open"])
        assert not tx.attempts.occupied({"s2"}, ["complete"])
        assert not tx.attempts.occupied(set(), ["open"])


def test_releases_by_node(store):
    attempt_id = add_attempt(store, add_job(store))
    with store.transaction() as tx:
        tx.attempts.add_release(ReleaseRow(attempt=attempt_id, node="n1", token="r", received_at=NOW))
    with store.snapshot() as tx:
        assert tx.attempts.releases(attempt_id) == {"n1": "r"}
        assert tx.attempts.released_names(attempt_id) == {"n1"}
        assert tx.attempts.count_releases(attempt_id) == 1
        assert tx.attempts.has_released(attempt_id, "n1")
        assert not tx.attempts.has_released(attempt_id, "n2")


def test_chunks_of_a_vector_come_back_byte_for_byte_by_index(store):
    attempt_id = add_attempt(store, add_job(store))
    add_vector(store, attempt_id, "n2", [b"\x00\xff", b"b2"])
    add_vector(store, attempt_id, "n1", [b"a1", b"a2"])
    add_vector(store, attempt_id, "n3", [b"not counted"], counted=False)
    with store.snapshot() as tx:
        assert tx.vectors.same_chunk(attempt_id, 0) == [b"a1", b"\x00\xff"]
        assert tx.vectors.same_chunk(attempt_id, 1) == [b"a2", b"b2"]
        counted = tx.vectors.counted(attempt_id)
        assert counted.keys() == tx.vectors.counted_names(attempt_id) == {"n1", "n2"}
        assert tx.vectors.count(attempt_id) == 2
        row = tx.vectors.counted_of(attempt_id, "n2")
        assert (row.chunks, row.bytes, row.touched_at) == (2, 4, NOW + 1)
        assert tx.vectors.counted_of(attempt_id, "n3") is None
        assert [row.node for row in tx.vectors.uploads(attempt_id, "n3")] == ["n3"]
        assert tx.vectors.uploads(attempt_id, "n1") == []
        assert [row.node for row in tx.vectors.uploads(attempt_id)] == ["n3"]


def test_chunks_are_appended_where_the_last_ended(store):
    attempt_id = add_attempt(store, add_job(store))
    vector_id = add_vector(store, attempt_id, "n1", [b"0"])
    with store.transaction() as tx:
        tx.vectors.append(tx.vectors.get(vector_id), [b"1", b"2"], NOW)
    with store.snapshot() as tx:
        assert [tx.vectors.same_chunk(attempt_id, number) for number in range(3)] == [[b"0"], [b"1"], [b"2"]]


def test_an_uploads_number_is_never_given_out_again(store):
    attempt_id = add_attempt(store, add_job(store))
    first = add_vector(store, attempt_id, "n1", counted=False)
    with store.transaction() as tx:
        tx.vectors.delete(tx.vectors.get(first))
    assert add_vector(store, attempt_id, "n1", counted=False) > first


def test_deleting_chunks_leaves_the_record_of_what_was_counted(store):
    attempt_id = add_attempt(store, add_job(store))
    add_vector(store, attempt_id, "n1", [b"a"])
    add_vector(store, attempt_id, "n2", [b"b"], counted=False)
    with store.transaction() as tx:
        tx.vectors.delete_chunks(attempt_id)
    with store.snapshot() as tx:
        assert set(tx.vectors.counted(attempt_id)) == {"n1"}
        assert tx.vectors.uploads(attempt_id) == []
    assert stored_chunks(store) == (0, 0)


def test_a_folded_chunk_is_deleted_of_every_vector_of_its_attempt_alone(store):
    job = add_job(store)
    attempt_id, other = add_attempt(store, job), add_attempt(store, job, number=2)
    for node in ("n1", "n2"):
        add_vector(store, attempt_id, node, [b"a", b"b"])
    add_vector(store, other, "n1", [b"c"])
    with store.transaction() as tx:
        tx.vectors.delete_same_chunk(attempt_id, 0)
    with store.snapshot() as tx:
        assert tx.vectors.same_chunk(attempt_id, 0) == []
        assert tx.vectors.same_chunk(attempt_id, 1) == [b"b", b"b"]
        assert tx.vectors.same_chunk(other, 0) == [b"c"]


def test_sums_by_chunk(store):
    attempt_id = add_attempt(store, add_job(store))
    with store.transaction() as tx:
        tx.vectors.add_sum_chunk(attempt_id, 0, b"sum")
    with store.snapshot() as tx:
        assert tx.vectors.sum_chunk(attempt_id, 0) == b"sum"
        assert tx.vectors.sum_chunk(attempt_id, 1) is None
    with store.transaction() as tx:
        tx.vectors.delete_sum(attempt_id)
    with store.snapshot() as tx:
        assert tx.vectors.sum_chunk(attempt_id, 0) is None


def test_a_forgotten_job_takes_everything_with_it(store):
    job_id = add_job(store)
    attempt_id = add_attempt(store, job_id)
    add_vector(store, attempt_id, "n1", [b"a"])
    add_consent(store, job_id, "n1", "1" * 64, CURRENT)
    with store.transaction() as tx:
        tx.vectors.add_sum_chunk(attempt_id, 0, b"sum")
        tx.attempts.add_release(ReleaseRow(attempt=attempt_id, node="n1", token="r", received_at=NOW))
        tx.jobs.record(EventRow(job=job_id, at=NOW, event="opening", state="sealing"))
    with store.transaction() as tx:
        tx.jobs.forget(job_id)
    with store._engine.connect() as connection:
        for table in Base.metadata.sorted_tables:
            count = sqlalchemy.select(sqlalchemy.func.count()).select_from(table)
            assert connection.scalar(count) == 0, table.name


def test_history_is_in_order(store):
    job_id = add_job(store)
    with store.transaction() as tx:
        for event in ("opening", "voiding", "opening"):
            tx.jobs.record(EventRow(job=job_id, at=NOW, event=event, state="x"))
    assert history(store, job_id) == ["opening", "voiding", "opening"]


def test_datasets_by_hash_and_name(store):
    with store.transaction() as tx:
        for index, name in enumerate(("heart", "lungs", "heart")):
            row = DatasetRow(hash=str(index) * 64, name=name, document=f"d{index}", publisher=ADA)
            row.published_at = NOW + index
            tx.catalogue.add(row)
    with store.snapshot() as tx:
        assert [tx.catalogue.dataset(one).document for one in tx.catalogue.hashes("heart")] == ["d0", "d2"]
        assert len(tx.catalogue.hashes(None)) == tx.catalogue.published_by(ADA) == 3
        assert tx.catalogue.dataset("9" * 64) is None


def test_joining_again_replaces(store):
    with store.transaction() as tx:
        row = DatasetRow(hash="0" * 64, name="heart", document="d", publisher=ADA, published_at=NOW)
        tx.catalogue.add(row)
        for node, token in (("n2", "old"), ("n1", "one"), ("n2", "new")):
            tx.catalogue.join("0" * 64, node, token, NOW)
    with store.snapshot() as tx:
        found = tx.catalogue.memberships("0" * 64)
        assert [(row.node, row.token) for row in found] == [("n1", "one"), ("n2", "new")]


def test_what_is_changed_of_a_row_is_seen_by_what_follows_and_written_down(store):
    job_id = add_job(store)
    with store.transaction() as tx:
        job, member = tx.jobs.get(job_id), tx.jobs.member(job_id, "n1")
        job.state, job.error, member.fault = "failed", "why", "bad_chunk"
        assert tx.jobs.count(["failed"]) == 1
        assert tx.jobs.in_states(["failed"]) == [job]
        assert [asked.fault for asked in tx.jobs.members(job_id)] == ["bad_chunk", None]
        job.error = None
        tx.jobs.leave_behind(job_id, ["n1"])
        assert (member.left_behind, member.fault) == (True, "bad_chunk")
        member.left_behind = False
    with store.snapshot() as tx:
        assert (tx.jobs.get(job_id).state, tx.jobs.get(job_id).error) == ("failed", None)
        assert not tx.jobs.member(job_id, "n1").left_behind
        assert tx.jobs.get(job_id) is tx.jobs.get(job_id)


def test_an_organisations_newest_releases_are_found_by_an_index(tmp_path):
    store = Store.open(tmp_path / "broker.db")
    with store.snapshot() as tx:
        connection = tx.attempts._rows._connection
        form = attempts._NEWEST_RELEASED.form(connection.dialect, {"dataset": "d", "organisation": "o"})
        values = form.parameters({"dataset": "d", "organisation": "o"})
        plan = connection.driver.execute(f"EXPLAIN QUERY PLAN {form.sql}", values).fetchall()
    store.close()
    assert "ix_job_dataset_organisation_ordinal (dataset=? AND organisation=?)" in str(plan)
