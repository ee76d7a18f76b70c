"""Reopenings of cohorts: kept as officers signed them, relayed to nodes, shown to those whom they concern.

The broker verifies what it takes, so that it relays no nonsense; nobody relies on that. It may withhold a
reopening from a node: then that node states the old cohort, the others refuse a roster with it and name it.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Final

from kapok.broker.computation.cohorts import ask_again
from kapok.broker.computation.context import Context, Step
from kapok.broker.computation.statements import check_signer
from kapok.broker.computation.states import JobState
from kapok.broker.store import Transaction
from kapok.broker.store.attempts import Released
from kapok.broker.store.schema import AttemptRow, JobRow, ReopeningRow
from kapok.documents.envelope import decode
from kapok.documents.reopening import (
    MOST_LIFETIME_S,
    REOPENING_ANSWER_TYP,
    Reopening,
    ReopeningAnswer,
    SignedReopening,
    officer_of,
)
from kapok.errors import BudgetExhausted, InvalidInput, NotAuthorised, NotFound, PeerProtocolError
from kapok.identity.names import PartyName
from kapok.wire.messages import CohortEvidence, KeptReopening

__all__ = ["Reopenings"]

_CLOCK_SKEW_S: Final = 24 * 3600
_MOST_UNSIGNED: Final = 64
_MOST_LISTED: Final = 256
_MOST_ATTEMPTS: Final = 1024
_MOST_COHORTS: Final = 64


class Reopenings:
    """The logic of reopenings over one store.

    Args:
        context: Store, verifier, clock and limits.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    # Officers

    def sign(self, caller: PartyName, text: bytes) -> str:
        """Keep a proposed reopening, or more signatures of one; return its id.

        Args:
            caller: The officer who brings it. Signatures of others may come with it.
            text: JSON of a `SignedReopening`.

        Raises:
            PeerProtocolError: ``bad_statement``.
            NotAuthorised: ``not_concerned``, ``not_an_officer`` or ``proposer_missing``.
            IdentityInvalid: a signature does not hold.
            InvalidInput: ``bad_deadline``: it has expired, or expires too late.
            NotFound: ``unknown_dataset``.
            BudgetExhausted: ``too_many_reopenings`` of this organisation wait for signatures.
        """
        document = SignedReopening.from_json(text)
        reopening = document.read()
        _check_concerned(caller, reopening)
        officers = [
            (officer_of(document.payload, one, self._context.verifier), one) for one in document.signatures
        ]
        for officer, _ in officers:
            _check_concerned(officer, reopening)
        with self._context.step() as step:
            row = step.tx.reopenings.get(document.id)
            if row is None:
                if reopening.proposer not in {str(officer) for officer, _ in officers}:
                    raise _unproposed(reopening)
                row = self._keep(step, document, reopening)
            for officer, signature in officers:
                step.tx.reopenings.sign(row.id, str(officer), signature, step.now)
            signed = map(PartyName.parse, step.tx.reopenings.signatures(row.id))
            if {officer.organisation_id for officer in signed} >= set(reopening.organisations):
                row.complete = True
                step.nodes.update(reopening.nodes)
        return document.id

    def listed(self, caller: PartyName, dataset: str | None) -> list[KeptReopening]:
        """The reopenings that concern the caller's organisation, newest first."""
        with self._context.store.snapshot() as tx:
            return [
                KeptReopening(
                    tx.reopenings.document(row).to_json(),
                    tuple(one.answer for one in tx.reopenings.nodes(row.id) if one.answer is not None),
                    row.proposed_at,
                )
                for row in tx.reopenings.of(dataset, _MOST_LISTED)
                if _concerns(caller, row.receiver, (one.node for one in tx.reopenings.nodes(row.id)))
            ]

    def cohorts(self, caller: PartyName, dataset: str) -> list[int]:
        """An attempt for each set of nodes that something was released for, of each receiver.

        The newest sets come first; of each set that attempt of which most releases are in.
        """
        found: dict[tuple[str, tuple[str, ...]], Released] = {}
        with self._context.store.snapshot() as tx:
            for one in tx.attempts.released_of(dataset, _MOST_ATTEMPTS):
                known = found.get((one.receiver, one.names))
                if known is None or known.releases < one.releases:
                    found[one.receiver, one.names] = one
        concerned = (one.attempt for one in found.values() if _concerns(caller, one.receiver, one.names))
        return list(islice(concerned, _MOST_COHORTS))

    def evidence(self, attempt_id: int) -> CohortEvidence | None:
        """What was signed about one of these attempts; None if it is gone meanwhile."""
        with self._context.store.snapshot() as tx:
            attempt = tx.attempts.get(attempt_id)
            job = tx.jobs.get(attempt.job) if attempt is not None else None
            return _evidence(tx, job, attempt) if job is not None and attempt is not None else None

    # Nodes

    def answer(self, caller: PartyName, reopening_id: str, token: str) -> None:
        """Keep what a node says of a reopening. Jobs that wait are offered to it again: it states anew.

        Raises:
            IdentityInvalid: the signature does not hold.
            PeerProtocolError: ``not_the_signer``, ``bad_statement`` or ``wrong_reopening``.
            NotFound: ``unknown_reopening``: there is none, or it does not concern the node.
        """
        signed = self._context.verifier.verify(REOPENING_ANSWER_TYP, token)
        check_signer(caller, signed.signer.name)
        answer = decode(ReopeningAnswer, signed.payload, party=str(caller))
        if answer.reopening != reopening_id:
            raise PeerProtocolError(
                f"{caller} sent a statement about another reopening",
                code="wrong_reopening",
                party=str(caller),
            )
        with self._context.step() as step:
            row, node = (
                step.tx.reopenings.get(reopening_id),
                step.tx.reopenings.node(reopening_id, str(caller)),
            )
            if row is None or node is None:
                raise NotFound("there is no such reopening", code="unknown_reopening")
            node.answer = token
            if answer.code or node.accepted:
                return
            node.accepted = True
            for job in step.tx.jobs.in_states((JobState.GATHERING,), row.receiver):
                if job.dataset == row.dataset and node.node in step.tx.jobs.consents(job.id):
                    ask_again(step, job, [node.node])

    def _keep(self, step: Step, document: SignedReopening, reopening: Reopening) -> ReopeningRow:
        if not step.now < reopening.expires <= step.now + MOST_LIFETIME_S + _CLOCK_SKEW_S:
            raise InvalidInput(
                "the reopening has expired, or expires too late",
                code="bad_deadline",
                clause="reopening.expires",
                remedy=f"let it expire within {MOST_LIFETIME_S // 86_400} days",
            )
        if step.tx.catalogue.dataset(reopening.dataset) is None:
            raise NotFound(
                "the broker knows no dataset of that hash",
                code="unknown_dataset",
                clause="reopening.dataset",
                remedy="see `kapok dataset list`",
            )
        step.tx.reopenings.forget_unsigned(step.now - MOST_LIFETIME_S)
        proposer = PartyName.parse(reopening.proposer)
        if step.tx.reopenings.unsigned(proposer.organisation_id) >= _MOST_UNSIGNED:
            raise BudgetExhausted(
                f"{_MOST_UNSIGNED} reopenings that {proposer.organisation} proposed wait for signatures",
                code="too_many_reopenings",
                remedy="wait until they are signed, or have expired for 90 days",
            )
        row = ReopeningRow(
            id=document.id,
            dataset=reopening.dataset,
            receiver=reopening.receiver,
            proposer=proposer.organisation_id,
            payload=document.payload,
            serial=reopening.serial,
            expires=float(reopening.expires),
            complete=False,
            proposed_at=step.now,
        )
        step.tx.reopenings.add(row, reopening.nodes)
        return row


