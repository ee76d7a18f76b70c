"""Makes `tests/support` importable for every test, and keeps costly keys for the session."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def paillier_key_2048():
    """One private result key of 2048 bits for the whole session."""
    from kapok.protocols.paillier.keygen import generate

    return generate(2048)


@pytest.fixture(scope="session")
def postgres():
    """One PostgreSQL server for the session, which the tests start and stop."""
    from support.postgres import started

    with started() as server:
        yield server
