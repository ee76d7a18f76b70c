"""Revocations at the broker: kept in the store for all its processes, acted on here, handed on to the nodes.

authority ── PublishRevocations ──▶ store ── wakeup ──▶ each process: refuses, cuts off ──▶ every node's watch
"""

from __future__ import annotations

import logging
from typing import Final

from kapok.broker.computation.context import Context
from kapok.broker.store import Transaction
from kapok.broker.store.schema import RevocationListRow
from kapok.broker.wakeups import Wakeups, woken
from kapok.broker.worker import Worker
from kapok.errors import IdentityInvalid, KapokError
from kapok.identity.certificates import TrustRoot
from kapok.identity.names import PartyName
from kapok.identity.revocation import RevocationList, Revocations
from kapok.logs.lasting import Lasting

__all__ = ["Revoking"]

_NEWER: Final = "revocations"
_LOOK_S: Final = 60.0
_log = logging.getLogger(__name__)


class Revoking:
    """What a broker does with lists of revoked certificates.

    Args:
        context: Its store.
        root: Whose lists count.
        revocations: The list that counts in this process.
    """

    def __init__(self, context: Context, root: TrustRoot, revocations: Revocations) -> None:
        self._context, self._root, self._revocations = context, root, revocations

    def publish(self, caller: PartyName, der: bytes) -> None:
        """Keep a list if it is newer than what is kept. What others wrote into the store keeps none out.

        Raises:
            IdentityInvalid: ``bad_revocation_list``.
        """
        found = RevocationList.read(der, self._root)
        with self._context.step() as step:
            if self._known(step.tx) >= found.number:
                return
            row = RevocationListRow(number=found.number, der=der, received_at=step.now)
            step.tx.catalogue.replace_revocations(row)
            step.jobs[_NEWER] = None
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

    async def run(self, worker: Worker, wakeups: Wakeups) -> None:
        """Let each newer list count, and wake every node's watch; until cancelled."""
        failing = Lasting(_log)
        with wakeups.listen(_NEWER) as wakeup:
            while True:
                wakeup.clear()
                try:
                    if await self.load(worker):
                        wakeups.wake(None)
                    failing.over("revocations are heard of again")
                except KapokError as error:
                    failing.tell(error.code, "revocations are looked for again", error=error)
                await woken(wakeup, _LOOK_S)

    def _known(self, tx: Transaction) -> int:
        """The number of the list that is kept; 0 where there is none that the root has signed."""
        row = tx.catalogue.revocations()
        try:
            return RevocationList.read(row.der, self._root).number if row else 0
        except IdentityInvalid:
            return 0

    def _kept(self) -> bytes | None:
        with self._context.store.snapshot() as tx:
            row = tx.catalogue.revocations()
            return row.der if row else None
