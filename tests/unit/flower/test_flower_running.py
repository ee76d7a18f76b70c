"""A server app runs in a thread, asks, and is answered; run again it asks the same."""

import importlib.util
import sys

import numpy as np
import pytest
from support.apps import archive, files_of

from kapok.documents.bundle import read_bundle, unpack
from kapok.errors import InvalidInput, LocalProtocolError
from kapok.flower import messages
from kapok.flower.configuration import read_overrides
from kapok.flower.running import Ended, ServerProgram, server_app_failed

SERVER = """
import numpy as np
import random
from flwr.app import Array, ArrayRecord
from flwr.serverapp import ServerApp
from flwr.serverapp.strategy import FedAdam

app = ServerApp()

@app.main()
def main(grid, context):
    print("a word of its own")
    w = np.random.normal(size=3) + random.random() + context.run_config["learning-rate"]
    strategy = FedAdam(fraction_evaluate=0.0)
    strategy.start(grid, ArrayRecord({"w": Array(w)}), num_rounds=3)
"""


@pytest.fixture
def program(tmp_path):
    """Programs of a server app; each is let go in the end."""
    made = []

    def make(server=SERVER, seed=1, **overrides):
        bundle = read_bundle(archive(files_of("return None") | {"little/server.py": server.encode()}))
        folder = tmp_path / f"app{len(list(tmp_path.iterdir()))}"
        unpack(bundle, folder)
        one = ServerProgram(bundle, folder, overrides, nodes=3, run_id=9, seed=seed)
        one.begin()
        made.append(one)
        return one

    yield make
    for one in made:
        one.give_up()
        one._thread.join(10)


def reply(number):
    mean = messages.Reply({"w": np.full(3, float(number))}, {"loss": 1.0 / number}, 30.0)
    return messages.write_reply(mean, "num-examples", kind="train")


def carried(program):
    asked = []
    while not isinstance(one := program.next(), Ended):
        asked.append(one)
        program.answer(reply(len(asked)))
    return asked, one


def test_the_same_replies_make_it_ask_the_same_again(program):
    first, ended = carried(program())
    assert ended.error is None
    again, ended_again = carried(program())
    assert len(first) == 3
    assert first == again
    assert (ended.arrays["w"] == ended_again.arrays["w"]).all()
    other, _ = carried(program(seed=2))
    changed, _ = carried(program(**{"learning-rate": 0.5}))
    assert first[0] != other[0]
    assert first[0] != changed[0]
    # FedAdam adds to the model that it had: its moments are among what is run again.
    assert not np.allclose(messages.read(first[2]).arrays["w"], 2.0)


SHARED = """
from flwr_datasets import FederatedDataset
from flwr_datasets.partitioner import IidPartitioner
parts = {"train": IidPartitioner(num_partitions=3)}
"""


def test_a_server_app_may_share_a_module_that_imports_the_clients_data(program):
    assert importlib.util.find_spec("flwr_datasets") is None
    asked, ended = carried(program(SHARED + SERVER))
    assert (len(asked), ended.error) == (3, None)
    _, ended = carried(
        program(SHARED + SERVER.replace("    w =", "    FederatedDataset(dataset='iris')\n    w ="))
    )
    assert "pip install flwr-datasets" in server_app_failed(ended.error).message
    assert importlib.util.find_spec("flwr_datasets") is None
    assert "flwr_datasets" not in sys.modules


def test_it_says_how_its_strategy_starts(program):
    one = program()
    assert one.start is None or one.start.num_rounds == 3
    one.next()
    assert (one.start.strategy, one.start.exchanges, one.start.weight_key) == ("FedAdam", 3, "num-examples")


def test_what_it_raises_is_told_whole(program):
    failing = SERVER.replace("strategy =", "raise KeyError('lr')\n    strategy =")
    _, ended = carried(program(failing))
    error = server_app_failed(ended.error)
    assert (type(error), error.code) == (InvalidInput, "server_app_failed")
    assert "KeyError: 'lr'" in error.message


@pytest.mark.parametrize(
    "server",
    [
        SERVER.replace("import random", "import nobody_has_this"),
        SERVER.replace("app = ServerApp()", "app = ServerApp()\nother = 1").replace(
            "@app", "app = 3\n@ServerApp()"
        ),
    ],
)
def test_one_that_cannot_be_loaded_says_why(program, server):
    _, ended = carried(program(server))
    assert server_app_failed(ended.error).code == "server_app_not_loaded"


def test_a_strategy_that_is_refused_ends_it(program):
    _, ended = carried(program(SERVER.replace("FedAdam", "FedMedian")))
    assert server_app_failed(ended.error).code == "strategy_not_averaging"


def test_one_at_a_time_and_who_is_let_go_ends(program):
    one = program()
    with pytest.raises(LocalProtocolError) as caught:
        program()
    assert caught.value.code == "server_app_running"
    one.next()
    one.give_up()
    one._thread.join(10)
    assert not one._thread.is_alive()
    assert isinstance(one.next(), Ended)
    with pytest.raises(LocalProtocolError) as caught:
        one.next()
    assert caught.value.code == "given_up"
    assert isinstance(program().next(), bytes)


def test_overrides_are_written_as_flower_takes_them():
    assert read_overrides(["learning-rate=0.5 name='a b'", "local=true"]) == {
        "learning-rate": 0.5,
        "name": "a b",
        "local": True,
    }
    with pytest.raises(InvalidInput) as caught:
        read_overrides(["learning-rate"])
    assert caught.value.code == "bad_run_config"
