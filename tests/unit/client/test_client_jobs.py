import pickle
import stat

import pytest

from kapok.client.jobs import JobFolder, JobRecord
from kapok.client.vault import Vault
from kapok.errors import BudgetExhausted, IdentityInvalid, InvalidInput, NotFound

ID = "ab12" + "0" * 60
SECRET, SEED = b"receiver-key-of-this-job", b"seed-of-the-tag-of-this-job-32-b"


def record(job_id: str = ID) -> JobRecord:
    return JobRecord(
        job_id=job_id,
        sql="SELECT COUNT(*) FROM heart",
        specification="a.b.c",
        dataset=b"{}",
        submitted_at=12.5,
        receiver_key=SECRET,
        tag_seed=SEED,
    )


@pytest.fixture(autouse=True)
def _no_passphrase(monkeypatch) -> None:
    monkeypatch.delenv("KAPOK_PASSPHRASE", raising=False)


@pytest.fixture
def folder(tmp_path) -> JobFolder:
    return JobFolder(tmp_path / "jobs")


def test_record_survives_and_is_private(folder):
    folder.save(record())
    assert folder.load(ID) == record()
    assert folder.load("ab12") == record()
    assert stat.S_IMODE((folder.path / f"{ID}.json").stat().st_mode) == 0o600


def test_closing_deletes_the_secrets_from_disk(folder):
    folder.save(record())
    why = BudgetExhausted("no questions left", remedy="wait", clause="policy.questions", party="p")
    folder.close(folder.load(ID), "failed", why)
    kept = folder.load(ID)
    assert (kept.receiver_key, kept.tag_seed, kept.outcome) == (None, None, "failed")
    again = kept.failure.error()
    assert type(again) is BudgetExhausted
    assert again.diagnostics() == why.diagnostics()
    import base64

    for path in folder.path.iterdir():
        content = path.read_bytes()
        for secret in (SECRET, SEED):
            assert secret not in content
            assert base64.b64encode(secret) not in content


def plain_in(path) -> bool:
    import base64

    content = path.read_bytes()
    return any(form in content for one in (SECRET, SEED) for form in (one, base64.b64encode(one)))


def test_with_a_passphrase_the_secrets_on_disk_are_locked(tmp_path):
    path = tmp_path / "jobs"
    JobFolder(path, Vault("right")).save(record())
    assert not plain_in(path / f"{ID}.json")
    again = JobFolder(path, Vault("right"))
    kept = again.load(ID)
    assert (kept.receiver_key, kept.tag_seed) == (None, None)
    assert again.unlock(kept) == record()
    for passphrase, code in ((None, "passphrase_needed"), ("wrong", "passphrase_wrong")):
        other = JobFolder(path, Vault(passphrase))
        assert other.load(ID).sql == record().sql  # what is no secret needs no passphrase
        with pytest.raises(IdentityInvalid) as caught:
            other.unlock(other.load(ID))
        assert caught.value.code == code
    closed = other.close(other.load(ID), "failed")
    assert (closed.locked, closed.receiver_key) == (None, None)
    assert b"sealed" not in (path / f"{ID}.json").read_bytes()
    assert again.unlock(again.load(ID)) == closed


def test_locked_secrets_of_one_job_do_not_open_as_those_of_another(tmp_path):
    import msgspec

    folder = JobFolder(tmp_path / "jobs", Vault("right"))
    folder.save(record())
    moved = msgspec.structs.replace(folder.load(ID), job_id="cd" * 32)
    with pytest.raises(IdentityInvalid):
        folder.unlock(moved)


def test_without_a_passphrase_records_stay_as_they_are_and_stay_readable_with_one(folder):
    folder.save(record())
    assert plain_in(folder.path / f"{ID}.json")
    later = JobFolder(folder.path, Vault("set later"))
    assert later.unlock(later.load(ID)) == record()


def test_secrets_are_not_shown_or_pickled():
    for text in (repr(record()), str(record()), f"{record()}"):
        assert "receiver-key" not in text
        assert "seed" not in text
    with pytest.raises(TypeError):
        pickle.dumps(record())


def test_unknown_ambiguous_and_malformed_identities(folder):
    with pytest.raises(NotFound) as caught:
        folder.load("ab12")
    assert caught.value.code == "unknown_job"
    folder.save(record())
    folder.save(record("ab12" + "1" * 60))
    with pytest.raises(InvalidInput) as twice:
        folder.load("ab12")
    assert twice.value.code == "ambiguous_job"
    assert folder.load("ab121").job_id == "ab12" + "1" * 60
    for bad in ("", "ab1", "../../etc/passwd", "XYZW", "*" * 8, "a" * 65):
        with pytest.raises(InvalidInput) as malformed:
            folder.load(bad)
        assert malformed.value.code == "bad_job_id"


def test_damaged_file_is_said(folder):
    folder.save(record())
    (folder.path / f"{ID}.json").write_bytes(b"{")
    with pytest.raises(InvalidInput) as caught:
        folder.load(ID)
    assert caught.value.code == "bad_job_file"
