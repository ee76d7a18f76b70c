"""Which apps may run beside the data, for whom, over what: by the policy file, or by an officer's hand.

Pure functions over question, policy and what officers have approved; data are not looked at. An approval
names a bundle by its hash, so no other code, and no other version of it, is approved with it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from kapok.documents.envelope import is_digest
from kapok.errors import ConsentWithheld, InvalidInput, Refused
from kapok.identity.names import PartyName, PartyPattern, Role
from kapok.nodes.apps.limits import AppLimits, bad_limit
from kapok.nodes.apps.overrides import Allowance, read_allowances

__all__ = [
    "BY_HAND",
    "AppApproval",
    "AppRule",
    "ApprovedApp",
    "Isolation",
    "approved_app",
    "bad_norm",
    "faults",
    "norm_objection",
]

Isolation = Literal["sandbox", "none"]
BY_HAND: Final = "node.approved_apps"
"""The clause of an approval by hand."""


class AppRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One ``[[app]]`` of the policy, or what an officer has approved; ``policy.toml`` documents every key."""

    hash: str
    analysts: tuple[str, ...]
    dataset: str
    columns: tuple[str, ...]
    allow: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    clip_norm: float | None = None
    isolation: Isolation = "sandbox"
    limits: AppLimits = AppLimits()

    @property
    def allowances(self) -> tuple[Allowance, ...]:
        """What a job may change in the app's configuration."""
        return read_allowances(self.allow)

    @property
    def said(self) -> tuple[Allowance, ...]:
        """What a job's messages may say to the app beside the model."""
        return read_allowances(self.messages)

    @property
    def told(self) -> dict[str, tuple[float, float]]:
        """What the app may tell beside the model: least and largest, by the metric's name; empty for all."""
        return {one.key: one.range for one in read_allowances(self.metrics)}


@dataclass(frozen=True, slots=True)
class AppApproval:
    """An approval by hand, as the journal has it.

    Attributes:
        number: In the order of approving, from 1.
        rule: What was approved.
        approved_at: Seconds since the epoch.
        approved_by: The officer, as the operating system names them.
        withdrawn_at: Seconds since the epoch; None while it holds.
        withdrawn_by: Likewise; empty while it holds.
    """

    number: int
    rule: AppRule
    approved_at: float
    approved_by: str
    withdrawn_at: float | None = None
    withdrawn_by: str = ""


@dataclass(frozen=True, slots=True)
class ApprovedApp:
    """The approval by which an app runs, and the clause that refusals name.

    Attributes:
        rule: What was approved.
        clause: Of the policy, or ``node.approved_apps``.
        number: Of an approval by hand; 0 by the policy.
    """

    rule: AppRule
    clause: str
    number: int = 0


def approved_app(
    app: str,
    columns: Iterable[str],
    caller: PartyName,
    *,
    clip_norm: float | None,
    dataset: str,
    policy: Sequence[AppRule],
    by_hand: Iterable[AppApproval],
) -> ApprovedApp | Refused:
    """Find what allows an app to run for an analyst: the policy's first that matches, else an officer's last.

    Args:
        app: The bundle's hash, lower-case hex.
        columns: What the job wants it to see.
        caller: The analyst.
        clip_norm: To which norm the job shortens what the app changes; None: to none.
        dataset: This node's name for it.
        policy: The ``[[app]]`` of the policy, in their order.
        by_hand: What officers have approved; those withdrawn do not count.

    Returns:
        The approval, or why there is none: ``app_not_approved``, ``app_columns_not_allowed``,
        ``clip_norm_too_large``.
    """
    candidates = [ApprovedApp(rule, f"policy.app[{number}]") for number, rule in enumerate(policy, 1)]
    held = sorted((one for one in by_hand if one.withdrawn_at is None), key=lambda one: -one.number)
    candidates += [ApprovedApp(one.rule, BY_HAND, one.number) for one in held]
    for found in candidates:
        rule = found.rule
        if (rule.hash, rule.dataset) == (app, dataset) and _names(rule, caller):
            foreign = sorted(set(columns) - set(rule.columns)) if "*" not in rule.columns else []
            if foreign:
                return ConsentWithheld(
                    f"the app may not see the column {foreign[0]}",
                    code="app_columns_not_allowed",
                    clause=f"{found.clause}.columns",
                    remedy="ask for no more than " + " ".join(f"--column {name}" for name in rule.columns),
                )
            return norm_objection(clip_norm, rule.clip_norm, found.clause) or found
    return ConsentWithheld(
        "the holder has not approved this app for this analyst and dataset",
        code="app_not_approved",
        clause="policy.app",
        remedy=f"send the bundle with the hash {app} to the holder, whose officer reads it, and approves it: "
        "`kapok node approve app`",
    )


def norm_objection(asked: float | None, most: float | None, clause: str) -> Refused | None:
    """Why a training may not change the model at this node by as much as it says; None when it may.

    Args:
        asked: To which norm the job shortens what the app changes; None: to none.
        most: The holder's largest; None: any.
        clause: Of the policy's rule, or of the approval.
    """
    if most is None or (asked is not None and asked <= most):
        return None
    return ConsentWithheld(
        "the holder lets an app change the model by less than this training does",
        code="clip_norm_too_large",
        clause=f"{clause}.clip_norm",
        remedy=f"have each holder's change shortened: --clip-norm {most!r}, or less",
    )


def bad_norm(norm: float | None) -> bool:
    """Whether a largest norm is none that could be."""
    return norm is not None and not (math.isfinite(norm) and norm > 0)


def faults(rule: AppRule) -> Iterable[tuple[str, str, str]]:
    """What is wrong with an approval as it is written: key, what is wrong, what to write."""
    if not is_digest(rule.hash):
        yield (
            "hash",
            "is no hash of a bundle",
            "copy the 64 hexadecimal digits that `kapok fl inspect` prints",
        )
    for key, listed in (("analysts", rule.analysts), ("columns", rule.columns)):
        if not listed:
            yield key, "is empty", "list at least one"
    for text in rule.analysts:
        try:
            if PartyPattern(text).role is not Role.ANALYST:
                yield "analysts", f"has {text!r}, not the name of an analyst", "name analysts"
        except InvalidInput as error:
            yield "analysts", f"has {text!r}, which cannot be used: {error.message}", error.remedy or ""
    if bad_norm(rule.clip_norm):
        yield "clip_norm", "is not above 0", "write a number above 0, or leave it out"
    for key in ("allow", "messages", "metrics"):
        try:
            found = read_allowances(getattr(rule, key))
        except InvalidInput as error:
            yield key, f"cannot be used: {error.message}", error.remedy or ""
            continue
        if key == "metrics" and any(one.values for one in found):
            yield key, "lists values", "write a range for each metric: accuracy=0..1"
    if (wrong := bad_limit(rule.limits)) is not None:
        yield f"limits.{wrong[0]}", "is out of range", wrong[1]


def _names(rule: AppRule, caller: PartyName) -> bool:
    return any(PartyPattern(text).matches(caller) for text in rule.analysts)
