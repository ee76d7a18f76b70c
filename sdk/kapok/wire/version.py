"""The version handshake: every call and every answer carries ``kapok-wire`` in its metadata.

    caller ── kapok-wire: 1 ──▶ service    refuses another version before it looks at anything else
    caller ◀── kapok-wire: 1 ── service    initial metadata of each answer; the caller refuses another version

A version is a whole number. Versions that differ do not understand each other: adding fields to messages does
not change it, changing what a message means does. What is added is passed over by those who do not know it.
"""

from __future__ import annotations

import functools
import importlib.metadata
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from kapok.errors import VersionMismatch

__all__ = [
    "KEY",
    "STAMP",
    "WIRE_VERSION",
    "About",
    "about",
    "check_answer",
    "check_caller",
    "foreign_service",
    "read_about",
    "release",
]

WIRE_VERSION: Final = 1
KEY: Final = "kapok-wire"
STAMP: Final = ((KEY, str(WIRE_VERSION)),)

_LONGEST: Final = 9
"""Digits that are read; whatever is longer is not a version."""


_RELEASE_KEY: Final = "kapok-release"
_TIME_KEY: Final = "kapok-time"
_LONGEST_RELEASE: Final = 64


@dataclass(frozen=True, slots=True)
class About:
    """What a service says of itself beside its health.

    Attributes:
        release: Of Kapok, e.g. ``0.1.0``; empty where it does not say.
        time: Its clock when it answered, seconds since the epoch; None where it does not say.
    """

    release: str
    time: float | None


@functools.cache
def release() -> str:
    """The release of Kapok that runs here."""
    return importlib.metadata.version("kapok")


def about(now: float) -> tuple[tuple[str, str], ...]:
    """Metadata that tell release and time; for services."""
    return (_RELEASE_KEY, release()), (_TIME_KEY, f"{now:.3f}")


def read_about(metadata: Iterable[tuple[str, str | bytes]]) -> About:
    """Read what `about` wrote; what cannot be read counts as not said."""
    said = {key: value for key, value in metadata if isinstance(value, str)}
    theirs = said.get(_RELEASE_KEY, "")
    try:
        moment = float(said[_TIME_KEY])
    except (KeyError, ValueError):
        moment = math.nan
    return About(
        theirs if len(theirs) <= _LONGEST_RELEASE and theirs.isprintable() else "",
        moment if math.isfinite(moment) else None,
    )


def check_caller(metadata: Iterable[tuple[str, str | bytes]]) -> None:
    """Refuse a call from a side that speaks another version; for services.

    Raises:
        VersionMismatch: names both versions and who should upgrade.
    """
    theirs = _read(metadata)
    if theirs is None:
        raise VersionMismatch(
            f"the call says no wire version in its metadata; this service speaks version {WIRE_VERSION}",
            code="wire_version_missing",
            remedy="call with Kapok's own client, or send the metadata kapok-wire with every call",
        )
    if theirs != WIRE_VERSION:
        raise VersionMismatch(
            f"the caller speaks version {theirs} of the wire, the service version {WIRE_VERSION}",
            code="wire_version_mismatch",
            remedy=f"upgrade Kapok on the {'caller' if theirs < WIRE_VERSION else 'service'}'s side",
        )


def check_answer(metadata: Iterable[tuple[str, str | bytes]], address: str) -> None:
    """Refuse an answer from a service that speaks another version; for callers.

    Raises:
        VersionMismatch: names both versions and who should upgrade.
    """
    theirs = _read(metadata)
    if theirs is None:
        raise foreign_service(address)
    if theirs != WIRE_VERSION:
        who = f"the service at {address}" if theirs < WIRE_VERSION else "this side"
        raise VersionMismatch(
            f"the service at {address} speaks version {theirs} of the wire, this side version {WIRE_VERSION}",
            code="wire_version_mismatch",
            remedy=f"upgrade Kapok on {who}",
        )


def foreign_service(address: str) -> VersionMismatch:
    """The error for an answer that no service of Kapok gives."""
    return VersionMismatch(
        f"what answers at {address} does not speak version {WIRE_VERSION} of Kapok's wire",
        code="wire_version_missing",
        remedy="check the address; if it is right, run the same release of Kapok on both sides",
    )


def _read(metadata: Iterable[tuple[str, str | bytes]]) -> int | None:
    """The one version in the metadata; None when there is none, more than one, or no whole number."""
    found = [value for key, value in metadata if key == KEY]
    if len(found) != 1 or not isinstance(found[0], str):
        return None
    text = found[0]
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _LONGEST else None
