"""What the clock does: every wait ends, and says for whom it waited."""

import pytest
import sqlalchemy as sa
from support.stored import ADA, add_job

from kapok.broker.settings import Limits
from kapok.broker.store.schema import JobRow
from kapok.errors import NotFound, TimedOut
from kapok.identity.names import PartyName
from kapok.persistence import Prepared
from kapok.wire.messages import JobState, Offer


def nodes_of(world):
    return list(world.nodes.values())


def run_out(world, seconds=600):
    world.clock.now += seconds
    world.jobs.tick()


def test_a_job_before_its_deadline_is_left_alone(world, ada):
    asked = ada.ask()
    run_out(world, 599)
    assert ada.status(asked).state is JobState.GATHERING


def test_a_job_without_consents_names_whom_it_waited_for(world, ada):
    asked = ada.ask()
    ash, birch, *others = nodes_of(world)
    for node in others:
        node.work()
    world.up.add(str(ash.name))
    run_out(world)
    status = ada.status(asked)
    assert status.state is JobState.FAILED
    assert type(status.error) is TimedOut
    assert (status.error.code, status.error.party) == ("deadline_passed", str(ash.name))
    assert status.error.message == (
        f"the deadline passed while waiting for the consent of {ash.name}, {birch.name} (not connected)"
    )


def test_who_waited_for_a_node_of_no_earlier_answer_is_told_how_to_ask_without_it(world, ada):
    _gone, *others = nodes_of(world)
    ada.ask(members=tuple(str(node.name) for node in others))
    world.run()
    asked = ada.ask()
    for node in others:
        node.work()
    run_out(world)
    options = " ".join(sorted(f"--party {node.name.organisation}" for node in others))
    assert f": `kapok query {options}`" in ada.status(asked).error.remedy


def test_who_waited_for_one_of_an_earlier_answer_is_not(world, ada):
    ada.ask()
    world.run()
    asked = ada.ask()
    for node in nodes_of(world)[1:]:
        node.work()
    run_out(world)
    assert "kapok query" not in ada.status(asked).error.remedy


@pytest.mark.parametrize(
    ("stages", "wanted"), [(1, "the sealed vector of"), (2, "the release of")], ids=["sealing", "releasing"]
)
def test_a_later_stage_says_what_was_missing(world, ada, stages, wanted):
    asked = ada.ask()
    for _ in range(stages):
        for node in nodes_of(world):
            node.work()
    for node in nodes_of(world)[1:]:
        node.work()
    world.jobs.fold_all()
    run_out(world)
    error = ada.status(asked).error
    assert error.message == (
        f"the deadline passed while waiting for {wanted} {nodes_of(world)[0].name} (not connected)"
    )
    assert world.stored_chunks() == (0, 0)


def test_what_was_refused_of_a_party_is_told(world, ada):
    from kapok.errors import PeerProtocolError

    asked = ada.ask()
    for node in nodes_of(world):
        node.work()
    ash = nodes_of(world)[0]
    [assignment] = ash.owed()
    sealed = ash.sealed(assignment)
    with pytest.raises(PeerProtocolError):
        world.jobs.seal(ash.name, asked.id, sealed.token, sealed.chunks[:1])
    world.up.update(world.nodes)
    for node in nodes_of(world)[1:]:
        node.work()
    run_out(world)
    assert ada.status(asked).error.message.endswith(f"{ash.name} (the last it sent was refused: bad_chunk)")


def test_a_job_that_never_had_its_turn_says_so(world, ada):
    first, second = ada.ask(deadline=int(world.clock()) + 900), ada.ask()
    for node in nodes_of(world):
        node.work()
    run_out(world)
    assert "another job of your organisation" in ada.status(second).error.message
    assert ada.status(first).state is JobState.SEALING


def test_many_missing_parties_are_counted(make_world):
    world = make_world(*(f"org{number}" for number in range(8)))
    asked = world.publisher.ask()
    run_out(world)
    assert world.publisher.status(asked).error.message.endswith(", 3 more")


def test_an_overdue_job_makes_room_for_the_next_in_its_scope(world, ada):
    first = ada.ask()
    second = ada.ask(deadline=int(world.clock()) + 5000)
    for node in nodes_of(world):
        node.work()
    run_out(world)
    assert ada.status(first).state is JobState.FAILED
    assert ada.status(second).state is JobState.SEALING
    world.run()
    assert ada.open(second) == world.truth()


def test_a_deadline_that_passed_while_the_broker_was_down_counts(world, ada):
    asked = ada.ask()
    world.clock.now += 601
    world.restart()
    assert ada.status(asked).state is JobState.FAILED


def test_a_sum_that_nobody_fetches_is_deleted(make_world):
    world = make_world(limits=Limits(sum_retention_s=1000))
    asked = world.publisher.ask()
    world.run()
    run_out(world, 999)
    assert world.publisher.open(asked) == world.truth()
    run_out(world, 1)
    status = world.publisher.status(asked)
    assert (status.state, status.error.code) == (JobState.FAILED, "sum_expired")
    assert world.stored_chunks() == (0, 0)


def test_a_summed_job_has_no_deadline(world, ada):
    asked = ada.ask()
    world.run()
    run_out(world, 6000)
    assert ada.open(asked) == world.truth()


def test_ended_jobs_are_forgotten_in_the_end(make_world):
    world = make_world(limits=Limits(job_retention_s=1000))
    asked = world.publisher.ask()
    world.run()
    world.jobs.acknowledge(world.publisher.name, asked.id)
    run_out(world, 999)
    assert world.publisher.status(asked).state is JobState.FINISHED
    run_out(world, 1)
    with pytest.raises(NotFound):
        world.publisher.status(asked)
    assert world.jobs.jobs(world.jobs.listed(world.publisher.name)) == []


