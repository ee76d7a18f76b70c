"""Flower's app bundle (FAB) as Kapok reads it: a zip archive whose every byte is accounted for.

Its identity is the SHA-256 of its bytes: that is what a holder approves and a job names. A bundle that is
read here has only files that a person can read, each listed with its hash in the manifest
``.info/CONTENT``, as ``path,sha256,bits`` a line, and nothing beside them. Whatever differs is refused, for
what was not shown was not approved.
"""

from __future__ import annotations

import hashlib
import io
import re
import stat
import tomllib
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from tokenize import detect_encoding
from typing import Any, Final

from kapok.errors import InvalidInput, NotFound, counted

__all__ = [
    "MOST_BUNDLE_BYTES",
    "Bundle",
    "ConfigValue",
    "bad_bundle",
    "read_bundle",
    "read_bundle_file",
    "read_project",
    "unpack",
]

ConfigValue = bool | int | float | str
"""What a run configuration may hold."""

MOST_BUNDLE_BYTES: Final = 10 * 2**20
"""Of the archive; Flower's own bound."""

_MOST_UNPACKED_BYTES: Final = 64 * 2**20
_MOST_CODE_BYTES: Final = 2**20
"""Of all files of code together: what a person can read before approving it, and `ast` in a few seconds."""
_MOST_PROJECT_BYTES: Final = 64 * 2**10
_MOST_FILES: Final = 1000
_MOST_PATH: Final = 240
_MANIFEST: Final = ".info/CONTENT"
_PROJECT: Final = "pyproject.toml"
_SEEN: Final = str.maketrans(dict.fromkeys("\n\r\t\u00a0\u202f\u3000", " "))
"""Signs without a shape that cannot deceive."""
_READABLE: Final = frozenset({".py", ".toml", ".md", ".yaml", ".yml", ".json", ".jsonl"})
_PART: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+@ -]*\Z")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")
_WORD: Final = re.compile(r"[^\x00-\x1f\x7f]{1,100}\Z")
_DEEP_KEY: Final = re.compile(
    rb"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){32}""", re.ASCII
)
"""A dotted key of 32 parts and more: `tomllib` takes minutes for one of thousands."""
_LINE: Final = re.compile(r"(.+),([0-9a-f]{64}),([0-9]{1,12})\Z")
_COMPONENT: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*\Z", re.ASCII)
_REBUILD: Final = "build it with `kapok fl build`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """An app, as it is in the archive.

    Attributes:
        hash: SHA-256 of the archive, lower-case hex.
        size: Bytes of the archive.
        files: Content by path, sorted; the manifest is not among them.
        name: Of the project.
        version: Of the project.
        publisher: As the app says; nobody has checked it.
        client_app: ``module:attribute`` of what runs beside the data.
        server_app: ``module:attribute`` of what runs at the analyst's.
        dependencies: What it says it needs.
        config: The run configuration's defaults, by dotted names.
    """

    hash: str
    size: int
    files: Mapping[str, bytes] = field(repr=False)
    name: str
    version: str
    publisher: str
    client_app: str
    server_app: str
    dependencies: tuple[str, ...]
    config: Mapping[str, ConfigValue]


def read_bundle(content: bytes, expected: str | None = None) -> Bundle:
    """Read a bundle, and check all of it.

    Args:
        content: The archive.
        expected: The hash that it must have, lower-case hex; None for whatever it has.

    Raises:
        InvalidInput: ``bundle_differs`` when it is another; ``bad_bundle`` when anything in it is not as it
            must be.
    """
    digest = hashlib.sha256(content).hexdigest()
    if expected is not None and digest != expected:
        raise InvalidInput(
            f"this app bundle has the hash {digest}, and {expected} is wanted",
            code="bundle_differs",
            remedy="take the very file that was approved: a bundle that has other files is another one",
        )
    if len(content) > MOST_BUNDLE_BYTES:
        raise bad_bundle(
            f"it has more than {MOST_BUNDLE_BYTES:,} bytes", "leave out of the app what is no code"
        )
    files = _files(content)
    _check_manifest(files, files.pop(_MANIFEST, None))
    if _PROJECT not in files:
        raise bad_bundle(f"it has no {_PROJECT}")
    project = read_project(files[_PROJECT])
    app = _table(project, "tool", "flwr", "app")
    components = _table(app, "components")
    return Bundle(
        hash=digest,
        size=len(content),
        files=dict(sorted(files.items())),
        name=_text(_table(project, "project"), "name", _NAME),
        version=_text(_table(project, "project"), "version"),
        publisher=_text(app, "publisher"),
        client_app=_component(components, "clientapp", files),
        server_app=_component(components, "serverapp", files),
        dependencies=_texts(_table(project, "project").get("dependencies", [])),
        config=_flat(_table(app, "config")),
    )


def read_bundle_file(path: Path) -> bytes:
    """The bytes of a file that should be a bundle; of one that is too large, one more than it may have.

    Raises:
        NotFound: ``no_such_file``.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BUNDLE_BYTES + 1)
    except OSError as error:
        raise NotFound(
            f"the file {path} cannot be read: {error.strerror}",
            code="no_such_file",
            remedy="name a bundle that `kapok fl build` wrote",
        ) from None
    return content


