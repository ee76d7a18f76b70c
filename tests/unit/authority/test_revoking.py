"""Who is revoked, and the lists that the authority signs of it."""

import pytest

from kapok.authority import app
from kapok.authority.handler import AuthorityHandler
from kapok.authority.revoking import deliver, revoke, signed_list
from kapok.authority.root import RootKey
from kapok.authority.settings import AuthorityHome
from kapok.errors import IdentityInvalid, InvalidInput, NotFound
from kapok.identity.certificates import certificate_from_der
from kapok.identity.issuing import certificate_request
from kapok.identity.keyfiles import generate_key
from kapok.identity.names import PartyName
from kapok.identity.tokens import EnrolmentToken

NOW = 1_800_000_000.0
DAY = 86_400.0
NODE = ("node", "clinic", "main")
NAME = "spiffe://kapok.test/org/clinic/node/main"


class Clock:
    now = NOW

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def home(tmp_path, clock):
    folder = tmp_path / "authority"
    app.init(folder, "kapok.test", listen="127.0.0.1:7440", clock=clock)
    return folder


def token(home, clock, party=NODE):
    return EnrolmentToken.parse(app.token(home, *party, clock=clock)).secret


def enrol(home, clock, secret):
    """The serial number of a new certificate."""
    root = RootKey.load(AuthorityHome(home), None)
    request = certificate_request(generate_key(), PartyName.parse(NAME))
    with app.open_register(AuthorityHome(home)) as register:
        der = AuthorityHandler(register, root, leaf_days=100, clock=clock).enrol_now(secret, request)
    return certificate_from_der(der).serial_number


def test_all_certificates_of_the_name_are_listed_and_its_open_tokens_end(home, clock):
    first, second = enrol(home, clock, token(home, clock)), enrol(home, clock, token(home, clock))
    other = enrol(home, clock, token(home, clock, ("node", "lab", "main")))
    waiting = token(home, clock)
    assert revoke(home, *NODE, clock=clock) == (PartyName.parse(NAME), 2)
    found, parties = signed_list(home, clock=clock)
    assert found.serials == {first, second}
    assert parties == {first: (NAME, NOW), second: (NAME, NOW)}
    assert other not in found.serials
    with pytest.raises(IdentityInvalid) as caught:
        enrol(home, clock, waiting)
    assert caught.value.code == "token_expired"
    assert revoke(home, *NODE, clock=clock)[1] == 0


def test_who_enrols_again_afterwards_is_a_member_again(home, clock):
    revoked = enrol(home, clock, token(home, clock))
    revoke(home, *NODE, clock=clock)
    said = []
    again = EnrolmentToken.parse(app.token(home, *NODE, clock=clock, notice=said.append)).secret
    assert said == []  # nobody of that name is enrolled any more
    new = enrol(home, clock, again)
    assert signed_list(home, clock=clock)[0].serials == {revoked}
    revoke(home, *NODE, clock=clock)
    assert signed_list(home, clock=clock)[0].serials == {revoked, new}


def test_numbers_only_grow_and_what_has_expired_is_listed_no_more(home, clock):
    enrol(home, clock, token(home, clock))
    revoke(home, *NODE, clock=clock)
    lists = [signed_list(home, clock=clock)[0] for _ in range(3)]
    assert [one.number for one in lists] == [1, 2, 3]
    assert lists[0].expires == NOW + 30 * DAY
    clock.now += 101 * DAY
    last = signed_list(home, clock=clock)[0]
    assert (last.number, last.serials) == (4, frozenset())


def test_a_party_that_is_not_there_is_not_revoked(home, clock):
    with pytest.raises(NotFound) as caught:
        revoke(home, *NODE, clock=clock)
    assert caught.value.code == "unknown_party"
    with pytest.raises(InvalidInput) as role:
        revoke(home, "authority", "a", "b", clock=clock)
    assert role.value.code == "bad_role"
    enrol(home, clock, token(home, clock))
    clock.now += 101 * DAY
    with pytest.raises(NotFound):
        revoke(home, *NODE, clock=clock)


async def test_a_list_goes_nowhere_without_a_broker(home, clock):
    with pytest.raises(InvalidInput) as caught:
        await deliver(home, b"")
    assert caught.value.code == "no_broker"
