"""Refusals: one code for each reason, and the same whether there is any data or not."""

import msgspec
import pytest
from support.hospitals import NOW
from support.refusal_cases import BY_POLICY, BY_SPECIFICATION, COUNT

from kapok.documents.envelope import JwsSigner
from kapok.documents.statements import JOB_TYP, ResultKey
from kapok.identity.names import Role
from kapok.nodes.policy import Policy
from kapok.nodes.runner import Consent
from kapok.wire.messages import Offer

KINDS = {
    "not_authorised": "NotAuthorised",
    "dataset": "NotAuthorised",
    "too_few_parties": "CohortTooSmall",
    "budget_exhausted": "BudgetExhausted",
    "day_budget_exhausted": "BudgetExhausted",
}


def refusal_of(world, job, letter="a"):
    return world.refusal(job.offer(world.nodes[letter]))


@pytest.fixture(scope="module")
def shared(make_world, tmp_path_factory):
    """Four hospitals; of the first three one has data, one has none, and one has what nobody can read."""
    with make_world(tmp_path_factory.mktemp("shared")) as world:
        rows = [(30, 1, "no")] * 50
        for name, its in {"a": rows, "b": None, "c": [("old", "?", "")], "d": rows}.items():
            world.add(name, its)
        yield world


@pytest.mark.parametrize("code", BY_POLICY)
def test_each_clause_of_the_policy_has_its_code_clause_and_remedy(shared, make_rule, code):
    changes, asked = BY_POLICY[code]
    shared.nodes["a"].judge_by(Policy((make_rule(**changes),)))
    refusal = refusal_of(shared, shared.job(**({"sql": COUNT} | asked)))
    assert refusal.code == ("not_authorised" if code == "dataset" else code)
    assert refusal.kind == KINDS.get(code, "ConsentWithheld")
    assert refusal.clause.startswith("policy.")
    assert refusal.remedy
    if code == "dataset":
        assert refusal.clause == "policy.dataset"


def test_a_meta_analysis_takes_an_organisation_more(shared, make_rule):
    meta = "META GLM age ON 1, sex FAMILY gaussian LINK identity ROUNDS 9 FROM clinic"
    shared.nodes["a"].judge_by(Policy((make_rule(operations=("meta",)),)))
    refusal = refusal_of(shared, shared.job(meta, kind="meta", names="abc"))
    assert (refusal.kind, refusal.code) == ("CohortTooSmall", "too_few_parties")
    assert "4 organisations" in refusal.remedy
    assert isinstance(shared.job(meta, kind="meta").offer(shared.nodes["a"])[0], Consent)


def test_a_key_of_the_subgroup_profile_needs_the_holders_word(shared, make_rule, paillier_key_2048):
    key = paillier_key_2048.public.encode()._replace(profile="subgroup")
    job = shared.job(COUNT, seal="paillier", result_key=ResultKey(*key))
    shared.nodes["a"].judge_by(Policy((make_rule(),)))
    refusal = refusal_of(shared, job)
    assert (refusal.kind, refusal.code) == ("ConsentWithheld", "key_profile_not_allowed")
    assert refusal.clause == "policy.rule[1].key_profiles"
    assert "kapok key rotate" in refusal.remedy
    shared.nodes["a"].judge_by(Policy((make_rule(key_profiles=("standard", "subgroup")),)))
    assert isinstance(
        shared.job(COUNT, seal="paillier", result_key=ResultKey(*key)).offer(shared.nodes["a"])[0], Consent
    )


@pytest.mark.parametrize("code", BY_SPECIFICATION)
def test_each_fault_of_a_specification_has_its_code(shared, make_rule, code):
    shared.nodes["a"].judge_by(Policy((make_rule(),)))
    assert refusal_of(shared, shared.job(COUNT, **BY_SPECIFICATION[code])).code == code


