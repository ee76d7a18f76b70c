"""Explanations: signed opinions, believed only when their node has signed them of this very inquiry."""

import pytest

from kapok.client.opening import read_specification
from kapok.documents.envelope import encode
from kapok.documents.statements import (
    INQUIRY_TYP,
    OPINION_TYP,
    REFUSAL_TYP,
    OpinionStatement,
    RefusalStatement,
)
from kapok.errors import BudgetExhausted, IdentityInvalid, InvalidInput, PeerProtocolError
from kapok.identity.names import Role

SQL = "select count(*) from heart where age > 40"


def refusal(inquiry_id: str) -> RefusalStatement:
    return RefusalStatement(
        inquiry_id,
        "BudgetExhausted",
        "budget_exhausted",
        "used up",
        "policy.rule[1].questions",
        "ask for more",
    )


@pytest.fixture
def opine(domain):
    """Makes a node's opinion on an inquiry as it came."""

    def make(inquiry: str, node: str, *, denies=False, typ=OPINION_TYP, role=Role.NODE, of="") -> str:
        inquiry_id = of or read_specification(inquiry, domain.verifier, INQUIRY_TYP)[0]
        statement = OpinionStatement(
            inquiry_id, None if denies else "manual", refusal(inquiry_id) if denies else None
        )
        return domain.signer(role, node).sign(typ, encode(statement))

    return make


async def test_an_explanation_has_what_each_node_says_and_who_is_silent(session, broker, domain, opine):
    broker.opinions = lambda inquiry: [
        opine(inquiry, "hungarian", denies=True),
        opine(inquiry, "cleveland"),
    ]
    found = await session.explain(SQL)
    assert found.question == "SELECT COUNT(*) FROM heart WHERE age > 40"
    assert found.in_words
    assert (found.operations, found.columns, found.words) == (("count",), ("age",), 2)
    yes, no = found.opinions
    assert (yes.node, yes.approval, yes.allowed) == (str(domain.name(Role.NODE, "cleveland")), "manual", True)
    assert (no.approval, no.allowed) == (None, False)
    assert isinstance(no.refusal, BudgetExhausted)
    assert (no.refusal.clause, no.refusal.party) == ("policy.rule[1].questions", no.node)
    assert found.silent == tuple(str(domain.name(Role.NODE, name)) for name in ("switzerland", "va"))
    assert found.not_connected == (str(domain.name(Role.NODE, "va")),)
    assert not found.allowed


async def test_it_is_allowed_when_every_node_says_so(session, broker, opine):
    broker.opinions = lambda inquiry: [
        opine(inquiry, node) for node in ("cleveland", "hungarian", "switzerland", "va")
    ]
    assert (await session.explain(SQL)).allowed


async def test_nothing_is_kept_or_submitted_and_nobody_can_submit_it(session, broker, domain):
    await session.explain(SQL)
    assert session.folder.known() == []
    assert broker.submitted == []
    (inquiry,) = broker.inquiries
    with pytest.raises(IdentityInvalid):
        read_specification(inquiry, domain.verifier)


@pytest.mark.parametrize(
    "forgery",
    [
        {"node": "cleveland", "typ": REFUSAL_TYP},
        {"node": "cleveland", "role": Role.ANALYST},
        {"node": "elsewhere"},
        {"node": "cleveland", "of": "ab" * 32},
    ],
    ids=["another type", "no node", "a node that was not asked", "another inquiry"],
)
async def test_forged_opinions_are_not_believed(session, broker, opine, forgery):
    broker.opinions = lambda inquiry: [opine(inquiry, **forgery)]
    with pytest.raises(PeerProtocolError) as caught:
        await session.explain(SQL)
    assert caught.value.code == "forged_opinion"


async def test_what_cannot_be_asked_is_not_explained(session, broker):
    with pytest.raises(InvalidInput) as caught:
        await session.explain("SELECT COUNT(*) FROM heart WHERE weight > 1")
    assert caught.value.code == "unknown_column"
    assert broker.inquiries == []


def test_an_opinion_says_yes_or_no():
    for approval, said in ((None, None), ("manual", refusal("ab" * 32)), (None, refusal("cd" * 32))):
        with pytest.raises(InvalidInput) as caught:
            OpinionStatement("ab" * 32, approval, said)
        assert caught.value.code == "bad_opinion"
