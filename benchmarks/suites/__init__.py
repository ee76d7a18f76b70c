"""What is measured. Each suite is one module with `run(session)`."""

from __future__ import annotations

import importlib

from benchmarks.session import Session

__all__ = ["run"]


def run(session: Session) -> None:
    """Run the suites that were asked for, in their order.

    Raises:
        WrongResult: a contender computed something wrong.
    """
    for name in session.options.suites:
        importlib.import_module(f"benchmarks.suites.{name.replace('-', '_')}").run(session)
