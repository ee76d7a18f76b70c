import base64
import json
import pickle
from typing import Any

import pytest

from kapok.errors import IdentityInvalid
from kapok.identity.names import PartyName, Role
from kapok.identity.tokens import EnrolmentToken, secret_hash

NAME = PartyName("kapok.test", "clinic", Role.NODE, "one")


@pytest.fixture
def token(domain: Any) -> EnrolmentToken:
    return EnrolmentToken.generate("authority.example:7440", domain.root, NAME, "broker.example:7443")


def rewrite(text: str, **changes: object) -> str:
    body = text.removeprefix("kapok1.")
    written = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))) | changes
    written = {key: value for key, value in written.items() if value is not ...}
    return "kapok1." + base64.urlsafe_b64encode(json.dumps(written).encode()).rstrip(b"=").decode()


def test_text_and_back(token: EnrolmentToken, domain: Any) -> None:
    assert token.text.startswith("kapok1.")
    wrapped = "\n  ".join(token.text[at : at + 70] for at in range(0, len(token.text), 70)) + "\n"
    for text in (token.text, wrapped, rewrite(token.text)):
        read = EnrolmentToken.parse(text)
        assert (read.address, read.name, read.broker_address, read.secret) == (
            "authority.example:7440",
            NAME,
            "broker.example:7443",
            token.secret,
        )
        assert read.root.certificate == domain.root.certificate
    assert EnrolmentToken.parse(rewrite(token.text, broker=None)).broker_address is None


def test_secrets_differ_and_do_not_show(token: EnrolmentToken, domain: Any) -> None:
    other = EnrolmentToken.generate("authority.example:7440", domain.root, NAME)
    assert token.secret != other.secret
    assert len(token.secret) == 32
    for shown in (repr(token), str(token)):
        assert shown == f"<EnrolmentToken for {NAME} at authority.example:7440>"
    with pytest.raises(TypeError):
        pickle.dumps(token)
    assert secret_hash(token.secret) != secret_hash(other.secret)
    assert token.secret not in secret_hash(token.secret)


@pytest.mark.parametrize("cut", [0, 6, 7, 40, 300, -1, -2])
def test_a_part_of_a_token_is_none(token: EnrolmentToken, cut: int) -> None:
    with pytest.raises(IdentityInvalid) as caught:
        EnrolmentToken.parse(token.text[:cut])
    assert caught.value.code == "bad_token"
    assert token.text[7:40] not in caught.value.diagnostics()


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "spiffe://kapok.test/org/clinic/chief/one"},
        {"name": "spiffe://other.test/org/clinic/node/one"},
        {"name": 5},
        {"secret": base64.b64encode(bytes(31)).decode()},
        {"secret": base64.b64encode(bytes(33)).decode()},
        {"secret": "%"},
        {"root": ""},
        {"root": base64.b64encode(b"no certificate").decode()},
        {"address": None},
        {"address": ...},
        {"more": "than known"},
    ],
)
def test_altered_tokens_are_refused(token: EnrolmentToken, changes: dict[str, object]) -> None:
    with pytest.raises(IdentityInvalid) as caught:
        EnrolmentToken.parse(rewrite(token.text, **changes))
    assert caught.value.code == "bad_token"


@pytest.mark.parametrize(
    "text", ["", "kapok1.", "kapok2.e30", "kapok1.e30", "kapok1.ä", "kapok1." + "A" * 20_000]
)
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(IdentityInvalid):
        EnrolmentToken.parse(text)
