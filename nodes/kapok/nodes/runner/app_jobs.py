"""What an app works for in a job. Whether it may was judged with the rest (`judging`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kapok.computations.federated.question import Question
from kapok.nodes.apps.running import AppJob
from kapok.nodes.runner.admission import AdmittedJob
from kapok.nodes.runner.judging import approved_for

if TYPE_CHECKING:
    from kapok.nodes.runner.context import Context
    from kapok.nodes.runner.contribution import Over

__all__ = ["app_over"]


def app_over(context: Context, admitted: AdmittedJob, number: int) -> Over | None:
    """How a job's app gets the table, in the round of that number; None for a job without one.

    Raises:
        ConsentWithheld: what `AppHost.approved` raises: the approval may have been withdrawn meanwhile.
    """
    question, spec = admitted.question, admitted.read.spec
    if not isinstance(question, Question):
        return None
    job = AppJob(
        job_id=admitted.job_id,
        hosted=approved_for(admitted, question, context.in_force, context.journal, context.apps),
        columns=question.columns,
        dataset=admitted.joined.dataset,
        members=spec.members,
        node=context.name,
        deadline=spec.deadline,
    )
    return lambda engine, version: context.running.over(job, engine, version, number)
