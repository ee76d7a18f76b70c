"""Whoever the policy has no rule for is refused before a word of the question is parsed."""

import pytest

from kapok.computations.language import grammar
from kapok.nodes.policy import Policy
from kapok.nodes.runner import Consent
from kapok.wire.messages import Offer

COUNT = "SELECT COUNT(*) FROM clinic"
NO_RULE = {
    "policy.analysts": {"analysts": ("spiffe://kapok.test/org/other/analyst/*",)},
    "policy.dataset": {"dataset": "other"},
}


@pytest.fixture
def parsed(monkeypatch):
    """Every text that was read into tokens, which comes before all else."""
    seen = []
    lex = grammar.lex
    monkeypatch.setattr(grammar, "lex", lambda sql: seen.append(sql) or lex(sql))
    return seen


@pytest.mark.parametrize("clause", NO_RULE)
@pytest.mark.parametrize(
    "question", [COUNT, "SELECT COUNT(*) FROM clinic WHERE " + "STRUCT(" * 16, "nonsense"]
)
def test_without_a_rule_nothing_is_parsed(world, make_rule, parsed, clause, question):
    node = world.nodes["a"]
    node.judge_by(Policy((make_rule(**NO_RULE[clause]),)))
    job = world.job(COUNT, question=question)
    parsed.clear()
    refusal = world.refusal(job.offer(node))
    assert (refusal.code, refusal.clause) == ("not_authorised", clause)
    assert parsed == []


def test_with_a_rule_the_question_is_parsed(world, make_rule, parsed):
    node = world.nodes["a"]
    node.judge_by(Policy((make_rule(),)))
    job = world.job(COUNT)
    parsed.clear()
    assert isinstance(job.offer(node)[0], Consent)
    assert COUNT in parsed


def test_a_rule_that_is_withdrawn_lets_nothing_be_parsed_again(world, make_rule, parsed):
    job = world.job(COUNT)
    seals = job.seal(job.consent())
    node = world.nodes["a"]
    node.policy = Policy((make_rule(dataset="other"),))
    node.start()
    parsed.clear()
    assert world.refusal(node.runner.handle(Offer(job.token))).code == "not_authorised"
    assert world.refusal(job.complete(node, seals)).code == "not_authorised"
    assert parsed == []
