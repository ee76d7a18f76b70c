"""Makes `tests/support` importable for every test, and keeps costly keys for the session."""

import logging
import signal
import sys
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

sys.path.insert(0, str(Path(__file__).parent))
# A shell that runs the tests in the background lets them ignore Ctrl-C, and processes inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

_LONGEST_FIRST = ("integration", "simulation", "properties", "attacks")
"""Rooms whose files take longest: shared out first, so that nobody waits for a long one at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long rooms first; apart from that, the order in which they were found."""
    tests = Path(__file__).parent

    def turn(item: pytest.Item) -> int:
        room = item.path.relative_to(tests).parts[0]
        return _LONGEST_FIRST.index(room) if room in _LONGEST_FIRST else len(_LONGEST_FIRST)

    items.sort(key=turn)


class _Shares(LoadFileScheduling):
    """Files are shared out whole, and those that use the whole network together.

    A network is seven processes and twelve seconds of a core: two workers bring one up, and not all of them.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        name = file.rpartition("/")[2]
        networks = sorted(path.name for path in Path(__file__).parent.glob("integration/test_network_*.py"))
        return f"network {networks.index(name) % 2}" if name in networks else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> _Shares | None:
    """Say how `make test` shares the tests out."""
    return _Shares(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.fixture(autouse=True)
def _logs_as_before():
    """A daemon that runs in this process sets what is logged; the next test expects it as it was."""
    root = logging.getLogger()
    level = root.level
    yield
    root.setLevel(level)


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