def test_the_clause_of_a_policy_is_named_even_when_nothing_is_joined(world):
    node = world.nodes["a"]
    node.joins = False
    refusal = refusal_of(world, world.job(COUNT))
    assert (refusal.kind, refusal.code) == ("NotFound", "dataset_not_joined")


@pytest.mark.parametrize("code", [*BY_POLICY, *BY_SPECIFICATION])
def test_refusals_are_the_same_with_the_data_gone_or_broken(shared, make_rule, code):
    changes, asked = BY_POLICY.get(code, ({}, {}))
    job = shared.job(**({"sql": COUNT} | asked | BY_SPECIFICATION.get(code, {})))
    found = []
    for letter in "abc":
        shared.nodes[letter].judge_by(Policy((make_rule(**changes),)))
        refusal = refusal_of(shared, job, letter)
        found.append(
            {name: getattr(refusal, name) for name in ("kind", "code", "clause", "message", "remedy")}
        )
    assert found[0] == found[1] == found[2]


def test_consent_is_given_with_the_data_gone_or_broken(shared, make_rule):
    for node in shared.nodes.values():
        node.judge_by(Policy((make_rule(),)))
    job = shared.job(COUNT)
    assert all(isinstance(job.offer(node)[0], Consent) for node in job.nodes)


def test_only_an_analysts_signature_makes_a_job(world):
    job = world.job(COUNT, organisation="b", role=Role.NODE, by="main")
    assert refusal_of(world, job).code == "not_an_analyst"


@pytest.mark.parametrize("by", ["nobody", "a node", "another analyst", "somebody unknown"])
def test_a_question_that_its_analyst_did_not_show_is_not_refused_in_its_name(world, make_realm, by):
    """Else a dishonest broker would have a node's signed refusal of a question that the node never saw."""
    job, node = world.job(COUNT), world.nodes["a"]
    payload = msgspec.json.encode(job.spec)
    signers = {
        "a node": world.realm.credentials("b", Role.NODE, "main"),
        "another analyst": world.realm.credentials("insurer", Role.ANALYST, "two"),
        "somebody unknown": make_realm().credentials("university", Role.ANALYST, "one"),
    }
    if by == "nobody":
        head, body, _ = job.token.split(".")
        forged = ".".join((head, body, world.job("SELECT SUM(age) FROM clinic").token.split(".")[2]))
    else:
        forged = JwsSigner(signers[by]).sign(JOB_TYP, payload)
    assert node.runner.handle(Offer(forged)) == []
    assert node.journal.job(job.id) is None
    job.run()


def test_an_analyst_whose_certificate_has_expired_is_told_so_and_nobody_else_in_his_name(world):
    job, node = world.job(COUNT), world.nodes["a"]
    head, body, signature = job.token.split(".")
    forged = ".".join((head, body, signature[:40] + ("A" if signature[40] != "A" else "B") + signature[41:]))
    twin = JwsSigner(world.realm.credentials("b", Role.NODE, "main")).sign(
        JOB_TYP, msgspec.json.encode(job.spec)
    )
    world.clock.now += 10 * 365 * 86400
    for token in (forged, twin):
        assert node.runner.handle(Offer(token)) == []
    refusal = world.refusal_at(node.runner.handle(Offer(job.token)), NOW)
    assert (refusal.kind, refusal.code, refusal.job) == ("IdentityInvalid", "certificate_expired", job.id)


@pytest.mark.parametrize("by", ["nobody", "another analyst"])
def test_a_bad_signature_ends_no_job_that_the_node_knows(world, by):
    job, other = world.job(COUNT), world.job("SELECT SUM(age) FROM clinic")
    consents = job.consent()
    head, payload, _ = job.token.split(".")
    forged = ".".join((head, payload, other.token.split(".")[2]))
    if by == "another analyst":
        stranger = world.realm.credentials("insurer", Role.ANALYST, "two")
        forged = JwsSigner(stranger).sign(JOB_TYP, msgspec.json.encode(job.spec))
    node = world.nodes["a"]
    assert node.runner.handle(Offer(forged)) == []
    seals = job.seal(consents)
    assert job.unseal(consents, seals, job.release(seals)).words


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "....", "é.é.é"])
def test_what_is_no_specification_at_all_gets_no_answer_or_a_refusal(world, token):
    answers = world.nodes["a"].runner.handle(Offer(token))
    assert answers == [] or world.refusal(answers).kind == "IdentityInvalid"


