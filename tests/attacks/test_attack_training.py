"""Attacks through federated learning: by an app's reply, by the analyst's program, by what is left out."""

import math
import secrets

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.proto.message_pb2 import Message as ProtoMessage
from flwr.serverapp.strategy import FedAvg
from support import steered
from support.apps import archive, files_of, need_sandbox
from support.federation import Federation, LocalApp, identify, model, question_of, replied

from kapok.computations import registry
from kapok.computations.federated.contribution import contribute, read_instruction
from kapok.demo.hospitals import HEART
from kapok.documents.bundle import read_bundle
from kapok.documents.dataset import Dataset
from kapok.errors import InvalidInput, KapokError
from kapok.flower import messages
from kapok.nodes.apps.approval import AppRule
from kapok.nodes.apps.bundles import Bundles
from kapok.nodes.policy import Policy
from kapok.nodes.runner import Refusal, app_jobs, task

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
    "no number among many": lambda message, _: replied(
        message, {"w": np.append(np.zeros(13), -np.inf)}, **{"num-examples": 1}
    ),
    "complex numbers": lambda message, _: replied(message, {"w": np.full(14, 63j)}, **{"num-examples": 1}),
    "texts": lambda message, _: replied(message, {"w": np.full(14, "63,1,145")}, **{"num-examples": 1}),
    "records": lambda message, _: replied(
        message, {"w": np.zeros(14, dtype=[("row", "f8"), ("more", "f8")])}, **{"num-examples": 1}
    ),
    "numbers wider than any word": lambda message, _: replied(
        message, {"w": np.full(14, np.longdouble("1e4000"))}, **{"num-examples": 1}
    ),
    "whole numbers for others": lambda message, _: replied(
        message, {"w": np.full(14, 63, dtype=np.int64)}, **{"num-examples": 1}
    ),
    "a weight too small to be one": lambda message, _: replied(message, MODEL, **{"num-examples": 5e-324}),
    "a metric without an end": lambda message, _: replied(
        message, MODEL, **{"num-examples": 1, "m": math.inf}
    ),
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
    shown, open_to_all = messages.read(instruction), Federation([], dataset).thresholds
    seen = np.array([contribute(question, dataset, shown, client, open_to_all).to_int64() for _ in range(30)])
    assert len(np.unique(seen)) == seen.size
    assert abs((seen > 0).mean() - 0.5) < 0.02
    # The flag is as wide as the rest, and wraps in a sum: it tells that somebody has withheld, not how many.
    assert 0 < (seen[:, 0] > 0).sum() < len(seen)


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


ECHO = """
row = message.content.config_records.get("config", {}).get("row", 0)
print("told", row, repr(message.metadata.group_id), repr(message.metadata.reply_to_message_id))
for record in message.content.array_records.values():
    for name, array in record.items():
        print("given", *message.content, name, array.dtype, array.shape, array.data[:80].decode("latin-1"))
print("said", *message.content["config"])
"""
TALKING = archive(files_of(ECHO))
"""An app approved in good faith, that looks at one row if a message says so."""


def told(*items, kind="train"):
    """An instruction of these records, by their names."""
    identify()
    return messages.instruction_of(Message(RecordDict(dict(items)), 2, kind))


ARRAYS = ("arrays", model(w=np.zeros(3)))
BEHIND = Array(np.zeros(3)).data + b"row=17"


@pytest.fixture
def exchanged(world, make_rule):
    """An exchange of a hospital and three others, and what the hospital answers."""
    need_sandbox()

    def exchange(instruction, *may):
        approval = AppRule(
            hash=read_bundle(TALKING).hash,
            analysts=make_rule().analysts,
            dataset="clinic",
            columns=("age",),
            messages=may,
        )
        for node in world.nodes.values():
            Bundles(node.home / "apps" / "bundles").add(TALKING)
            node.judge_by(Policy((make_rule(operations=("federated",)),), (approval,)))
        question = question_of(
            messages.read(told(ARRAYS)), app=approval.hash, columns=("age",), exchanges=4, examples=1e3
        )
        job = world.job(question.text, kind="federated", steered=True)
        consents = job.consent()
        shown = job.parameters(consents, instruction, 1)
        [found] = job.open(job.nodes[0], consents, 1, 1, shown)
        return job, found

    yield exchange
    for node in world.nodes.values():
        node.runner.close()


@pytest.fixture
def answered(world, exchanged):
    """The refusal of that hospital, or what its app printed."""

    def answer(instruction, *may, line=1):
        job, found = exchanged(instruction, *may)
        if isinstance(found, Refusal):
            return world.refusal([found])
        return (job.nodes[0].home / "apps" / "output" / f"{job.id}.txt").read_text().splitlines()[line]

    return answer


def said(**config):
    return ("config", ConfigRecord(config))


def test_an_exchange_that_says_more_than_the_approval_names_reaches_no_app(answered):
    """`config["row"] = 17`: the approval is looked at in each exchange, and what it names is let through."""
    refused = answered(told(ARRAYS, said(**{"server-round": 1, "row": 17})))
    assert (refused.code, refused.clause) == ("message_not_allowed", "policy.app[1].messages")
    assert "row" not in refused.message + refused.remedy
    assert answered(told(ARRAYS, said(row=17)), "row=0..16").code == "message_not_allowed"
    assert answered(told(ARRAYS, said(row=17)), "row=0..20").startswith("told 17 ")


