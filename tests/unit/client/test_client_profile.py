import errno
import importlib.resources
import os
import stat
import threading

import pytest

from kapok.client.profile import AnalystSettings, Profile, home_folder
from kapok.errors import IdentityInvalid, InvalidInput, NotFound
from kapok.identity.keyfiles import replace_file
from kapok.settings import load


def test_home_is_the_option_then_the_variable_then_the_default(monkeypatch, tmp_path):
    monkeypatch.setenv("KAPOK_HOME", str(tmp_path / "named"))
    assert home_folder(tmp_path) == tmp_path
    assert home_folder() == tmp_path / "named"
    monkeypatch.delenv("KAPOK_HOME")
    assert home_folder().name == ".kapok"
    assert home_folder().is_absolute()


def test_folder_without_settings_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(NotFound, match="not an analyst's folder") as caught:
        Profile.load(tmp_path)
    assert caught.value.code == "no_profile"
    assert "kapok enroll" in caught.value.remedy
    (tmp_path / "node.toml").write_text("")
    with pytest.raises(NotFound, match="a node's folder, and this is an analyst's command") as caught:
        Profile.load(tmp_path)
    assert caught.value.code == "no_profile"
    assert "kapok enroll" not in caught.value.remedy
    assert "A holder gets a dataset's hash from its analyst" in caught.value.remedy


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('broker = "nowhere"', "host:port"),
        ('broker = "h:1"\nseal = "wax"', "seal"),
        ('broker = "h:1"\nkey_bits = 1024', "key_bits"),
        ('broker = "h:1"\nspeed = 9', "speed"),
    ],
)
def test_bad_settings_are_named(tmp_path, text, said):
    (tmp_path / "analyst.toml").write_text(text)
    with pytest.raises(InvalidInput, match=said) as caught:
        Profile.load(tmp_path)
    assert caught.value.code == "bad_settings"


@pytest.mark.parametrize(
    ("text", "listed", "remedy"),
    [
        ('seal = "wax"', "pad, paillier; it is 'wax'", "in quotes"),
        ("key_bits = 1024", "2048, 3072, 4096; it is 1024", "without quotes"),
        ('key_bits = "3072"', "2048, 3072, 4096", "without quotes"),
    ],
)
def test_a_value_that_is_none_of_the_allowed_is_told_them(tmp_path, text, listed, remedy):
    (tmp_path / "analyst.toml").write_text(f'broker = "h:1"\n{text}')
    with pytest.raises(InvalidInput) as caught:
        Profile.load(tmp_path)
    assert caught.value.message.endswith(f"must be one of: {listed}")
    assert caught.value.remedy == f"write one of them, {remedy}"


def test_template_documents_every_setting_with_its_default(tmp_path):
    template = (importlib.resources.files("kapok.client") / "analyst.toml").read_text()
    written = tmp_path / "analyst.toml"
    written.write_text(template.replace("@BROKER_ADDRESS@", "h:1"))
    assert load(written, AnalystSettings) == AnalystSettings(broker="h:1")
    for name in AnalystSettings.__struct_fields__:
        assert f"\n{name} = " in template


def test_a_result_key_that_cannot_be_written_is_said(profile_home, monkeypatch):
    profile = Profile.load(profile_home)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(InvalidInput, match="No space left") as caught:
        profile.rotate_key()
    assert caught.value.code == "bad_file"


def test_result_key_is_made_once_and_said(profile_home):
    profile, said = Profile.load(profile_home), []
    first = profile.result_key(said.append)
    again = profile.result_key(said.append)
    assert first.public.encode() == again.public.encode()
    assert first.public.bits == 2048
    assert len(said) == 1
    assert "2048 bits" in said[0]
    assert stat.S_IMODE(profile.key_path.stat().st_mode) == 0o600


def test_the_key_has_the_profile_that_the_settings_name(profile_home):
    settings = profile_home / "analyst.toml"
    settings.write_text(settings.read_text() + 'key_profile = "subgroup"\n')
    said = []
    key = Profile.load(profile_home).result_key(said.append)
    assert key.public.profile == "subgroup"
    assert "subgroup" in said[0]
    settings.write_text(settings.read_text().replace("2048", "4096"))
    with pytest.raises(InvalidInput) as caught:
        Profile.load(profile_home).rotate_key()
    assert caught.value.code == "bad_key_size"
    assert Profile.load(profile_home).result_key().public.key_id == key.public.key_id


def test_two_first_questions_at_once_end_with_one_key(profile_home):
    profile, keys = Profile.load(profile_home), []
    threads = [threading.Thread(target=lambda: keys.append(profile.result_key())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({key.public.key_id for key in keys}) == 1


def test_result_key_that_others_can_read_is_refused(profile_home):
    profile = Profile.load(profile_home)
    profile.key_path.write_bytes(b"{}")
    profile.key_path.chmod(0o644)
    with pytest.raises(InvalidInput, match="read by others") as caught:
        profile.result_key()
    assert caught.value.code == "bad_result_key"


def test_damaged_result_key_is_refused(profile_home):
    profile = Profile.load(profile_home)
    replace_file(profile.key_path, b"{}")
    with pytest.raises(InvalidInput) as caught:
        profile.result_key()
    assert caught.value.code == "bad_private_key"
    assert caught.value.message.startswith(f"{profile.key_path}: ")
    assert "`kapok key rotate`" in caught.value.remedy
    profile.rotate_key()
    assert profile.result_key().public.bits == 2048


def test_rotation_replaces_the_key(profile_home):
    profile = Profile.load(profile_home)
    before = profile.result_key().public.key_id
    assert profile.rotate_key().public.key_id != before
    assert profile.result_key().public.key_id != before


def test_result_key_is_locked_with_the_passphrase_of_the_profile(profile_home, monkeypatch):
    monkeypatch.setenv("KAPOK_PASSPHRASE", "right")
    profile = Profile.load(profile_home)
    key = profile.result_key()
    content = profile.key_path.read_bytes()
    assert b'"p"' not in content
    assert stat.S_IMODE(profile.key_path.stat().st_mode) == 0o600
    assert Profile.load(profile_home).result_key().public.key_id == key.public.key_id
    for passphrase, code in (("wrong", "passphrase_wrong"), ("", "passphrase_needed")):
        monkeypatch.setenv("KAPOK_PASSPHRASE", passphrase)
        with pytest.raises(IdentityInvalid) as caught:
            Profile.load(profile_home).result_key()
        assert caught.value.code == code
        assert str(profile.key_path) in caught.value.message
    assert profile.key_path.read_bytes() == content


def test_plain_result_key_stays_readable_and_its_successor_is_locked(profile_home, monkeypatch):
    monkeypatch.delenv("KAPOK_PASSPHRASE", raising=False)
    plain = Profile.load(profile_home)
    first = plain.result_key()
    assert b'"p"' in plain.key_path.read_bytes()
    monkeypatch.setenv("KAPOK_PASSPHRASE", "set later")
    later = Profile.load(profile_home)
    assert later.result_key().public.key_id == first.public.key_id
    later.rotate_key()
    assert b'"p"' not in later.key_path.read_bytes()
