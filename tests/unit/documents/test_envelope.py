import base64
import hashlib
import hmac
import json
import pickle
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from kapok.documents import envelope
from kapok.documents.envelope import JwsSigner, JwsVerifier
from kapok.errors import IdentityInvalid, InvalidInput, PeerProtocolError
from kapok.identity.certificates import TrustRoot
from kapok.identity.credentials import Credentials
from kapok.identity.issuing import issue, new_root
from kapok.identity.keyfiles import generate_key
from kapok.identity.names import PartyName, Role

NOW = 1_800_000_000.0
DAY = 86_400.0
TYP = "kapok-test+jws"
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
Enrol = Callable[..., Credentials]


def b64(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def x5c(credentials: Credentials) -> str:
    return base64.b64encode(credentials.certificate_der).decode()


def assemble(credentials: Credentials, header: Any, payload: bytes = b"agreed") -> str:
    """A token with any header, signed rightly."""
    text = header if isinstance(header, str) else json.dumps(header)
    signed = f"{b64(text.encode())}.{b64(payload)}"
    r, s = decode_dss_signature(credentials.sign(signed.encode()))
    return f"{signed}.{b64(r.to_bytes(32) + s.to_bytes(32))}"


@pytest.fixture(scope="module")
def one(enrol: Enrol) -> Credentials:
    return enrol("one")


@pytest.fixture
def verifier(one: Credentials) -> JwsVerifier:
    return JwsVerifier(one.root_pem, lambda: NOW)


def refuse(verifier: JwsVerifier, token: str, code: str, typ: str = TYP) -> None:
    with pytest.raises(IdentityInvalid) as caught:
        verifier.verify(typ, token)
    assert caught.value.code == code


@given(payload=st.binary(max_size=300))
def test_what_is_signed_is_what_is_read(enrol: Enrol, payload: bytes) -> None:
    party = enrol("any")
    signed = JwsVerifier(party.root_pem, lambda: NOW).verify(TYP, JwsSigner(party).sign(TYP, payload))
    assert signed.payload == payload


def test_says_who_signed(one: Credentials, verifier: JwsVerifier) -> None:
    signed = verifier.verify(TYP, JwsSigner(one).sign(TYP, b"agreed"))
    assert signed.signer.name == str(one.name)
    assert signed.signer.organisation == "spiffe://kapok.test/org/clinic"
    assert signed.fingerprint == hashlib.sha256(one.certificate_der).digest()
    spki = one.certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert signed.key_fingerprint == hashlib.sha256(spki).digest()


def test_the_test_can_assemble_a_good_token(one: Credentials, verifier: JwsVerifier) -> None:
    token = assemble(one, {"alg": "ES256", "typ": TYP, "x5c": [x5c(one)]})
    assert verifier.verify(TYP, token).payload == b"agreed"


def test_large_payloads_travel_and_larger_ones_do_not(one: Credentials, verifier: JwsVerifier) -> None:
    payload = b"x" * 3_000_000
    token = JwsSigner(one).sign(TYP, payload)
    assert verifier.verify(TYP, token).payload == payload
    header = {"alg": "ES256", "typ": TYP, "x5c": [x5c(one)]}
    refuse(verifier, assemble(one, header, b"x" * 3_200_000), "bad_envelope")
    with pytest.raises(InvalidInput) as caught:
        JwsSigner(one).sign(TYP, b"x" * 4_000_000)
    assert caught.value.code == "document_too_long"


@pytest.mark.parametrize(
    "changes",
    [
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "ES384"},
        {"alg": ["ES256"]},
        {"typ": None},
        {"typ": 5},
        {"kid": "me"},
        {"jwk": {}},
        {"x5u": "https://evil.example/"},
        {"crit": ["exp"], "exp": 1},
        {"b64": False, "crit": ["b64"]},
        {"x5c": []},
        {"x5c": "text"},
        {"x5c": ["%%%"]},
        {"x5c": [5]},
        {"x5c": {"0": "a"}},
    ],
)
def test_headers_are_exactly_three_parameters(
    one: Credentials, verifier: JwsVerifier, changes: dict[str, Any]
) -> None:
    refuse(verifier, assemble(one, {"alg": "ES256", "typ": TYP, "x5c": [x5c(one)]} | changes), "bad_envelope")


