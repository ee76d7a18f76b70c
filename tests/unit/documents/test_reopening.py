"""Reopenings: one form, who must sign, whose signature counts."""

import msgspec
import pytest
from support.officers import DAY_S, node_names, organisation, reopening, signed

from kapok.documents.envelope import JwsSigner, JwsVerifier, attached, detached
from kapok.documents.reopening import Reopening, ReopeningAnswer, SignedReopening
from kapok.errors import IdentityInvalid, InvalidInput, KapokError, NotAuthorised, PeerProtocolError, TimedOut
from kapok.identity.certificates import TrustRoot
from kapok.identity.credentials import Credentials
from kapok.identity.issuing import issue, new_root
from kapok.identity.keyfiles import generate_key
from kapok.identity.names import PartyName, Role

NOW = 1_800_000_000.0
DATASET = "ab" * 32


class Domain:
    def __init__(self):
        self._key = generate_key()
        self.root = TrustRoot(new_root(self._key, "kapok.test", NOW))
        self._known = {}

    def credentials(self, organisation, role, name):
        party = PartyName("kapok.test", organisation, role, name)
        if party not in self._known:
            key = generate_key()
            certificate = issue(self._key, self.root.certificate, key.public_key(), party, now=NOW)
            self._known[party] = Credentials(key, certificate, self.root, NOW)
        return self._known[party]

    @property
    def verifier(self):
        return JwsVerifier(self.root.pem, lambda: NOW)


@pytest.fixture(scope="module")
def domain():
    return Domain()


def made(old=("abcd",), new="abc", **changes) -> Reopening:
    return reopening(old, new, dataset=DATASET, now=NOW, **changes)


def refused(call) -> KapokError:
    with pytest.raises(KapokError) as caught:
        call()
    return caught.value


def test_it_concerns_every_node_and_organisation_of_the_old_and_the_new_cohort():
    one = made(["abcd", "abc"], "bcde")
    assert one.nodes == node_names("abcde")
    assert one.organisations == tuple(organisation(letter) for letter in "abcde")
    assert list(one.differences()) == [
        (node_names("a"), node_names("de")),
        (node_names("a"), node_names("e")),
    ]
    assert list(made(["abcd", "abc"], "abcd").differences()) == [((), node_names("d"))]


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("dataset", {"dataset": "heart"}),
        ("receiver", {"receiver": "university"}),
        ("receiver", {"receiver": "spiffe://kapok.test/org/university/analyst/x"}),
        ("serial", {"serial": 0}),
        ("expires", {"expires": -1}),
        ("old", {"old": ()}),
        ("old", {"old": (node_names("abd"), node_names("abc"))}),
        ("old", {"old": (node_names("abc"), node_names("abc"))}),
        ("old", {"old": ((*reversed(node_names("abcd")),),)}),
        ("old", {"old": tuple((f"spiffe://kapok.test/org/a/node/n{n:02d}",) for n in range(17))}),
        ("new", {"new": node_names("abcd")}),
        ("new", {"new": node_names("ab")}),
        ("new", {"new": ()}),
        ("new", {"new": (*node_names("abc"), "spiffe://kapok.test/org/d/officer/main")}),
        ("new", {"new": (*node_names("abc"), "spiffe://other.test/org/d/node/main")}),
        ("new", {"receiver": organisation("a")}),
        ("proposer", {"proposer": "spiffe://kapok.test/org/a/analyst/chief"}),
        ("proposer", {"proposer": "spiffe://kapok.test/org/stranger/officer/chief"}),
    ],
)
def test_a_field_that_cannot_be_is_named(field, changes):
    given = msgspec.structs.asdict(made()) | changes
    error = refused(lambda: Reopening(**given))
    assert (type(error), error.code) == (InvalidInput, "bad_reopening")
    assert error.clause == f"reopening.{field}"


