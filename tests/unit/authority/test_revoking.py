"""Who is revoked, and the lists that the authority signs of it."""

import shutil

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from kapok.authority import app
from kapok.authority.handler import AuthorityHandler
from kapok.authority.revoking import publish, revoke, signed_list
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
    return issued(home, clock, secret).serial_number


def issued(home, clock, secret):
    root = RootKey.load(AuthorityHome(home), None)
    request = certificate_request(generate_key(), PartyName.parse(NAME))
    with app.open_register(AuthorityHome(home)) as register:
        der = AuthorityHandler(register, root, leaf_days=100, clock=clock).enrol_now(secret, request)
    return certificate_from_der(der)


def test_all_certificates_of_the_name_are_listed_and_its_open_tokens_end(home, clock):
    first, second = enrol(home, clock, token(home, clock)), enrol(home, clock, token(home, clock))
    other = enrol(home, clock, token(home, clock, ("node", "lab", "main")))
    waiting = token(home, clock)
    assert revoke(home, *NODE, clock=clock) == (PartyName.parse(NAME), 2)
    found = signed_list(home, clock=clock)
    assert found.list.serials == {first, second}
    assert found.revoked == {first: (NAME, NOW), second: (NAME, NOW)}
    assert other not in found.list.serials
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
    assert signed_list(home, clock=clock).list.serials == {revoked}
    revoke(home, *NODE, clock=clock)
    assert signed_list(home, clock=clock).list.serials == {revoked, new}


def test_numbers_only_grow_and_what_has_expired_is_listed_no_more(home, clock):
    enrol(home, clock, token(home, clock))
    revoke(home, *NODE, clock=clock)
    lists = [signed_list(home, clock=clock).list for _ in range(3)]
    assert [one.number for one in lists] == [1, 2, 3]
    assert lists[0].expires == NOW + 30 * DAY
    clock.now += 101 * DAY
    last = signed_list(home, clock=clock).list
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
        await publish(home)
    assert caught.value.code == "no_broker"


def test_a_register_that_was_restored_goes_on_from_the_list_that_is_out(home, clock):
    first = enrol(home, clock, token(home, clock))
    place, copy = AuthorityHome(home).register_file, home / "copy.db"
    shutil.copy(place, copy)
    since = enrol(home, clock, token(home, clock, ("node", "lab", "main")))
    for party in (NODE, ("node", "lab", "main")):
        revoke(home, *party, clock=clock)
        out = signed_list(home, clock=clock).list
    shutil.copy(copy, place)
    clock.now += DAY
    assert signed_list(home, clock=clock).list.serials == set()  # it has forgotten all of it
    for number in (3, 4):
        found = signed_list(home, out, clock=clock)
        assert found.list.number == number
        assert found.revoked == {first: (NAME, NOW), since: (None, NOW)}
        out = found.list
    # What the register knows is in it again; the other is in the lists alone.
    assert signed_list(home, clock=clock).list.serials == {first}


def test_who_enrolled_after_the_copy_is_revoked_by_a_certificate(home, clock, tmp_path):
    place, copy, file = AuthorityHome(home).register_file, home / "copy.db", tmp_path / "certificate.pem"
    shutil.copy(place, copy)
    certificate = issued(home, clock, token(home, clock))
    file.write_bytes(certificate.public_bytes(Encoding.PEM))
    shutil.copy(copy, place)
    with pytest.raises(NotFound) as caught:
        revoke(home, *NODE, clock=clock)
    assert "--certificate" in caught.value.remedy
    with pytest.raises(InvalidInput) as other:
        revoke(home, "node", "lab", "main", certificate=file, clock=clock)
    assert other.value.code == "other_party"
    for count in (1, 0):
        assert revoke(home, *NODE, certificate=file, clock=clock)[1] == count
    assert signed_list(home, clock=clock).list.serials == {certificate.serial_number}
    app.init(tmp_path / "foreign", "kapok.test", listen="127.0.0.1:7440", clock=clock)
    with pytest.raises(IdentityInvalid):
        revoke(tmp_path / "foreign", *NODE, certificate=file, clock=clock)
