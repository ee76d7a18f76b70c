"""Cohorts as an officer may believe them: verified here, from what nodes and officers signed.

    specification, consents ──▶ the roster, and its hash
    releases over that hash ──▶ which nodes are bound to it
    detached signatures     ──▶ which officers have signed a reopening
    answers                 ──▶ which nodes have accepted it

Only what nobody signed is the broker's word: that there is nothing else, and when something came. It can
hide a cohort; then a reopening does not name it, and the nodes that are bound to it refuse the reopening.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kapok.documents.envelope import decode, document_id
from kapok.documents.reopening import REOPENING_ANSWER_TYP, Reopening, ReopeningAnswer, SignedReopening
from kapok.documents.statements import JOB_TYP, JobSpec
from kapok.errors import KapokError, PeerProtocolError
from kapok.identity.names import PartyName
from kapok.protocols.secure_sum.messages import RELEASE_TYP, ReleaseStatement, read
from kapok.protocols.secure_sum.roster import read_roster

if TYPE_CHECKING:
    from kapok.protocols.secure_sum.params import Verifier
    from kapok.wire.messages import CohortEvidence, KeptReopening

__all__ = ["BoundCohort", "ReopeningView", "cohorts_in_force", "in_words", "next_serial", "verified_cohort"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundCohort:
    """A set of nodes that something was released for.

    Attributes:
        receiver: The organisation that got it, in full.
        names: The nodes.
        bound: Those of them that have signed a release: they answer with no other set.
        reopening: Identity of the last reopening that the nodes stated then, lower-case hex, or empty.
    """

    receiver: str
    names: tuple[str, ...]
    bound: tuple[str, ...]
    reopening: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReopeningView:
    """A reopening with what has become of it.

    Attributes:
        document: With its signatures.
        reopening: What was signed.
        signed: Of each organisation that has signed, an officer.
        missing: Organisations of which nobody has signed, in full.
        accepted: Nodes that have signed that they accepted it.
        refused: Nodes that have signed that they did not, with the reason.
        proposed_at: Seconds since the epoch: the broker's word.
    """

    document: SignedReopening
    reopening: Reopening
    signed: tuple[PartyName, ...]
    missing: tuple[str, ...]
    accepted: tuple[str, ...]
    refused: dict[str, str]
    proposed_at: float

    @classmethod
    def of(cls, kept: KeptReopening, verifier: Verifier) -> ReopeningView:
        """Verify what the broker keeps; signatures and answers that do not hold count for nothing.

        Raises:
            PeerProtocolError: ``bad_statement``.
        """
        document = SignedReopening.from_json(kept.document)
        reopening = document.read()
        signed, _invalid = document.signers(verifier)
        answers = dict(_answers(document.id, kept.answers, verifier))
        return cls(
            document=document,
            reopening=reopening,
            signed=tuple(signed[one] for one in reopening.organisations if one in signed),
            missing=tuple(one for one in reopening.organisations if one not in signed),
            accepted=tuple(name for name in reopening.nodes if name in answers and not answers[name].code),
            refused={
                name: f"{answer.message} [{answer.code}]" for name, answer in answers.items() if answer.code
            },
            proposed_at=kept.proposed_at,
        )


def _answers(
    reopening_id: str, tokens: Sequence[str], verifier: Verifier
) -> Iterator[tuple[str, ReopeningAnswer]]:
    for token in tokens:
        try:
            signed = verifier.verify(REOPENING_ANSWER_TYP, token)
            answer = decode(ReopeningAnswer, signed.payload)
        except KapokError:
            continue
        if answer.reopening == reopening_id:
            yield signed.signer.name, answer


def verified_cohort(evidence: CohortEvidence, dataset_hash: str, verifier: Verifier) -> BoundCohort:
    """Read which nodes have released together.

    Raises:
        IdentityInvalid: a signature does not hold.
        PeerProtocolError: ``bad_statement``, or ``wrong_evidence``: the statements are not about one another.
    """
    signed = verifier.verify(JOB_TYP, evidence.specification)
    analyst = PartyName.parse(signed.signer.name)
    spec = decode(JobSpec, signed.payload, party=str(analyst))
    spec.check_signer(str(analyst))
    terms = spec.terms(document_id(signed.payload), analyst)
    roster = read_roster(terms, evidence.consents, verifier)
    bound = set()
    for token in evidence.releases:
        release, _ = read(ReleaseStatement, RELEASE_TYP, token, verifier)
        if (release.job, release.roster) != (terms.job_id, roster.hash):
            raise _wrong()
        bound.add(release.name)
    if spec.dataset != dataset_hash or not bound or not bound <= set(roster.names):
        raise _wrong()
    stated = {member.cohort.reopening for member in roster.members if member.name in bound}
    return BoundCohort(
        receiver=analyst.organisation_id,
        names=roster.names,
        bound=tuple(sorted(bound, key=str.encode)),
        reopening=stated.pop().hex() if len(stated) == 1 else "",
    )


def cohorts_in_force(
    receiver: str, cohorts: Sequence[BoundCohort], reopenings: Sequence[ReopeningView]
) -> tuple[tuple[str, ...], ...]:
    """The cohorts that a new reopening must name: what binds some node, as far as can be seen from here."""
    last = max(
        (one for one in reopenings if one.reopening.receiver == receiver and one.accepted),
        key=lambda one: one.reopening.serial,
        default=None,
    )
    current = "" if last is None else last.document.id
    found = {one.names for one in cohorts if one.receiver == receiver and one.reopening == current}
    if last is not None:
        found.add(last.reopening.new)
        if set(last.accepted) != set(last.reopening.nodes):
            found.update(last.reopening.old)
    return tuple(sorted(found))


def next_serial(receiver: str, reopenings: Sequence[ReopeningView]) -> int:
    """A serial larger than that of every reopening of the scope that is known here."""
    return 1 + max(
        (one.reopening.serial for one in reopenings if one.reopening.receiver == receiver), default=0
    )


def in_words(reopening: Reopening, dataset: str) -> list[str]:
    """What a signature under a reopening means, line by line.

    Args:
        reopening: What is signed.
        dataset: Its dataset's name, for people.
    """
    receiver = reopening.receiver.rpartition("/")[2]
    lines = [
        f"This reopening is about answers from {dataset}, and from every other dataset over the same tables, "
        f"to the organisation {receiver}."
    ]
    lines += [f"Until now such answers are sums over: {_short(names)}." for names in reopening.old]
    lines.append(f"From now on they are sums over: {_short(reopening.new)}.")
    for leave, come in reopening.differences():
        lines.append(
            "Who has an answer of before and the answer to the same question of afterwards can subtract "
            f"them, and gets {_difference(leave, come)}. No policy of a holder prevents that."
        )
    lines.append(
        "It takes effect once an officer of each of these organisations has signed: "
        f"{', '.join(one.rpartition('/')[2] for one in reopening.organisations)}. "
        "It cannot be taken back; another reopening can follow."
    )
    until = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(reopening.expires))
    lines.append(f"It is number {reopening.serial} for these answers; no node accepts it after {until}.")
    return lines


def _difference(leave: Sequence[str], come: Sequence[str]) -> str:
    if leave and come:
        return f"the sum of {_short(leave)} less that of {_short(come)}"
    names = leave or come
    if len(names) == 1:
        return f"the contribution of {_short(names)} ALONE"
    return f"the sum of {_short(names)} alone"


def _short(names: Sequence[str]) -> str:
    parsed = [PartyName.parse(name) for name in names]
    return ", ".join(f"{one.organisation}/{one.name}" for one in parsed)


def _wrong() -> PeerProtocolError:
    return PeerProtocolError(
        "the broker shows a cohort whose statements are not about one another", code="wrong_evidence"
    )
