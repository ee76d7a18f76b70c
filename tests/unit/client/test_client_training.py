"""The analyst's side of a training: what is asked before a job, what stops it, how it is taken up again."""

import asyncio
import shutil

import numpy as np
import pytest
from flwr.clientapp import ClientApp
from support.apps import files_of
from support.federation import OPEN, LocalApp, question_of, replied

from kapok.client.exchanges import Exchange, Exchanges, Training
from kapok.client.history import History
from kapok.client.opening import read_specification
from kapok.client.training import TrainingRequest, _Carrier, _program, train
from kapok.computations.federated.contribution import contribute
from kapok.computations.registry import Next
from kapok.documents.bundle import read_bundle
from kapok.errors import InvalidInput, KapokError, NotFound, PeerProtocolError, Unavailable
from kapok.flower import messages
from kapok.flower.building import build_bundle
from kapok.protocols.secure_sum.analyst import OpenedSum
from kapok.wire.messages import JobState

SERVER = """
import numpy as np
from flwr.app import Array, ArrayRecord
from flwr.serverapp import ServerApp
from flwr.serverapp.strategy import FedAvg

app = ServerApp()

@app.main()
def main(grid, context):
    w = np.random.normal(size=3)
    FedAvg(fraction_evaluate=0.0).start(grid, ArrayRecord({"w": Array(w)}), num_rounds=2)
"""
OWN_LOOP = """
import numpy as np
from flwr.app import Array, ArrayRecord, Message, RecordDict
from flwr.serverapp import ServerApp

app = ServerApp()

@app.main()
def main(grid, context):
    content = RecordDict({"arrays": ArrayRecord({"w": Array(np.zeros(3))})})
    for _ in range(3):
        grid.send_and_receive([Message(content, node, "train") for node in grid.get_node_ids()])
"""
OFF = PeerProtocolError("the machine is off", code="off")


@pytest.fixture
def app(tmp_path):
    """An app's folder, whose server half can be written anew."""

    def write(server=SERVER):
        for name, content in (files_of("return None") | {"little/server.py": server.encode()}).items():
            path = tmp_path / "app" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return tmp_path / "app"

    write()
    return write


def request(folder, **changes):
    return TrainingRequest(**({"app": folder, "dataset": "heart"} | changes))


async def refused(work):
    with pytest.raises(KapokError) as caught:
        await work
    return caught.value.code


async def test_the_question_follows_from_the_first_instruction_and_the_bounds(session, broker, app):
    broker.watch_errors = [OFF]
    changes = {"config": {"learning-rate": 0.5}, "columns": ("sex", "age"), "clip_norm": 2.0, "examples": 900}
    assert await refused(train(session, request(app(), **changes))) == "off"
    _, spec, _ = read_specification(broker.submitted[0], session.verifier)
    assert (spec.computation, spec.seal, spec.steered, spec.rounds) == ("federated", "pad", True, 2)
    [job] = session.folder.known()
    record = session.folder.load(job)
    assert (record.outcome, record.turn.round, record.turn.data_versions) == ("open", 1, {})
    question = question_of(messages.read(record.turn.parameters))
    title = f"{read_bundle(build_bundle(app())).hash[:12]}): up to 2 exchanges of a model of 3 values"
    assert record.sql == f"train the app little 1.0.0 ({title}"
    for part in ('"word_bits":64', '"examples":900', '"clip_norm":2.0', '"columns":["age","sex"]'):
        assert part in spec.question
    assert f'"app":"{read_bundle(build_bundle(app())).hash}"' in spec.question
    assert (spec.words, spec.word_bits) == (question.words, 64)


@pytest.mark.parametrize(
    ("server", "changes", "code"),
    [
        (SERVER, {"config": {"nobody": 1}}, "unknown_config_key"),
        (SERVER, {"columns": ("nobody",)}, "unknown_column"),
        (SERVER, {"dataset": "nobody"}, "unknown_dataset"),
        (SERVER, {"value_range": -1.0}, "bad_training"),
        (OWN_LOOP, {}, "exchanges_unknown"),
        (SERVER.replace("    FedAvg", "    return\n    FedAvg"), {}, "nothing_asked"),
        (SERVER.replace("FedAvg", "FedMedian"), {}, "strategy_not_averaging"),
        (SERVER.replace("    FedAvg", "    raise ValueError(w)\n    FedAvg"), {}, "server_app_failed"),
        (SERVER.replace("size=3)", "size=3).astype(complex)"), {}, "bad_training"),
        (SERVER.replace("size=3)", "size=3) > 0"), {}, "bad_training"),
        (SERVER, {"value_range": 1e-9}, "bad_instruction"),
        (SERVER, {"word_bits": 128}, "bad_training"),
    ],
)
async def test_what_cannot_be_trained_is_said_before_anything_is_submitted(
    session, broker, app, server, changes, code
):
    assert await refused(train(session, request(app(server), **changes))) == code
    assert broker.submitted == []
    assert session.folder.known() == []


