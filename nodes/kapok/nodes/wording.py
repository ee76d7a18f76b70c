"""The policy in words, so that whoever signs it off reads what the node will do."""

from __future__ import annotations

from kapok.errors import counted
from kapok.nodes.policy import Policy, Rule

__all__ = ["policy_in_words"]

_COHORT = {
    "fixed": "the first answer fixes the parties, for good",
    "same-question": "the same question is answered for one set of parties only",
    "free": "any set of parties, which lets answers be subtracted from one another",
}


def policy_in_words(policy: Policy) -> tuple[str, ...]:
    """One sentence or two for each rule, in their order."""
    if not policy.rule:
        return ("No rule: every question is refused.",)
    return tuple(_rule(number, rule) for number, rule in enumerate(policy.rule, 1))


def _rule(number: int, rule: Rule) -> str:
    columns = "all columns" if "*" in rule.columns else "the columns " + (", ".join(rule.columns) or "(none)")
    approval = "at once" if rule.approval == "automatic" else "each after an officer's approval"
    required = "".join(f", only together with {name}" for name in sorted(rule.required_members))
    among = f" that match {' or '.join(rule.members)}" if rule.members else ""
    asked = f"{' and '.join(rule.analysts)} may ask {rule.dataset} for {', '.join(rule.operations)}"
    sealed = f"sealed with {' or '.join(rule.seals)}"
    if "subgroup" in rule.key_profiles:
        sealed += f" under result keys of profile {' or '.join(rule.key_profiles)}"
    least = f"Filters that keep fewer than {rule.min_rows} rows, and cells of fewer than {rule.min_cell}"
    return (
        f"Rule {number}: {asked} over {columns}, {counted(rule.questions, 'question')} "
        f"for each organisation, {approval}. Sums of at least {rule.min_parties} organisations{among} "
        f"besides the analyst's own{required}, {sealed}; "
        f"{_COHORT[rule.cohort]}. {least}, are suppressed."
    )
