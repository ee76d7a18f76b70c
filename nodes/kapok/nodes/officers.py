"""The people who decide at a holder's machine: the journal as their commands open it, and who they are."""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from kapok.nodes.journal import Inbox, Pause
from kapok.nodes.settings import load_settings

__all__ = ["JOURNAL_FILE", "officer", "open_inbox", "pause", "resume"]

JOURNAL_FILE: Final = "journal.db"
_MOST_NAME: Final = 128


def officer() -> str:
    """Who runs this process, for the journal: the system's user, and who became that user by sudo.

    It is a note, no proof: whoever may act as the node's user may write anything into its journal.
    """
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        user = f"user {os.getuid()}"
    behind = os.environ.get("SUDO_USER", "")
    name = f"{behind} as {user}" if behind not in ("", user) else user
    return "".join(char for char in name if char.isprintable())[:_MOST_NAME]


@contextmanager
def open_inbox(home: Path | str) -> Iterator[Inbox]:
    """The journal of a node, beside the running daemon or without it.

    Raises:
        NotFound: ``no_settings``, or ``no_journal`` when the node has never run.
    """
    settings = load_settings(Path(home))
    inbox = Inbox(settings.state_folder / JOURNAL_FILE, settings.instance_file, time.time, officer())
    try:
        yield inbox
    finally:
        inbox.close()


def pause(home: Path | str, reason: str = "") -> Pause:
    """Stop a node at once, whether it runs or not: it takes part in nothing until it is resumed.

    What is in the journal when this returns is all: no consent, seal or release comes after it. A job whose
    next step comes during the pause, between two rounds too, is refused and stays so, and what it released
    stays released; one that nobody asks for anything until the node is resumed goes on.

    Args:
        home: The node's folder.
        reason: For the holder's own people; it goes nowhere else.

    Raises:
        NotFound: ``no_settings`` or ``no_journal``.
        InvalidInput: ``journal_restored``.
        Unavailable: ``journal_unavailable``.
    """
    with open_inbox(home) as inbox:
        return inbox.pause(reason)


def resume(home: Path | str) -> Pause | None:
    """Let a node answer again; return the pause that has ended, None when there was none.

    Raises what `pause` raises.
    """
    with open_inbox(home) as inbox:
        return inbox.resume()
