"""The policy in words, so that whoever signs it off reads what the node will do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from kapok.errors import counted
from kapok.nodes.policy import Policy, Rule

__all__ = ["policy_in_words", "rule_in_words"]

_COHORT: Final = {
    "fixed": "the first answer fixes the parties, for good",
    "same-question": "the same question is answered for one set of parties only",
    "free": "any set of parties, which lets answers be subtracted from one another",
}
_EVERYTHING: Final = "*"


def policy_in_words(policy: Policy, datasets: Iterable[str] = ()) -> tuple[str, ...]:
    """Each rule in their order, then for each dataset who may ask it by which rule.

    Args:
        policy: The file.
        datasets: What ``node.toml`` names.
    """
    if not policy.rule:
        return ("No rule: every question is refused.",)
    lines = [
        line
        for number, rule in enumerate(policy.rule, 1)
        for line in rule_in_words(number, rule, policy.timezone)
    ]
    return (*lines, *(_who_may_ask(name, policy) for name in datasets))


def rule_in_words(number: int, rule: Rule, timezone: str = "") -> tuple[str, ...]:
    """One rule: who may ask what, how often and when, and what happens to the answer.

    Args:
        number: Of the rule in the file, from 1.
        rule: The rule.
        timezone: Of its hours and days, where it is to be said.
    """
    return (
        f"Rule {number}: {_either(rule.analysts)} may ask {rule.dataset}",
        f"  for {', '.join(rule.operations)} over {_columns(rule)}{_functions(rule)}{_norm(rule)}",
        f"  {_how_often(rule, timezone)}",
        f"  {_with_whom(rule)}, {_sealed(rule)}; {_COHORT[rule.cohort]}",
        f"  suppressed: {'; '.join(_suppressed(rule))}",
    )


def _who_may_ask(name: str, policy: Policy) -> str:
    asked = [
        f"{_either(rule.analysts)} by rule {number}"
        for number, rule in enumerate(policy.rule, 1)
        if rule.dataset == name
    ]
    if not asked:
        return f"Over {name}: nobody may ask anything."
    first = " (the first that names an analyst counts)" if asked[1:] else ""
    return f"Over {name}: {'; '.join(asked)}{first}; nobody else."


def _columns(rule: Rule) -> str:
    if _EVERYTHING in rule.columns:
        return "all columns"
    if not rule.columns:
        return "no column: rows may be counted, all of them together"
    return f"the columns {', '.join(rule.columns)}"


def _functions(rule: Rule) -> str:
    if "*" in rule.functions:
        return ""
    if not rule.functions:
        return ", as they are: with no function applied to them"
    return f", with no functions but {', '.join(rule.functions)}"


def _norm(rule: Rule) -> str:
    if rule.clip_norm is None:
        return ""
    return f"; an app changes a model by a norm of {rule.clip_norm:g} at most"


def _how_often(rule: Rule, timezone: str) -> str:
    zone = f" ({timezone})" if timezone else ""
    a_day = ""
    if rule.questions_per_day is not None:
        a_day = f", at most {rule.questions_per_day} a day" + ("" if rule.hours else zone)
    if rule.rounds is not None:
        a_day += f", each of at most {counted(rule.rounds, 'round')}"
    when = f"taken {' and '.join(rule.hours)}{zone}" if rule.hours else "taken at any time"
    approval = (
        "answered at once" if rule.approval == "automatic" else "each answered after an officer's approval"
    )
    return f"{counted(rule.questions, 'question')} for each organisation{a_day}, {when}, {approval}"


def _with_whom(rule: Rule) -> str:
    required = "".join(f", only together with {name}" for name in sorted(rule.required_members))
    among = f" that match {_either(rule.members)}" if rule.members else ""
    return f"in sums of at least {rule.min_parties} organisations{among} besides the analyst's own{required}"


def _sealed(rule: Rule) -> str:
    sealed = f"sealed with {_either(rule.seals)}"
    if "subgroup" in rule.key_profiles:
        sealed += f" under result keys of profile {_either(rule.key_profiles)}"
    return sealed


def _suppressed(rule: Rule) -> Iterator[str]:
    yield f"what a filter leaves of fewer than {counted(rule.min_rows, 'row')}"
    yield f"cells of fewer than {rule.min_cell} rows or known values"
    if rule.dominance is not None:
        many = rule.dominance.n > 1
        whom = f"the {rule.dominance.n} largest contributors have" if many else "the largest contributor has"
        yield f"totals of which {whom} more than {rule.dominance.percent} %"
    if rule.p_percent is not None:
        yield f"totals that without the two largest are less than {rule.p_percent} % of the largest"
    if {"glm", "cox", "meta"} & set(rule.operations):
        yield (
            f"models with columns for more than {rule.parameters_percent} % of the rows, or in which one row "
            f"has more than {rule.leverage_percent} % of the information on anything"
        )


def _either(texts: Iterable[str]) -> str:
    return " or ".join(texts)
