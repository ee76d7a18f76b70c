"""The Python environment that apps run in: the node's own, or another that the holder names."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from kapok.errors import InvalidInput

__all__ = ["AppEnvironment", "app_environment"]

_LOOK: Final = """
import importlib.util, json, sys
have = all(importlib.util.find_spec(name) for name in ("flwr", "numpy", "pyarrow"))
print(json.dumps([have, sys.executable, sys.prefix, sys.base_prefix, sys.exec_prefix, *sys.path]))
"""
_TIMEOUT_S: Final = 30


@dataclass(frozen=True, slots=True)
class AppEnvironment:
    """An interpreter and the folders that it needs.

    Attributes:
        python: The interpreter.
        folders: What it reads, without those inside others; sorted.
    """

    python: Path
    folders: tuple[Path, ...]


@lru_cache(maxsize=8)
def app_environment(python: Path | None = None) -> AppEnvironment:
    """Ask an interpreter what it is made of.

    Args:
        python: The interpreter; None for the node's own.

    Raises:
        InvalidInput: ``bad_app_python`` when it cannot be run, ``flower_missing`` when Flower is not there.
    """
    path = Path(sys.executable) if python is None else python
    try:
        answer = subprocess.run(
            [str(path), "-I", "-c", _LOOK], capture_output=True, check=True, timeout=_TIMEOUT_S, text=True
        ).stdout
        have, executable, *found = json.loads(answer)
    except (OSError, subprocess.SubprocessError, ValueError):
        raise InvalidInput(
            f"the Python interpreter for apps, {path}, cannot be run",
            code="bad_app_python",
            remedy="name one that can in node.toml, [apps] python, or leave the key out",
        ) from None
    if not have:
        raise InvalidInput(
            f"the Python environment of {path} has no Flower, which every app needs",
            code="flower_missing",
            remedy="install it there: pip install 'kapok[flower]'",
        )
    folders = {Path(text) for text in found if text and Path(text).is_dir()}
    folders |= {Path(executable).parent, Path(executable).resolve().parent}
    whole = {folder for folder in folders if folders.isdisjoint(folder.parents)}
    return AppEnvironment(Path(executable), tuple(sorted(whole)))
