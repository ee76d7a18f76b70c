"""What an app works for in a job, and what it is told. Whether it may run was judged before (`judging`)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from kapok.computations.federated.question import Question
from kapok.errors import ConsentWithheld, plain
from kapok.flower.messages import Instruction
from kapok.nodes.apps.host import AppQuestion, HostedApp
from kapok.nodes.apps.overrides import foreign_word
from kapok.nodes.apps.running import AppJob
from kapok.nodes.runner.admission import AdmittedJob
from kapok.nodes.runner.judging import approved_for

if TYPE_CHECKING:
    from kapok.nodes.runner.context import Context
    from kapok.nodes.runner.contribution import Over

__all__ = ["app_of", "app_over"]

_log = logging.getLogger(__name__)
_MOST_SHOWN = 100


def app_of(context: Context, admitted: AdmittedJob) -> HostedApp | None:
    """What lets a job's app run, by the approvals that hold now; None for a job without one.

    Raises:
        ConsentWithheld: what `AppHost.approved` raises: the approval may have been withdrawn meanwhile.
    """
    if not isinstance(admitted.question, AppQuestion):
        return None
    return approved_for(admitted, admitted.question, context.in_force, context.journal, context.apps)


def app_over(
    context: Context, admitted: AdmittedJob, hosted: HostedApp | None, number: int, instruction: object
) -> Over | None:
    """How a job's app gets the table, in the round of that number; None for a job without one.

    Args:
        context: The node's.
        admitted: The job.
        hosted: What lets its app run.
        number: Of the round.
        instruction: What the app is to do in it, as the computation read it.

    Raises:
        ConsentWithheld: ``message_not_allowed``.
    """
    question, spec = admitted.question, admitted.read.spec
    if hosted is None or not isinstance(question, Question) or not isinstance(instruction, Instruction):
        return None
    _check_said(instruction, hosted, number, admitted.job_id)
    job = AppJob(
        job_id=admitted.job_id,
        hosted=hosted,
        columns=question.columns,
        dataset=admitted.joined.dataset,
        members=spec.members,
        node=context.name,
        deadline=spec.deadline,
    )
    released = context.journal.last_released(admitted.job_id, number)
    return lambda engine, version: context.running.over(job, engine, version, number, released)


def _check_said(instruction: Instruction, hosted: HostedApp, number: int, job_id: str) -> None:
    """Refuse an exchange that tells the app something beside the model that its approval does not name.

    The broker reads refusals, and not what an exchange says: the key stands in this node's log alone.
    """
    foreign = foreign_word(instruction.said, hosted.rule.said, number)
    if foreign is None:
        return
    _log.warning(
        "an exchange tells the app what its approval does not allow",
        extra={"job": job_id, "key": plain(foreign)[:_MOST_SHOWN], "clause": f"{hosted.clause}.messages"},
    )
    raise ConsentWithheld(
        "an exchange tells the app something beside the model that its approval does not name, or another "
        "value of it",
        code="message_not_allowed",
        clause=f"{hosted.clause}.messages",
        remedy="keep to what Flower's strategies say themselves"
        + "".join(f", {one}" for one in hosted.rule.messages)
        + "; or ask the holder to approve what your server app says: `kapok fl run` shows it",
    )
