"""An app keeps its state from round to round that was released; of all others it knows nothing."""

from dataclasses import replace

import msgspec
import pyarrow as pa
import pytest
from support.apps import archive, files_of, message, need_sandbox, seen

from kapok.documents.dataset import Column, Dataset
from kapok.errors import InvalidInput
from kapok.flower.messages import instruction_of, read
from kapok.nodes.apps import running
from kapok.nodes.apps.approval import AppRule
from kapok.nodes.apps.host import AppHost, HostedApp
from kapok.nodes.apps.limits import AppLimits
from kapok.nodes.apps.running import AppJob, RunningApps

JOB = "ab" * 32
COUNTING = """
from flwr.app import ConfigRecord
kept = context.state.config_records.get("kept") or ConfigRecord({"calls": 0})
kept["calls"] = kept["calls"] + 1
context.state["kept"] = kept
if message.content["config"].get("fails"):
    raise ValueError("63,1,145")
return Message(answer(calls=kept["calls"], **dict(message.content["config"])), reply_to=message)
"""


class Rows:
    """An engine that has two rows, whatever is asked."""

    dialect = "duckdb"

    def batches(self, select_sql):
        yield pa.record_batch({"age": [63, 41]})


@pytest.fixture
def make(tmp_path):
    """A node's apps, as they are after a start; and what theirs work for."""
    need_sandbox()
    clock = lambda: 1e9  # noqa: E731
    made = []

    def start():
        made.append(RunningApps(AppHost(tmp_path / "apps"), clock))
        return made[-1]

    yield start
    for one in made:
        one.close()


@pytest.fixture
def job():
    bundle = archive(files_of(COUNTING))
    limits = AppLimits(memory_mib=1024, call_timeout_s=60)
    rule = AppRule(
        hash=digest(bundle), analysts=("org/a/analyst/*",), dataset="d", columns=("*",), limits=limits
    )
    return AppJob(
        job_id=JOB,
        hosted=HostedApp(rule, "policy.app[1]", bundle, {"learning-rate": 0.01}),
        columns=("age",),
        dataset=Dataset(
            name="d", columns=(Column(name="age", type="integer", minimum=0, maximum=120),), rows_max=10
        ),
        members=("node-a", "node-b"),
        node="node-b",
        deadline=1e9 + 100,
    )


def digest(bundle):
    import hashlib

    return hashlib.sha256(bundle).hexdigest()


def asked(**config):
    from flwr.common.serde import message_from_proto
    from flwr.proto.message_pb2 import Message

    return read(instruction_of(message_from_proto(Message.FromString(message(**config)))))


def calls(apps, job, number, *, version="v1", released=None, **config):
    """What the app counts in a round; the one before it has been released unless said otherwise."""
    released = number - 1 if released is None else released
    return seen(apps.over(job, Rows(), version, number, released).call(asked(**config)))["calls"]


def test_a_round_is_done_once_and_each_begins_with_the_state_before_it(make, job, tmp_path):
    apps = make()
    assert apps.over(job, Rows(), "v1", 1, 0).rows == 2
    assert calls(apps, job, 1, lr=0.5) == 1
    assert calls(apps, job, 1, lr=0.5) == 1
    assert calls(apps, job, 2, lr=0.5) == 2
    # Asked for something else in the same round: not on top of what it did before.
    assert calls(apps, job, 2, lr=0.25) == 2
    assert calls(apps, job, 3, lr=0.25) == 3
    assert len(list((tmp_path / "apps" / "states" / JOB).iterdir())) == 2
    apps.close()
    restarted = make()
    restarted.clear()
    assert calls(restarted, job, 3, lr=0.25) == 3
    assert calls(restarted, job, 4, lr=0.25) == 4
    restarted.end(JOB)
    assert not (tmp_path / "apps" / "states" / JOB).exists()
    assert list((tmp_path / "apps" / "jobs").iterdir()) == []


def test_a_round_that_went_on_without_this_node_leaves_no_trace(make, job, tmp_path):
    apps = make()
    assert calls(apps, job, 1) == 1
    assert calls(apps, job, 2) == 2
    # Rounds 2 to 4 were of the others: this node has released none of them.
    assert calls(apps, job, 3, released=1) == 2
    assert calls(apps, job, 4, released=1) == 2
    apps.close()
    restarted = make()
    assert calls(restarted, job, 5, released=1) == 2
    assert calls(restarted, job, 6) == 3
    assert calls(restarted, job, 7, released=0) == 1
    assert [file.name for file in (tmp_path / "apps" / "states" / JOB).iterdir()] == ["000007"]


def test_an_approval_that_was_replaced_meanwhile_holds_from_the_next_round_on(make, job):
    apps = make()
    assert calls(apps, job, 1) == 1
    first = apps._work[JOB].process
    assert calls(apps, job, 2) == 2
    assert apps._work[JOB].process is first
    rule = msgspec.structs.replace(job.hosted.rule, limits=AppLimits(memory_mib=512, call_timeout_s=60))
    narrower = replace(job, hosted=replace(job.hosted, rule=rule))
    assert calls(apps, narrower, 3) == 3
    assert apps._work[JOB].process._limits == rule.limits


def test_what_it_answered_by_an_approval_that_was_replaced_is_not_given_again_by_the_other(make, job):
    apps = make()
    assert calls(apps, job, 1) == 1
    first = apps._work[JOB].process
    assert calls(apps, job, 1) == 1
    assert apps._work[JOB].process is first
    assert calls(apps, replace(job, hosted=replace(job.hosted, number=2)), 1) == 1
    assert apps._work[JOB].process is not first, "it was asked anew"


def test_an_app_that_fails_goes_on_from_before_and_other_data_are_written_out_anew(make, job):
    apps = make()
    assert calls(apps, job, 1) == 1
    with pytest.raises(InvalidInput) as caught:
        calls(apps, job, 2, fails=1)
    assert caught.value.code == "app_crashed"
    assert "145" not in caught.value.diagnostics()
    assert calls(apps, job, 2) == 2
    assert calls(apps, job, 3, version="v2") == 3


def test_a_round_whose_state_cannot_be_kept_is_not_done(make, job, monkeypatch):
    """Else the app would begin from nothing after the next restart, and nobody would know."""
    apps = make()
    assert calls(apps, job, 1) == 1

    def full(path, content):
        raise InvalidInput("there is no room", code="bad_file")

    with monkeypatch.context() as patched:
        patched.setattr(running, "replace_file", full)
        with pytest.raises(InvalidInput):
            calls(apps, job, 2)
    assert calls(apps, job, 2) == 2
    apps.close()
    assert calls(make(), job, 3) == 3


def test_states_that_no_job_can_need_any_more_are_removed_at_the_start(make, tmp_path):
    import os

    old, young = (tmp_path / "apps" / "states" / name for name in ("cd" * 32, "ef" * 32))
    for folder, at in ((old, 1e9 - 31 * 86_400), (young, 1e9 - 86_400)):
        folder.mkdir(parents=True)
        os.utime(folder, (at, at))
    make().clear()
    assert (old.exists(), young.exists()) == (False, True)
