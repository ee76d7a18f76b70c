"""Files of a profile whose bytes are no text, or nested without end, are named as damaged."""

import base64
import json

import pyarrow as pa
import pytest

from kapok.cli.terminal import when
from kapok.client.jobs import JobFolder
from kapok.client.known import KnownMembers
from kapok.client.result import Cost, Labels, Result
from kapok.client.vault import Vault
from kapok.errors import IdentityInvalid, InvalidInput
from kapok.identity.tokens import EnrolmentToken
from kapok.protocols.paillier.private import PrivateKey

DAMAGED = [
    b'{"job_id":"\xff"}',
    b'{"sql":"\xed\xa0\x80"}',
    b'{"turn":' + b"[" * 100_000,
    b"[" * 100_000,
    b"\xff",
]


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_jobs_file(tmp_path, damage):
    (tmp_path / f"{'0' * 64}.json").write_bytes(damage)
    with pytest.raises(InvalidInput) as caught:
        JobFolder(tmp_path).load("0" * 64)
    assert caught.value.code == "bad_job_file"


@pytest.mark.parametrize("damage", [b'{"members":["\xff"]}', *DAMAGED])
def test_the_list_of_known_members(tmp_path, damage):
    (tmp_path / f"{'0' * 64}.json").write_bytes(damage)
    with pytest.raises(InvalidInput) as caught:
        KnownMembers(tmp_path)._seen("0" * 64)
    assert caught.value.code == "bad_known_file"


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_result_key(damage):
    with pytest.raises(InvalidInput) as caught:
        PrivateKey.from_json_bytes(damage)
    assert caught.value.code == "bad_private_key"


def test_a_locked_file(tmp_path):
    vault = Vault(passphrase="open sesame")
    sealed = vault.lock(b"secret", "result key")
    form = json.dumps({"format": sealed.format, "salt": "", "nonce": ""}).encode()
    content = form[:-1] + b',"sealed":"\xff"}'
    with pytest.raises(InvalidInput) as caught:
        vault.unlock_file(content, "result key", tmp_path)
    assert caught.value.code == "bad_vault"


@pytest.mark.parametrize("moment", [float("nan"), float("inf"), -1e300, 1e18])
def test_a_time_that_is_none(moment):
    """As a broker may tell it."""
    assert when(moment) == "at no time"


def test_a_token_that_is_nested_without_end():
    text = "kapok1." + base64.urlsafe_b64encode(b'{"address":' + b"[" * 10_000).decode().rstrip("=")
    with pytest.raises(IdentityInvalid) as caught:
        EnrolmentToken.parse(text)
    assert caught.value.code == "bad_token"


@pytest.mark.parametrize("where", [b"ward", b"north"])
def test_a_kept_answer_whose_names_or_texts_are_no_text(tmp_path, where):
    cost = Cost(seconds=1.0, sealed_bytes=1)
    labels = Labels(
        job_id="0" * 64, question="", dataset="clinic", dataset_hash="", suppressed=(), parties=(), cost=cost
    )
    path = tmp_path / "answer.arrow"
    Result.of(pa.table({"ward": ["north"], "count": [3]}), labels).save(path)
    assert Result.load(path).rows == [("north", 3)]
    path.write_bytes(path.read_bytes().replace(where, b"\x9c" + where[1:]))
    with pytest.raises(InvalidInput) as caught:
        Result.load(path)
    assert caught.value.code == "bad_result_file"
