"""A statement has one payload, one type, one signer; anything else is refused with the signer's name."""

import json

import msgspec
import pytest
from support.parties import Authority

from kapok.errors import IdentityInvalid, PeerProtocolError
from kapok.protocols.secure_sum.cohort import CohortStatement
from kapok.protocols.secure_sum.messages import (
    CONSENT_TYP,
    RELEASE_TYP,
    SEAL_TYP,
    ConsentStatement,
    ReleaseStatement,
    SealStatement,
    encode,
    read,
)

HASH = bytes(32)


@pytest.fixture
def authority():
    return Authority()


@pytest.fixture
def alice(authority):
    return authority.enrol("alice", "spiffe://kapok.test/org/a")


def consent(name, **changes):
    given = {
        "job": HASH,
        "name": name,
        "mask_key": bytes(32),
        "wrap_key": bytes(1216),
        "cohort": CohortStatement("fixed", (("a", "b"),)),
    } | changes
    return {**given, "cohort": msgspec.to_builtins(given["cohort"])}


def seal(name, **changes):
    given = {
        "job": HASH,
        "round": 1,
        "attempt": 1,
        "roster": HASH,
        "params": HASH,
        "name": name,
        "vector_sha256": HASH,
        "release_sha256": HASH,
        "data_version": "v",
    }
    return given | changes


def opening(name, **changes):
    given = {
        "job": HASH,
        "round": 1,
        "attempt": 1,
        "roster": HASH,
        "params": HASH,
        "name": name,
        "release": b"r",
    }
    return given | changes


def sign(identity, typ, fields):
    return identity.sign(typ, msgspec.json.encode(fields))


def read_consent(authority, alice, **changes):
    token = sign(alice, CONSENT_TYP, consent(alice.party.name, **changes))
    return read(ConsentStatement, CONSENT_TYP, token, authority)


def test_what_is_written_is_read(authority, alice):
    name = alice.party.name
    for kind, typ, fields in [
        (ConsentStatement, CONSENT_TYP, consent(name)),
        (SealStatement, SEAL_TYP, seal(name)),
        (ReleaseStatement, RELEASE_TYP, opening(name)),
    ]:
        statement, signed = read(kind, typ, sign(alice, typ, fields), authority)
        assert encode(statement) == signed.payload
        assert signed.signer == alice.party


def test_a_statement_does_not_pass_for_another_type(authority, alice):
    token = sign(alice, SEAL_TYP, seal(alice.party.name))
    with pytest.raises(IdentityInvalid):
        read(ReleaseStatement, RELEASE_TYP, token, authority)


def test_a_statement_that_names_another_party_is_refused(authority, alice):
    token = sign(alice, SEAL_TYP, seal("spiffe://kapok.test/org/b/node/bob"))
    with pytest.raises(PeerProtocolError, match="names another party") as error:
        read(SealStatement, SEAL_TYP, token, authority)
    assert error.value.party == alice.party.name


@pytest.mark.parametrize(
    "changes",
    [
        {"job": bytes(31)},
        {"mask_key": bytes(31)},
        {"wrap_key": bytes(1215)},
        {"mask_key": (2**255 - 19).to_bytes(32, "little")},
        {"mask_key": bytes(31) + b"\x80"},
        {"wrap_key": bytes(1215) + b"\xff"},
        {"job": 7},
        {"extra": 1},
    ],
)
def test_consent_out_of_its_form(authority, alice, changes):
    with pytest.raises(PeerProtocolError) as error:
        read_consent(authority, alice, **changes)
    assert (error.value.code, error.value.party) == ("bad_statement", alice.party.name)


@pytest.mark.parametrize(
    "cohort",
    [
        {"rule": "fixed", "cohorts": [["b", "a"]]},
        {"rule": "fixed", "cohorts": [["a", "a"]]},
        {"rule": "fixed", "cohorts": [[]]},
        {"rule": "fixed", "cohorts": [["a"], ["a"]]},
        {"rule": "lax", "cohorts": []},
        {"rule": "fixed", "cohorts": [[f"{n:05d}"] for n in range(1025)]},
        {"rule": "fixed", "cohorts": [[f"{n:05d}" for n in range(257)]]},
        {"rule": "fixed", "cohorts": [["a"]], "reopening": "AAAA"},
    ],
)
def test_cohort_statement_out_of_its_form(authority, alice, cohort):
    whole = {"reopening": ""} | cohort
    whole = {name: whole[name] for name in ("rule", "cohorts", "reopening")}
    token = sign(alice, CONSENT_TYP, {**consent(alice.party.name), "cohort": whole})
    with pytest.raises(PeerProtocolError) as error:
        read(ConsentStatement, CONSENT_TYP, token, authority)
    assert error.value.code == "bad_statement"


@pytest.mark.parametrize(
    "changes",
    [
        {"round": 0},
        {"attempt": 0},
        {"round": 1_000_001},
        {"attempt": 65_536},
        {"roster": b""},
        {"params": bytes(33)},
        {"vector_sha256": b""},
        {"release_sha256": bytes(31)},
        {"data_version": "v" * 201},
    ],
)
def test_seal_out_of_its_form(authority, alice, changes):
    token = sign(alice, SEAL_TYP, seal(alice.party.name, **changes))
    with pytest.raises(PeerProtocolError) as error:
        read(SealStatement, SEAL_TYP, token, authority)
    assert error.value.code == "bad_statement"


@pytest.mark.parametrize("changes", [{"release": b""}, {"release": bytes(4097)}, {"round": 0}])
def test_release_out_of_its_form(authority, alice, changes):
    token = sign(alice, RELEASE_TYP, opening(alice.party.name, **changes))
    with pytest.raises(PeerProtocolError):
        read(ReleaseStatement, RELEASE_TYP, token, authority)


def test_the_same_fields_in_another_form_are_refused(authority, alice):
    payload = msgspec.json.encode(seal(alice.party.name))
    for other in (payload.replace(b",", b", "), json.dumps(json.loads(payload), sort_keys=True).encode()):
        with pytest.raises(PeerProtocolError, match="one form"):
            read(SealStatement, SEAL_TYP, alice.sign(SEAL_TYP, other), authority)


@pytest.mark.parametrize("payload", [b"", b"{}", b"[]", b"\xff\xfe", b'{"job":"!!"}', b"nul"])
def test_what_is_no_statement_is_refused(authority, alice, payload):
    with pytest.raises(PeerProtocolError):
        read(SealStatement, SEAL_TYP, alice.sign(SEAL_TYP, payload), authority)


def test_a_field_that_occurs_twice_is_refused(authority, alice):
    payload = msgspec.json.encode(seal(alice.party.name))
    doubled = payload.replace(b'"round":1', b'"round":2,"round":1')
    with pytest.raises(PeerProtocolError):
        read(SealStatement, SEAL_TYP, alice.sign(SEAL_TYP, doubled), authority)
