"""A session of an organisation's officer: which cohorts there are, and how one is reopened.

The same profile folder as an analyst's, with a certificate whose role is ``officer``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from kapok.client.catalogue import VerifiedDataset, resolve, split_label
from kapok.client.cohorts import (
    BoundCohort,
    ReopeningView,
    cohorts_in_force,
    next_serial,
    verified_cohort,
)
from kapok.client.connection import BrokerConnection
from kapok.client.profile import Profile
from kapok.documents.reopening import Reopening, SignedReopening
from kapok.errors import InvalidInput, KapokError, NotAuthorised, NotFound
from kapok.identity.names import PartyName, Role
from kapok.wire.dialler import Dialler

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Cohorts", "OfficerSession", "connect_officer"]

_DAY_S: Final = 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohorts:
    """What binds the nodes of a dataset.

    Attributes:
        dataset: The dataset.
        cohorts: Sets of nodes that something was released for, newest first.
        reopenings: Newest first.
        unverified: Why something that the broker showed is not among them.
    """

    dataset: VerifiedDataset
    cohorts: tuple[BoundCohort, ...]
    reopenings: tuple[ReopeningView, ...]
    unverified: tuple[KapokError, ...]

    @property
    def receivers(self) -> tuple[str, ...]:
        """The organisations that have cohorts here, in full."""
        found = {one.receiver for one in self.cohorts} | {one.reopening.receiver for one in self.reopenings}
        return tuple(sorted(found))

    def in_force(self, receiver: str) -> tuple[tuple[str, ...], ...]:
        """The cohorts that bind some node now, as far as can be seen from here."""
        return cohorts_in_force(receiver, self.cohorts, self.reopenings)


class OfficerSession:
    """An officer's profile connected to its broker. Use it as an asynchronous context manager."""

    def __init__(self, profile: Profile) -> None:
        """Load the profile's identity, before anything is dialled.

        Raises:
            IdentityInvalid: certificate or key cannot be used.
            NotAuthorised: ``not_an_officer``.
        """
        from kapok.documents.envelope import JwsSigner, JwsVerifier
        from kapok.identity.credentials import Credentials

        credentials = Credentials.load(profile.home)
        if credentials.name.role is not Role.OFFICER:
            raise NotAuthorised(
                f"this folder's identity is of the role {credentials.name.role}; officers reopen cohorts",
                code="not_an_officer",
                remedy="name an officer's folder with --home; the authority gives its token: "
                "`kapok authority token officer ORGANISATION NAME`",
            )
        self.name = credentials.name
        self.signer = JwsSigner(credentials)
        self.verifier = JwsVerifier(credentials.root_pem, time.time)
        self.connection = BrokerConnection(profile, credentials, Dialler())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.connection.close()

    async def show(self, dataset: str) -> Cohorts:
        """The cohorts of a dataset's tables and their reopenings, verified.

        Args:
            dataset: ``heart``, ``heart@ab12cd`` or the whole hash.

        Raises:
            NotFound: ``unknown_dataset``.
        """
        entries = await self.connection.with_retries(lambda broker: broker.catalogue.datasets(None))
        found = resolve(*split_label(dataset), entries, self.verifier)
        shown = await self.connection.with_retries(lambda broker: broker.officer.cohorts(found.hash))
        cohorts: list[BoundCohort] = []
        unverified: list[KapokError] = []
        for evidence in shown:
            try:
                cohorts.append(verified_cohort(evidence, found.hash, self.verifier))
            except KapokError as error:
                unverified.append(error)
        reopenings = await self._reopenings(found.hash)
        return Cohorts(
            dataset=found, cohorts=tuple(cohorts), reopenings=reopenings, unverified=tuple(unverified)
        )

    def draft(
        self,
        shown: Cohorts,
        *,
        receiver: str,
        members: Sequence[str],
        old: Sequence[Sequence[str]] = (),
        days: int = 14,
    ) -> Reopening:
        """Write a reopening; nothing is signed or sent.

        Args:
            shown: As `show` gave it.
            receiver: The receiver's organisation, short or in full.
            members: The new cohort: organisations (all their nodes), ``organisation/node``, whole names.
            old: Cohorts in force that the broker does not show, written alike.
            days: After how many days no node accepts it any more.

        Raises:
            NotFound: ``unknown_member``, or ``no_cohort``: nothing was released to that organisation yet.
            InvalidInput: ``bad_reopening``.
        """
        domain = self.name.trust_domain
        full = receiver if "://" in receiver else f"spiffe://{domain}/org/{receiver}"
        cohorts = {*shown.in_force(full), *(self._names(shown, one) for one in old)}
        if not cohorts:
            raise NotFound(
                f"no cohort of {receiver} is known: nothing was released to it, or the broker hides it",
                code="no_cohort",
                remedy="ask without a reopening; or see `kapok node cohort show` at a holder, and give --old",
            )
        return Reopening(
            dataset=shown.dataset.hash,
            receiver=full,
            serial=next_serial(full, shown.reopenings),
            old=tuple(sorted(cohorts)),
            new=self._names(shown, members),
            proposer=str(self.name),
            expires=int(time.time()) + days * _DAY_S,
        )

    async def submit(self, document: SignedReopening) -> SignedReopening:
        """Sign a reopening and give it to the broker; the same again is no change.

        Raises:
            NotAuthorised: ``not_concerned``: this officer's organisation is in neither cohort.
        """
        signed = document.signed_by(self.signer)
        await self.connection.with_retries(lambda broker: broker.officer.sign_reopening(signed.to_json()))
        return signed

    async def find(self, beginning: str) -> ReopeningView:
        """The one reopening whose identity begins so.

        Raises:
            NotFound: ``unknown_reopening``.
            InvalidInput: ``ambiguous_reopening``.
        """
        known = await self._reopenings(None)
        found = [one for one in known if beginning and one.document.id.startswith(beginning)]
        if not found:
            raise NotFound(
                f"no reopening that concerns {self.name.organisation} begins with {beginning}",
                code="unknown_reopening",
                remedy="see `kapok cohort show DATASET`",
            )
        if len(found) > 1:
            raise InvalidInput(
                f"several reopenings begin with {beginning}",
                code="ambiguous_reopening",
                remedy="give more digits",
            )
        return found[0]

    async def dataset_name(self, dataset_hash: str) -> str:
        """A dataset's name for people, with the beginning of its hash; the hash when nobody knows it."""
        try:
            entry = await self.connection.with_retries(lambda broker: broker.catalogue.dataset(dataset_hash))
            return resolve(dataset_hash, None, [entry], self.verifier).label
        except KapokError:
            return dataset_hash

    async def _reopenings(self, dataset_hash: str | None) -> tuple[ReopeningView, ...]:
        kept = await self.connection.with_retries(lambda broker: broker.officer.reopenings(dataset_hash))
        return tuple(ReopeningView.of(one, self.verifier) for one in kept)

    def _names(self, shown: Cohorts, members: Sequence[str]) -> tuple[str, ...]:
        known = {str(one.name) for one in shown.dataset.members}
        known.update(name for one in shown.cohorts for name in one.names)
        found: set[str] = set()
        for text in members:
            if "://" in text:
                found.add(text)
            elif "/" in text:
                organisation, _, name = text.partition("/")
                found.add(str(PartyName(self.name.trust_domain, organisation, Role.NODE, name)))
            else:
                of_it = {name for name in known if PartyName.parse(name).organisation == text}
                if not of_it:
                    raise NotFound(
                        f"no node of {text} has joined {shown.dataset.label}",
                        code="unknown_member",
                        remedy="name an organisation that has joined, or one node as ORGANISATION/NODE",
                    )
                found |= of_it
        return tuple(sorted(found, key=str.encode))


async def connect_officer(profile: Path | str | None = None) -> OfficerSession:
    """A session of the officer's profile in that folder (KAPOK_HOME, or ``~/.kapok``, when None).

    Raises:
        NotFound: ``no_profile``.
        NotAuthorised: ``not_an_officer``.
        IdentityInvalid: the profile's identity cannot be used.
    """
    return await asyncio.to_thread(lambda: OfficerSession(Profile.load(profile)))
