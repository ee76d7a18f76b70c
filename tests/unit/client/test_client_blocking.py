"""The session without `await`: its thread, and what becomes of calls when it is closed."""

import threading

import pytest

from kapok.client import connect
from kapok.errors import LocalProtocolError, NotFound, Unavailable
from kapok.identity.names import Role


@pytest.fixture
def home(domain, tmp_path):
    """An analyst's folder whose broker is nowhere."""
    return domain.furnish(tmp_path / "home", Role.ANALYST, "university", "127.0.0.1:1", patience_s=0)


def threads() -> int:
    return sum(thread.name == "kapok" for thread in threading.enumerate())


def test_a_closed_session_says_so_and_its_thread_has_ended(home):
    before = threads()
    session = connect(home)
    assert threads() == before + 1
    session.close()
    session.close()
    assert threads() == before
    with pytest.raises(LocalProtocolError) as caught:
        session.jobs()
    assert (caught.value.code, caught.value.remedy) == ("session_closed", "connect again")


def test_a_call_that_still_waits_when_the_session_is_closed_ends_with_it(domain, tmp_path):
    home = domain.furnish(tmp_path / "patient", Role.ANALYST, "university", "127.0.0.1:1", patience_s=3600)
    session, waiting, raised = connect(home), threading.Event(), []

    def ask() -> None:
        try:
            session.query("SELECT COUNT(*) FROM heart", progress=lambda _told: waiting.set())
        except LocalProtocolError as error:
            raised.append(error)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    assert waiting.wait(60)
    session.close()
    asking.join(60)
    assert [error.code for error in raised] == ["session_closed"]


def test_errors_of_a_call_are_raised_where_it_was_made(home):
    with connect(home) as session:
        with pytest.raises(Unavailable):
            session.datasets()
        with pytest.raises(NotFound) as caught:
            session.wait("ab12")
        assert caught.value.code == "unknown_job"


def test_a_session_that_cannot_be_made_leaves_no_thread(tmp_path):
    before = threads()
    with pytest.raises(NotFound) as caught:
        connect(tmp_path)
    assert caught.value.code == "no_profile"
    assert threads() == before