def test_all_officers_sign_one_payload_and_the_order_does_not_matter(domain):
    one = made()
    for letters in ("abcd", "dbca"):
        document = signed(one, domain.credentials, letters)
        assert document.id == SignedReopening.of(one).id
        assert SignedReopening.from_json(document.to_json()) == document
        assert document.check(domain.verifier, NOW) == one


@pytest.mark.parametrize("missing", "abcd")
def test_one_that_has_not_signed_is_named_be_it_the_one_that_leaves(domain, missing):
    document = signed(made(), domain.credentials, sorted({*"abcd"} - {missing}))
    error = refused(lambda: document.check(domain.verifier, NOW))
    assert (type(error), error.code) == (NotAuthorised, "signature_missing")
    assert organisation(missing) in error.message
    found, invalid = document.signers(domain.verifier)
    assert found.keys() == {organisation(letter) for letter in "abcd" if letter != missing}
    assert not invalid


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.OFFICER])
def test_only_officers_count(domain, role):
    document = signed(signed(made(), domain.credentials, "abc"), domain.credentials, "d", role=role)
    found, [error] = document.signers(domain.verifier)
    assert error.code == "not_an_officer"
    assert organisation("d") not in found
    assert refused(lambda: document.check(domain.verifier, NOW)).code == "signature_missing"


def test_a_signature_under_another_payload_another_typ_or_another_root_counts_for_nothing(domain):
    one, other = made(), made(serial=2)
    stranger = Domain()
    chief = JwsSigner(domain.credentials("d", Role.OFFICER, "chief"))
    payload = SignedReopening.of(one).payload
    for wrong in (
        signed(other, domain.credentials, "d").signatures[0],
        signed(one, stranger.credentials, "d").signatures[0],
        detached(chief.sign("kapok-job+jws", payload)),
        chief.sign("kapok-reopening+jws", payload),
        "",
        "a..b..c",
    ):
        document = signed(one, domain.credentials, "abc")
        document = SignedReopening(document.payload, (*document.signatures, wrong))
        found, invalid = document.signers(domain.verifier)
        assert (len(found), len(invalid)) == (3, 1)
        assert (
            refused(lambda document=document: document.check(domain.verifier, NOW)).code
            == "signature_missing"
        )


def test_a_signature_that_does_not_hold_does_not_spoil_those_that_do(domain):
    document = signed(made(), domain.credentials)
    spoilt = SignedReopening(document.payload, ("x..y", *document.signatures))
    assert spoilt.check(domain.verifier, NOW) == made()


def test_it_expires(domain):
    document = signed(made(), domain.credentials)
    assert document.check(domain.verifier, NOW + DAY_S - 1)
    error = refused(lambda: document.check(domain.verifier, NOW + DAY_S))
    assert (type(error), error.code) == (TimedOut, "reopening_expired")


def test_another_form_of_the_same_fields_is_not_read(domain):
    document = signed(made(), domain.credentials)
    spaced = SignedReopening(document.payload.replace(b'":', b'": '), document.signatures)
    for broken in (spaced, SignedReopening(b"{}"), SignedReopening(b"\xff")):
        error = refused(broken.read)
        assert (type(error), error.code) == (PeerProtocolError, "bad_statement")
    assert refused(lambda: SignedReopening.from_json(b"[]")).code == "bad_statement"


def test_a_detached_signature_is_attached_again(domain):
    signer = JwsSigner(domain.credentials("a", Role.OFFICER, "chief"))
    token = signer.sign("kapok-test+jws", b"agreed")
    assert attached(detached(token), b"agreed") == token
    assert domain.verifier.verify("kapok-test+jws", attached(detached(token), b"agreed")).payload == b"agreed"
    with pytest.raises(IdentityInvalid) as caught:
        domain.verifier.verify("kapok-test+jws", attached(detached(token), b"altered"))
    assert caught.value.code == "bad_signature"


def test_a_nodes_answer_has_a_code_that_is_a_word():
    assert ReopeningAnswer(reopening="ab").code == ""
    with pytest.raises(InvalidInput):
        ReopeningAnswer(reopening="ab", code="Not A Word")
