"""Attacks through federated learning: by an app's reply, by the analyst's program, by what is left out."""

import secrets

import numpy as np
import pytest
from flwr.app import ConfigRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp.strategy import FedAvg
from support import steered
from support.federation import Federation, LocalApp, identify, model, question_of, replied

from kapok.computations import registry
from kapok.computations.federated.contribution import contribute, read_instruction
from kapok.demo.hospitals import HEART
from kapok.documents.dataset import Dataset
from kapok.errors import InvalidInput, KapokError
from kapok.flower import messages
from kapok.nodes.policy import Policy
from kapok.nodes.runner import Refusal, task

MODEL = {"w": np.zeros(14)}


@pytest.fixture
def dataset(tmp_path):
    return Dataset.from_toml(HEART.schema_file(tmp_path))


def app(train):
    made = ClientApp()
    made.train()(train)
    return made


def honest(message, _context):
    return replied(message, {"w": np.full(14, 0.5)}, **{"num-examples": 100})


def trained(dataset, *clients, **bounds):
    identify()
    federation = Federation(
        [LocalApp(app(one), number) for number, one in enumerate(clients)], dataset, bounds
    )
    return federation, FedAvg(fraction_evaluate=0.0).start(federation.grid, model(**MODEL), num_rounds=1)


ROWS = np.arange(920 * 14, dtype=float).reshape(920, 14)
LEAKS = {
    "rows as weights": lambda message, _: replied(message, {"w": ROWS}, **{"num-examples": 1}),
    "rows as one more array": lambda message, _: replied(
        message, {"w": MODEL["w"], "rows": ROWS}, **{"num-examples": 1}
    ),
    "a row as the weight": lambda message, _: replied(message, MODEL, **{"num-examples": [63, 1, 145]}),
    "a row as very many metrics": lambda message, _: replied(
        message, MODEL, **{"num-examples": 1} | {f"m{n}": float(n) for n in range(40)}
    ),
    "a row as a metric's name": lambda message, _: replied(
        message, MODEL, **{"num-examples": 1, "63,1,145," * 100: 1.0}
    ),
    "values that drown the others": lambda message, _: replied(
        message, {"w": np.full(14, 1e12)}, **{"num-examples": 1}
    ),
    "no number": lambda message, _: replied(message, {"w": np.full(14, np.nan)}, **{"num-examples": 1}),
    "a weight that drowns the others": lambda message, _: replied(message, MODEL, **{"num-examples": 1e15}),
    "an error with a row in it": lambda message, _: Message(
        RecordDict({"metrics": MetricRecord({"row": [63, 1, 145]})}), reply_to=message
    ),
}


@pytest.mark.parametrize("what", LEAKS)
def test_an_app_gives_back_what_is_no_update_and_the_sum_opens_to_nothing(dataset, what):
    with pytest.raises(KapokError) as caught:
        trained(dataset, honest, LEAKS[what], honest)
    assert caught.value.code == "round_withheld"


def test_an_app_lets_one_holder_alone_speak(dataset):
    """Said, not stopped: an app knows at which node it is. Elsewhere it gives hardly any weight."""

    def silent(message, _context):
        return replied(message, MODEL, **{"num-examples": 1e-6})

    def telling(message, _context):
        return replied(message, {"w": ROWS[3]}, **{"num-examples": 1})

    _, result = trained(dataset, silent, telling, silent)
    assert result.arrays["w"].numpy() == pytest.approx(ROWS[3], rel=1e-5, abs=1e-5)


def test_what_an_instruction_says_beside_the_model_is_the_analysts_word(dataset):
    """Said, not stopped: an approval bounds an app's configuration, not what its server app tells it."""
    identify()
    content = RecordDict({"arrays": model(**MODEL), "config": ConfigRecord({"lr": 1e9})})
    instruction = messages.instruction_of(Message(content, 2, "train"))
    question = question_of(messages.read(instruction))
    assert read_instruction(question, dataset, instruction) == instruction


def test_a_metric_whose_name_differs_at_one_holder_names_nobody(dataset):
    def telling(message, _context):
        return replied(message, {"w": np.full(14, 0.5)}, **{"num-examples": 100, "has-it": 1.0})

    def silent(message, _context):
        return replied(message, {"w": np.full(14, 0.5)}, **{"num-examples": 100, "hasn't": 1.0})

    with pytest.raises(InvalidInput) as caught:
        trained(dataset, silent, telling, silent)
    assert caught.value.code == "metrics_differ"
    assert "has" not in caught.value.message


