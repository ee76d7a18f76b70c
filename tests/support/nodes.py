"""Nodes that answer for years: an identity, one contribution, and the journal that the cohort rule reads.

`Deployment` is a dishonest broker's and its analyst's view of several of them: it may ask for any job, roster
and attempt at any time, and keeps what it gets. What the nodes refuse, it does not get.
"""

import secrets
from dataclasses import dataclass, field, replace

from kapok.errors import KapokError
from kapok.protocols.secure_sum import cohort
from kapok.protocols.secure_sum.cohort import CohortStatement, PastRelease
from kapok.protocols.secure_sum.holder import Holder, SealedContribution, release
from kapok.protocols.secure_sum.params import RosterRules, SumTerms
from support.parties import Authority, Exchange, Identity, exchange


@dataclass
class Node:
    """One honest node: its journal outlives its holders."""

    identity: Identity
    authority: Authority
    rule: str = "fixed"
    journal: list[PastRelease] = field(default_factory=list)

    def statement(self, params_hash: bytes) -> CohortStatement:
        bound = self.journal
        if self.rule == "same-question":
            bound = [past for past in bound if past.params_hash == params_hash]
        return CohortStatement.of(self.rule, [past.names for past in bound])

    def holder(self, terms: SumTerms, params_hash: bytes) -> Holder:
        return Holder(
            terms,
            name=self.identity.party.name,
            signer=self.identity,
            verifier=self.authority,
            rules=RosterRules(min_parties=3),
            cohort=self.statement(params_hash),
        )

    def release(self, sealed: SealedContribution, seals: list[str]) -> str:
        cohort.check_release(self.rule, sealed.record.as_past, self.journal)
        token = release(sealed.record, seals, signer=self.identity, verifier=self.authority)
        self.journal.append(sealed.record.as_past)
        return token


@dataclass
class Asked:
    """One attempt that was asked for: who takes part, and what came back."""

    exchange: Exchange
    indices: list[int]
    attempt: int
    sealed: list[SealedContribution] = field(default_factory=list)
    releases: dict[int, str] = field(default_factory=dict)
    refused: dict[int, KapokError] = field(default_factory=dict)

    def opened(self) -> list[int] | None:
        """The sum, when every member of the roster has released."""
        if len(self.releases) < len(self.indices):
            return None
        return self.exchange.open_sum(
            self.sealed,
            attempt=self.attempt,
            consents=self.exchange.consents(self.indices),
            releases=list(self.releases.values()),
        ).words


class Deployment:
    """Nodes a, b, c, … with one contribution each, and everything that can be asked of them."""

    def __init__(self, contributions: dict[str, list[int]], rules: dict[str, str] | None = None) -> None:
        self.letters = list(contributions)
        self.pattern = exchange(list(contributions.values()), at_least=3)
        self.nodes = [
            Node(identity, self.pattern.authority, (rules or {}).get(letter, "fixed"))
            for letter, identity in zip(self.letters, self.pattern.identities, strict=True)
        ]

    def job(self, question: str = "SELECT COUNT(*) FROM heart") -> Exchange:
        """A new job over all nodes; each holder states what its journal says now."""
        pattern = self.pattern
        terms = replace(pattern.terms, job_id=secrets.token_bytes(32))
        params_hash = cohort_params(question)
        return replace(
            pattern,
            terms=terms,
            tag_seed=secrets.token_bytes(32),
            params_hash=params_hash,
            holders=[node.holder(terms, params_hash) for node in self.nodes],
        )

    def seal(self, job: Exchange, roster: str, attempt: int = 1) -> Asked:
        """Open an attempt with the nodes of these letters; who refuses is noted."""
        asked = Asked(job, [self.letters.index(letter) for letter in roster], attempt)
        consents = job.consents(asked.indices)
        for index in asked.indices:
            try:
                asked.sealed.append(job.seal(index, job.open(index, consents, attempt=attempt)))
            except KapokError as error:
                asked.refused[index] = error
        return asked

    def release(self, asked: Asked, only: str | None = None) -> None:
        """Ask for the releases of an attempt; who refuses is noted."""
        if asked.refused:
            return
        seals = [one.token for one in asked.sealed]
        for index, sealed in zip(asked.indices, asked.sealed, strict=True):
            if only is not None and self.letters[index] not in only:
                continue
            try:
                asked.releases[index] = self.nodes[index].release(sealed, seals)
            except KapokError as error:
                asked.refused[index] = error

    def ask(self, roster: str, question: str = "SELECT COUNT(*) FROM heart") -> list[int] | None:
        """A whole job with these nodes: its sum, or None when somebody refused."""
        asked = self.seal(self.job(question), roster)
        self.release(asked)
        return asked.opened()


def cohort_params(question: str) -> bytes:
    """The parameters hash of a question."""
    from kapok.protocols.secure_sum.roster import params_hash_of

    return params_hash_of("query", question, b"\x01" * 32)


def subtract(first: list[int] | None, *others: list[int] | None) -> list[int] | None:
    """What an analyst gets by subtracting sums; None when one of them was never opened."""
    if first is None or any(other is None for other in others):
        return None
    return [value - sum(rest) for value, *rest in zip(first, *others, strict=True)]
