"""Joining: a dataset's document, the table under it, and the signed membership.

The hash in ``node.toml`` is what the holder agreed to: a document that the broker shows is believed
because it has that hash, and kept, so that the node answers for it after a restart whether or not the
broker still shows it. A table that is not what the schema says is not joined. Once joined, under this hash
for good, its membership is published at every connection and its node answers, whatever becomes of the table:
neither consent nor who is a member may depend on data, or the broker learns from a reconnection whether every
cell of today's table is within its bounds.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from kapok.documents.dataset import DATASET_TYP, Dataset
from kapok.documents.envelope import decode, encode
from kapok.documents.statements import MEMBERSHIP_TYP, Membership
from kapok.errors import KapokError, PeerProtocolError
from kapok.identity.keyfiles import make_private_folder, replace_file
from kapok.logs.lasting import Lasting
from kapok.nodes.runner import JoinedDataset
from kapok.nodes.settings import DatasetEntry, NodeSettings
from kapok.nodes.source_settings import places
from kapok.nodes.sources import Table, TableReport
from kapok.nodes.sources.version import VersionKey
from kapok.protocols.secure_sum.params import Signer, Verifier
from kapok.wire.messages import CatalogueEntry

__all__ = ["DOCUMENTS_FOLDER", "Documents", "Joining"]

DOCUMENTS_FOLDER: Final = "datasets"
_REMEDY: Final = "`kapok node check` says how many cells are wrong, and in which rows"
_log = logging.getLogger(__name__)


class Documents:
    """The documents of datasets that this node joined, one file each."""

    def __init__(self, state: Path, verifier: Verifier) -> None:
        self._folder = state / DOCUMENTS_FOLDER
        self.verifier = verifier

    def kept(self, dataset_hash: str) -> Dataset | None:
        """The document, if it is here; a file that does not have the hash is as if it were not."""
        try:
            payload = (self._folder / f"{dataset_hash}.json").read_bytes()
        except OSError:
            return None
        return Dataset.from_payload(payload) if _hash(payload) == dataset_hash else None

    def take(self, dataset_hash: str, entry: CatalogueEntry) -> Dataset:
        """Verify what the broker shows, and keep it.

        Raises:
            IdentityInvalid: nobody of this trust domain has signed it.
            PeerProtocolError: ``wrong_document``: it is another.
            InvalidInput: ``bad_dataset``.
        """
        payload = self.verifier.verify(DATASET_TYP, entry.document).payload
        if _hash(payload) != dataset_hash:
            raise PeerProtocolError(
                "the broker shows another dataset than the one of that hash", code="wrong_document"
            )
        dataset = Dataset.from_payload(payload)
        make_private_folder(self._folder)
        replace_file(self._folder / f"{dataset_hash}.json", payload)
        return dataset

    def was_joined(self, dataset_hash: str) -> bool:
        """Whether a table was found fit under this hash, ever."""
        return (self._folder / f"{dataset_hash}.joined").exists()

    def note_joined(self, dataset_hash: str) -> None:
        """Remember that a table was found fit: before anybody is told.

        Raises:
            InvalidInput: ``bad_file``.
        """
        replace_file(self._folder / f"{dataset_hash}.joined", b"")


@dataclass(slots=True)
class Joining:
    """What this node joins, and how far it has come.

    Attributes:
        settings: The node's.
        documents: Kept documents.
        joined: By hash: what the runner answers for. Grows, never shrinks.
        version_key: For data versions.
        tag_key: Public half of the key to which analysts wrap tag seeds.
        signer: Signs memberships.
        place: Called with what is read and its asset before a table is used for the first time.
    """

    settings: NodeSettings
    documents: Documents
    joined: dict[str, JoinedDataset]
    version_key: VersionKey
    tag_key: bytes
    signer: Signer
    place: Callable[[str, str], None]
    _unfit: Lasting = field(default_factory=lambda: Lasting(_log), init=False)

    def open_kept(self) -> None:
        """Answer again for everything whose document is here."""
        for name, entry in self.settings.datasets.items():
            for place in sorted(places(entry.source)):
                self.place(place, entry.asset)
            if dataset := self.documents.kept(entry.hash):
                self._open(name, entry, dataset)
                self._warn(name, entry.hash)

    def missing(self) -> list[str]:
        """Hashes of datasets whose document is still wanted."""
        return [entry.hash for entry in self.settings.datasets.values() if entry.hash not in self.joined]

    def take(self, dataset_hash: str, shown: CatalogueEntry) -> None:
        """Take a document from the broker. Raises what `Documents.take` raises."""
        for name, entry in self.settings.datasets.items():
            if entry.hash == dataset_hash:
                self._open(name, entry, self.documents.take(dataset_hash, shown))

    def memberships(self) -> tuple[list[tuple[str, str]], list[str]]:
        """Check every table that was never joined.

        Returns:
            Memberships to publish (name, token), and names whose document or table is wanting.
        """
        members, wanting = [], []
        for name, entry in self.settings.datasets.items():
            joined = self.joined.get(entry.hash)
            if joined is None or not self._fit(name, joined):
                wanting.append(name)
                continue
            statement = Membership(dataset=entry.hash, tag_key=self.tag_key)
            members.append((name, self.signer.sign(MEMBERSHIP_TYP, encode(statement))))
        return members, wanting

    def displaced(self, name: str, shown: CatalogueEntry) -> bool:
        """Whether the broker shows a membership that this node signed with another tag key than its own.

        Args:
            name: This node's own, ``spiffe://…``.
            shown: One dataset, as the catalogue has it; what does not verify in it counts for nothing.
        """
        for token in shown.memberships:
            try:
                signed = self.documents.verifier.verify(MEMBERSHIP_TYP, token)
                if signed.signer.name == name:
                    return decode(Membership, signed.payload).tag_key != self.tag_key
            except KapokError:
                continue
        return False

    def _fit(self, name: str, joined: JoinedDataset) -> bool:
        """Whether the table is what the schema says, or was when it was joined."""
        if self.documents.was_joined(joined.hash):
            return True
        report = joined.table.check()
        if report.ok:
            self.documents.note_joined(joined.hash)
        self._say(name, report, "not joined: the table cannot be used")
        return report.ok

    def _warn(self, name: str, dataset_hash: str) -> None:
        """Tell the holder, and nobody else, of a table that went bad after it was joined."""
        if self.documents.was_joined(dataset_hash):
            report = self.joined[dataset_hash].table.check()
            self._say(name, report, "every cell will be suppressed: the table cannot be used")

    def _open(self, name: str, entry: DatasetEntry, dataset: Dataset) -> None:
        table = Table(dataset, entry.source, self.settings.engine, self.version_key)
        self.joined[entry.hash] = JoinedDataset(name, entry.hash, entry.asset, table)

    def _say(self, name: str, report: TableReport, consequence: str) -> None:
        unfit = [(logging.ERROR, consequence, one.reason) for one in report.problems]
        notes = [(logging.WARNING, "the table can be used", one.reason) for one in report.notes]
        for level, message, reason in (*unfit, *notes):
            extra = {"dataset": name, "what": reason, "remedy": _REMEDY}
            self._unfit.tell((name, message, reason), message, extra, level=level)


def _hash(payload: bytes) -> str:
    return hashlib.sha256(payload).hexdigest()