def test_a_contribution_that_is_withheld_is_noise_under_the_others(dataset):
    """What is added to the others' sum is uniform words, whatever the withholder held."""
    identify()
    content = RecordDict({"arrays": model(**MODEL), "config": ConfigRecord({})})
    instruction = messages.instruction_of(Message(content, 2, "train"))
    question = question_of(messages.read(instruction))
    client = LocalApp(app(LEAKS["no number"]), 0)
    seen = np.array(
        [
            contribute(question, dataset, instruction, client, Federation([], dataset).thresholds).to_int64()
            for _ in range(30)
        ]
    )
    assert len(np.unique(seen[:, 1:])) == seen[:, 1:].size
    assert abs((seen[:, 1:] > 0).mean() - 0.5) < 0.02


def test_an_analyst_asks_the_nodes_for_something_else_than_was_agreed(dataset):
    identify()
    agreed = messages.instruction_of(Message(RecordDict({"arrays": model(**MODEL)}), 2, "train"))
    question = question_of(messages.read(agreed))
    for kind, arrays in (("query", MODEL), ("train", {"w": np.zeros(13)}), ("train", {"v": np.zeros(14)})):
        other = messages.instruction_of(Message(RecordDict({"arrays": model(**arrays)}), 2, kind))
        with pytest.raises(InvalidInput) as caught:
            read_instruction(question, dataset, other)
        assert caught.value.code == "bad_instruction"


def test_a_server_app_asks_for_the_reply_of_a_single_node(dataset):
    identify()
    federation = Federation([LocalApp(app(honest), number) for number in range(4)], dataset)
    with pytest.raises(InvalidInput) as caught:
        federation.grid.send_and_receive([Message(RecordDict({"arrays": model(**MODEL)}), 2, "train")])
    assert caught.value.code == "single_replies"
    assert federation.question is None


@pytest.fixture
def asked(world, make_rule, monkeypatch):
    """Four hospitals under a cohort rule, and an exchange of all of them that the analyst has opened."""
    monkeypatch.setitem(registry._MODULES, "steered", steered.__name__)

    def ask(rule, told):
        for node in world.nodes.values():
            node.policy = Policy((make_rule(cohort=rule),))
            node.start()
        job = world.job("age", kind="steered", steered=True, at_least=3)
        consents = job.consent()
        return job, consents, summed(job, consents, job.nodes, told, 1)

    return ask


def summed(job, consents, nodes, told, number):
    """What the analyst opens of one exchange; None where a node refuses it."""
    parameters = job.parameters(consents, told, number)
    answers = [job.open(node, consents, 1, number, parameters) for node in nodes]
    refused = {job.world.refusal(one).code for one in answers if isinstance(one[0], Refusal)}
    if refused:
        assert (refused, len(nodes)) == ({"cohort_differs"}, len(answers))
        return None
    seals = [one for [one] in answers]
    releases = job.release(seals, nodes, 1, number)
    return job.unseal(consents, seals, releases, 1, number, told).words[0]


def alone(job, told):
    """What the hospital that is left out answers: the rows up to this age."""
    return sum(int(line.split(",")[0]) <= int(told) for line in job.nodes[3].csv.read_text().split()[1:])


@pytest.mark.parametrize("defended", [True, False], ids=["defended", "defence removed"])
def test_an_exchange_is_asked_again_with_one_hospital_left_out(asked, monkeypatch, defended):
    """The broker pretends that d left, and the analyst's program asks the rest for the same again."""
    if not defended:
        monkeypatch.setattr(task, "hashed", lambda *_: secrets.token_bytes(32))
    job, consents, everybody = asked("same-question", b"62")
    rest = summed(job, consents[:3], job.nodes[:3], b"62", 2)
    assert (rest is None) is defended
    if not defended:
        assert everybody - rest == alone(job, b"62") > 0


def test_a_model_that_is_nearly_the_same_shows_who_left(asked):
    """The price of the rule `same-question`, said in the threat model: it is not the default."""
    job, consents, everybody = asked("same-question", b"62")
    rest = summed(job, consents[:3], job.nodes[:3], b"63", 2)
    assert abs(everybody - rest - alone(job, b"62")) <= 4


def test_a_fixed_cohort_lets_nobody_leave_a_training(asked):
    job, consents, _ = asked("fixed", b"62")
    assert summed(job, consents, job.nodes, b"63", 2) is not None
    assert summed(job, consents[:3], job.nodes[:3], b"64", 3) is None