async def test_a_counter_that_has_counted_far_is_trained_with_a_range_of_its_own(session, broker, app):
    far = "np.array(1_500_000)"
    counting = app(SERVER.replace('{"w": Array(w)}', f'{{"w": Array(w), "batches": Array({far})}}'))
    with pytest.raises(InvalidInput) as caught:
        await train(session, request(counting, value_range=1e9))
    assert caught.value.code == "bad_instruction"
    assert "--integer-range" in caught.value.remedy
    broker.watch_errors = [OFF]
    assert await refused(train(session, request(counting, integer_range=1e8))) == "off"
    _, spec, _ = read_specification(broker.submitted[0], session.verifier)
    assert '"integer_range":100000000.0' in spec.question
    assert '"value_range":1024.0' in spec.question


async def test_an_app_with_a_loop_of_its_own_says_how_many_exchanges(session, broker, app):
    broker.watch_errors = [OFF]
    assert await refused(train(session, request(app(OWN_LOOP), exchanges=3))) == "off"
    _, spec, _ = read_specification(broker.submitted[0], session.verifier)
    assert spec.rounds == 3


async def test_a_training_is_taken_up_with_the_very_app_that_asks_the_same_again(session, broker, app):
    broker.watch_errors = [OFF]
    await refused(train(session, request(app())))
    [job] = session.folder.known()
    broker.watch_errors = [OFF]
    assert await refused(session.wait(job)) == "off"
    app(SERVER + "# another\n")
    assert await refused(session.wait(job)) == "app_changed"
    app()
    broker.states = [JobState.CANCELLED]
    assert await refused(session.wait(job)) == "job_cancelled"
    assert session.folder.load(job).outcome == "cancelled"


@pytest.mark.parametrize("state", [JobState.SEALING, JobState.STEERING, JobState.SUMMED])
async def test_a_training_has_no_result_before_its_app_has_ended(session, broker, app, state):
    """What comes of a sum its server app says, and nobody else."""
    broker.watch_errors = [OFF]
    await refused(train(session, request(app())))
    [job] = session.folder.known()
    broker.states = [state]
    with pytest.raises(Unavailable) as caught:
        await session.result(job)
    assert caught.value.code == "not_ready"
    assert f"`kapok job resume {job[:12]}`" in caught.value.remedy
    shutil.rmtree(session.folder.training_folder(job))
    assert await refused(session.wait(job)) == "not_ready"
    assert session.folder.load(job).outcome == "open"
    broker.states = [JobState.CANCELLED]
    assert await refused(session.result(job)) == "job_cancelled"


async def test_an_app_that_asks_something_else_when_it_is_run_again_is_not_believed(session, broker, app):
    chance = SERVER.replace(
        "w = np.random.normal(size=3)", "import os\n    w = np.frombuffer(os.urandom(3), 'u1') * 1.0"
    )
    broker.watch_errors = [OFF]
    assert await refused(train(session, request(app(chance)))) == "off"
    [job] = session.folder.known()
    assert await refused(session.wait(job)) == "resume_differs"
    assert session.folder.load(job).outcome == "open"


def test_a_profile_says_of_which_jobs_it_has_no_training(tmp_path):
    with pytest.raises(NotFound) as caught:
        Exchanges(tmp_path / "none").training()
    assert caught.value.code == "no_training"


def test_a_model_is_kept_whatever_its_arrays_are_called(tmp_path):
    arrays = {
        name: np.full(2, float(number)) for number, name in enumerate(("file", "allow_pickle", "w", "a/b"))
    }
    kept = Exchanges(tmp_path)
    kept.save_model(arrays | {"step": np.array(3)})
    with np.load(kept.model_file) as model:
        assert {name: model[name].tolist() for name in model} == {
            name: array.tolist() for name, array in arrays.items()
        } | {"step": 3}


class Session:
    """Where a carrier keeps what it learns."""

    def __init__(self, folder):
        self.folder = self
        self.training_folder = lambda _job: folder


