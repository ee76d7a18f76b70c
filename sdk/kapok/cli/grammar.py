"""Commands and groups of commands, made alike everywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar, get_type_hints

import click
import typer
from typer.core import TyperArgument, TyperCommand
from typer.models import ArgumentInfo

__all__ = ["Command", "group"]

_Function = TypeVar("_Function", bound=Callable[..., Any])
_HELP_OPTIONS: Final = ["-h", "--help"]


class Command(TyperCommand):
    """A command whose arguments are explained.

    Since its version 8.5 click has a help text of its own for arguments, which is empty and hides the one
    that typer was given: here it is put back.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """As typer makes a command."""
        super().__init__(*arguments, **options)
        hints = get_type_hints(self.callback, include_extras=True) if self.callback else {}
        for parameter in self.params:
            if isinstance(parameter, TyperArgument) and not parameter.help:
                said = getattr(hints.get(parameter.name or ""), "__metadata__", ())
                parameter.help = next((one.help for one in said if isinstance(one, ArgumentInfo)), None)

    def format_arguments(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Nothing: typer's own options show them already, and click would again."""

    def get_help(self, ctx: click.Context) -> str:
        """The help as plain text: typer marks brackets for rich, which does not print it."""
        return super().get_help(ctx).replace("\\[", "[")


class _Group(typer.Typer):
    def command(self, name: str | None = None, **options: Any) -> Callable[[_Function], _Function]:
        """As typer's, with our kind of command."""
        return super().command(name, cls=Command, **options)


def group(explained: str, **options: Any) -> typer.Typer:
    """A group of commands: shows its help when none is named.

    Args:
        explained: One sentence.
        options: More of typer's.
    """
    return _Group(
        help=explained,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": _HELP_OPTIONS, "max_content_width": 110},
        **options,
    )
