"""What officers do with apps at the holder's machine, whether the node runs or not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kapok.documents.bundle import Bundle, read_bundle_file
from kapok.errors import InvalidInput, NotFound
from kapok.nodes.apps.approval import AppApproval, AppRule, faults
from kapok.nodes.apps.bundles import Bundles
from kapok.nodes.journal.apps import app_approvals
from kapok.nodes.journal.history import read_only
from kapok.nodes.officers import JOURNAL_FILE, open_inbox
from kapok.nodes.policy import load_policy
from kapok.nodes.settings import NodeSettings, load_settings

__all__ = ["HeldApp", "add_app", "approve_app", "held_app", "held_apps", "remove_app", "withdraw_app"]


@dataclass(frozen=True, slots=True)
class HeldApp:
    """An app that is here, or is approved and is not.

    Attributes:
        hash: Lower-case hex.
        bundle: None when it is not here.
        policy: Approvals by the policy file as it is now, by their numbers there.
        by_hand: Approvals by officers that hold.
    """

    hash: str
    bundle: Bundle | None
    policy: tuple[tuple[int, AppRule], ...]
    by_hand: tuple[AppApproval, ...]


def held_apps(home: Path | str) -> tuple[HeldApp, ...]:
    """All apps that are here or approved.

    Raises:
        NotFound: ``no_settings`` or ``no_policy``.
        InvalidInput: ``bad_settings``, ``bundle_differs``.
    """
    settings, policy = load_settings(Path(home)), load_policy(Path(home)).app
    bundles = bundles_of(settings)
    held = read_only(settings.state_folder / JOURNAL_FILE, app_approvals) or ()
    held = tuple(one for one in held if one.withdrawn_at is None)
    known = {*bundles, *(rule.hash for rule in policy), *(one.rule.hash for one in held)}
    return tuple(
        HeldApp(
            digest,
            bundles.get(digest) if digest in bundles else None,
            tuple((number, rule) for number, rule in enumerate(policy, 1) if rule.hash == digest),
            tuple(one for one in held if one.rule.hash == digest),
        )
        for digest in sorted(known)
    )


def held_app(home: Path | str, beginning: str) -> Bundle:
    """The one bundle here whose hash begins so.

    Raises:
        NotFound: ``no_settings`` or ``unknown_app``.
        InvalidInput: ``ambiguous_app`` or ``bundle_differs``.
    """
    bundles = bundles_of(load_settings(Path(home)))
    return bundles.get(bundles.find(beginning))


def add_app(home: Path | str, file: Path) -> Bundle:
    """Bring a bundle here. It may not run before it is approved.

    Raises:
        NotFound: ``no_settings`` or ``no_such_file``.
        InvalidInput: ``bad_bundle`` or ``bad_folder``.
    """
    return bundles_of(load_settings(Path(home))).add(read_bundle_file(file))


def remove_app(home: Path | str, beginning: str) -> str:
    """Delete a bundle from here, and withdraw what officers have approved of it; return its hash.

    Raises:
        NotFound: ``no_settings`` or ``unknown_app``.
        InvalidInput: ``ambiguous_app``, ``journal_restored``.
        Unavailable: ``journal_unavailable``.
    """
    settings = load_settings(Path(home))
    bundles = bundles_of(settings)
    digest = bundles.find(beginning)
    if (settings.state_folder / JOURNAL_FILE).exists():
        with open_inbox(home) as inbox:
            inbox.withdraw_app(digest)
    bundles.remove(digest)
    return digest


def approve_app(home: Path | str, rule: AppRule) -> bool:
    """Let an app run; return whether that is new.

    What was approved of it by hand for the same dataset before ends with it.

    Raises:
        NotFound: ``no_settings``, ``no_journal`` when the node has never run, or ``unknown_app``.
        InvalidInput: ``bad_approval``, ``journal_restored``.
        Unavailable: ``journal_unavailable``.
    """
    settings = load_settings(Path(home))
    for key, what, remedy in faults(rule):
        raise _bad(f"{key} {what}", remedy)
    if rule.dataset not in settings.datasets:
        raise _bad(
            f"node.toml names no dataset {rule.dataset!r}", "name one of: " + ", ".join(settings.datasets)
        )
    config = bundles_of(settings).get(rule.hash).config
    for one in rule.allowances:
        if one.key not in config:
            raise _bad(
                f"the app's configuration has no value {one.key!r}",
                "allow one of: " + (", ".join(sorted(config)) or "none"),
            )
    with open_inbox(home) as inbox:
        return inbox.approve_app(rule)


def withdraw_app(home: Path | str, beginning: str) -> tuple[AppApproval, ...]:
    """End what officers have approved of an app; return the approvals that have ended.

    Jobs under way are refused at their next step.

    Raises:
        NotFound: ``no_settings``, ``no_journal``, or ``unknown_app``: nothing of it is approved by hand.
        InvalidInput: ``ambiguous_app``, ``journal_restored``.
        Unavailable: ``journal_unavailable``.
    """
    with open_inbox(home) as inbox:
        held = {one.rule.hash for one in inbox.app_approvals() if one.withdrawn_at is None}
        found = [digest for digest in held if digest.startswith(beginning)]
        if len(found) != 1:
            raise NotFound(
                f"no approval by hand, or more than one, is of an app {beginning}",
                code="unknown_app",
                remedy="see `kapok node apps`; what the policy file approves is withdrawn there",
            )
        return inbox.withdraw_app(found[0])


def bundles_of(settings: NodeSettings) -> Bundles:
    """The node's bundles."""
    return Bundles(settings.apps_folder / "bundles")


def _bad(what: str, remedy: str) -> InvalidInput:
    return InvalidInput(f"the app cannot be approved so: {what}", code="bad_approval", remedy=remedy)
