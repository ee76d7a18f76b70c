"""The six averaging strategies end where they end with every reply in sight; the others do not begin."""

import numpy as np
import pytest
from flwr.app import ConfigRecord, Message
from flwr.clientapp import ClientApp
from flwr.serverapp import strategy as flower
from flwr.serverapp.strategy import FedAvg
from support.federation import Federation, LocalApp, PlainGrid, configured, identify, model, replied

from kapok.errors import InvalidInput
from kapok.flower.strategies import guarded

NODES = 4


def client():
    """Logistic regression by gradient descent on data of each node's own; float32, float64 and integers."""
    app = ClientApp()

    def data(node):
        generator = np.random.default_rng(node)
        x = generator.normal(size=(30 + 7 * node, 3))
        return x, (x @ np.array([1.0, -2.0, 0.5]) > generator.normal(size=len(x))).astype(float)

    @app.train()
    def train(message, context):
        x, y = data(context.node_config["partition-id"])
        received = message.content["arrays"]
        w, b = received["w"].numpy().astype(float), received["b"].numpy().astype(float)
        start = w.copy()
        mu = configured(message).get("proximal-mu", 0.0)
        generator = np.random.default_rng([configured(message)["server-round"], context.node_id])
        for _ in range(20):
            picked = generator.integers(0, len(x), 8)
            wrong = 1 / (1 + np.exp(-(x[picked] @ w + b[0]))) - y[picked]
            w, b = w - 0.3 * (x[picked].T @ wrong / 8 + mu * (w - start)), b - 0.3 * wrong.mean()
        counts = received["seen"].numpy() + len(x)
        arrays = {"w": w.astype(np.float32), "b": b, "seen": counts.astype(np.int64)}
        return replied(
            message, arrays, **{"num-examples": len(x), "loss": float(np.abs(wrong).mean()), "l": [1.0, 2.0]}
        )

    @app.evaluate()
    def evaluate(message, context):
        x, y = data(context.node_config["partition-id"])
        received = message.content["arrays"]
        right = ((x @ received["w"].numpy() + received["b"].numpy()[0] > 0) == y).mean()
        return replied(message, None, **{"num-examples": len(x), "accuracy": float(right)})

    return app


def apps():
    shared = client()
    return [LocalApp(shared, number) for number in range(NODES)]


def initial():
    return model(w=np.zeros(3, np.float32), b=np.zeros(1), seen=np.zeros((), np.int64))


STRATEGIES = {
    "FedAvg": lambda: flower.FedAvg(),
    "FedProx": lambda: flower.FedProx(proximal_mu=0.5),
    "FedAvgM": lambda: flower.FedAvgM(server_learning_rate=0.8, server_momentum=0.5),
    "FedAdam": lambda: flower.FedAdam(),
    "FedYogi": lambda: flower.FedYogi(),
    "FedAdagrad": lambda: flower.FedAdagrad(),
}


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("name", STRATEGIES)
def test_an_averaging_strategy_ends_where_flowers_own_aggregation_ends(name, bits, heart):
    identify()
    bounds = {"word_bits": bits}
    if bits == 32:
        bounds |= {"value_range": 8.0, "examples": 170.0, "integer_range": 1e4}
    federation = Federation(apps(), heart, bounds)
    with guarded(lambda _start: None, lambda _result: None):
        here = STRATEGIES[name]().start(federation.grid, initial(), num_rounds=4)
    there = STRATEGIES[name]().start(PlainGrid(apps()), initial(), num_rounds=4)
    assert federation.told == []
    for key in ("w", "b"):
        assert here.arrays[key].numpy() == pytest.approx(there.arrays[key].numpy(), abs=1e-6)
        assert here.arrays[key].numpy().dtype == there.arrays[key].numpy().dtype
    assert np.abs(here.arrays["w"].numpy()).max() > 0.01
    assert here.arrays["seen"].numpy() == pytest.approx(there.arrays["seen"].numpy(), abs=1e-3)
    for of in ("train_metrics_clientapp", "evaluate_metrics_clientapp"):
        ours, theirs = getattr(here, of), getattr(there, of)
        assert ours.keys() == theirs.keys() == {1, 2, 3, 4}
        for number in ours:
            assert dict(ours[number]).keys() == dict(theirs[number]).keys()
            for metric, value in theirs[number].items():
                assert ours[number][metric] == pytest.approx(value, abs=1e-7)


