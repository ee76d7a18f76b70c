"""Which system calls an app's process may not make: a seccomp filter, as the kernel takes it.

It is a second wall behind the namespaces: calls that have led out of sandboxes before, that see other
processes, or that take memory which no limit of the process counts. Sockets are local ones or none: a
virtual machine's host (AF_VSOCK) is reached past every network namespace. The numbers are Linux's, of its
``asm/unistd.h``.
"""

from __future__ import annotations

import errno
import platform
import struct
from dataclasses import dataclass
from typing import Final

__all__ = ["seccomp_filter"]

_FORBIDDEN: Final = {
    # other processes
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    # namespaces and mounts
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "unshare": (272, 97),
    "setns": (308, 268),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264),
    # programs in the kernel, and what watches it
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "fanotify_init": (300, 262),
    "lookup_dcookie": (212, 18),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    # keys, which no namespace parts
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    # memory that belongs to no process
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    # which processors and which memory
    "sched_setaffinity": (203, 122),
    "mbind": (237, 235),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "set_mempolicy": (238, 237),
    # the machine
    "personality": (135, 92),
    "syslog": (103, 116),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "nfsservctl": (180, 42),
    "vhangup": (153, 58),
    "reboot": (169, 142),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
}
"""By name: the numbers on x86-64 and on aarch64."""

_ONLY_X86: Final = {
    "iopl": 172,
    "ioperm": 173,
    "modify_ldt": 154,
    "uselib": 134,
    "sysfs": 139,
    "_sysctl": 156,
}

_AF_UNIX: Final = 1
_NEW_NAMESPACE: Final = 0x7E02_0000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET."""

_LOAD: Final = 0x20
_EQUAL: Final = 0x15
_AT_LEAST: Final = 0x35
_ANY_BIT: Final = 0x45
_RETURN: Final = 0x06
_NUMBER_AT: Final = 0
_ARCHITECTURE_AT: Final = 4
_FIRST_ARGUMENT_AT: Final = 16
_ALLOW: Final = 0x7FFF_0000
_KILL: Final = 0x8000_0000
_ERROR: Final = 0x0005_0000


@dataclass(frozen=True, slots=True)
class _Machine:
    """Audit number of an architecture, its column in `_FORBIDDEN`, and the calls that are looked into."""

    audit: int
    column: int
    clone: int
    clone3: int
    socket: int
    other_abi: int | None = None


_MACHINES: Final = {
    "x86_64": _Machine(0xC000_003E, 0, 56, 435, 41, other_abi=0x4000_0000),
    "aarch64": _Machine(0xC000_00B7, 1, 220, 435, 198),
}


def seccomp_filter(machine: str = platform.machine()) -> bytes | None:
    """The filter as an array of ``struct sock_filter``, little-endian.

    What is forbidden fails with EPERM, so that a library that only tries goes on; a system call of another
    architecture ends the process. `clone3`, whose arguments no filter can read, is said not to exist: the C
    library falls back to `clone`.

    Args:
        machine: As `platform.machine` calls it.

    Returns:
        None for an architecture whose numbers are not known here.
    """
    known = _MACHINES.get(machine)
    if known is None:
        return None
    numbers = [pair[known.column] for pair in _FORBIDDEN.values()]
    refuse = _line(_RETURN, _ERROR | errno.EPERM)
    program = [
        _line(_LOAD, _ARCHITECTURE_AT),
        _line(_EQUAL, known.audit, 1, 0),
        _line(_RETURN, _KILL),
        _line(_LOAD, _NUMBER_AT),
    ]
    if known.other_abi is not None:
        program += [_line(_AT_LEAST, known.other_abi, 0, 1), refuse]
        numbers += _ONLY_X86.values()
    program += [_line(_EQUAL, known.clone3, 0, 1), _line(_RETURN, _ERROR | errno.ENOSYS)]
    for number in numbers:
        program += [_line(_EQUAL, number, 0, 1), refuse]
    program += [
        _line(_EQUAL, known.clone, 0, 4),
        _line(_LOAD, _FIRST_ARGUMENT_AT),
        _line(_ANY_BIT, _NEW_NAMESPACE, 0, 1),
        refuse,
        _line(_RETURN, _ALLOW),
        _line(_EQUAL, known.socket, 0, 3),
        _line(_LOAD, _FIRST_ARGUMENT_AT),
        _line(_EQUAL, _AF_UNIX, 1, 0),
        _line(_RETURN, _ERROR | errno.EACCES),
        _line(_RETURN, _ALLOW),
    ]
    return b"".join(program)


def _line(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    """One instruction; `yes` and `no` are how many of the next are skipped."""
    return struct.pack("<HBBI", code, yes, no, value)