def unpack(bundle: Bundle, folder: Path) -> None:
    """Write a bundle's files into a folder that is made for it; all may read them.

    Args:
        bundle: As it was read.
        folder: Must not exist.

    Raises:
        InvalidInput: ``bad_folder``.
    """
    try:
        folder.mkdir(mode=0o755)
        for path, content in bundle.files.items():
            target = folder.joinpath(*PurePosixPath(path).parts)
            target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            with target.open("xb") as file:
                file.write(content)
            target.chmod(0o644)
        for made in (folder, *(one for one in folder.rglob("*") if one.is_dir())):
            made.chmod(0o755)
    except OSError as error:
        raise InvalidInput(
            f"the app cannot be written to {folder}: {error.strerror}",
            code="bad_folder",
            remedy="see that the disk is not full, and that nobody else writes there",
        ) from None


def bad_bundle(what: str, remedy: str = _REBUILD) -> InvalidInput:
    """The error of a bundle that cannot be used."""
    return InvalidInput(f"the app bundle cannot be used: {what}", code="bad_bundle", remedy=remedy)


def _files(content: bytes) -> dict[str, bytes]:
    """Every entry of the archive, within bounds that hold whatever its directory claims."""
    found: dict[str, bytes] = {}
    left = _MOST_UNPACKED_BYTES
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            if len(entries) > _MOST_FILES:
                raise bad_bundle(f"it has more than {counted(_MOST_FILES, 'file')}")
            for entry in entries:
                _check_entry(entry)
                if entry.filename in found:
                    raise bad_bundle(f"it has the file {entry.filename} twice")
                with archive.open(entry) as stream:
                    found[entry.filename] = stream.read(left + 1)
                left -= len(found[entry.filename])
                if left < 0:
                    raise bad_bundle(f"its files have more than {_MOST_UNPACKED_BYTES:,} bytes")
    except (
        zipfile.BadZipFile,
        OSError,
        EOFError,
        ValueError,
        NotImplementedError,
        RuntimeError,
        zlib.error,
    ) as error:
        raise bad_bundle(f"it is no whole zip archive ({type(error).__name__})") from None
    _check_folders(found)
    for path, text in found.items():
        _check_text(path, text)
    if sum(len(text) for path, text in found.items() if path.endswith(".py")) > _MOST_CODE_BYTES:
        raise bad_bundle(
            f"its code has more than {_MOST_CODE_BYTES:,} bytes, more than anybody reads",
            "leave libraries to the environment of the apps",
        )
    return found


def _check_entry(entry: zipfile.ZipInfo) -> None:
    """Refuse names that lead elsewhere, links, and what a person cannot read."""
    name = entry.filename
    parts = name.split("/")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if name != entry.orig_filename or entry.flag_bits & 1 or kind not in (0, stat.S_IFREG):
        raise bad_bundle("it has an entry that is no plain file, or is encrypted")
    # Others unpack a block at a time, however large that is: a megabyte becomes a terabyte in memory.
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise bad_bundle("it has an entry that is packed in another way than Flower packs")
    if name == _MANIFEST:
        return
    if len(name) > _MOST_PATH or not all(_PART.match(part) for part in parts):
        raise bad_bundle(
            "it has a file whose path is too long, or has signs that lead elsewhere or hide something"
        )
    if PurePosixPath(name).suffix not in _READABLE and name != "LICENSE":
        raise bad_bundle(
            f"the file {name} is of a kind that nobody can read before approving it",
            "keep to " + ", ".join(sorted(_READABLE)),
        )


