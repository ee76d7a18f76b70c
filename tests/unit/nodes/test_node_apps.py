"""A job that runs an app goes through a node's runner as far as approvals go, and no further."""

import msgspec
import pytest
from support import app_counts
from support.apps import need_sandbox

from kapok.computations import registry
from kapok.nodes.apps.approval import AppRule
from kapok.nodes.apps.bundles import Bundles
from kapok.nodes.policy import Policy
from kapok.nodes.runner import Consent, Release, attempts, releases

RULE = AppRule(
    hash=app_counts.APP,
    analysts=("spiffe://kapok.test/org/university/analyst/*",),
    dataset="clinic",
    columns=("age",),
    allow=("learning-rate=0.01..0.1",),
)
COUNT = "SELECT COUNT(*) FROM clinic"


@pytest.fixture
def ask(world, monkeypatch):
    monkeypatch.setitem(registry._MODULES, "app-count", app_counts.__name__)
    return lambda: world.job(COUNT, kind="app-count")


def test_an_app_is_refused_until_it_is_here_and_approved_and_again_when_that_is_withdrawn(world, ask):
    need_sandbox()
    node = world.nodes["a"]
    assert world.refusal(ask().offer(node)).code == "app_not_approved"
    for one in world.nodes.values():
        assert one.runner
        inbox = one.inbox()
        assert inbox.approve_app(RULE)
        assert not inbox.approve_app(RULE)
        inbox.close()
    assert world.refusal(ask().offer(node)).code == "app_not_here"
    for one in world.nodes.values():
        Bundles(one.home / "apps" / "bundles").add(app_counts.BUNDLE)
    job = ask()
    consents = job.consent()
    seals = job.seal(consents)
    inbox = node.inbox()
    (ended,) = inbox.withdraw_app(app_counts.APP)
    assert (ended.rule, ended.approved_by) == (RULE, "alice")
    inbox.close()
    refused = world.refusal(job.complete(node, seals))
    assert (refused.code, refused.clause) == ("app_not_approved", "policy.app")


@pytest.mark.parametrize("replaced", [False, True])
@pytest.mark.parametrize(
    ("step", "meanwhile"), [("seal", (attempts, "contribute")), ("release", (releases, "release"))]
)
def test_an_approval_that_ends_between_the_look_and_the_note_stops_the_note(
    world, ask, monkeypatch, step, meanwhile, replaced
):
    need_sandbox()
    node = world.nodes["a"]
    for one in world.nodes.values():
        approve(one, RULE)
        Bundles(one.home / "apps" / "bundles").add(app_counts.BUNDLE)
    job = ask()
    consents = job.consent()
    seals = job.seal(consents) if step == "release" else []
    module, name = meanwhile
    real = getattr(module, name)

    def officer(*args, **more):
        """What the step does at length; while it does, the officer ends the approval."""
        if replaced:
            approve(node, msgspec.structs.replace(RULE, columns=("age", "sex")))
        else:
            inbox = node.inbox()
            inbox.withdraw_app(app_counts.APP)
            inbox.close()
        return real(*args, **more)

    monkeypatch.setattr(module, name, officer)
    answers = job.complete(node, seals) if step == "release" else job.open(node, consents)
    refused = world.refusal(answers)
    assert (refused.code, refused.clause) == ("app_not_approved", "node.approved_apps")
    assert node.journal.released(job.id, 1) is None
    assert (node.journal.sealed(job.id, 1, 1) is None) == (step == "seal")


def test_an_approval_of_another_app_that_ends_stops_nothing(world, ask):
    need_sandbox()
    for one in world.nodes.values():
        approve(one, RULE)
        approve(one, msgspec.structs.replace(RULE, hash="ab" * 32))
        Bundles(one.home / "apps" / "bundles").add(app_counts.BUNDLE)
    node, job = world.nodes["a"], ask()
    seals = job.seal(job.consent())
    inbox = node.inbox()
    inbox.withdraw_app("ab" * 32)
    inbox.close()
    assert isinstance(job.complete(node, seals)[0], Release)


def approve(node, rule):
    assert node.runner
    inbox = node.inbox()
    assert inbox.approve_app(rule)
    inbox.close()


def test_the_policy_file_approves_it_as_well(world, ask):
    need_sandbox()
    node = world.nodes["a"]
    Bundles(node.home / "apps" / "bundles").add(app_counts.BUNDLE)
    node.judge_by(Policy(node.policy.rule, (RULE,)))
    [answer] = ask().offer(node)
    assert isinstance(answer, Consent)
    narrow = AppRule(**{name: getattr(RULE, name) for name in RULE.__struct_fields__} | {"allow": ()})
    node.judge_by(Policy(node.policy.rule, (narrow,)))
    refused = world.refusal(ask().offer(node))
    assert (refused.code, refused.clause) == ("override_not_allowed", "policy.app[1].allow")


@pytest.mark.parametrize("rule", [RULE, msgspec.structs.replace(RULE, columns=("age", "sex"))])
def test_what_an_app_made_by_an_approval_that_has_ended_is_not_released_by_another(world, ask, rule):
    need_sandbox()
    node = world.nodes["a"]
    for one in world.nodes.values():
        approve(one, RULE)
        Bundles(one.home / "apps" / "bundles").add(app_counts.BUNDLE)
    job = ask()
    seals = job.seal(job.consent())
    inbox = node.inbox()
    inbox.withdraw_app(app_counts.APP)
    inbox.close()
    approve(node, rule)
    refused = world.refusal(job.complete(node, seals))
    assert (refused.code, refused.clause) == ("app_not_approved", "node.approved_apps")
    assert node.journal.released(job.id, 1) is None
