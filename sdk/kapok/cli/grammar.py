"""Commands and groups of commands, made alike everywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click
import typer
from typer.core import TyperCommand

__all__ = ["Command", "group"]

_Function = TypeVar("_Function", bound=Callable[..., Any])
_HELP_OPTIONS: Final = ["-h", "--help"]


class Command(TyperCommand):
    """A command as typer makes it, with plain help."""

    def get_help(self, ctx: click.Context) -> str:
        """The help as plain text: typer marks brackets for rich, which does not print it."""
        return super().get_help(ctx).replace("\\[", "[")


class _Group(typer.Typer):
    def command(self, name: str | None = None, **options: Any) -> Callable[[_Function], _Function]:
        """As typer's, with our kind of command."""
        return super().command(name, cls=Command, **options)


def group(explained: str, *, alone: bool = False, **options: Any) -> typer.Typer:
    """A group of commands: shows its help when none is named, unless it stands for something `alone`.

    Args:
        explained: One sentence.
        alone: Its callback does something where no command is named.
        options: More of typer's.
    """
    return _Group(
        help=explained,
        no_args_is_help=not alone,
        invoke_without_command=alone,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": _HELP_OPTIONS, "max_content_width": 110},
        **options,
    )
