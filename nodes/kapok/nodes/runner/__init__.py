"""The runner: one assignment in, statements out. Synchronous, no sockets; the clock is an argument.

    Offer        ──▶ verify, count the try, judge             ──▶ Consent | Refusal | nothing yet (an officer)
    OpenAttempt  ──▶ check the roster, compute, seal, journal ──▶ Seal | Refusal | a new Consent (keys lost)
    Completion   ──▶ check the seals and the cohort, journal  ──▶ Release | Refusal
    ReopenCohort ──▶ verify all signatures, journal           ──▶ AnsweredReopening
    Closed       ──▶ forget
    Inquiry      ──▶ verify and judge, nothing more           ──▶ Opinion

The same assignment again gets the same answer, whatever happened in between.

    admission     a specification as this node verifies it
    judging       what the policy says of it
    offers        a question counted, judged, consented to
    attempts      a roster checked, words computed and sealed
    contribution  from a table to words
    releases      what opens the pad, once
    opinions      what an offer would be answered
    reopening     a cohort's, signed by its officers
    context       what all of them work with
    task, app_jobs    what a round is computed from; what an app works for in a job
    open_jobs     keys of jobs that are open, in memory alone
    outgoing      signed statements, ready to be sent again
    notes         what is logged and counted
    pace          how often a caller may come
    runner        all of it behind one face, and what guards it
"""

from kapok.nodes.runner.admission import JoinedDataset
from kapok.nodes.runner.context import Context
from kapok.nodes.runner.judging import InForce
from kapok.nodes.runner.outgoing import (
    AnsweredReopening,
    Consent,
    Opinion,
    Outgoing,
    Refusal,
    Release,
    Seal,
)
from kapok.nodes.runner.runner import Runner

__all__ = [
    "AnsweredReopening",
    "Consent",
    "Context",
    "InForce",
    "JoinedDataset",
    "Opinion",
    "Outgoing",
    "Refusal",
    "Release",
    "Runner",
    "Seal",
]
