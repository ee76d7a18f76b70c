import math

import pytest

from kapok.errors import ConsentWithheld, InvalidInput
from kapok.identity.names import PartyName
from kapok.nodes.apps.approval import AppApproval, ApprovedApp, AppRule, approved_app, faults
from kapok.nodes.apps.limits import AppLimits
from kapok.nodes.apps.overrides import Allowance, foreign_word, fused, read_allowances

APP, OTHER = "ab" * 32, "cd" * 32
ALICE = PartyName.parse("spiffe://kapok.test/org/university/analyst/alice")
DEFAULTS = {"learning-rate": 0.01, "epochs": 1, "optimizer": "sgd", "quick": True}
ALLOWED = ("learning-rate=0.0001..0.1", "epochs=1..5", "optimizer=sgd|adam", "quick=true|false")


def rule(**changes) -> AppRule:
    return AppRule(
        **{
            "hash": APP,
            "analysts": ("spiffe://kapok.test/org/university/analyst/*",),
            "dataset": "heart",
            "columns": ("age", "chol"),
        }
        | changes
    )


def judged(policy=(), by_hand=(), app=APP, columns=("age",), caller=ALICE, dataset="heart", clip_norm=None):
    return approved_app(
        app, columns, caller, clip_norm=clip_norm, dataset=dataset, policy=policy, by_hand=by_hand
    )


def by_hand(number=1, withdrawn_at=None, **changes) -> AppApproval:
    return AppApproval(number, rule(**changes), 1.0, "officer", withdrawn_at)


def test_nothing_runs_that_was_not_approved():
    refused = judged()
    assert isinstance(refused, ConsentWithheld)
    assert (refused.code, refused.clause) == ("app_not_approved", "policy.app")
    assert APP in refused.remedy


@pytest.mark.parametrize(
    "changes",
    [
        {"app": OTHER},
        {"dataset": "icu"},
        {"caller": PartyName.parse("spiffe://kapok.test/org/insurer/analyst/alice")},
    ],
)
def test_an_approval_is_for_one_app_one_dataset_and_those_whom_it_names(changes):
    assert isinstance(judged((rule(),)), ApprovedApp)
    assert judged((rule(),), **changes).code == "app_not_approved"


def test_the_policy_file_comes_before_an_officer_and_the_last_approval_before_earlier_ones():
    first, last = by_hand(1, columns=("*",)), by_hand(2, columns=("sex",))
    assert judged((rule(),), (first, last)) == ApprovedApp(rule(), "policy.app[1]")
    assert judged((rule(hash=OTHER), rule()), (first,)).clause == "policy.app[2]"
    assert judged((), (first, last), columns=("sex",)).rule == last.rule
    assert judged((), (first, by_hand(2, withdrawn_at=5.0, columns=("sex",)))).rule == first.rule
    assert judged((), (by_hand(withdrawn_at=5.0),)).code == "app_not_approved"


def test_an_app_sees_the_approved_columns_alone():
    refused = judged((rule(),), columns=("age", "sex", "zip"))
    assert (refused.code, refused.clause) == ("app_columns_not_allowed", "policy.app[1].columns")
    assert "sex" in refused.message
    assert isinstance(judged((rule(columns=("*",)),), columns=("age", "sex", "zip")), ApprovedApp)


