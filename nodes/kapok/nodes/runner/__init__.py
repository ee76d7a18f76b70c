"""The runner: one assignment in, statements out. Synchronous, no sockets; the clock is an argument.

    Offer        ──▶ verify, count the try, judge             ──▶ Consent | Refusal | nothing yet (an officer)
    OpenAttempt  ──▶ check the roster, compute, seal, journal ──▶ Seal | Refusal | a new Consent (keys lost)
    Completion   ──▶ check the seals and the cohort, journal  ──▶ Release | Refusal
    ReopenCohort ──▶ verify all signatures, journal           ──▶ AnsweredReopening
    Closed       ──▶ forget
    Inquiry      ──▶ verify and judge, nothing more           ──▶ Opinion

The same assignment again gets the same answer, whatever happened in between.
"""

from kapok.nodes.runner.admission import JoinedDataset
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
    "InForce",
    "JoinedDataset",
    "Opinion",
    "Outgoing",
    "Refusal",
    "Release",
    "Runner",
    "Seal",
]
