"""What to install for a command whose libraries an analyst's light installation does not have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kapok.errors import InvalidInput, KapokError

__all__ = ["missing_extra"]

_OPTIONAL: Final = frozenset(
    {"alembic", "duckdb", "flwr", "grpc_reflection", "pandas", "prometheus_client", "sqlalchemy"}
)
_OF_MODELS: Final = frozenset({"formulaic", "scipy"})
_EXTRAS: Final = frozenset({"authority", "broker", "node"})


def missing_extra(error: ModuleNotFoundError, command: Sequence[str]) -> KapokError | None:
    """Say which extra brings the module that was not found; None when no extra does.

    Args:
        error: As the import raised it.
        command: The command line, without the program's name.
    """
    library = (error.name or "").partition(".")[0]
    if library not in _OPTIONAL | _OF_MODELS:
        return None
    role = command[0] if command and command[0] in _EXTRAS else "all"
    if list(command[:2]) == ["dataset", "draft"]:
        role = "node"
    if library == "flwr":
        role = "flower"
    role = "models" if library in _OF_MODELS else role
    return InvalidInput(
        f"this command needs {library}, which is not installed here",
        code="extra_missing",
        remedy=f'pip install "kapok[{role}]"',
    )
