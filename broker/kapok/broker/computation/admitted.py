"""An admitted job as every later step needs it, read from the bytes that were verified when it came."""

from __future__ import annotations

from dataclasses import dataclass

from kapok.documents.envelope import decode
from kapok.documents.statements import JobSpec
from kapok.identity.names import PartyName
from kapok.protocols.secure_sum.params import LEAST_PARTIES_FLOOR, SumTerms

__all__ = ["AdmittedJob", "read_admitted"]


@dataclass(frozen=True, slots=True)
class AdmittedJob:
    """A verified specification with what follows from it.

    Attributes:
        job_id: Lower-case hex.
        analyst: Who signed it.
        specification: What was signed.
        terms: The terms of its sums.
        params_hash: Hash of question and parameters, 32 bytes.
    """

    job_id: str
    analyst: PartyName
    specification: JobSpec
    terms: SumTerms
    params_hash: bytes

    @property
    def needs_everyone(self) -> bool:
        """Whether one refusal fails it: so unless the analyst settled for fewer organisations."""
        return self.terms.at_least >= len(self.terms.organisations)

    def enough(self, organisations: frozenset[str]) -> bool:
        """Whether these organisations may be a roster: as many as asked for, three besides the analyst's."""
        others = organisations - {self.terms.receiver_organisation}
        return len(organisations) >= self.terms.at_least and len(others) >= LEAST_PARTIES_FLOOR


def read_admitted(job_id: str, analyst: PartyName, payload: bytes) -> AdmittedJob:
    """Read a specification from its verified payload.

    Raises:
        PeerProtocolError: ``bad_statement`` when the payload is no specification.
        InvalidInput: ``bad_party_name`` or ``bad_terms`` when its fields do not hold together.
    """
    specification = decode(JobSpec, payload, party=str(analyst))
    terms = specification.terms(job_id, analyst)
    return AdmittedJob(job_id, analyst, specification, terms, specification.params_hash)
