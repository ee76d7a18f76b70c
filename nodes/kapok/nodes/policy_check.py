"""The policy beside what it is about: datasets, this node's own name, the tables.

What can never work is a problem: nobody who signed the policy meant it. What works and may still not be meant
is a warning. Both are for `kapok node check`; a question is judged by `kapok.nodes.policy` alone, which looks
at no table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from kapok.documents.dataset import Dataset
from kapok.errors import counted, near
from kapok.identity.names import PartyName, PartyPattern
from kapok.nodes.policy import Policy, Rule

__all__ = ["problems", "warnings"]

_SHOWN_COLUMNS: Final = 40


def problems(policy: Policy, datasets: Mapping[str, Dataset | None], me: PartyName) -> Iterator[str]:
    """What can never work, each with what to do.

    Args:
        policy: The file.
        datasets: What ``node.toml`` names, by its names; None where the document is not to be had.
        me: This node's name.
    """
    if not policy.rule:
        yield "policy: it has no rule, and every question is refused: add the rules that you agree to"
    for number, rule in enumerate(policy.rule, 1):
        found = (
            *_of_dataset(rule, datasets),
            *_of_columns(rule, datasets.get(rule.dataset)),
            *_of_parties(rule, me),
            *_of_order(number, policy),
        )
        yield from (f"policy: rule {number}: {what}" for what in found)


def warnings(policy: Policy, rows: Mapping[str, int | None]) -> Iterator[str]:
    """What works and may not be meant, each with what to do.

    Args:
        policy: The file.
        rows: For each name of a dataset in ``node.toml`` the rows of its table; None where nobody knows.
    """
    for name in rows:
        if policy.rule and not any(rule.dataset == name for rule in policy.rule):
            yield f"policy: no rule is about the dataset {name}: every question over it is refused; add one"
    for number, rule in enumerate(policy.rule, 1):
        there = rows.get(rule.dataset)
        yield from (f"policy: rule {number}: {what}" for what in _unmeetable(rule))
        for key, least in (("min_rows", rule.min_rows), ("min_cell", rule.min_cell)):
            if there and there < least:
                yield (
                    f"policy: rule {number}: key {key!r} asks for {counted(least, 'row')}, and the table of "
                    f"{rule.dataset} has {there:,}: whatever this node takes part in is suppressed; see that "
                    "it is the right file, and all of it"
                )


def _unmeetable(rule: Rule) -> Iterator[str]:
    """Keys that refuse every question, and may be meant for a while."""
    if rule.questions == 0:
        yield "key 'questions' is 0, and every question is refused: write how many you grant"
    organisations = {text.split("/")[4] for text in rule.members}
    if organisations and "*" not in organisations and len(organisations) < rule.min_parties:
        yield (
            f"key 'min_parties' asks for {counted(rule.min_parties, 'organisation')}, and 'members' names "
            f"{len(organisations)}: every question is refused; name more, or ask for fewer"
        )


def _of_dataset(rule: Rule, datasets: Mapping[str, Dataset | None]) -> Iterator[str]:
    if rule.dataset not in datasets:
        there = f", or name one that is there ({', '.join(datasets)})" if datasets else ""
        yield (
            f"key 'dataset' names {rule.dataset!r}, and node.toml has no section [datasets.{rule.dataset}]: "
            f"write one{there}"
        )


def _of_columns(rule: Rule, dataset: Dataset | None) -> Iterator[str]:
    if dataset is None:
        return
    known = [column.name for column in dataset.columns]
    for name in rule.columns:
        if name not in ("*", *known):
            alike = near(name, known)
            guess = f"did you mean {' or '.join(alike)}? " if alike else ""
            more = ", …" if known[_SHOWN_COLUMNS:] else ""
            yield (
                f"key 'columns' names {name!r}, which the dataset {rule.dataset} does not have: {guess}"
                f"it has {', '.join(known[:_SHOWN_COLUMNS])}{more}"
            )


def _of_parties(rule: Rule, me: PartyName) -> Iterator[str]:
    for key, names in (
        ("analysts", rule.analysts),
        ("members", rule.members),
        ("required_members", rule.required_members),
    ):
        for text in names:
            domain = PartyPattern(text).trust_domain
            if domain != me.trust_domain:
                yield (
                    f"key {key!r} names {text}, of the trust domain {domain}; this node is of "
                    f"{me.trust_domain}, and nobody of another can be met: write {me.trust_domain} there, or "
                    "remove it"
                )
    for text, who in ((str(me), "this node itself"), *((one, "required") for one in rule.required_members)):
        name = PartyName.parse(text)
        if rule.members and not any(PartyPattern(pattern).matches(name) for pattern in rule.members):
            yield f"key 'members' leaves out {text} ({who}), and every question is refused: add it there"


def _of_order(number: int, policy: Policy) -> Iterator[str]:
    """A rule that an earlier one hides: whoever wrote it believes that it is in force."""
    rule = policy.rule[number - 1]
    earlier = [one for one in policy.rule[: number - 1] if one.dataset == rule.dataset]
    patterns = [PartyPattern(text) for one in earlier for text in one.analysts]
    if all(any(pattern.covers(PartyPattern(text)) for pattern in patterns) for text in rule.analysts):
        yield (
            "it never applies, for rules before it are about the same dataset and the same analysts, and the "
            "first that matches counts: put it before them, or remove it"
        )
