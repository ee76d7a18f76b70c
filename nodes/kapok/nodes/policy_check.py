"""The policy beside what it is about: datasets, this node's own name, the tables.

What can never work is a problem: nobody who signed the policy meant it. What works and may still not be meant
is a warning. Both are for `kapok node check`; a question is judged by `kapok.nodes.policy` alone, which looks
at no table.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Final

from kapok.documents.dataset import Dataset
from kapok.errors import counted, near
from kapok.identity.names import PartyName, PartyPattern
from kapok.nodes.policy import Policy, Rule

__all__ = ["problems", "warnings"]

_SHOWN_COLUMNS: Final = 40
_OF_NUMBERS: Final = ("sum", "avg", "variance", "covariance")


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
            *_of_operations(rule, datasets.get(rule.dataset)),
            *_of_sizes(rule, datasets.get(rule.dataset)),
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
        found = (
            *_unmeetable(rule),
            *_small(rule),
            *_partly_hidden(number, policy),
            *_too_few(rule, rows.get(rule.dataset)),
        )
        yield from (f"policy: rule {number}: {what}" for what in found)


def _too_few(rule: Rule, there: int | None) -> Iterator[str]:
    """Least sizes that the table does not have."""
    for key, least, what in _least_rows(rule):
        if there and there < least:
            yield (
                f"key {key!r} asks for {counted(least, 'row')}, and the table of {rule.dataset} has "
                f"{there:,}: {what} is suppressed; see that it is the right file, and all of it"
            )


def _least_rows(rule: Rule) -> Iterator[tuple[str, int, str]]:
    """For each key that suppresses small things: its name, the fewest rows that get through, and what it is.

    Equal values are what dominance minds least: of c of them the n largest have n/c of the total.
    """
    yield "min_rows", rule.min_rows, "whatever this node takes part in"
    yield "min_cell", rule.min_cell, "whatever this node takes part in"
    if rule.dominance is not None:
        yield "dominance", math.ceil(100 * rule.dominance.n / rule.dominance.percent), "every total"
    if rule.p_percent is not None:
        yield "p_percent", 2 + math.ceil(rule.p_percent / 100), "every total"


def _of_operations(rule: Rule, dataset: Dataset | None) -> Iterator[str]:
    """Operations that no column is allowed for."""
    measuring = [name for name in rule.operations if name != "count"]
    if measuring and not rule.columns:
        yield (
            f"key 'operations' allows {', '.join(measuring)}, and 'columns' allows no column for that: name "
            'columns, or write operations = ["count"]'
        )
    numbers = [name for name in rule.operations if name in _OF_NUMBERS]
    if dataset is None or not rule.columns or not numbers:
        return
    allowed = [one for one in dataset.columns if "*" in rule.columns or one.name in rule.columns]
    if allowed and all(one.type == "text" for one in allowed):
        yield (
            f"key 'operations' allows {', '.join(numbers)}, and every column that 'columns' allows is a "
            "text: name a column of numbers, or leave them out"
        )


def _of_sizes(rule: Rule, dataset: Dataset | None) -> Iterator[str]:
    """Least sizes that no table of the dataset can have."""
    if dataset is None:
        return
    for key, least, what in _least_rows(rule):
        if least > dataset.rows_max:
            yield (
                f"key {key!r} asks for {counted(least, 'row')}, and a holder's table of {rule.dataset} has "
                f"{dataset.rows_max:,} at most: {what} is suppressed; ask for fewer"
            )


def _unmeetable(rule: Rule) -> Iterator[str]:
    """Keys that refuse every question, and may be meant for a while."""
    if rule.questions == 0:
        yield "key 'questions' is 0, and every question is refused: write how many you grant"
    if rule.questions_per_day == 0:
        yield "key 'questions_per_day' is 0, and every question is refused: write how many you grant"
    elif rule.questions_per_day is not None and rule.questions_per_day > rule.questions:
        yield (
            f"key 'questions_per_day' is {rule.questions_per_day}, and 'questions' grants "
            f"{rule.questions} in all: it never counts; write fewer, or remove it"
        )
    for key, listed in (("columns", rule.columns), ("functions", rule.functions)):
        if "*" in listed and listed[1:]:
            yield f'key {key!r} has "*" beside names, and allows all {key}: leave out "*", or the names'
    organisations = {PartyPattern(text).organisation for text in rule.members}
    if organisations and "*" not in organisations and len(organisations) < rule.min_parties:
        yield (
            f"key 'min_parties' asks for {counted(rule.min_parties, 'organisation')}, and 'members' names "
            f"{len(organisations)}: every question is refused; name more, or ask for fewer"
        )


def _small(rule: Rule) -> Iterator[str]:
    """Least sizes that protect nobody, or never count."""
    if rule.min_cell == 1:
        yield "key 'min_cell' is 1, and a cell of one person's row is not suppressed: write 5, or 2 at least"
    if rule.min_rows < rule.min_cell:
        yield (
            f"key 'min_rows' is {rule.min_rows}, less than 'min_cell' with {rule.min_cell}: it never counts, "
            f"for fewer rows are suppressed cell by cell; write {rule.min_cell} or more"
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
            if domain not in ("*", me.trust_domain):
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
    """A rule that earlier ones hide: whoever wrote it believes that it is in force."""
    hidden = _hidden(number, policy)
    if len(hidden) == len(policy.rule[number - 1].analysts):
        by = sorted(set(hidden.values()))
        rules = f"rule {by[0]}" if not by[1:] else "rules " + ", ".join(map(str, by))
        yield (
            f"it never applies, for {rules} before it is about the same dataset and the same analysts, and "
            "the first that matches counts: put it before, or remove it"
        )


def _partly_hidden(number: int, policy: Policy) -> Iterator[str]:
    """Analysts of a rule whom an earlier one judges, while the rule applies to others."""
    hidden = _hidden(number, policy)
    if len(hidden) < len(policy.rule[number - 1].analysts):
        for text, by in hidden.items():
            yield (
                f"key 'analysts' names {text}, and rule {by} before it judges them, for the first that "
                "matches counts: put this rule before that, or leave the name out here"
            )


def _hidden(number: int, policy: Policy) -> dict[str, int]:
    """For each of a rule's analysts whom an earlier rule over the same dataset covers: its number."""
    rule = policy.rule[number - 1]
    found: dict[str, int] = {}
    for text in rule.analysts:
        for earlier, one in enumerate(policy.rule[: number - 1], 1):
            patterns = map(PartyPattern, one.analysts) if one.dataset == rule.dataset else ()
            if any(pattern.covers(PartyPattern(text)) for pattern in patterns):
                found.setdefault(text, earlier)
    return found
