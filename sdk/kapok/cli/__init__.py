"""The command line: one noun-verb grammar, `--json` everywhere, documented exit statuses, never a traceback.

Modules here import little at their top: `kapok --help` must answer at once. A command imports what it
needs when it runs. What a command does is in `client`, `broker`, `nodes` and `authority`; here it is shown.
"""

from __future__ import annotations

from typing import NoReturn

__all__ = ["main"]


def main() -> NoReturn:
    """Run the command line with the process's arguments, and exit with its status."""
    from kapok.cli.app import run

    raise SystemExit(run())