@pytest.mark.parametrize("defended", [True, False], ids=["defended", "defence removed"])
def test_an_exchange_that_says_what_nobody_approved(answered, monkeypatch, defended):
    if not defended:
        monkeypatch.setattr(app_jobs, "foreign_word", lambda *_: None)
    found = answered(told(ARRAYS, said(row=17)))
    if defended:
        assert found.code == "message_not_allowed"
    else:
        assert found.startswith("told 17 ")


def grouped(instruction):
    proto = ProtoMessage.FromString(instruction)
    proto.metadata.group_id, proto.metadata.reply_to_message_id = "17", "17"
    return proto.SerializeToString()


def test_what_no_strategy_sends_reaches_no_app(answered):
    """A group, an identity: the app is given the kind, the model and what was said, and nothing else."""
    assert answered(grouped(told(ARRAYS))) == "told 0 '' ''"


def disguised(instruction):
    """The same model and words, of which types, shapes, byte order and order tell something."""
    proto = ProtoMessage.FromString(instruction)
    value = proto.content.items[0].array_record.items[0].value
    value.dtype, value.shape[:] = "row=17", [17]
    for listed in (proto.content.items[1].config_record.items, proto.content.items):
        listed.reverse()
    return proto.SerializeToString()


def test_the_form_in_which_a_model_is_sent_reaches_no_app(answered):
    """An app gets arrays and words as they were read, in an order of their own."""
    words = said(**{"proximal-mu": 0.5, "server-round": 1})
    instruction = disguised(told(("arrays", model(w=np.zeros(3, ">f8"))), words))
    given = answered(instruction, line=2)
    assert given.startswith("given arrays config w float64 (3,) ")
    assert "'descr': '<f8'" in given
    assert answered(instruction, line=3) == "said proximal-mu server-round"


def test_an_exchange_that_is_asked_again_in_another_form_is_the_same(exchanged):
    """Else the rule `same-question` would let it have another cohort, and the two sums would subtract."""
    words = said(**{"proximal-mu": 0.5, "server-round": 1})
    asked = [
        told(("arrays", model(w=np.zeros(3))), words),
        grouped(disguised(told(("arrays", model(w=np.zeros(3, ">f8"))), words))),
        told(("arrays", model(w=np.ones(3))), words),
    ]
    jobs = [exchanged(instruction)[0] for instruction in asked]
    first, again, other = (job.nodes[0].journal.sealed(job.id, 1, 1).question for job in jobs)
    assert first == again != other


def test_arrays_in_another_order_reach_no_app(dataset):
    first, other = ({name: np.zeros(3) for name in names} for names in ("wb", "bw"))
    question = question_of(messages.read(told(("arrays", model(**first)))))
    shown = read_instruction(question, dataset, told(("arrays", model(**other))))
    written = ProtoMessage.FromString(messages.addressed(shown, run_id=7, node_id=3))
    assert [item.key for item in written.content.items[0].array_record.items] == ["w", "b"]


@pytest.mark.parametrize(
    "items",
    [
        (ARRAYS, ("row", MetricRecord({"row": 17}))),
        (ARRAYS, said(), ("more", ConfigRecord({"row": 17}))),
        (ARRAYS, ("more", model(row=np.array([17.0])))),
        (("row=17", ARRAYS[1]),),
        (ARRAYS, ("row=17", said()[1])),
        (("arrays", ArrayRecord({"w": Array("float64", (3,), "numpy.ndarray", BEHIND)})),),
        (ARRAYS, said(row=[17])),
        (ARRAYS, said(row=b"17")),
        (("arrays", model(w=np.full(3, 1e9))),),
        (("arrays", model(w=np.array([np.nan, 0.0, 0.0]))),),
    ],
    ids=[
        "metrics",
        "configurations",
        "models",
        "record",
        "words",
        "bytes behind",
        "list",
        "bytes",
        "huge",
        "no number",
    ],
)
def test_what_is_no_model_and_no_word_beside_it_is_no_instruction(dataset, items):
    question = question_of(messages.read(told(ARRAYS)))
    with pytest.raises(InvalidInput) as caught:
        read_instruction(question, dataset, told(*items))
    assert caught.value.code == "bad_instruction"
    assert "17" not in caught.value.diagnostics()


def test_what_a_norm_does_not_shorten_elsewhere_carries_nothing_either(dataset):
    """A counter in the model is shortened with the rest; a metric is cut to what the approval says of it."""
    start = {"w": np.zeros(14), "batches": np.array(0, dtype=np.int64)}

    def telling(message, _context):
        arrays = {"w": np.zeros(14), "batches": np.array(145_063, dtype=np.int64)}
        return replied(message, arrays, **{"num-examples": 1, "accuracy": 145.0, "rows": [145.0, 63.0]})

    identify()
    client = LocalApp(app(telling), 0)
    federation = Federation([client], dataset, {"clip_norm": 0.5})
    client.metrics = {"accuracy": (0.0, 1.0), "rows": (0.0, 100.0)}
    result = FedAvg(fraction_evaluate=0.0, min_train_nodes=1, min_available_nodes=1).start(
        federation.grid, model(**start), num_rounds=1
    )
    assert result.arrays["batches"].numpy() == pytest.approx(0.5)
    assert federation.means[0].reply.metrics == {"accuracy": 1.0, "rows": (100.0, 63.0)}
    client.metrics = {"accuracy": (0.0, 1.0)}
    with pytest.raises(KapokError) as caught:
        FedAvg(fraction_evaluate=0.0, min_train_nodes=1, min_available_nodes=1).start(
            federation.grid, model(**start), num_rounds=1
        )
    assert caught.value.code == "round_withheld"


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