@pytest.mark.parametrize("absent", ["alg", "typ", "x5c"])
def test_a_header_lacks_nothing(one: Credentials, verifier: JwsVerifier, absent: str) -> None:
    header = {"alg": "ES256", "typ": TYP, "x5c": [x5c(one)]}
    del header[absent]
    refuse(verifier, assemble(one, header), "bad_envelope")


def test_a_chain_of_two_and_a_doubled_key_are_refused(one: Credentials, verifier: JwsVerifier) -> None:
    certificate = x5c(one)
    refuse(
        verifier,
        assemble(one, {"alg": "ES256", "typ": TYP, "x5c": [certificate, certificate]}),
        "bad_envelope",
    )
    doubled = f'{{"alg":"none","alg":"ES256","typ":"{TYP}","x5c":["{certificate}"]}}'
    refuse(verifier, assemble(one, doubled), "bad_envelope")
    for text in ("[]", "5", "nonsense", '{"alg":' * 5000, "\ud800".encode("utf-8", "surrogatepass").hex()):
        refuse(verifier, assemble(one, text), "bad_envelope")


def test_unsigned_and_hmac_with_the_public_key(one: Credentials, verifier: JwsVerifier) -> None:
    for algorithm in ("none", "HS256"):
        header = b64(json.dumps({"alg": algorithm, "typ": TYP, "x5c": [x5c(one)]}).encode())
        signed = f"{header}.{b64(b'agreed')}"
        for encoding, form in (
            (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
            (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
        ):
            secret = one.certificate.public_key().public_bytes(encoding, form)
            tag = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
            for signature in ("", b64(tag), b64(tag + tag), b64(bytes(64))):
                refuse(verifier, f"{signed}.{signature}", "bad_envelope")


def test_a_statement_of_one_kind_is_none_of_another(one: Credentials, verifier: JwsVerifier) -> None:
    refuse(verifier, JwsSigner(one).sign("kapok-other+jws", b"agreed"), "wrong_typ")
    refuse(verifier, JwsSigner(one).sign(TYP.upper(), b"agreed"), "wrong_typ")


def test_altered_bytes_anywhere_are_noticed(one: Credentials, verifier: JwsVerifier) -> None:
    token = JwsSigner(one).sign(TYP, b"agreed by all")
    header, payload, signature = token.split(".")
    refuse(verifier, f"{header}.{b64(b'agreed by one')}.{signature}", "bad_signature")
    raw = bytearray(unb64(signature))
    for at in (0, 31, 32, 63):
        altered = raw.copy()
        altered[at] ^= 1
        refuse(verifier, f"{header}.{payload}.{b64(bytes(altered))}", "bad_signature")
    for zeros in (bytes(64), bytes(32) + bytes(raw[32:]), b"\xff" * 64):
        refuse(verifier, f"{header}.{payload}.{b64(zeros)}", "bad_signature")
    for cut in range(1, len(token), 97):
        with pytest.raises(IdentityInvalid):
            verifier.verify(TYP, token[:cut])
    for text in ("", ".", "..", token + ".", token + "=", " " + token, token + "\n", f"{token}.{payload}"):
        refuse(verifier, text, "bad_envelope")
    refuse(verifier, f"{header}.{payload}é.{signature}", "bad_envelope")


def test_one_payload_has_one_base64_form(one: Credentials, verifier: JwsVerifier) -> None:
    token = JwsSigner(one).sign(TYP, b"agreed!")
    header, payload, signature = token.split(".")
    assert unb64(payload[:-1] + "R") == b"agreed!"
    assert payload.endswith("Q")
    refuse(verifier, f"{header}.{payload[:-1]}R.{signature}", "bad_envelope")


def test_a_malleable_signature_leaves_the_identity_alone(one: Credentials, verifier: JwsVerifier) -> None:
    header, payload, signature = JwsSigner(one).sign(TYP, b"agreed").split(".")
    raw = unb64(signature)
    turned = raw[:32] + (ORDER - int.from_bytes(raw[32:])).to_bytes(32)
    first = verifier.verify(TYP, f"{header}.{payload}.{signature}")
    second = verifier.verify(TYP, f"{header}.{payload}.{b64(turned)}")
    assert envelope.document_id(first.payload) == envelope.document_id(second.payload)
    assert envelope.document_id(b"agreed") == hashlib.sha256(b"agreed").hexdigest()


def test_a_swapped_certificate_is_noticed(one: Credentials, enrol: Enrol, verifier: JwsVerifier) -> None:
    other = enrol("two")
    refuse(verifier, assemble(one, {"alg": "ES256", "typ": TYP, "x5c": [x5c(other)]}), "bad_signature")
    _, payload, signature = JwsSigner(one).sign(TYP, b"agreed").split(".")
    header = JwsSigner(other).sign(TYP, b"agreed").split(".")[0]
    refuse(verifier, f"{header}.{payload}.{signature}", "bad_signature")


def test_another_root_of_the_same_name_is_foreign(one: Credentials, verifier: JwsVerifier) -> None:
    root_key, key = generate_key(), generate_key()
    root = TrustRoot(new_root(root_key, "kapok.test", NOW))
    certificate = issue(root_key, root.certificate, key.public_key(), one.name, now=NOW)
    refuse(
        verifier,
        JwsSigner(Credentials(key, certificate, root, NOW)).sign(TYP, b"agreed"),
        "foreign_certificate",
    )
    alone = new_root(key, "kapok.test", NOW).public_bytes(serialization.Encoding.DER)
    token = assemble(one, {"alg": "ES256", "typ": TYP, "x5c": [base64.b64encode(alone).decode()]})
    refuse(verifier, token, "bad_certificate")
    garbage = base64.b64encode(one.certificate_der[:-9]).decode()
    refuse(verifier, assemble(one, {"alg": "ES256", "typ": TYP, "x5c": [garbage]}), "bad_certificate")


def test_dates_are_checked_each_time(enrol: Enrol) -> None:
    party = enrol("short", days=2)
    now = [NOW]
    verifier = JwsVerifier(party.root_pem, lambda: now[0])
    token = JwsSigner(party).sign(TYP, b"agreed")
    verifier.verify(TYP, token)
    for moment, code in ((NOW + 3 * DAY, "certificate_expired"), (NOW - DAY, "certificate_not_yet_valid")):
        now[0] = moment
        refuse(verifier, token, code)
        refuse(JwsVerifier(party.root_pem, lambda: now[0]), token, code)
    now[0] = NOW + DAY
    verifier.verify(TYP, token)


def test_what_was_remembered_is_bounded(enrol: Enrol, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(envelope, "_MOST_CACHED", 2)
    parties = [enrol(name) for name in ("a", "b", "c")]
    verifier = JwsVerifier(parties[0].root_pem, lambda: NOW)
    for _ in range(2):
        for party in parties:
            verifier.verify(TYP, JwsSigner(party).sign(TYP, b"agreed"))
    assert len(verifier._checked) == 2


def test_signers_show_nothing_and_are_not_pickled(one: Credentials) -> None:
    assert repr(JwsSigner(one)) == f"<JwsSigner of {one.name}>"
    with pytest.raises(TypeError):
        pickle.dumps(JwsSigner(one))


def test_signature_is_ecdsa_over_the_two_segments(one: Credentials) -> None:
    """Checked with the cryptographic library alone: others' JWS verifiers read what we write."""
    signed, _, signature = JwsSigner(one).sign(TYP, b"agreed").rpartition(".")
    raw = unb64(signature)
    key = one.certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    der = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
    key.verify(der, signed.encode(), ec.ECDSA(hashes.SHA256()))


class Pair(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    count: int
    digest: bytes = b""

    def __post_init__(self) -> None:
        if self.count < 0:
            raise InvalidInput("below zero", code="below_zero")


def test_statements_decode_strictly() -> None:
    assert envelope.decode(Pair, envelope.encode(Pair(3, b"ab"))) == Pair(3, b"ab")
    for payload in (
        b"",
        b"[]",
        b'{"count": "3"}',
        b'{"count": 3, "more": 1}',
        b'{"count": -1}',
        b'{"count": 3.5}',
        b'{"count": 3, "digest": "!"}',
        b'{"count": 3} ,',
        b"\xff\xfe",
        b"[" * 100_000,
    ):
        with pytest.raises(PeerProtocolError) as caught:
            envelope.decode(Pair, payload, party="spiffe://kapok.test/org/a/node/b")
        assert caught.value.code == "bad_statement"
        assert caught.value.party == "spiffe://kapok.test/org/a/node/b"


def test_a_name_in_the_token_is_that_of_the_certificate(enrol: Enrol) -> None:
    party = enrol("two")
    signed = JwsVerifier(party.root_pem, lambda: NOW).verify(TYP, JwsSigner(party).sign(TYP, b""))
    assert PartyName.parse(signed.signer.name) == PartyName("kapok.test", "clinic", Role.NODE, "two")
