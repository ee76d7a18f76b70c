"""What all runs of a process begin from is made once."""

import pytest
from support.simulated.world import Ground


@pytest.fixture(scope="session")
def ground():
    made = Ground()
    yield made
    made.clear()
