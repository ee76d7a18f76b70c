"""Result keys that all Paillier tests share: making one takes some tenths of a second."""

from __future__ import annotations

import pytest

from kapok.protocols.paillier.keygen import generate
from kapok.protocols.paillier.private import PrivateKey


@pytest.fixture(scope="session")
def private_key() -> PrivateKey:
    return generate(2048)


@pytest.fixture(scope="session")
def other_private_key() -> PrivateKey:
    return generate(2048)


@pytest.fixture(scope="session")
def subgroup_key() -> PrivateKey:
    return generate(2048, "subgroup")
