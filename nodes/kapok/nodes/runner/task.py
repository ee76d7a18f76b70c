"""What a round is computed from: the question alone, or the analyst's parameters.

    first round     parameters hash and tag seed come from the specification
    others          holder.parameters(…) decrypts and checks them; hash and seed are theirs

The first round of a job that is steered has parameters like the others.

Who leaves them out, swaps them or sends another round's is the broker, and the node refuses; what a refusal
says goes through the broker too, so it says nothing of what is in them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kapok.errors import PeerProtocolError
from kapok.errors.secrecy import NeverPickled
from kapok.nodes.runner.open_jobs import OpenJob
from kapok.protocols.secure_sum.round_parameters import SealedParameters
from kapok.wire.messages import OpenAttempt

__all__ = ["Task", "task_of"]


@dataclass(frozen=True, slots=True)
class Task(NeverPickled):
    """What is to be computed in a round, beside the question.

    Attributes:
        params_hash: What goes into the attempt's context, 32 bytes.
        tag_seed: Of this round's tag. Secret.
        parameters: As the computation read them; None where the question is all there is.
    """

    params_hash: bytes
    tag_seed: bytes = field(repr=False)
    parameters: Any = field(default=None, repr=False)


def task_of(job: OpenJob, asked: OpenAttempt) -> Task:
    """Read what an attempt asks for.

    Raises:
        PeerProtocolError: ``bad_parameters`` when they are missing, or there are some where the question is
            all; and what `kapok.protocols.secure_sum.holder.Holder.parameters` raises, LocalProtocolError,
            CohortTooSmall and ConsentWithheld too.
        InvalidInput: the computation cannot use them.
    """
    admitted, given = job.admitted, asked.parameters
    if (given is not None) != admitted.read.spec.has_parameters(asked.round):
        raise PeerProtocolError(
            "the specification says which rounds have parameters: the broker shows it otherwise",
            code="bad_parameters",
        )
    if given is None:
        return Task(admitted.read.spec.params_hash, admitted.tag_seed)
    opened = job.holder.parameters(
        round=asked.round,
        consents=asked.consents,
        sealed=SealedParameters(given.statement, given.ciphertext),
        analyst=admitted.read.spec.analyst,
    )
    steps = admitted.computation.go_on()
    return Task(
        opened.hash,
        opened.tag_seed,
        steps.read(admitted.question, admitted.joined.dataset, opened.plaintext),
    )
