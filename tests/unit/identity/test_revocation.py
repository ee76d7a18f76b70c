"""Lists of revoked certificates: whose count, which is newer, and what an old one still does."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from kapok.errors import IdentityInvalid, InvalidInput
from kapok.identity.issuing import revocation_list
from kapok.identity.revocation import RevocationList, Revocations

NOW = 1_800_000_000.0
DAY = 86_400.0


def listed(domain, *serials, number=1, key=None, now=NOW):
    revoked = dict.fromkeys(serials, now)
    return revocation_list(
        key or domain.key, domain.root.certificate, revoked, number=number, now=now, days=30
    )


def test_a_list_says_what_is_revoked_and_until_when_it_is_good(domain):
    found = RevocationList.read(listed(domain, 7, 2**158, number=41), domain.root)
    assert (found.number, found.serials, found.expires) == (41, {7, 2**158}, NOW + 30 * DAY)


def test_an_empty_list_is_one_too(domain):
    assert RevocationList.read(listed(domain), domain.root).serials == frozenset()


def test_who_has_not_the_roots_key_signs_nothing(domain):
    other_domain = type(domain)()
    der = listed(domain, 7)
    forged = (
        listed(domain, 7, key=ec.generate_private_key(ec.SECP256R1())),
        listed(other_domain, 7),
        *(der[:place] + bytes([der[place] ^ 1]) + der[place + 1 :] for place in range(0, len(der), 7)),
        der[:-1],
        b"",
        b"\x30" * 2**20 + b"x",
        listed(domain, 7, number=2**64),
    )
    for one in forged:
        with pytest.raises(IdentityInvalid) as caught:
            RevocationList.read(one, domain.root)
        assert caught.value.code == "bad_revocation_list"


def test_only_a_larger_number_replaces_a_list(domain):
    kept, told = [], []
    revocations = Revocations(domain.root, keep=kept.append)
    revocations.tell(lambda: told.append(revocations.current.number))
    assert not revocations.revokes(7)
    first, second = listed(domain, 7, number=1), listed(domain, number=2)
    assert revocations.take(second)
    assert not revocations.take(first)
    assert not revocations.take(second)
    assert not revocations.revokes(7)
    third = listed(domain, 7, 8, number=3)
    assert revocations.take(third)
    assert revocations.revokes(7)
    assert not revocations.revokes(9)
    assert (kept, told) == ([second, third], [2, 3])
    assert Revocations(domain.root, third).revokes(8)


def test_what_cannot_be_kept_counts_nevertheless(domain):
    def full(_der):
        raise InvalidInput("no room", code="bad_file")

    revocations = Revocations(domain.root, keep=full)
    with pytest.raises(InvalidInput):
        revocations.take(listed(domain, 7))
    assert revocations.revokes(7)


def test_an_old_list_still_counts_and_is_reported(domain):
    revocations = Revocations(domain.root, listed(domain, 7))
    assert Revocations(domain.root).overdue(NOW) is None
    assert revocations.overdue(NOW + 29 * DAY) is None
    what, remedy = revocations.overdue(NOW + 31 * DAY)
    assert "number 1" in what
    assert "kapok authority revocations" in remedy
    assert revocations.revokes(7)
