"""Settings files: TOML in, one checked frozen structure out.

Every daemon's settings are a `msgspec.Struct` with ``forbid_unknown_fields=True``, so that a misspelt key is
refused instead of ignored. A `pathlib.Path` in it is read relative to the folder of the settings file.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from kapok.errors import InvalidInput, KapokError, NotFound

__all__ = ["load"]

_Settings = TypeVar("_Settings", bound=msgspec.Struct)

_MOST_BYTES: Final = 4 * 2**20
_AT: Final = re.compile(r" - at `(?:key in )?\$\.?(?P<key>[^`]*)`\Z")
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(?P<key>[^`]*)`")
_MISSING: Final = re.compile(r"Object missing required field `(?P<key>[^`]*)`")
_INDEX: Final = re.compile(r"\[[^]]*\]")
_WORDS: Final = {
    "`str`": "a text in quotes",
    "`int`": "a whole number",
    "`float`": "a number",
    "`bool`": "true or false",
    "`array`": "a list [...]",
    "`object`": "a table",
    "`null`": "nothing",
}


def load(path: Path | str, struct_type: type[_Settings]) -> _Settings:
    """Read a TOML file into a structure, refusing unknown keys and wrong types.

    Args:
        path: The settings file.
        struct_type: A `msgspec.Struct`; it and every structure in it forbid unknown fields. Its
            ``__post_init__`` may raise `InvalidInput`; the file's name is put in front of that message.

    Raises:
        NotFound: ``no_settings`` when there is no such file.
        InvalidInput: ``bad_settings``, naming file, key and what is expected.
    """
    path = Path(path)
    fields = _fields(struct_type)
    document = _read(path)
    try:
        return msgspec.convert(document, struct_type, dec_hook=_path_reader(path.parent))
    except msgspec.ValidationError as error:
        raise _explain(path, str(error), fields) from None
    except KapokError as error:
        raise type(error)(
            f"{path}: {error.message}",
            code=error.code,
            remedy=error.remedy,
            clause=error.clause,
            party=error.party,
        ) from None


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        raise NotFound(
            f"there is no settings file {path}",
            code="no_settings",
            remedy="enrol first (kapok enroll TOKEN writes one), or name the right folder with --home",
        ) from None
    except OSError as error:
        raise _bad(path, f"cannot be read: {error.strerror}", "make it readable for this user") from None
    if len(content) > _MOST_BYTES:
        raise _bad(path, f"is larger than {_MOST_BYTES} bytes", "name a settings file")
    try:
        return tomllib.loads(content.decode("utf-8"))
    except UnicodeDecodeError:
        raise _bad(path, "is not UTF-8 text", "save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise _bad(path, f"is not TOML: {error}", "mend the line that is named") from None


def _path_reader(folder: Path) -> Any:
    def read(wanted: type, value: object) -> object:
        if wanted is not Path:
            raise AssertionError(f"settings cannot hold {wanted}")
        if not isinstance(value, str) or not value:
            raise ValueError("Expected `str`")
        return folder / Path(value).expanduser()

    return read


def _explain(path: Path, text: str, fields: dict[str, tuple[str, ...]]) -> InvalidInput:
    where = _AT.search(text)
    at, what = (where["key"], text[: where.start()]) if where else ("", text)
    if unknown := _UNKNOWN.match(what):
        key = f"{at}.{unknown['key']}" if at else unknown["key"]
        near = difflib.get_close_matches(unknown["key"], sorted(fields), n=3)
        remedy = f"did you mean {' or '.join(near)}?" if near else "remove it"
        return _bad(path, f"key {key!r} is not known", remedy)
    if missing := _MISSING.match(what):
        key = f"{at}.{missing['key']}" if at else missing["key"]
        return _bad(path, f"key {key!r} is missing", "add it")
    if what.startswith("Invalid enum value") and (choices := fields.get(_INDEX.sub("", at.split(".")[-1]))):
        return _bad(path, f"key {at!r}: {what[:1].lower()}{what[1:]}", f"use {' or '.join(choices)}")
    for word, plain in _WORDS.items():
        what = what.replace(word, plain)
    what = what[:1].lower() + what[1:]
    return _bad(path, f"key {at!r}: {what}" if at else what, "give the key a value of that kind")


def _bad(path: Path, what: str, remedy: str) -> InvalidInput:
    return InvalidInput(f"{path}: {what}", code="bad_settings", remedy=remedy)


def _fields(struct_type: type[msgspec.Struct]) -> dict[str, tuple[str, ...]]:
    """All keys of a structure and those in it, with the values that each may have, if they are listed.

    A structure that ignores unknown keys is a defect.
    """
    found: dict[str, tuple[str, ...]] = {}
    seen: set[type] = set()
    waiting: list[object] = [msgspec.inspect.type_info(struct_type)]
    while waiting:
        match waiting.pop():
            case msgspec.inspect.StructType(cls=cls, fields=fields, forbid_unknown_fields=forbids):
                if not forbids:
                    raise AssertionError(f"{cls.__name__} must forbid unknown fields to be settings")
                if cls not in seen:
                    seen.add(cls)
                    found.update({field.encode_name: _choices(field.type) for field in fields})
                    waiting.extend(field.type for field in fields)
            case msgspec.inspect.UnionType(types=types):
                waiting.extend(types)
            case msgspec.inspect.TupleType(item_types=types):
                waiting.extend(types)
            case msgspec.inspect.CollectionType(item_type=item):
                waiting.append(item)
            case msgspec.inspect.DictType(value_type=value):
                waiting.append(value)
            case _:
                pass
    return found


def _choices(wanted: msgspec.inspect.Type) -> tuple[str, ...]:
    """The values that are listed for a key, or for each item of the list that it holds."""
    match wanted:
        case msgspec.inspect.LiteralType(values=values):
            return tuple(str(value) for value in values)
        case msgspec.inspect.CollectionType(item_type=item):
            return _choices(item)
        case _:
            return ()