def test_a_specification_of_another_form_is_refused(world):
    job = world.job(COUNT)
    payload = msgspec.json.encode({"question": "everything"})
    token = JwsSigner(job.caller).sign(JOB_TYP, payload)
    assert world.refusal(world.nodes["a"].runner.handle(Offer(token))).code == "bad_statement"


def test_numbers_beyond_every_bound_are_refused_and_do_not_stop_the_node(world):
    for changes in (
        {"deadline": 2**63},
        {"words": 2**62},
        {"rounds": 2**62},
        {"at_least": 2**62},
        {"at_least": -1},
    ):
        assert refusal_of(world, world.job(COUNT, **changes)).code
    assert isinstance(world.job(COUNT).offer(world.nodes["a"])[0], Consent)


def test_every_try_counts_once_and_the_refused_ones_too(world, make_rule):
    node = world.nodes["a"]
    node.policy = Policy((make_rule(questions=3),))
    refused = world.job("SELECT COUNT(*) FROM clinic", seal="pad", words=9)
    assert refusal_of(world, refused).code == "layout_differs"
    first, second = world.job(COUNT), world.job(COUNT, by="two")
    for _ in range(3):
        assert isinstance(first.offer(node)[0], Consent)
        assert isinstance(second.offer(node)[0], Consent)
    over = world.job(COUNT, by="three")
    assert refusal_of(world, over).code == "budget_exhausted"
    node.start()
    # What was allowed stays allowed after a restart, and is not counted again.
    assert isinstance(second.offer(node)[0], Consent)
    assert refusal_of(world, world.job(COUNT)).code == "budget_exhausted"


def test_a_policy_that_is_withdrawn_holds_back_the_release(world):
    job = world.job(COUNT)
    seals = job.seal(job.consent())
    node = world.nodes["a"]
    node.policy = Policy(())
    node.start()
    assert world.refusal(job.complete(node, seals)).code == "not_authorised"


def test_a_defect_ends_its_job_alone_and_says_nothing_of_what_it_met(world, monkeypatch):
    def broken(*_given, **_named):
        raise ZeroDivisionError("cell 4711")

    node, broken_job = world.nodes["a"], world.job(COUNT)
    with monkeypatch.context() as patched:
        patched.setattr("kapok.nodes.runner.judging.judge", broken)
        refusal = refusal_of(world, broken_job)
    assert (refusal.kind, refusal.code) == ("InternalError", "internal_error")
    assert "4711" not in refusal.message + refusal.remedy + refusal.clause
    assert refusal_of(world, broken_job) == refusal
    assert isinstance(world.job(COUNT).offer(node)[0], Consent)


def test_the_first_rule_that_matches_applies(world, make_rule):
    node = world.nodes["a"]
    node.policy = Policy((make_rule(dataset="other"), make_rule(operations=("sum",)), make_rule()))
    refusal = refusal_of(world, world.job(COUNT))
    assert (refusal.code, refusal.clause) == ("operation_not_allowed", "policy.rule[2].operations")


def test_a_required_members_key_is_checked_in_the_roster(world, make_rule):
    for letter in "ab":
        node = world.nodes[letter]
        right = world.nodes["d"].credentials.key_fingerprint.hex()
        wanted = right if letter == "a" else "00" * 32
        node.policy = Policy((make_rule(required_members={world.nodes["d"].name: wanted}),))
        node.start()
    job = world.job(COUNT)
    consents = job.consent()
    assert job.seal(consents, [world.nodes["a"]])
    assert world.refusal(job.open(world.nodes["b"], consents)).code == "party_required"
