"""Taking answers later: what is missing on this machine is said, and nothing is lost by it."""

import msgspec
import pytest

from kapok.client.profile import Profile
from kapok.errors import NotFound

SQL = "SELECT COUNT(*) FROM heart"


@pytest.fixture
def sealed(session):
    """A session whose sums are encrypted under a small result key."""
    settings = msgspec.structs.replace(session.profile.settings, seal="paillier", key_bits=2048)
    session.profile = Profile(session.profile.home, settings)
    return session


async def test_a_result_key_that_is_away_loses_nothing_and_none_is_made_in_its_place(sealed, broker, domain):
    job_id = await sealed.submit(SQL)
    broker.parts = domain.hand_out(broker.submitted[-1])
    path = sealed.profile.key_path
    away = path.rename(path.with_name("away.json"))
    for _ in range(2):
        with pytest.raises(NotFound) as caught:
            await sealed.wait(job_id)
        assert caught.value.code == "result_key_missing"
        assert str(path) in caught.value.message
        assert "bring it back" in caught.value.remedy
    assert not path.exists()
    away.rename(path)
    assert (await sealed.wait(job_id)).rows == [(40,)]


async def test_another_result_key_is_said_and_the_old_one_still_opens(sealed, broker, domain):
    job_id = await sealed.submit(SQL)
    broker.parts = domain.hand_out(broker.submitted[-1])
    path = sealed.profile.key_path
    old = path.read_bytes()
    sealed.profile.rotate_key()
    with pytest.raises(NotFound) as caught:
        await sealed.wait(job_id)
    assert caught.value.code == "result_key_rotated"
    assert sealed.folder.load(job_id).receiver_key is not None
    assert broker.acknowledged == []
    path.write_bytes(old)
    assert (await sealed.wait(job_id)).rows == [(40,)]
