"""The grid that a server app talks to: every exchange is one round, and the mean of all comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from flwr.app import Message, RecordDict
from flwr.common.serde import message_from_proto
from flwr.proto.message_pb2 import Message as ProtoMessage
from flwr.serverapp import Grid
from flwr.supercore.run import Run

from kapok.errors import InvalidInput
from kapok.flower.messages import EVALUATE, TRAIN, instruction_of

__all__ = ["BrokerGrid"]

_FIRST_NODE: Final = 2
_GRID_NODE: Final = 1


class BrokerGrid(Grid):
    """A grid whose nodes answer together or not at all.

    Args:
        nodes: How many there are.
        run: What Flower calls this run.
        exchange: Takes an instruction, gives back the one reply; may take long, and raise.
    """

    def __init__(self, nodes: int, run: Run, exchange: Callable[[bytes], bytes]) -> None:
        self._ids = tuple(range(_FIRST_NODE, _FIRST_NODE + nodes))
        self._run = run
        self._exchange = exchange

    def set_run(self, run: Run) -> None:
        """Is told what it knows."""

    @property
    def run(self) -> Run:
        """What Flower calls this run."""
        return self._run

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """A message, as Flower makes it."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> list[int]:
        """Stand-ins for the nodes: all of them, always."""
        return list(self._ids)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:  # noqa: ARG002
        """Refuse: whoever pulls afterwards picks single replies.

        Raises:
            InvalidInput: ``single_replies``.
        """
        raise _single("the app pushes and pulls messages one by one")

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:  # noqa: ARG002
        """Refuse, as `push_messages` does."""
        raise _single("the app pushes and pulls messages one by one")

    def send_and_receive(
        self,
        messages: Iterable[Message],
        *,
        timeout: float | None = None,  # noqa: ARG002
    ) -> list[Message]:
        """Have all nodes do one and the same, and return one reply: their weighted mean.

        The deadline is the job's: `timeout` is not looked at, for a strategy that goes on without replies
        ends "successfully" on nothing.

        Raises:
            InvalidInput: ``single_replies``: not every node is asked, or not all the same.
            KapokError: why there is no mean.
        """
        asked = list(messages)
        if not asked:
            return []
        self._check_addressees(asked)
        instruction = instruction_of(asked[0])
        # The same content is serialised once: strategies put one record into all messages.
        others = [one for one in asked if one.content is not asked[0].content]
        if any(instruction_of(one) != instruction for one in others):
            raise _single("the app sends different things to different nodes")
        reply = ProtoMessage.FromString(self._exchange(instruction))
        reply.metadata.message_id, reply.metadata.reply_to_message_id = "mean", "instruction"
        reply.metadata.src_node_id, reply.metadata.dst_node_id = self._ids[0], _GRID_NODE
        return [message_from_proto(reply)]

    def _check_addressees(self, asked: list[Message]) -> None:
        kind = asked[0].metadata.message_type
        if kind.partition(".")[0] not in (TRAIN, EVALUATE):
            raise _single(f"the app sends messages of the type {kind}, whose replies cannot be averaged")
        if any(one.metadata.message_type != kind for one in asked):
            raise _single("the app sends different things to different nodes")
        if sorted(one.metadata.dst_node_id for one in asked) != list(self._ids):
            raise _single(
                f"the app asks {len(asked)} of {len(self._ids)} nodes. Every node takes part in every "
                "exchange: sums over different nodes could be subtracted from one another",
                "set fraction_train and fraction_evaluate to 1.0 (or fraction_evaluate to 0.0 for none), by "
                "--run-config where the app has keys for them",
            )


def _single(
    why: str, remedy: str = "use a ServerApp with a strategy of flwr.serverapp.strategy"
) -> InvalidInput:
    return InvalidInput(
        f"this app cannot run here: {why}. Nobody sees the reply of a single node",
        code="single_replies",
        remedy=remedy,
    )