def test_jobs_that_grew_old_together_go_a_hundred_at_a_time(make_world):
    world = make_world()
    for number in range(120):
        add_job(world.store, f"{number:064x}", state="finished")
    world.clock.now += world.limits.job_retention_s + 1e9
    left = []
    for _ in range(2):
        world.jobs.tick()
        left.append(len(world.jobs.listed(PartyName.parse(ADA))))
    assert left == [20, 0]


def test_what_an_organisation_has_beyond_its_bound_goes_a_hundred_at_a_time(make_world):
    world = make_world(limits=Limits(kept_jobs_max=20))
    for number in range(150):
        add_job(
            world.store,
            f"{number:064x}",
            state="cancelled",
            organisation=world.publisher.name.organisation_id,
        )
    world.publisher.ask()
    with world.store.snapshot() as tx:
        assert tx.jobs.count(frozenset(JobState)) == 51


def test_an_upload_that_moves_is_not_left_behind(make_world):
    world = make_world(limits=Limits(seal_grace_s=60))
    asked = world.publisher.ask(at_least=3)
    ash, *others = nodes_of(world)
    for node in nodes_of(world):
        node.work()
    world.run(others)
    [assignment] = ash.owed()
    sealed = ash.sealed(assignment)
    world.clock.now += 50
    upload = world.jobs.begin_upload(ash.name, asked.id, sealed.token)
    upload.add(sealed.chunks[:1])
    run_out(world, 30)
    assert world.publisher.status(asked).attempt == 1
    upload.add(sealed.chunks[1:])
    upload.finish()
    world.run()
    assert world.publisher.open(asked) == world.truth()


def test_a_node_that_was_left_behind_may_come_back_with_the_next_attempt(make_world):
    world = make_world("ash", "birch", "cedar", "dogwood", "elder")
    ada = world.publisher
    ash, birch, *others = nodes_of(world)
    asked = ada.ask(at_least=3)
    for node in nodes_of(world):
        node.work()
    world.run([birch, *others])
    run_out(world, 61)
    assert ada.status(asked).roster == tuple(list(world.nodes)[1:])
    ash.consent(asked.id, asked.specification, ada.name)
    birch.restart()
    birch.work()
    world.run()
    assert ada.status(asked).attempt == 3
    assert ada.open(asked) == world.truth()


def test_who_never_answered_is_not_waited_for_twice(world, ada):
    answering = nodes_of(world)[1:]
    birch = answering[0]
    asked = ada.ask(at_least=3)
    for node in answering:
        node.work()
    run_out(world, world.limits.consent_grace_s)
    assert ada.status(asked).attempt == 1
    birch.restart()
    birch.work()
    assert (ada.status(asked).state, ada.status(asked).attempt) == (JobState.SEALING, 2)
    world.run(answering)
    assert ada.open(asked) == world.truth(answering)


def test_a_job_that_the_clock_fails_on_does_not_hold_up_the_others(world, ada, monkeypatch):
    from kapok.broker.computation import deadlines

    first, second = ada.ask(), ada.ask()
    fail = deadlines.fail_job

    def stumble(step, job, error):
        if job.id == first.id:
            raise RuntimeError
        fail(step, job, error)

    monkeypatch.setattr(deadlines, "fail_job", stumble)
    run_out(world)
    assert ada.status(first).state is JobState.GATHERING
    assert ada.status(second).state is JobState.FAILED
    monkeypatch.undo()
    world.jobs.tick()
    assert ada.status(first).state is JobState.FAILED


def test_jobs_that_wait_for_their_scope_cost_the_clock_the_same_each(make_world, monkeypatch):
    world = make_world(limits=Limits(jobs_at_work_max=99))
    run, form = [], Prepared.form
    monkeypatch.setattr(Prepared, "form", lambda self, *given: run.append(self) or form(self, *given))

    def statements(more: int) -> int:
        """Of one tick, with so many more jobs that all have consented to."""
        for _ in range(more):
            world.publisher.ask(at_least=3)
        for node in nodes_of(world):
            node.work(Offer)
        run.clear()
        world.jobs.tick()
        return len(run)

    few, more, most = statements(4), statements(4), statements(8)
    assert most - more <= 2 * (more - few) + 8


@pytest.mark.parametrize("ends", ["by its analyst", "by its deadline"])
def test_a_job_that_this_version_cannot_read_holds_up_no_other_and_ends(world, ada, ends, caplog):
    ill, well = ada.ask(at_least=3), ada.ask(at_least=3, question="SELECT SUM(age) FROM heart")
    ash, *others = nodes_of(world)
    with world.store.transaction() as tx:
        of_later = sa.update(JobRow).where(JobRow.id == ill.id).values(payload=b'{"of": "a later version"}')
        tx.jobs._rows.change(Prepared(of_later))
    world.restart()
    for node in others:
        for offer in node.owed():
            job_id, specification, asker = node._read(offer.specification)
            if job_id == well.id:
                node.consent(job_id, specification, asker)
    run_out(world, world.limits.consent_grace_s)
    assert ada.status(well).state is JobState.SEALING
    assert [one.state for one in world.jobs.jobs(world.jobs.listed(ada.name))] == ["sealing", "gathering"]
    assert ill.id in {vars(line).get("job") for line in caplog.records}
    if ends == "by its analyst":
        world.jobs.cancel(ada.name, ill.id)
        assert ada.status(ill).state is JobState.CANCELLED
    else:
        run_out(world)
        assert ada.status(ill).error.code == "deadline_passed"
    assert world.announced[-1][0] >= {str(ash.name)}
