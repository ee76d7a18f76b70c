"""Whom this profile has seen to have joined which dataset, so that the broker cannot hide a member unnoticed.

    <home>/known/<hash of the dataset>.json    names of nodes whose memberships verified at earlier questions

Memberships are signed, but nobody signs that they are all. A question that leaves a holder out gives another
sum than the analyst believes, and two of them subtract: so a member that is missing stops the question.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from kapok.client.catalogue import VerifiedDataset, ask_the_others
from kapok.errors import InvalidInput, Unavailable
from kapok.identity.keyfiles import make_private_folder, replace_file
from kapok.identity.names import PartyName

__all__ = ["KnownMembers"]


class _Seen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KnownMembers:
    """The members that one profile knows of, one file for each dataset."""

    path: Path

    def check(self, dataset: VerifiedDataset, parties: Sequence[str] | None) -> None:
        """Stop when a member that was there is not shown any more, unless others are asked by name.

        Args:
            dataset: As the broker shows it now.
            parties: Organisations that were named; None for all that joined.

        Raises:
            Unavailable: ``member_missing``, naming it, with how to go on without it.
            InvalidInput: ``bad_known_file``: the file is damaged.
        """
        shown = {str(member.name) for member in dataset.members}
        shown |= {error.party for error in dataset.unverified if error.party}  # told of elsewhere
        for name in sorted(self._seen(dataset.hash) - shown):
            party = PartyName.parse(name)
            if parties is None or {party.organisation, party.organisation_id} & set(parties):
                raise self._missing(dataset, name)

    def remember(self, dataset: VerifiedDataset) -> None:
        """Add the members that are shown now. Nothing is ever taken off."""
        seen = self._seen(dataset.hash)
        now = seen | {str(member.name) for member in dataset.members}
        if now != seen:
            make_private_folder(self.path)
            replace_file(self._file(dataset.hash), msgspec.json.encode(_Seen(tuple(sorted(now)))))

    def _seen(self, dataset_hash: str) -> frozenset[str]:
        path = self._file(dataset_hash)
        try:
            names = msgspec.json.decode(path.read_bytes(), type=_Seen).members
            return frozenset(str(PartyName.parse(name)) for name in names)
        except FileNotFoundError:
            return frozenset()
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, InvalidInput, OSError):
            raise InvalidInput(
                f"{path}, the list of those who joined this dataset, cannot be read",
                code="bad_known_file",
                remedy="see with `kapok dataset show NAME` that everybody is there, and delete the file",
            ) from None

    def _missing(self, dataset: VerifiedDataset, name: str) -> Unavailable:
        path = self._file(dataset.hash)
        return Unavailable(
            f"{name} had joined {dataset.label} at an earlier question, and the broker no longer shows it",
            code="member_missing",
            party=name,
            remedy="; ".join(
                filter(
                    None,
                    (
                        "ask its people and the broker's",
                        ask_the_others(dataset, name),
                        f"if it has left for good: delete {path}",
                    ),
                )
            ),
        )

    def _file(self, dataset_hash: str) -> Path:
        return self.path / f"{dataset_hash}.json"