def _check_text(path: str, content: bytes) -> None:
    """Refuse code that a person does not see as Python does: other encodings, and signs without a shape.

    A comment is code under a codec that the file names itself, and what stands after an unusual line break
    looks like a line of its own. Whatever else there is must be a text: what is none was not read.
    """
    try:
        text = content.decode().removeprefix("\ufeff")
        if path.endswith(".py") and not detect_encoding(io.BytesIO(content).readline)[0].startswith("utf-8"):
            raise SyntaxError
    except (UnicodeDecodeError, SyntaxError):
        raise bad_bundle(f"the file {path} is no UTF-8 text, or names another encoding") from None
    if path.endswith((".py", ".toml")) and not (seen := text.translate(_SEEN)).isprintable():
        sign = next(sign for sign in seen if not sign.isprintable())
        raise bad_bundle(
            f"the file {path} has the sign U+{ord(sign):04X}, which nobody sees",
            "leave it out, or write it as an escape",
        )


def _check_folders(files: Mapping[str, bytes]) -> None:
    """No path may be a file and a folder at once."""
    folders = {str(parent) for path in files for parent in PurePosixPath(path).parents}
    if both := sorted(folders & files.keys()):
        raise bad_bundle(f"{both[0]} is a file and a folder")


def _check_manifest(files: Mapping[str, bytes], manifest: bytes | None) -> None:
    """The manifest lists each file with its hash and length, in whatever order, and nothing else."""
    if manifest is None:
        raise bad_bundle(f"it has no manifest {_MANIFEST}")
    try:
        lines = [_LINE.match(line) for line in manifest.decode().split("\n")]
    except UnicodeDecodeError:
        raise bad_bundle("its manifest is no UTF-8 text") from None
    listed = {line[1]: (line[2], int(line[3])) for line in lines if line}
    there = {path: (hashlib.sha256(content).hexdigest(), 8 * len(content)) for path, content in files.items()}
    if None in lines or len(listed) != len(lines) or listed != there:
        raise bad_bundle("its manifest does not list its files, each once and as it is")


def read_project(content: bytes) -> dict[str, Any]:
    """Read a project file that somebody else has written: within bounds, in time.

    Raises:
        InvalidInput: ``bad_bundle``.
    """
    if len(content) > _MOST_PROJECT_BYTES or _DEEP_KEY.search(content):
        raise bad_bundle(f"its {_PROJECT} is too long, or nested too deep", "write it as `flwr new` does")
    try:
        return tomllib.loads(content.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError):
        raise bad_bundle(f"its {_PROJECT} is no TOML", "see what `flwr build` says of it") from None


def _table(table: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    found: Any = table
    for key in keys:
        found = found.get(key, {}) if isinstance(found, Mapping) else {}
    if not isinstance(found, dict):
        raise bad_bundle(f"{keys[-1]} in its {_PROJECT} is no table")
    return found


def _text(table: Mapping[str, Any], key: str, form: re.Pattern[str] = _WORD) -> str:
    found = table.get(key)
    if not isinstance(found, str) or not form.match(found.strip()):
        raise bad_bundle(f"its {_PROJECT} has no text for {key!r} that could be one")
    return found.strip()


def _texts(found: object) -> tuple[str, ...]:
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise bad_bundle(f"the dependencies in its {_PROJECT} are no list of texts")
    return tuple(found)


def _component(components: Mapping[str, Any], kind: str, files: Mapping[str, bytes]) -> str:
    """The reference to an app, whose module must be in the bundle: what runs is what was read."""
    reference = _text(components, kind)
    if not _COMPONENT.match(reference):
        raise bad_bundle(f"its {kind} is not written module:attribute")
    module = reference.partition(":")[0].replace(".", "/")
    if f"{module}.py" not in files and f"{module}/__init__.py" not in files:
        raise bad_bundle(f"the module of its {kind} is not among its files")
    return reference


def _flat(table: Mapping[str, Any], before: str = "") -> dict[str, ConfigValue]:
    """The configuration by dotted names, as Flower flattens it."""
    found: dict[str, ConfigValue] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{before}{key}.")
        elif isinstance(value, bool | int | float | str):
            found[f"{before}{key}"] = value
        else:
            raise bad_bundle(f"the value of {before}{key} in its configuration is no boolean, number or text")
    return found
