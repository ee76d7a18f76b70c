"""Overrides of an app's run configuration, written as `flwr run` takes them."""

from __future__ import annotations

from collections.abc import Sequence

import click

from kapok.documents.bundle import ConfigValue
from kapok.errors import InvalidInput

__all__ = ["read_overrides"]


def read_overrides(texts: Sequence[str]) -> dict[str, ConfigValue]:
    """Read ``key=value`` pairs, several in a text, or names of TOML files; dotted names are whole keys.

    Raises:
        InvalidInput: ``bad_run_config``.
    """
    from flwr.common.config import parse_config_args

    found: dict[str, ConfigValue] = {}
    for text in texts:
        try:
            read = parse_config_args([text], flatten=True)
        except (ValueError, TypeError, OSError, click.ClickException) as error:
            raise _bad(str(error)) from None
        if not read:
            raise _bad(f"{text!r} sets nothing")
        found |= read
    for key, value in found.items():
        if not isinstance(value, bool | int | float | str):
            raise InvalidInput(
                f"{key} of the run configuration is no single value", code="bad_run_config", remedy="give one"
            )
    return found


def _bad(why: str) -> InvalidInput:
    return InvalidInput(
        f"the run configuration cannot be read: {why}",
        code="bad_run_config",
        remedy='write it as `flwr run` takes it: --run-config "learning-rate=0.1 num-server-rounds=5"',
    )