def _evidence(tx: Transaction, job: JobRow, attempt: AttemptRow) -> CohortEvidence:
    releases = tx.attempts.releases(attempt.id)
    return CohortEvidence(
        specification=tx.jobs.specification(job.id),
        round=attempt.round,
        attempt=attempt.number,
        consents=tuple(member.consent for member in tx.attempts.roster(attempt.id)),
        releases=tuple(releases[name] for name in sorted(releases, key=str.encode)),
    )


def _concerns(caller: PartyName, receiver: str, nodes: Iterable[str]) -> bool:
    """Whether an officer's organisation has a node in a cohort, or analysts who get its answers."""
    own = caller.organisation_id
    return own == receiver or any(PartyName.parse(node).organisation_id == own for node in nodes)


def _check_concerned(officer: PartyName, reopening: Reopening) -> None:
    if officer.organisation_id not in reopening.organisations:
        raise NotAuthorised(
            f"no node of {officer.organisation} is in the old or the new cohort",
            code="not_concerned",
            party=str(officer),
            remedy="its officers have nothing to sign here",
        )


def _unproposed(reopening: Reopening) -> NotAuthorised:
    return NotAuthorised(
        f"{reopening.proposer} has not signed the reopening that it is said to propose",
        code="proposer_missing",
        party=reopening.proposer,
        remedy="let it be submitted by the one who proposes it first",
    )
