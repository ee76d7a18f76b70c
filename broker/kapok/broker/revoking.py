"""Revocations at the broker: kept in the store for all its processes, acted on here, handed on to the nodes.

authority ── PublishRevocations ──▶ store ── bell ──▶ each process: refuses, cuts off ──▶ every node's watch
"""

from __future__ import annotations

import logging
from typing import Final

from kapok.broker.computation.office import Office
from kapok.broker.line import Bells, Worker, rings
from kapok.broker.store.schema import RevocationListRow
from kapok.errors import KapokError
from kapok.identity.certificates import TrustRoot
from kapok.identity.names import PartyName
from kapok.identity.revocation import RevocationList, Revocations

__all__ = ["Revoking"]

_BELL: Final = "revocations"
_LOOK_S: Final = 60.0
_log = logging.getLogger(__name__)


class Revoking:
    """What a broker does with lists of revoked certificates.

    Args:
        office: Its store.
        root: Whose lists count.
        revocations: The list that counts in this process.
    """

    def __init__(self, office: Office, root: TrustRoot, revocations: Revocations) -> None:
        self._office, self._root, self._revocations = office, root, revocations

    def publish(self, caller: PartyName, der: bytes) -> None:
        """Keep a list if it is newer than what is kept.

        Raises:
            IdentityInvalid: ``bad_revocation_list``.
        """
        found = RevocationList.read(der, self._root)
        with self._office.step() as step:
            known = step.tx.catalogue.revocations()
            if known is not None and known.number >= found.number:
                return
            row = RevocationListRow(number=found.number, der=der, received_at=step.now)
            step.tx.catalogue.replace_revocations(row)
            step.jobs[_BELL] = None
        _log.warning(
            "a list of revocations has come",
            extra={"party": str(caller), "number": found.number, "revoked": len(found.serials)},
        )

    async def load(self, worker: Worker) -> bool:
        """Let the list that is kept count; return whether it is newer than the one that did.

        Raises:
            Unavailable: ``store_unavailable``.
        """
        kept = await worker.run(self._kept)
        return kept is not None and self._revocations.take(kept)

    async def run(self, worker: Worker, bells: Bells) -> None:
        """Let each newer list count, and ring for every node; until cancelled."""
        with bells.listen(_BELL) as bell:
            while True:
                bell.clear()
                try:
                    if await self.load(worker):
                        bells.ring(None)
                except KapokError as error:
                    _log.warning("revocations are looked for again", exc_info=error)
                await rings(bell, _LOOK_S)

    def _kept(self) -> bytes | None:
        with self._office.store.snapshot() as tx:
            row = tx.catalogue.revocations()
            return row.der if row else None