class Custom(FedAvg):
    def aggregate_train(self, server_round, replies):
        return super().aggregate_train(server_round, replies)


class Sampling(FedAvg):
    """Overrides what is sent, and leaves what is aggregated."""

    def configure_train(self, server_round, arrays, config, grid):
        return super().configure_train(server_round, arrays, ConfigRecord({"extra": 1.0}), grid)


@pytest.mark.parametrize(
    ("strategy", "why"),
    [
        (lambda: flower.FedMedian(), "single nodes"),
        (lambda: flower.FedTrimmedAvg(), "single nodes"),
        (lambda: flower.Krum(num_malicious_nodes=0), "single nodes"),
        (lambda: flower.MultiKrum(num_malicious_nodes=0, num_nodes_to_select=2), "single nodes"),
        (lambda: flower.Bulyan(num_malicious_nodes=0), "single nodes"),
        (lambda: flower.QFedAvg(client_learning_rate=0.1), "single nodes"),
        (lambda: flower.DifferentialPrivacyServerSideFixedClipping(FedAvg(), 1.0, 1.0, 4), "single nodes"),
        (lambda: flower.DifferentialPrivacyClientSideFixedClipping(FedAvg(), 1.0, 1.0, 4), "single nodes"),
        (Custom, "overrides aggregate_train"),
    ],
)
def test_a_strategy_that_does_not_only_average_is_refused_by_name_before_anything_is_sent(
    strategy, why, heart
):
    identify()
    federation, strategy = Federation(apps(), heart), strategy()
    with guarded(lambda _start: None, lambda _result: None), pytest.raises(InvalidInput, match=why) as caught:
        strategy.start(federation.grid, initial(), num_rounds=1)
    assert caught.value.code == "strategy_not_averaging"
    assert type(strategy).__name__ in caught.value.message
    assert federation.question is None


def test_a_subclass_that_leaves_aggregation_alone_runs_and_says_how_it_starts(heart):
    identify()
    federation, told = Federation(apps(), heart), []
    with guarded(told.append, told.append):
        result = Sampling(weighted_by_key="num-examples").start(federation.grid, initial(), num_rounds=2)
    start, ended = told
    assert (start.strategy, start.num_rounds, start.weight_key) == ("Sampling", 2, "num-examples")
    assert ended is result
    assert sorted(result.train_metrics_clientapp) == [1, 2]


def test_the_guard_leaves_flower_as_it_was():
    before = flower.Strategy.start
    with guarded(lambda _start: None, lambda _result: None):
        assert flower.Strategy.start is not before
    assert flower.Strategy.start is before


@pytest.mark.parametrize(
    ("ask", "why"),
    [
        (
            lambda grid: FedAvg(fraction_train=0.5, min_train_nodes=2).start(grid, initial(), 1),
            "2 of 4 nodes",
        ),
        (lambda grid: grid.push_messages([]), "one by one"),
        (lambda grid: grid.pull_messages(["1"]), "one by one"),
        (lambda grid: grid.send_and_receive([Message(one(), 2, "train")]), "1 of 4 nodes"),
        (
            lambda grid: grid.send_and_receive([Message(one(), n, "query") for n in grid.get_node_ids()]),
            "query",
        ),
        (
            lambda grid: grid.send_and_receive([Message(one(n), n, "train") for n in grid.get_node_ids()]),
            "different",
        ),
        (lambda grid: grid.send_and_receive([Message(one(), 2, "train") for _ in range(4)]), "4 of 4 nodes"),
    ],
)
def test_whatever_wants_single_replies_raises(ask, why, heart):
    identify()
    federation = Federation(apps(), heart)
    with pytest.raises(InvalidInput, match=why) as caught:
        ask(federation.grid)
    assert caught.value.code == "single_replies"
    assert federation.question is None


def one(number=0):
    from flwr.app import RecordDict

    return RecordDict({"arrays": model(w=np.full(2, number, np.float32))})


def test_a_server_app_that_asks_nobody_gets_nothing(heart):
    assert Federation(apps(), heart).grid.send_and_receive([]) == []