def test_an_app_changes_the_model_by_the_approved_norm_at_most():
    refused = judged((rule(clip_norm=2.5),))
    assert (refused.code, refused.clause) == ("clip_norm_too_large", "policy.app[1].clip_norm")
    assert "--clip-norm 2.5" in refused.remedy
    assert judged((rule(clip_norm=2.5),), clip_norm=2.6).code == "clip_norm_too_large"
    assert isinstance(judged((rule(clip_norm=2.5),), clip_norm=2.5), ApprovedApp)
    assert isinstance(judged((rule(),), clip_norm=1e9), ApprovedApp)
    assert [key for key, _, _ in faults(rule(clip_norm=0.0))] == ["clip_norm"]


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("learning-rate", 0.05),
        ("learning-rate", 0.0001),
        ("epochs", 5),
        ("optimizer", "adam"),
        ("quick", False),
    ],
)
def test_what_is_within_the_approval_may_be_changed(override, value):
    assert fused(DEFAULTS, {override: value}, read_allowances(ALLOWED), "c") == DEFAULTS | {override: value}


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("learning-rate", 0.2),
        ("learning-rate", math.nan),
        ("learning-rate", math.inf),
        ("learning-rate", True),
        ("learning-rate", "0.05"),
        ("epochs", 2.0),
        ("epochs", 6),
        ("epochs", True),
        ("optimizer", "rmsprop"),
        ("optimizer", ""),
        ("quick", 1),
        ("path", "/etc"),
    ],
)
def test_what_is_beyond_the_approval_or_of_another_kind_is_refused(override, value):
    with pytest.raises(ConsentWithheld) as refused:
        fused(DEFAULTS, {override: value}, read_allowances(ALLOWED), "policy.app[1]")
    assert refused.value.code == "override_not_allowed"
    assert refused.value.clause == "policy.app[1].allow"


def test_what_no_approval_names_stays_as_the_app_has_it():
    with pytest.raises(ConsentWithheld) as refused:
        fused(DEFAULTS, {"epochs": 2}, (), "c")
    assert refused.value.code == "override_not_allowed"
    assert fused(DEFAULTS, {"epochs": 1, "optimizer": "sgd"}, (), "c") == DEFAULTS


@pytest.mark.parametrize(
    ("said", "foreign"),
    [
        ({}, None),
        ({"server-round": 3, "proximal-mu": 0.5}, None),
        ({"server-round": 3, "learning-rate": 0.05, "optimizer": "adam", "quick": False}, None),
        ({"server-round": 4}, "server-round"),
        ({"server-round": -1}, "server-round"),
        ({"server-round": True}, "server-round"),
        ({"server-round": "3"}, "server-round"),
        ({"server-round": 0.000017}, "server-round"),
        ({"proximal-mu": -0.1}, "proximal-mu"),
        ({"proximal-mu": math.inf}, "proximal-mu"),
        ({"proximal-mu": math.nan}, "proximal-mu"),
        ({"server-round": 1, "row": 17}, "row"),
        ({"learning-rate": 0.2}, "learning-rate"),
        ({"optimizer": "rmsprop"}, "optimizer"),
        ({"quick": 0}, "quick"),
    ],
)
def test_what_the_third_exchange_may_say_beside_the_model(said, foreign):
    assert foreign_word(said, read_allowances(ALLOWED), 3) == foreign


def test_an_approval_may_be_closer_than_what_strategies_say_themselves():
    assert foreign_word({"proximal-mu": 0.5}, read_allowances(["proximal-mu=0..0.1"]), 3) == "proximal-mu"
    assert foreign_word({"server-round": 1.5}, read_allowances(["server-round=0..9"]), 3) == "server-round"


@pytest.mark.parametrize("text", ALLOWED)
def test_an_allowance_is_written_as_it_is_read(text):
    assert str(Allowance.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["epochs", "=1", "epochs=", "a b=1", "epochs=5..1", "rate=x..y", "rate=0..nan"]
)
def test_an_allowance_that_cannot_be_read(text):
    with pytest.raises(InvalidInput) as refused:
        Allowance.parse(text)
    assert refused.value.code == "bad_allowance"


def test_a_key_is_allowed_once():
    with pytest.raises(InvalidInput) as refused:
        read_allowances(["epochs=1", "epochs=2"])
    assert refused.value.code == "bad_allowance"


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"hash": "ab"}, "hash"),
        ({"analysts": ()}, "analysts"),
        ({"analysts": ("nobody",)}, "analysts"),
        ({"analysts": ("spiffe://kapok.test/org/university/node/*",)}, "analysts"),
        ({"columns": ()}, "columns"),
        ({"allow": ("epochs",)}, "allow"),
        ({"messages": ("lr=0..x",)}, "messages"),
        ({"metrics": ("accuracy=0|1",)}, "metrics"),
        ({"limits": AppLimits(cpus=0)}, "limits.cpus"),
    ],
)
def test_what_is_wrong_with_an_approval(changes, key):
    assert not list(faults(rule()))
    assert [one for one, _, _ in faults(rule(**changes))] == [key]
