"""Which of an analyst's jobs nodes are asked for, so that no analyst keeps the nodes from another's.

An analyst may have `analyst_jobs_max` jobs open. Of those that need their nodes `jobs_at_work_max` are *at
work*; the others are on record, in ``gathering``, and nobody is asked yet. When one that was at work needs no
node any more, the oldest of those that wait has its turn, and its time to gather begins. So what nodes have
before them is a few jobs of each analyst, whoever came first and with however many; they take them in turns,
one of each analyst after the other (`kapok.broker.store.duties`).

What waits does not wait for other analysts, and its deadline goes on.
"""

from __future__ import annotations

import logging

from kapok.broker.computation.context import Step
from kapok.broker.computation.states import LIVE

__all__ = ["begin_waiting", "may_begin"]


def may_begin(step: Step, analyst: str) -> bool:
    """Whether a new job of an analyst's is at work at once, before none that waits."""
    at_work, waiting = step.tx.jobs.at_work(analyst, LIVE)
    return not waiting and at_work < step.context.limits.jobs_at_work_max


def begin_waiting(step: Step, analyst: str) -> None:
    """Let as many of an analyst's waiting jobs be at work as there is room for, the oldest first."""
    at_work, waiting = step.tx.jobs.at_work(analyst, LIVE)
    room = step.context.limits.jobs_at_work_max - at_work
    if not waiting or room <= 0:
        return
    for job in step.tx.jobs.waiting(analyst, LIVE, room):
        job.at_work = True
        job.gathering_since = step.now
        step.touch_all(job)
        step.log(logging.INFO, "job has its turn", {"job": job.id, "analyst": analyst})
