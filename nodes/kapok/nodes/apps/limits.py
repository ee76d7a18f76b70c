"""What an app may use of the holder's machine."""

from __future__ import annotations

from typing import Final

import msgspec

__all__ = ["AppLimits", "bad_limit"]

MIB: Final = 2**20
"""Bytes in a mebibyte."""

_BOUNDS: Final = {
    "cpus": (1, 1024),
    "memory_mib": (256, 2**22),
    "processes": (8, 32_768),
    "scratch_mib": (1, 2**20),
    "call_timeout_s": (1, 7 * 86_400),
    "reply_mib": (1, 4096),
    "output_mib": (1, 1024),
}


class AppLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Limits of one app's process tree, for one job at this node.

    Attributes:
        cpus: Processors that it may run on.
        memory_mib: Memory of all its processes together, and the address space of each.
        processes: Processes and threads at a time.
        scratch_mib: Its files, which are in memory and vanish with it, and each of them.
        call_timeout_s: Wall time for one message, and for loading the app: there two minutes at least.
        reply_mib: One reply, and one state of the context.
        output_mib: All that it prints; only its beginning is kept.
    """

    cpus: int = 1
    memory_mib: int = 2048
    processes: int = 64
    scratch_mib: int = 256
    call_timeout_s: int = 600
    reply_mib: int = 256
    output_mib: int = 16


def bad_limit(limits: AppLimits) -> tuple[str, str] | None:
    """The first limit that is out of range, and what to write instead; None where all are well."""
    for name, (least, most) in _BOUNDS.items():
        if not least <= getattr(limits, name) <= most:
            return name, f"write a number from {least} to {most}"
    return None
