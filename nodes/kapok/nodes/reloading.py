"""Which policy the running node judges by: that of its start, until SIGHUP brings another.

A file that was changed counts when somebody says so, not when it is half written. What comes into force is
in the journal before anything is judged by it. A policy that does not load replaces nothing: the one before
stays in force, and the log says so as an error. Settings (``node.toml``) are those of the last start.
"""

from __future__ import annotations

import logging
from pathlib import Path

from kapok.errors import KapokError
from kapok.nodes.journal import Journal
from kapok.nodes.policy import load_policy, policy_text
from kapok.nodes.runner import InForce, Runner

__all__ = ["load_in_force", "reload"]

_log = logging.getLogger(__name__)


def load_in_force(home: Path, settings_text: str, journal: Journal) -> InForce:
    """Read the policy, and note it in the journal.

    Args:
        home: The node's folder.
        settings_text: What ``node.toml`` said when the node started.
        journal: Open.

    Raises:
        NotFound: ``no_policy``.
        InvalidInput: ``bad_settings``.
        Unavailable: ``journal_unavailable``.
    """
    text = policy_text(home)
    policy = load_policy(home, text)
    in_force = InForce(policy, journal.put_in_force(text, settings_text))
    _log.info("policy in force", extra={"policy": in_force.number, "rules": len(policy.rule)})
    return in_force


def reload(home: Path, settings_text: str, journal: Journal, runner: Runner) -> None:
    """Let the runner judge by what the file says now, if that can be used. Raises nothing."""
    try:
        runner.put_in_force(load_in_force(home, settings_text, journal))
    except KapokError as error:
        _log.error(
            "the policy was NOT reloaded: the one before stays in force",
            extra={"code": error.code, "what": error.message, "remedy": error.remedy},
        )
    except Exception:  # noqa: BLE001 - a reload must not take the daemon with it
        _log.exception("the policy was NOT reloaded by a defect: the one before stays in force")
