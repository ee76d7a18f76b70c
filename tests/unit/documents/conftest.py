from collections.abc import Callable

import pytest

from kapok.identity.certificates import TrustRoot
from kapok.identity.credentials import Credentials
from kapok.identity.issuing import issue, new_root
from kapok.identity.keyfiles import generate_key
from kapok.identity.names import PartyName, Role

NOW = 1_800_000_000.0


@pytest.fixture(scope="session")
def enrol() -> Callable[[str], Credentials]:
    """Makes credentials of a node under one root."""
    root_key = generate_key()
    root = TrustRoot(new_root(root_key, "kapok.test", NOW))

    def make(name: str, days: int = 365) -> Credentials:
        key = generate_key()
        party = PartyName("kapok.test", "clinic", Role.NODE, name)
        certificate = issue(root_key, root.certificate, key.public_key(), party, now=NOW, days=days)
        return Credentials(key, certificate, root, NOW)

    return make
