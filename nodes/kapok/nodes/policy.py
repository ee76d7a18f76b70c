"""The node's policy, ``<home>/policy.toml``: who may ask what.

Pure functions over specification, schema and policy. Nothing here ever sees data: a refusal that depended on
them would answer questions about single persons. The broker is never asked. The first rule that matches
analyst and dataset applies; without one the question is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Final, Literal

import msgspec

from kapok import settings
from kapok.computations.engines import Dominance, ModelLimits, Thresholds
from kapok.computations.registry import Asked, computation, known_functions, known_operations
from kapok.documents.statements import JobSpec
from kapok.errors import (
    BudgetExhausted,
    CohortTooSmall,
    ConsentWithheld,
    InvalidInput,
    NotAuthorised,
    NotFound,
    Refused,
    counted,
)
from kapok.identity.names import PartyName, PartyPattern, Role, command_to_ask
from kapok.nodes.apps.approval import AppRule, bad_norm, faults
from kapok.nodes.hours import Window, first_second_of_day, is_open, next_day, next_opening, time_zone
from kapok.nodes.settings import POLICY_FILE
from kapok.protocols.secure_sum.cohort import CohortRule, rule_in_force
from kapok.protocols.secure_sum.params import LEAST_PARTIES_FLOOR, RosterRules
from kapok.protocols.sizes import KeyProfile

__all__ = [
    "Allowed",
    "History",
    "Policy",
    "Rule",
    "closed",
    "judge",
    "load_policy",
    "policy_text",
    "roster_rules",
    "rule_for",
]

_IN_A_RULE: Final = re.compile(r"key '(rule|app)\[(\d+)\]\.")
_FINGERPRINT: Final = re.compile(r"([0-9a-f]{64})?\Z")


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One ``[[rule]]``; ``policy.toml`` documents every key."""

    analysts: tuple[str, ...]
    dataset: str
    operations: tuple[str, ...]
    columns: tuple[str, ...]
    functions: tuple[str, ...] = ("*",)
    questions: int
    min_rows: int
    min_cell: int
    questions_per_day: int | None = None
    rounds: int | None = None
    hours: tuple[str, ...] | None = None
    dominance: Dominance | None = None
    p_percent: int | None = None
    parameters_percent: int = ModelLimits().parameters_percent
    leverage_percent: int = ModelLimits().leverage_percent
    clip_norm: float | None = None
    seals: tuple[Literal["paillier", "pad"], ...] = ("paillier",)
    key_profiles: tuple[KeyProfile, ...] = ("standard",)
    min_parties: int = LEAST_PARTIES_FLOOR
    cohort: CohortRule = "fixed"
    approval: Literal["automatic", "manual"] = "manual"
    members: tuple[str, ...] = ()
    required_members: dict[str, str] = {}

    @property
    def thresholds(self) -> Thresholds:
        """What of it acts inside the mask."""
        models = ModelLimits(self.parameters_percent, self.leverage_percent)
        return Thresholds(self.min_rows, self.min_cell, self.dominance, self.p_percent, models)

    @property
    def windows(self) -> tuple[Window, ...]:
        """When its questions are answered; empty for always."""
        return tuple(Window.parse(text) for text in self.hours or ())


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All rules and approved apps, in the order of the file, and the time zone of their hours and days."""

    rule: tuple[Rule, ...] = ()
    app: tuple[AppRule, ...] = ()
    timezone: str = "UTC"

    @property
    def zone(self) -> tzinfo:
        """The time zone."""
        return time_zone(self.timezone)

    def day_of(self, moment: float) -> float:
        """When the day of a moment began; both in seconds since the epoch."""
        return first_second_of_day(moment, self.zone)


@dataclass(frozen=True, slots=True)
class History:
    """What the journal knows of the scope (the table, and the analyst's organisation) before this question.

    Attributes:
        questions: Tries of the organisation before this one, without those that came when none was answered.
        today: Those of them that are of the same day.
        cohorts: The sets of names that something of the scope was released for.
        fixed_with: The strictest cohort rule under which that happened; None while nothing was released.
    """

    questions: int = 0
    today: int = 0
    cohorts: tuple[tuple[str, ...], ...] = ()
    fixed_with: CohortRule | None = None


@dataclass(frozen=True, slots=True)
class Allowed:
    """The rule that allows it, and its number in the file, from 1."""

    rule: Rule
    number: int


def policy_text(home: Path) -> str:
    """What ``<home>/policy.toml`` says.

    Raises:
        NotFound: ``no_policy``.
        InvalidInput: ``bad_settings``.
    """
    path = home / POLICY_FILE
    try:
        return settings.read(path)
    except NotFound:
        raise NotFound(
            f"there is no policy file {path}: nothing says who may ask this node what",
            code="no_policy",
            remedy="put the file back; or let `kapok node run` write one there that explains every key and "
            "refuses every question, and add to it what you agree to",
        ) from None


def load_policy(home: Path, text: str | None = None) -> Policy:
    """Read and check ``<home>/policy.toml``.

    Args:
        home: The node's folder.
        text: What the file says, where it was read before.

    Raises:
        NotFound: ``no_policy``.
        InvalidInput: ``bad_settings``, naming file, rule number (from 1) and key.
    """
    path, text = home / POLICY_FILE, policy_text(home) if text is None else text
    choices = {"operations": known_operations(), "functions": known_functions() | {"*"}}
    try:
        policy = settings.load(path, Policy, choices=choices, text=text)
    except InvalidInput as error:
        message = _IN_A_RULE.sub(lambda found: f"{found[1]} {int(found[2]) + 1}: key '", error.message)
        raise InvalidInput(message, code=error.code, remedy=error.remedy) from None
    try:
        time_zone(policy.timezone)
    except InvalidInput as error:
        raise InvalidInput(
            f"{path}: key 'timezone': {error.message}", code="bad_settings", remedy=error.remedy
        ) from None
    for number, rule in enumerate(policy.rule, 1):
        _check_rule(path, number, rule)
    for number, app in enumerate(policy.app, 1):
        for key, what, remedy in faults(app):
            raise InvalidInput(
                f"{path}: app {number}: key {key!r} {what}", code="bad_settings", remedy=remedy
            )
    return policy


def judge(
    spec: JobSpec,
    question: Asked,
    caller: PartyName,
    *,
    dataset: str,
    policy: Policy,
    history: History,
    asked_at: float,
) -> Allowed | Refused:
    """Decide by policy alone whether a question may be answered.

    Args:
        spec: The verified specification.
        question: As this node parsed it.
        caller: The analyst who signed.
        dataset: This node's own name for the dataset.
        policy: The file.
        history: Of the scope.
        asked_at: When it was asked first, seconds since the epoch: what was asked in time is answered to its
            end.

    Returns:
        The rule that allows it; or why not, with code, clause and remedy (returned, not raised: to refuse
        is a result, not a failure).
    """
    found = rule_for(caller, dataset, policy)
    if isinstance(found, Refused):
        return found
    if refusal := closed(found, policy, asked_at):
        return refusal
    for refusal in _objections(spec, question, caller, found, history):
        return refusal
    for refusal in _spent(question, found, policy, history, asked_at):
        return refusal
    return found


def closed(allowed: Allowed, policy: Policy, asked_at: float) -> Refused | None:
    """Why a rule answers nothing at that time; None when it does. It needs no question.

    Whoever comes outside of the hours spends nothing: nothing is judged then, so that nothing is learnt.
    """
    windows = allowed.rule.windows
    if not windows or is_open(windows, asked_at, policy.zone):
        return None
    return ConsentWithheld(
        f"this node answers this analyst's questions {' and '.join(allowed.rule.hours or ())} "
        f"({policy.timezone}) only",
        code="outside_hours",
        clause=f"policy.rule[{allowed.number}].hours",
        remedy=f"ask again from {_at(next_opening(windows, asked_at, policy.zone), policy)}; "
        "this try spends no question",
    )


def roster_rules(rule: Rule, kind: str) -> RosterRules:
    """What the rule asks of a roster for a question of that kind."""
    patterns = [PartyPattern(text) for text in rule.members]
    return RosterRules(
        min_parties=_least_parties(rule, kind),
        accepts=lambda name: _accepted(patterns, PartyName.parse(name)),
        required={name: bytes.fromhex(key) if key else None for name, key in rule.required_members.items()},
    )


def _least_parties(rule: Rule, kind: str) -> int:
    return rule.min_parties + computation(kind).more_parties


def rule_for(caller: PartyName, dataset: str, policy: Policy) -> Allowed | Refused:
    """The first rule that matches an analyst and this node's own name for a dataset; else why there is none.

    It needs no question: of whoever has no rule nothing is parsed.
    """
    known = [
        Allowed(rule, number)
        for number, rule in enumerate(policy.rule, 1)
        if any(PartyPattern(text).matches(caller) for text in rule.analysts)
    ]
    if not known:
        return NotAuthorised(
            "this node's policy has no rule for this analyst",
            clause="policy.analysts",
            remedy="ask the holder to add a rule with your name",
        )
    for allowed in known:
        if allowed.rule.dataset == dataset:
            return allowed
    return NotAuthorised(
        "this node's policy has no rule for this analyst and this dataset",
        clause="policy.dataset",
        remedy="ask the holder to add a rule for it",
    )


def _objections(
    spec: JobSpec, question: Asked, caller: PartyName, allowed: Allowed, history: History
) -> Iterable[Refused]:
    rule, clause = allowed.rule, f"policy.rule[{allowed.number}]"
    foreign = sorted(set(question.operations) - set(rule.operations))
    if foreign:
        yield ConsentWithheld(
            f"operation {foreign[0]} is not allowed to this analyst",
            code="operation_not_allowed",
            clause=f"{clause}.operations",
            remedy="use " + ", ".join(rule.operations),
        )
    foreign = [] if "*" in rule.columns else sorted(set(question.columns) - set(rule.columns))
    if foreign:
        yield ConsentWithheld(
            f"column {foreign[0]} is not allowed to this analyst",
            code="column_not_allowed",
            clause=f"{clause}.columns",
            remedy="use " + (", ".join(rule.columns) or "COUNT(*) without columns"),
        )
    foreign = [] if "*" in rule.functions else sorted(set(question.functions) - set(rule.functions))
    if foreign:
        yield ConsentWithheld(
            f"the function {foreign[0]} is not allowed to this analyst",
            code="function_not_allowed",
            clause=f"{clause}.functions",
            remedy="use " + (", ".join(rule.functions) or "no function of single rows"),
        )
    if spec.seal not in rule.seals:
        yield ConsentWithheld(
            f"the seal {spec.seal} is not allowed to this analyst",
            code="seal_not_allowed",
            clause=f"{clause}.seals",
            remedy="use " + " or ".join(rule.seals),
        )
    if spec.result_key is not None and spec.result_key.profile not in rule.key_profiles:
        yield ConsentWithheld(
            f"a result key of the profile {spec.result_key.profile} is not allowed to this analyst",
            code="key_profile_not_allowed",
            clause=f"{clause}.key_profiles",
            remedy=f"set key_profile in analyst.toml to {' or '.join(rule.key_profiles)}, "
            "and make a new key: `kapok key rotate`",
        )
    yield from _objections_to_members(spec, caller, rule, clause, history)


def _spent(
    question: Asked, allowed: Allowed, policy: Policy, history: History, asked_at: float
) -> Iterable[Refused]:
    rule, clause = allowed.rule, f"policy.rule[{allowed.number}]"
    if rule.rounds is not None and question.rounds > rule.rounds:
        yield ConsentWithheld(
            f"the question takes {counted(question.rounds, 'round')}, and {rule.rounds} are allowed",
            code="too_many_rounds",
            clause=f"{clause}.rounds",
            remedy="ask for less at once; a search takes fewer rounds among fewer values (ROUND, FLOOR)",
        )
    if history.questions >= rule.questions:
        yield BudgetExhausted(
            "the questions that this node grants the analyst's organisation are used up",
            clause=f"{clause}.questions",
            remedy="ask the holder for more",
        )
    if rule.questions_per_day is not None and history.today >= rule.questions_per_day:
        yield BudgetExhausted(
            "the questions that this node grants the analyst's organisation for a day are used up",
            code="day_budget_exhausted",
            clause=f"{clause}.questions_per_day",
            remedy=f"ask again from {_at(next_day(asked_at, policy.zone), policy)}",
        )


def _at(moment: datetime, policy: Policy) -> str:
    return f"{moment:%Y-%m-%d %H:%M} ({policy.timezone})"


def _objections_to_members(
    spec: JobSpec, caller: PartyName, rule: Rule, clause: str, history: History
) -> Iterable[Refused]:
    names = [PartyName.parse(text) for text in spec.members]
    others = {name.organisation_id for name in names} - {caller.organisation_id}
    if len(others) < (least := _least_parties(rule, spec.computation)):
        yield CohortTooSmall(
            counted(len(others), "organisation") + f" other than the analyst's: fewer than {least}",
            code="too_few_parties",
            clause=f"{clause}.min_parties",
            remedy=f"ask {least} organisations or more",
        )
    patterns = [PartyPattern(text) for text in rule.members]
    for name in names:
        if not _accepted(patterns, name):
            yield ConsentWithheld(
                "this node is not willing to be summed with a node of the job",
                code="party_not_accepted",
                clause=f"{clause}.members",
                party=str(name),
                remedy=f"ask without {name}",
            )
    for required in sorted(set(rule.required_members) - set(spec.members)):
        yield ConsentWithheld(
            f"this node takes part only together with {required}",
            code="party_required",
            clause=f"{clause}.required_members",
            party=required,
            remedy="ask that node too",
        )
    fixed = rule_in_force(rule.cohort, history.fixed_with) == "fixed"
    unasked = [names for names in history.cohorts if not set(names) <= set(spec.members)]
    if fixed and unasked:
        yield CohortTooSmall(
            "this node has released to this analyst's organisation with nodes that the job does not ask",
            code="cohort_differs",
            clause="policy.cohort",
            remedy="ask all the nodes of the first answer: "
            + command_to_ask(PartyName.parse(name).organisation for name in unasked[0]),
        )


def _accepted(patterns: list[PartyPattern], name: PartyName) -> bool:
    return not patterns or any(pattern.matches(name) for pattern in patterns)


def _check_rule(path: Path, number: int, rule: Rule) -> None:
    def bad(key: str, what: str, remedy: str) -> InvalidInput:
        return InvalidInput(f"{path}: rule {number}: key {key!r} {what}", code="bad_settings", remedy=remedy)

    _check_hours(rule, bad)
    for key, least, value in (
        ("questions", 0, rule.questions),
        ("questions_per_day", 0, rule.questions_per_day or 0),
        ("rounds", 1, 1 if rule.rounds is None else rule.rounds),
        ("min_rows", 1, rule.min_rows),
        ("min_cell", 1, rule.min_cell),
        ("min_parties", LEAST_PARTIES_FLOOR, rule.min_parties),
    ):
        if value < least:
            raise bad(key, f"is less than {least}", f"write {least} or more")
    for key, most, percent in (
        ("dominance.percent", 99, rule.dominance.percent if rule.dominance else None),
        ("p_percent", 100, rule.p_percent),
        ("parameters_percent", 100, rule.parameters_percent),
        ("leverage_percent", 100, rule.leverage_percent),
    ):
        if percent is not None and not 1 <= percent <= most:
            raise bad(key, "is out of range", f"write a percentage from 1 to {most}")
    if rule.dominance and rule.dominance.n < 1:
        raise bad("dominance.n", "is less than 1", "write how many contributors are taken together")
    if bad_norm(rule.clip_norm):
        raise bad("clip_norm", "is not above 0", "write a number above 0, or leave it out")
    for key, listed in (
        ("analysts", rule.analysts),
        ("operations", rule.operations),
        ("seals", rule.seals),
        ("key_profiles", rule.key_profiles),
        ("hours", rule.hours),
    ):
        if listed is not None and not listed:
            raise bad(key, "is empty", "list at least one, or remove the rule")
    _check_known(rule, bad)
    for key, role, patterns in (
        ("analysts", Role.ANALYST, rule.analysts),
        ("members", Role.NODE, rule.members),
    ):
        for text in patterns:
            _check_name(text, role, key, bad, PartyPattern)
    for text, fingerprint in rule.required_members.items():
        _check_name(text, Role.NODE, "required_members", bad, PartyName.parse)
        if not _FINGERPRINT.match(fingerprint):
            raise bad(
                "required_members", f"has no fingerprint for {text}", 'write 64 hexadecimal digits or ""'
            )


def _check_hours(rule: Rule, bad: Callable[[str, str, str], InvalidInput]) -> None:
    for text in rule.hours or ():
        try:
            Window.parse(text)
        except InvalidInput as error:
            raise bad(
                "hours", f"has an item that cannot be used: {error.message}", error.remedy or ""
            ) from None


def _check_known(rule: Rule, bad: Callable[[str, str, str], InvalidInput]) -> None:
    for key, listed, known in (
        ("operations", rule.operations, known_operations()),
        ("functions", rule.functions, known_functions() | {"*"}),
    ):
        if foreign := sorted(set(listed) - known):
            raise bad(
                key,
                f"must be one of: {', '.join(sorted(known))}; it is {foreign[0]!r}",
                "write only those, each in quotes",
            )


def _check_name(
    text: str,
    role: Role,
    key: str,
    bad: Callable[[str, str, str], InvalidInput],
    read: Callable[[str], PartyName | PartyPattern],
) -> None:
    try:
        fits = read(text).role is role
    except InvalidInput as error:
        raise bad(key, f"has {text!r}, which cannot be used: {error.message}", error.remedy or "") from None
    if not fits:
        raise bad(key, f"has {text!r}, not the name of a party with the role {role}", f"name {role}s")
