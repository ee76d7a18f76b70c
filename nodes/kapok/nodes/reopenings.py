"""Reopenings that the holder's people bring from a file, without the broker, and what binds this node."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kapok.documents.envelope import JwsVerifier
from kapok.documents.reopening import SignedReopening
from kapok.errors import InvalidInput, NotFound
from kapok.identity.credentials import Credentials
from kapok.identity.names import Role
from kapok.nodes.officers import open_inbox
from kapok.nodes.runner.reopening import take
from kapok.nodes.settings import load_settings

__all__ = ["ScopeReport", "accept", "read_file", "show"]

_MOST_FILE_BYTES: Final = 64 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeReport:
    """What binds this node's answers from one table to one organisation.

    Attributes:
        asset: The table.
        organisation: The receiver, in full.
        cohorts: The sets of nodes that it may answer together with: one, or several at odds.
        serial: Of the last reopening, or 0.
        reopening: Its identity, or empty.
    """

    asset: str
    organisation: str
    cohorts: tuple[tuple[str, ...], ...]
    serial: int = 0
    reopening: str = ""


def accept(
    home: Path | str, file: Path, *, clock: Callable[[], float] = time.time
) -> tuple[SignedReopening, bool]:
    """Accept a reopening from a file, without the broker; the running node goes by it at once.

    Args:
        home: The node's folder.
        file: As `kapok cohort save` wrote it.
        clock: Seconds since the epoch.

    Returns:
        The document, and whether it is new to this node.

    Raises:
        NotFound: ``no_settings``, ``no_identity``, ``no_journal`` or ``no_file``.
        InvalidInput: ``bad_file``, ``journal_restored``, or as `take`.
        KapokError: as `take`.
    """
    home = Path(home)
    credentials, settings = Credentials.load(home, role=Role.NODE, clock=clock), load_settings(home)
    document = read_file(file)
    with open_inbox(home) as inbox:
        new = take(
            document,
            name=str(credentials.name),
            assets={entry.hash: entry.asset for entry in settings.datasets.values()},
            verifier=JwsVerifier(credentials.root_pem, clock),
            now=clock(),
            keep=inbox.reopen,
        )
    return document, new


def show(home: Path | str) -> tuple[ScopeReport, ...]:
    """What binds this node, of every table and organisation that anything was answered to.

    Raises:
        NotFound: ``no_settings`` or ``no_journal``.
    """
    with open_inbox(home) as inbox:
        reports = []
        for asset, organisation in inbox.scopes():
            scope = inbox.scope(asset, organisation)
            last = scope.reopened
            reports.append(
                ScopeReport(
                    asset=asset,
                    organisation=organisation,
                    cohorts=scope.cohorts(),
                    serial=last.serial if last else 0,
                    reopening=last.id.hex() if last else "",
                )
            )
        return tuple(reports)


def read_file(file: Path) -> SignedReopening:
    """A reopening as `kapok cohort save` wrote it; nothing is verified yet.

    Raises:
        NotFound: ``no_file``.
        InvalidInput: ``bad_file``.
        PeerProtocolError: ``bad_statement``.
    """
    try:
        with file.open("rb") as opened:
            content = opened.read(_MOST_FILE_BYTES)
    except FileNotFoundError:
        raise NotFound(f"there is no file {file}", code="no_file") from None
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror}", code="bad_file") from None
    return SignedReopening.from_json(content)
