"""Commands that hints name, made so that they can be pasted: with the folder that this command was given.

In a hint a command stands in backquotes: "`kapok job wait ab12` waits for it". Whoever wrote it, a library or
another party, does not know of ``--home``; the command line does, and adds it to commands for that folder.
"""

from __future__ import annotations

import re
import shlex
from contextvars import ContextVar
from pathlib import Path
from typing import Final

import click

__all__ = ["forget_home", "pasteable", "remember_home", "remember_role"]

_COMMAND: Final = re.compile(r"`kapok (?P<group>[a-z]+)(?P<rest>[^`\n]*)`")
_ANALYST: Final = frozenset(
    {"query", "explain", "glm", "survival", "cox", "test", "matrix", "meta", "fl", "job", "dataset", "key"}
)
_OF_ALL: Final = frozenset({"enroll", "doctor"})
_OF_NO_FOLDER: Final = ("dataset draft", "fl build", "fl inspect")

_given: ContextVar[tuple[str, str] | None] = ContextVar("kapok_home", default=None)
"""The group of the command that runs, and its folder as it was typed; None where no folder was."""


def remember_home(context: click.Context, home: Path | None) -> Path | None:
    """Note the folder of this command if it was typed: that of the environment is there for the next too."""
    if home is not None and context.get_parameter_source("home") is click.core.ParameterSource.COMMANDLINE:
        _given.set((context.command_path.split()[1], shlex.quote(str(home))))
    return home


def remember_role(role: str) -> None:
    """Note whose the folder has turned out to be, where the command is for every role."""
    given = _given.get()
    if given is not None:
        _given.set(("query" if role == "analyst" else role, given[1]))


def forget_home() -> None:
    """Begin another command."""
    _given.set(None)


def pasteable(text: str) -> str:
    """The text, with ``--home`` in each command in backquotes that is for the folder of this command."""
    given = _given.get()
    if given is None:
        return text
    group, home = given

    def with_home(found: re.Match[str]) -> str:
        own = found["group"] in (_ANALYST if group in _ANALYST else {group}) | _OF_ALL
        of_no_folder = (found["group"] + found["rest"]).startswith(_OF_NO_FOLDER)
        if not own or of_no_folder or "--home" in found["rest"]:
            return found[0]
        return f"`kapok {found['group']}{found['rest']} --home {home}`"

    return _COMMAND.sub(with_home, text)
