"""The three roles of the masked sum as a deployment plays them, small enough to run hundreds of times.

`NodeActor` keeps a holder (lost at a restart) and a journal (kept); `BrokerActor` keeps durable state and
asks again for what is missing; the analyst opens whatever the broker hands out. All of them are honest: it is
the network that is not, and now and then a node restarts.
"""

import hashlib
from dataclasses import dataclass, field

from kapok.errors import KapokError
from kapok.protocols.secure_sum import aggregator, cohort
from kapok.protocols.secure_sum.cohort import CohortStatement, PastRelease
from kapok.protocols.secure_sum.holder import Holder, release
from kapok.protocols.secure_sum.records import ReleaseRecord
from kapok.protocols.words import WordVector
from support.parties import Exchange


@dataclass(frozen=True)
class AskConsent:
    """Broker to node."""


@dataclass(frozen=True)
class Consent:
    """Node to broker."""

    party: int
    token: str


@dataclass(frozen=True)
class AskSeal:
    """Broker to node: the roster of an attempt."""

    attempt: int
    consents: tuple[str, ...]


@dataclass(frozen=True)
class Sealed:
    """Node to broker."""

    party: int
    attempt: int
    token: str
    chunks: tuple[bytes, ...]


@dataclass(frozen=True)
class AskRelease:
    """Broker to node: all vectors are in."""

    attempt: int
    seals: tuple[str, ...]


@dataclass(frozen=True)
class Released:
    """Node to broker."""

    party: int
    attempt: int
    token: str


@dataclass
class NodeActor:
    """One node: answers what it is asked, refuses by an error, and may restart between any two messages."""

    job: Exchange
    index: int
    holder: Holder | None = None
    records: dict[int, bytes] = field(default_factory=dict)
    journal: list[PastRelease] = field(default_factory=list)
    refusals: list[KapokError] = field(default_factory=list)

    @property
    def identity(self):
        return self.job.identities[self.index]

    def restart(self) -> None:
        """Memory is lost, the journal is not."""
        self.holder = None

    def handle(self, message: object) -> object | None:
        try:
            match message:
                case AskConsent():
                    return Consent(self.index, self._held().consent())
                case AskSeal(attempt, consents):
                    return self._seal(attempt, consents)
                case AskRelease(attempt, seals):
                    return self._release(attempt, seals)
        except KapokError as error:
            self.refusals.append(error)
        return None

    def _held(self) -> Holder:
        if self.holder is None:
            stated = CohortStatement.of("fixed", [past.names for past in self.journal])
            self.holder = self.job.holder(self.identity, cohort=stated)
        return self.holder

    def _seal(self, number: int, consents: tuple[str, ...]) -> Sealed:
        holder = self._held()
        attempt = holder.open(round=1, attempt=number, consents=consents, params_hash=self.job.params_hash)
        words = WordVector.from_integers(self.job.contributions[self.index], self.job.terms.word_bits)
        sealed = holder.seal(attempt, words, tag_seed=self.job.tag_seed, data_version="v1")
        self.records[number] = sealed.record.to_json()
        return Sealed(self.index, number, sealed.token, sealed.chunks)

    def _release(self, number: int, seals: tuple[str, ...]) -> Released | None:
        if number not in self.records:
            return None
        record = ReleaseRecord.from_json(self.records[number])
        token = release(record, seals, signer=self.identity, verifier=self.job.authority)
        cohort.check_release("fixed", record.as_past, self.journal)
        self.journal.append(record.as_past)
        return Released(self.index, number, token)


@dataclass
class BrokerActor:
    """The broker's durable state; every wrong message is refused and changes nothing."""

    job: Exchange
    attempt: int = 1
    consents: dict[int, str] = field(default_factory=dict)
    roster_consents: tuple[str, ...] = ()
    seals: dict[int, Sealed] = field(default_factory=dict)
    complete: bool = False
    releases: dict[int, str] = field(default_factory=dict)
    refusals: list[KapokError] = field(default_factory=list)

    def asks(self) -> list[tuple[int, object]]:
        """What is missing now: sent at the start and again whenever the network has gone quiet."""
        parties = range(len(self.job.identities))
        if not self.roster_consents:
            return [(party, AskConsent()) for party in parties if party not in self.consents]
        if not self.complete:
            ask = AskSeal(self.attempt, self.roster_consents)
            return [(party, ask) for party in parties if party not in self.seals]
        ask = AskRelease(self.attempt, tuple(one.token for one in self.seals.values()))
        return [(party, ask) for party in parties if party not in self.releases]

    def void(self) -> None:
        """A node has lost its keys: everybody is asked for consent again, unless the attempt is complete."""
        if not self.complete:
            self.attempt += 1
            self.consents, self.roster_consents, self.seals = {}, (), {}

    def handle(self, message: object) -> None:
        try:
            match message:
                case Consent(party, token):
                    self._consent(party, token)
                case Sealed():
                    self._sealed(message)
                case Released(party, attempt, token):
                    self._released(party, attempt, token)
        except KapokError as error:
            self.refusals.append(error)

    def _roster(self):
        return aggregator.open_roster(self.job.terms, self.roster_consents, self.job.authority)

    def _consent(self, party: int, token: str) -> None:
        if self.roster_consents or party in self.consents:
            return
        self.job.authority.verify("kapok-consent+jws", token)
        self.consents[party] = token
        if len(self.consents) == len(self.job.identities):
            try:
                aggregator.open_roster(self.job.terms, list(self.consents.values()), self.job.authority)
            except KapokError:
                self.consents.clear()
                raise
            self.roster_consents = tuple(self.consents.values())

    def _sealed(self, message: Sealed) -> None:
        if not self.roster_consents or message.attempt != self.attempt or message.party in self.seals:
            return
        roster = self._roster()
        statement = aggregator.check_seal(
            self.job.terms,
            roster,
            1,
            self.attempt,
            message.token,
            self.job.authority,
            params_hash=self.job.params_hash,
        )
        if statement.name != self.job.names[message.party]:
            return
        lengths = aggregator.chunk_lengths(self.job.terms, len(roster.members))
        if tuple(len(chunk) for chunk in message.chunks) != lengths:
            return
        aggregator.check_chunks(self.job.terms, message.chunks, party=statement.name)
        aggregator.check_vector(statement, hashlib.sha256(b"".join(message.chunks)).digest())
        self.seals[message.party] = message
        self.complete = len(self.seals) == len(self.job.identities)

    def _released(self, party: int, attempt: int, token: str) -> None:
        if not self.complete or attempt != self.attempt or party in self.releases:
            return
        roster = self._roster()
        terms, authority = self.job.terms, self.job.authority
        seal = aggregator.check_seal(terms, roster, 1, attempt, self.seals[party].token, authority)
        aggregator.check_release(terms, roster, 1, attempt, seal, token, authority)
        self.releases[party] = token

    def hand_out(self) -> dict:
        """Everything that the analyst needs, once all releases are in."""
        columns = zip(*(one.chunks for one in self.seals.values()), strict=True)
        return {
            "attempt": self.attempt,
            "consents": list(self.roster_consents),
            "seals": [one.token for one in self.seals.values()],
            "releases": list(self.releases.values()),
            "sum_chunks": [aggregator.fold(self.job.terms, column) for column in columns],
        }
