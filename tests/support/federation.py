"""A server app over nodes in one process: once as Flower does it, once as Kapok does, without the masks."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.common.serde import message_from_proto, message_to_proto
from flwr.proto.message_pb2 import Message as ProtoMessage
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

import kapok.flower  # noqa: F401  telemetry is off before flwr is imported
from kapok.computations.engines import Thresholds
from kapok.computations.federated.contribution import contribute, read_instruction
from kapok.computations.federated.mean import mean_of
from kapok.computations.federated.question import ArrayShape, Question
from kapok.documents.dataset import Dataset
from kapok.flower import messages
from kapok.flower.grid import BrokerGrid

RUN_ID = 7
OPEN = Thresholds(min_rows=1, min_cell=1)


@dataclass
class LocalApp:
    """A client app in this process, as a node's process runs it."""

    client: ClientApp
    number: int
    rows: int = 100
    state: RecordDict = field(default_factory=RecordDict)
    metrics: dict[str, tuple[float, float]] = field(default_factory=dict)

    def call(self, instruction: messages.Instruction) -> bytes:
        asked = messages.addressed(instruction, run_id=RUN_ID, node_id=self.number + 2)
        return self.answer(message_from_proto(ProtoMessage.FromString(asked)))

    def answer(self, message: Message) -> bytes:
        context = Context(RUN_ID, self.number + 2, {"partition-id": self.number}, self.state, {})
        return message_to_proto(self.client(message, context)).SerializeToString()


def identify() -> None:
    """Flower's messages ask for an identity of the process."""
    TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = RUN_ID, 1, 1


class PlainGrid(BrokerGrid):
    """As Flower's own: every node's reply is seen."""

    def __init__(self, apps: list[LocalApp]) -> None:
        super().__init__(len(apps), _run(), lambda _instruction: b"")
        self.apps = apps

    def send_and_receive(self, messages: Any, *, timeout: float | None = None) -> list[Message]:
        return [
            message_from_proto(ProtoMessage.FromString(app.answer(message)))
            for app, message in zip(
                self.apps, sorted(messages, key=lambda one: one.metadata.dst_node_id), strict=False
            )
        ]


@dataclass
class Federation:
    """Kapok's rounds over the same nodes: words, their sum, its mean."""

    apps: list[LocalApp]
    dataset: Dataset
    bounds: dict[str, Any] = field(default_factory=dict)
    thresholds: Thresholds = OPEN
    told: list[tuple[str, str]] = field(default_factory=list)
    question: Question | None = None
    means: list[Any] = field(default_factory=list)
    between: Callable[[bytes], None] = lambda _instruction: None

    @property
    def grid(self) -> BrokerGrid:
        return BrokerGrid(len(self.apps), _run(), self.exchange)

    def exchange(self, instruction: bytes) -> bytes:
        asked = messages.read(instruction)
        if self.question is None:
            self.question = question_of(asked, **self.bounds)
        self.between(instruction)
        question = Question.parse(self.question.text, self.dataset)
        read = read_instruction(question, self.dataset, instruction)
        words = [
            contribute(
                question, self.dataset, read, app, self.thresholds, lambda *said: self.told.append(said)
            )
            for app in self.apps
        ]
        mean = mean_of(question, words[0].add(*words[1:]), trains=asked.trains)
        self.means.append(mean)
        return messages.write_reply(mean.reply, question.weight, kind=asked.kind)


def question_of(asked: messages.Instruction, **bounds: Any) -> Question:
    shapes = tuple(ArrayShape(name, array.dtype.name, array.shape) for name, array in asked.arrays.items())
    given = {
        "app": "ab" * 32,
        "columns": (),
        "config": {},
        "exchanges": 100,
        "word_bits": 64,
        "value_range": 1024.0,
        "integer_range": 1e6,
        "examples": 1e7,
    }
    return Question(**(given | {"arrays": shapes} | bounds))


def _run() -> Run:
    return Run.create_empty(RUN_ID)


def model(**arrays: Any) -> ArrayRecord:
    return ArrayRecord({name: Array(np.asarray(value)) for name, value in arrays.items()})


def replied(message: Message, arrays: dict[str, Any] | None, **metrics: Any) -> Message:
    content = {"metrics": MetricRecord(metrics)}
    if arrays is not None:
        content = {"arrays": model(**arrays), **content}
    return Message(RecordDict(content), reply_to=message)


def configured(message: Message) -> ConfigRecord:
    return next(iter(message.content.config_records.values()))
