"""Under which asset a job is counted is under which it is answered: else budget and cohort would split."""

import pytest

from kapok.nodes.journal import NewJob
from kapok.nodes.policy import Policy
from kapok.nodes.runner import Consent
from kapok.wire.messages import Closed

COUNT = "SELECT COUNT(*) FROM clinic"


class Arriving(dict):
    """Datasets whose documents arrive between one look and the next."""

    looked = False

    def get(self, key, default=None):
        found = super().get(key, default) if self.looked else default
        self.looked = True
        return found


def counted(job, asset="clinic", analyst=None):
    return NewJob(
        job_id=job.id,
        analyst=analyst or job.spec.analyst,
        organisation=job.caller.name.organisation_id,
        dataset="clinic",
        asset=asset,
        question=job.spec.question,
        deadline=float(job.spec.deadline),
    )


def test_a_dataset_that_is_joined_during_an_offer_is_no_part_of_that_job(world):
    small = world.job(COUNT, names="abc")
    for node in small.nodes:
        node.runner._context.joined = Arriving(node.runner._context.joined)
        for _ in range(2):
            assert world.refusal(small.offer(node)).code == "dataset_not_joined"
    world.job(COUNT).run()


def test_a_try_that_was_counted_without_an_asset_is_never_answered_from_one(world):
    job, node = world.job(COUNT), world.nodes["a"]
    node.journal.count_try(counted(job, asset=""))
    assert world.refusal(job.offer(node)).code == "asset_changed"
    assert node.journal.job(job.id).asset == ""


def test_an_asset_that_node_toml_moves_takes_no_open_job_along(world):
    sealed, consented = world.job(COUNT), world.job(COUNT)
    consented.consent()
    seals = sealed.seal(sealed.consent())
    node = world.nodes["a"]
    node.asset = "moved"
    node.start()
    assert world.refusal(consented.offer(node)).code == "asset_changed"
    assert world.refusal(sealed.complete(node, seals)).code == "asset_changed"
    organisation = sealed.caller.name.organisation_id
    assert node.journal.scope("clinic", organisation).releases == ()
    assert node.journal.scope("moved", organisation).releases == ()


def test_tries_before_joining_count(world, make_rule):
    node = world.nodes["a"]
    node.policy, node.joins = Policy((make_rule(questions=2),)), False
    for _ in range(2):
        assert world.refusal(world.job(COUNT).offer(node)).code == "dataset_not_joined"
    node.joins = True
    node.start()
    assert world.refusal(world.job(COUNT).offer(node)).code == "budget_exhausted"


def test_a_job_of_record_is_its_analysts(world):
    job, node = world.job(COUNT), world.nodes["a"]
    node.journal.count_try(counted(job, analyst="spiffe://kapok.test/org/insurer/analyst/two"))
    assert job.offer(node) == job.open(node, ()) == []


@pytest.mark.parametrize(
    "question", ["x\x1b[2J\x1b[Hjob 00", "SELECT  COUNT(*) FROM clinic", "\u202e" * 9000]
)
def test_the_journal_keeps_no_text_that_is_not_in_canonical_form(world, question):
    job, node = world.job(COUNT, question=question), world.nodes["a"]
    assert world.refusal(job.offer(node)).code
    kept = node.journal.job(job.id).question
    assert kept == f"(not in canonical form: {len(question)} characters)"
    plain = world.job(COUNT)
    assert isinstance(plain.offer(node)[0], Consent)
    assert node.journal.job(plain.id).question == COUNT
    node.runner.handle(Closed(plain.id))
