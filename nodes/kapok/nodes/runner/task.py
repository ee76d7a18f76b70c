"""What a round is computed from: the question alone, or the analyst's parameters.

    first round     parameters hash and tag seed come from the specification
    others          holder.parameters(…) decrypts and checks them; hash and seed are theirs

The first round of a job that is steered has parameters like the others. What it asks is question and
parameters together, in each of its rounds: by this a node knows the same exchange of a training again.

Who leaves them out, swaps them or sends another round's is the broker, and the node refuses; what a refusal
says goes through the broker too, so it says nothing of what is in them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kapok.errors import PeerProtocolError
from kapok.errors.secrecy import NeverPickled
from kapok.nodes.runner.open_jobs import OpenJob
from kapok.protocols.secure_sum.framing import hashed
from kapok.protocols.secure_sum.round_parameters import SealedParameters
from kapok.wire.messages import OpenAttempt

__all__ = ["Task", "task_of"]


@dataclass(frozen=True, slots=True)
class Task(NeverPickled):
    """What is to be computed in a round, beside the question.

    Attributes:
        params_hash: What goes into the attempt's context, 32 bytes.
        tag_seed: Of this round's tag. Secret.
        question_key: Stands for what is asked, 32 bytes: the question, or an exchange of a training.
        parameters: As the computation read them; None where the question is all there is.
    """

    params_hash: bytes
    tag_seed: bytes = field(repr=False)
    question_key: bytes = field(repr=False)
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
        return Task(admitted.read.spec.params_hash, admitted.tag_seed, admitted.question_key)
    opened = job.holder.parameters(
        round=asked.round,
        consents=asked.consents,
        sealed=SealedParameters(given.statement, given.ciphertext),
        analyst=admitted.read.spec.analyst,
    )
    steps = admitted.computation.go_on()
    parameters = steps.read(admitted.question, admitted.joined.dataset, opened.plaintext)
    asked_for = admitted.question_key
    if admitted.read.spec.steered:
        # Without the seed, which is another for the same parameters asked again; nor does the form count.
        substance = opened.plaintext if steps.substance is None else steps.substance(parameters)
        asked_for = hashed("node/exchange", asked_for, substance)
    return Task(opened.hash, opened.tag_seed, asked_for, parameters)