def fit(message, context):
    return replied(
        message, {"w": np.array([1.0, 2.0, 3.0])}, **{"num-examples": 10, "loss": 0.5, "l": [1.0, 2.0]}
    )


async def test_means_are_kept_before_they_are_told_and_the_exchanges_have_an_end(app, tmp_path, heart):
    folder = app()
    bundle = read_bundle(build_bundle(folder))
    started = Training(folder=str(folder), app=bundle.hash, config={}, nodes=3, run_id=7, seed=1)
    kept = Exchanges(tmp_path / "job.training")
    kept.begin(started)
    assert kept.training() == started
    client = ClientApp()
    client.train()(fit)
    local = LocalApp(client, 0)
    program, told = _program(started, bundle), []
    program.begin()
    try:
        pending = await asyncio.to_thread(program.next)
        question = question_of(messages.read(pending), exchanges=1)
        carrier = _Carrier(
            Session(tmp_path / "job.training"), "ab" * 32, told.append, question, program, pending
        )
        words = contribute(question, heart, messages.read(pending), local, OPEN)
        opened = OpenedSum(vector=words, members=(), round=1, attempt=1, roster_hash=b"")
        with pytest.raises(InvalidInput) as caught:
            await asyncio.to_thread(carrier.advance, opened, b"")
        assert caught.value.code == "too_many_exchanges"
        [done] = kept.done()
        assert (done.number, done.kind, done.holders, done.weight) == (1, "train", 1, 10.0)
        assert done.metrics == {"loss": 0.5, "l": (1.0, 2.0)}
        reply = messages.read_reply(kept.reply(1), "num-examples", trains=True)
        assert reply.arrays["w"] == pytest.approx([1.0, 2.0, 3.0])
        assert told[0].text == "exchange 1/1 train (1 of 3 nodes): l [1.0, 2.0], loss 0.5"
    finally:
        program.give_up()


async def test_a_server_app_that_ends_leaves_its_model_and_a_history(app, tmp_path, heart):
    folder = app()
    bundle = read_bundle(build_bundle(folder))
    program = _program(
        Training(folder=str(folder), app=bundle.hash, config={}, nodes=3, run_id=7, seed=1), bundle
    )
    client = ClientApp()
    client.train()(fit)
    local = LocalApp(client, 0)
    Exchanges(tmp_path / "t").begin(
        Training(folder=str(folder), app=bundle.hash, config={}, nodes=3, run_id=7, seed=1)
    )
    program.begin()
    try:
        pending = await asyncio.to_thread(program.next)
        question = question_of(messages.read(pending), exchanges=2)
        carrier = _Carrier(Session(tmp_path / "t"), "ab" * 32, lambda _told: None, question, program, pending)
        outcome = None
        for number in (1, 2):
            words = contribute(question, heart, messages.read(carrier._pending), local, OPEN)
            opened = OpenedSum(vector=words, members=(), round=number, attempt=1, roster_hash=b"")
            outcome = await asyncio.to_thread(carrier.advance, opened, b"")
            assert isinstance(outcome, Next) == (number == 1)
    finally:
        program.give_up()
    with np.load(Exchanges(tmp_path / "t").model_file) as model:
        assert model["w"] == pytest.approx([1.0, 2.0, 3.0])
    table = outcome.to_arrow().to_pydict()
    assert table == {
        "exchange": [1, 2],
        "kind": ["train", "train"],
        "nodes": [1, 1],
        "examples": [10.0, 10.0],
        "l[0]": [1.0, 1.0],
        "l[1]": [2.0, 2.0],
        "loss": [0.5, 0.5],
    }


def test_a_history_is_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    common = {"asked": "", "holders": 3, "weight": 1.0, "resolution": 0.0}
    history = History(
        (
            Exchange(number=1, kind="train", metrics={"loss": 2.0, "kind": 1.0}, **common),
            Exchange(number=2, kind="evaluate", metrics={"accuracy": 0.5, "loss": 2.5}, **common),
        )
    )
    assert history.metrics == {"kind": (1.0, None), "loss": (2.0, 2.5), "accuracy": (None, 0.5)}
    lines = history.plot().get_legend_handles_labels()[1]
    assert lines == ["kind", "loss, train", "loss, evaluate", "accuracy"]
    assert history.to_arrow().column_names == [
        "exchange",
        "kind",
        "nodes",
        "examples",
        "kind_",
        "loss",
        "accuracy",
    ]
    history.draw(tmp_path / "history.png")
    assert (tmp_path / "history.png").stat().st_size > 1000
