import hashlib
import io
import stat
import zipfile

import pytest
from support.apps import CLIENT, archive, files_of

from kapok.documents.bundle import MOST_BUNDLE_BYTES, read_bundle, unpack
from kapok.errors import InvalidInput

FILES = files_of("return None")


def refused(content: bytes) -> str:
    with pytest.raises(InvalidInput) as error:
        read_bundle(content)
    assert error.value.code == "bad_bundle"
    return error.value.message


def zipped(*entries: tuple[zipfile.ZipInfo | str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        for entry, content in entries:
            made.writestr(entry, content)
    return stream.getvalue()


def test_what_is_in_a_bundle():
    content = archive(FILES)
    bundle = read_bundle(content, hashlib.sha256(content).hexdigest())
    assert (bundle.name, bundle.version, bundle.publisher) == ("little", "1.0.0", "kapok")
    assert (bundle.client_app, bundle.server_app) == ("little.client:app", "little.server:app")
    assert bundle.config == {"learning-rate": 0.01, "local-epochs": 1, "optimizer": "sgd", "quick": True}
    assert bundle.dependencies == ("flwr>=1.41", "numpy")
    assert dict(bundle.files) == FILES
    assert bundle.size == len(content)


def test_nested_configuration_has_dotted_names():
    nested = FILES | {
        "pyproject.toml": FILES["pyproject.toml"] + b"[tool.flwr.app.config.model]\nwidth = 3\n"
    }
    assert read_bundle(archive(nested)).config["model.width"] == 3


def test_another_bundle_is_not_the_approved_one():
    with pytest.raises(InvalidInput) as error:
        read_bundle(archive(FILES), hashlib.sha256(archive(FILES | {"little/more.py": b""})).hexdigest())
    assert error.value.code == "bundle_differs"


@pytest.mark.parametrize(
    "path",
    [
        "/etc/cron.py",
        "../outside.py",
        "little/../../outside.py",
        "little//double.py",
        "./here.py",
        "little/.hidden.py",
        "C:\\windows.py",
        "little/\u202egnp.py",
        "little/a\nb.py",
        "a" * 240 + ".py",
    ],
)
def test_paths_that_lead_elsewhere_or_hide_something(path):
    assert "path" in refused(archive(FILES | {path: b""}))


@pytest.mark.parametrize(
    "path", ["little/fast.so", "little/client.pyc", "weights.npz", "run", "little/NOTES"]
)
def test_what_nobody_can_read_is_refused(path):
    assert "nobody can read" in refused(archive(FILES | {path: b""}))


def test_links_folders_and_encrypted_entries_are_refused():
    link = zipfile.ZipInfo("little/link.py")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    assert "no plain file" in refused(zipped((link, b"/etc/passwd")))
    assert "no plain file" in refused(zipped(("little/", b"")))
    assert "path" in refused(zipped((zipfile.ZipInfo("little/"), b"")))
    # The first flag of the entry in the archive's directory: encrypted.
    locked = bytearray(archive(FILES))
    locked[locked.index(b"PK\1\2") + 8] |= 1
    assert "encrypted" in refused(bytes(locked))


def test_a_file_twice_and_a_file_that_is_a_folder():
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = zipped(("a.py", b"1"), ("a.py", b"2"))
    assert "twice" in refused(twice)
    assert "folder" in refused(archive({"a.py": b"", "a.py/b.py": b""}))


def test_the_manifest_lists_every_file_as_it_is():
    there = archive(FILES)
    manifest = zipfile.ZipFile(io.BytesIO(there)).read(".info/CONTENT").decode()
    first = manifest.split("\n")[0]
    assert "manifest" in refused(archive(FILES | {"little/unlisted.py": b"import os"}, manifest))
    for wrong in (
        manifest.replace(first, ""),
        manifest + "\n" + first,
        manifest + "\nlittle/gone.py," + "0" * 64 + ",8",
        manifest.replace(",0\n", ",8\n"),
        "\x00" + manifest,
    ):
        assert "manifest" in refused(archive(FILES, wrong))
    assert "no manifest" in refused(zipped(*FILES.items()))
    assert "UTF-8" in refused(zipped(*FILES.items(), (".info/CONTENT", b"\xff")))


def test_a_bomb_is_not_unpacked():
    bomb = archive({"a.py": bytes(80 * 2**20)})
    assert len(bomb) < 2**20
    assert "67,108,864 bytes" in refused(bomb)
    assert "1,000 files" in refused(archive({f"f{number}.py": b"" for number in range(1001)}))
    assert "10,485,760" in refused(bytes(MOST_BUNDLE_BYTES + 1))


@pytest.mark.parametrize("cut", [0, 10, 300, -30])
def test_what_is_no_whole_archive(cut):
    assert "zip archive" in refused(archive(FILES)[:cut])


def test_a_damaged_file_is_noticed():
    content = zipped(*FILES.items())
    place = content.index(b"ServerApp")
    assert "zip archive" in refused(content[:place] + b"s" + content[place + 1 :])


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ('clientapp = "little.client:app"', 'clientapp = "os:system"', "clientapp is not among"),
        ('clientapp = "little.client:app"', 'clientapp = "little.client"', "module:attribute"),
        ('clientapp = "little.client:app"', "", "clientapp"),
        ('name = "little"', "name = 3", "name"),
        ("quick = true", "quick = [1]", "quick"),
        ("[project]", "[project", "no TOML"),
        ('dependencies = ["flwr>=1.41", "numpy"]', 'dependencies = "flwr"', "dependencies"),
        ("[tool.flwr.app.config]", "[tool.flwr.app.others]\n[[tool.flwr.app.config]]", "no table"),
    ],
)
def test_a_project_that_cannot_be_used(old, new, what):
    project = FILES["pyproject.toml"].decode()
    assert old in project
    assert what in refused(archive(FILES | {"pyproject.toml": project.replace(old, new).encode()}))


def test_a_bundle_without_project():
    assert "pyproject.toml" in refused(archive({"little/client.py": CLIENT.encode()}))


def test_unpacking_into_a_fresh_folder_alone(tmp_path):
    bundle = read_bundle(archive(FILES))
    unpack(bundle, tmp_path / "app")
    found = {
        str(path.relative_to(tmp_path / "app")): path.read_bytes()
        for path in (tmp_path / "app").rglob("*")
        if path.is_file()
    }
    assert found == FILES
    assert stat.S_IMODE((tmp_path / "app" / "little").stat().st_mode) == 0o755
    with pytest.raises(InvalidInput) as error:
        unpack(bundle, tmp_path / "app")
    assert error.value.code == "bad_folder"
