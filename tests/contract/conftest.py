"""The stores that contracts are tried on."""

import pytest
from support.postgres import ON_POSTGRESQL, PASSWORD, emptied

from kapok.broker.store import Store


@pytest.fixture(params=["sqlite", ON_POSTGRESQL])
def place(request, tmp_path):
    """Where a store may be opened, again and again; empty at first."""
    if request.param == "sqlite":
        return tmp_path / "broker.db"
    return emptied(request.getfixturevalue("postgres"))


@pytest.fixture
def store(place):
    opened = Store.open(place, PASSWORD)
    yield opened
    opened.close()
