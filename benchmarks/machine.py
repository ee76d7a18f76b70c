"""What the numbers were measured on, and with."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import numpy as np
from threadpoolctl import threadpool_info

__all__ = ["describe", "own_cores", "pin", "unpinned", "versions"]

_LIBRARIES: Final = (
    "kapok",
    "numpy",
    "threadpoolctl",
    "cryptography",
    "gmpy2",
    "phe",
    "pypaillier",
    "sf-heu",
    "flwr",
)


def describe() -> dict[str, Any]:
    """CPU model, cores, memory, NumPy's BLAS and its own dispatch, and what load there was."""
    return {
        "cpu": _cpu_model(),
        "architecture": platform.machine(),
        "cores": os.cpu_count() or 0,
        "cores_allowed": len(own_cores()),
        "memory_bytes": _memory_bytes(),
        "system": f"{platform.system()} {platform.release()}",
        "load_at_start": list(os.getloadavg()),
        "blas": [
            {
                name: str(pool.get(name))
                for name in ("internal_api", "version", "architecture", "threading_layer")
            }
            for pool in threadpool_info()
            if pool.get("user_api") == "blas"
        ],
        "numpy_simd": _numpy_simd(),
    }


def versions() -> dict[str, str]:
    """Of Python and of every library that is measured or measures; absent ones are left out."""
    found = {"python": f"{platform.python_implementation()} {platform.python_version()}"}
    for library in _LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found


def own_cores() -> list[int]:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


@contextmanager
def unpinned() -> Iterator[None]:
    """All cores that this process had when it started, for work that nobody times."""
    before = own_cores()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, _CORES)
    try:
        yield
    finally:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, before)


def pin(threads: int) -> bool:
    """Keep this process, and all threads that it will start, on so many cores; whether that could be done."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, own_cores()[-threads:])
        return True
    return False


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                return f"{model} ({_cpu_numbers()})"
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _cpu_numbers() -> str:
    """Family, model and stepping: virtual machines often hide the model's name."""
    wanted = {"cpu family": "family", "model": "model", "stepping": "stepping"}
    found: dict[str, str] = {}
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in wanted:
            found.setdefault(wanted[name.strip()], value.strip())
    return ", ".join(f"{name} {value}" for name, value in found.items())


def _memory_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return 0


def _numpy_simd() -> list[str]:
    config: Any = np.show_config(mode="dicts")
    return [str(one) for one in config.get("SIMD Extensions", {}).get("found", [])]


_CORES: Final = own_cores()
