"""Whether approved apps can run here, in words.

For `kapok node check`, and for the log when the node starts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from kapok.errors import KapokError
from kapok.nodes.apps.approval import AppApproval, AppRule
from kapok.nodes.apps.bundles import Bundles
from kapok.nodes.apps.environment import app_environment
from kapok.nodes.apps.sandbox import check_walls
from kapok.nodes.settings import NodeSettings

__all__ = ["app_in_words", "app_problems", "app_warnings"]


def app_in_words(what: str, rule: AppRule) -> tuple[str, ...]:
    """One approval: which app, for whom, over what, within what.

    Args:
        what: How it is called: ``App 1``.
        rule: The approval.
    """
    columns = "all columns" if "*" in rule.columns else f"the columns {', '.join(rule.columns)}"
    allowed = ", ".join(rule.allow) if rule.allow else "nothing"
    limits = rule.limits
    norm = "" if rule.clip_norm is None else f"; changes the model by a norm of {rule.clip_norm:g} at most"
    where = (
        "shut in a sandbox"
        if rule.isolation == "sandbox"
        else "WITHOUT a sandbox: it reads what the node reads"
    )
    return (
        f"{what}: {rule.hash} may run for {' or '.join(rule.analysts)} over {rule.dataset}",
        f"  sees {columns}; of its configuration a job may change {allowed}{norm}",
        f"  messages may say {', '.join(rule.messages) or 'nothing of their own'} beside the model; "
        f"it may tell {', '.join(rule.metrics) or 'any metrics'}",
        f"  {where}; {limits.cpus} CPU, {limits.memory_mib} MiB memory, {limits.scratch_mib} MiB of files, "
        f"{limits.processes} processes, {limits.call_timeout_s} s a message",
    )


def app_problems(
    settings: NodeSettings,
    policy: Sequence[AppRule],
    by_hand: Sequence[AppApproval],
    hidden: Sequence[Path],
) -> Iterator[str]:
    """What keeps approved apps from running, each with what to do.

    Args:
        settings: The node's.
        policy: Approvals by the policy file.
        by_hand: Approvals by officers, those withdrawn too.
        hidden: Files and folders that no app may see.
    """
    held = [one.rule for one in by_hand if one.withdrawn_at is None]
    bundles = Bundles(settings.apps_folder / "bundles")
    for what, rule in [
        *((f"app {number}", rule) for number, rule in enumerate(policy, 1)),
        *(("app", rule) for rule in held),
    ]:
        if rule.dataset not in settings.datasets:
            yield f"{what}: {rule.hash[:12]} is approved over {rule.dataset!r}, which node.toml does not name"
        try:
            config = bundles.get(rule.hash).config
        except KapokError as error:
            yield f"{what}: {error.message}: {error.remedy}"
            continue
        for one in rule.allowances:
            if one.key not in config:
                yield (
                    f"{what}: 'allow' has {one.key}, and the app's configuration has no such value: it has "
                    + (", ".join(sorted(config)) or "none")
                )
    rules = [*policy, *held]
    try:
        environment = app_environment(settings.apps.python) if rules else None
        if environment and any(rule.isolation == "sandbox" for rule in rules):
            check_walls(environment, hidden)
    except KapokError as error:
        yield f"apps: {error.message}: {error.remedy}"


def app_warnings(policy: Sequence[AppRule], by_hand: Sequence[AppApproval]) -> Iterator[str]:
    """What works and is dangerous."""
    for rule in [*policy, *(one.rule for one in by_hand if one.withdrawn_at is None)]:
        if rule.isolation == "none":
            yield (
                f"apps: {rule.hash[:12]} runs without a sandbox: it can read what the node does, its keys "
                'and all data too; approve it with isolation = "sandbox"'
            )
