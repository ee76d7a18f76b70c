import pytest
from support.apps import files_of

from kapok.documents.bundle import read_bundle
from kapok.errors import InvalidInput, NotFound
from kapok.flower.building import build_bundle


def write(folder, files):
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def test_the_same_folder_gives_the_same_bundle_and_kapok_reads_it(tmp_path):
    files = files_of("return None")
    first = build_bundle(write(tmp_path / "first", files))
    assert first == build_bundle(write(tmp_path / "second", files))
    bundle = read_bundle(first)
    assert set(bundle.files) == set(files)
    assert bundle.files["little/client.py"] == files["little/client.py"]
    assert read_bundle(build_bundle(write(tmp_path / "second", {"little/more.py": b""}))).hash != bundle.hash


def test_a_folder_that_is_no_app(tmp_path):
    with pytest.raises(NotFound) as missing:
        build_bundle(tmp_path)
    assert missing.value.code == "no_such_app"
    write(tmp_path, {"pyproject.toml": b"[project]\nname = 'little'\nversion = '1'\n"})
    with pytest.raises(InvalidInput) as bad:
        build_bundle(tmp_path)
    assert bad.value.code == "bad_bundle"
