"""Settings files: TOML in, one checked frozen structure out.

Every daemon's settings are a `msgspec.Struct` with ``forbid_unknown_fields=True``, so that a misspelt key is
refused instead of ignored. A `pathlib.Path` in it is read relative to the folder of the settings file.
"""

from __future__ import annotations

import copy
import functools
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import msgspec

from kapok.errors import InvalidInput, KapokError, NotFound, near

__all__ = ["load", "read"]

_Settings = TypeVar("_Settings", bound=msgspec.Struct)

_MOST_BYTES: Final = 4 * 2**20
_AT: Final = re.compile(r" - at `(?:key in )?\$\.?(?P<key>[^`]*)`\Z")
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(?P<key>[^`]*)`")
_MISSING: Final = re.compile(r"Object missing required field `(?P<key>[^`]*)`")
_INDEX: Final = re.compile(r"\[[^]]*\]")
_STEP: Final = re.compile(r"\[\d+\]|[^.[]+")
_GIVEN: Final = re.compile(r"Invalid (?:enum )?value (?P<value>.*)\Z", re.DOTALL)
_KINDS: Final = re.compile(r"`([a-z]+(?: \| [a-z]+)*)`")
_WORDS: Final = {
    "str": "a text in quotes",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list [...]",
    "object": "a table",
    "null": "nothing",
}


def load(
    path: Path | str,
    struct_type: type[_Settings],
    *,
    choices: Mapping[str, Iterable[str]] | None = None,
    text: str | None = None,
) -> _Settings:
    """Read a TOML file into a structure, refusing unknown keys and wrong types.

    Args:
        path: The settings file.
        struct_type: A `msgspec.Struct`; it and every structure in it forbid unknown fields. Its
            ``__post_init__`` may raise `InvalidInput`; the file's name is put in front of that message.
        choices: For keys whose types do not list them: the values to name when a value is wrong.
        text: What the file says, where it was `read` before; else it is read now.

    Raises:
        NotFound: ``no_settings`` when there is no such file.
        InvalidInput: ``bad_settings``, naming file, key and what is expected.
    """
    path = Path(path)
    listed = {key: tuple(sorted(values)) for key, values in (choices or {}).items()}
    fields = {**_fields(struct_type), **listed}
    document = _parse(path, read(path) if text is None else text)
    convert = partial(msgspec.convert, type=struct_type, dec_hook=_path_reader(path.parent))
    try:
        return cast("_Settings", convert(document))
    except msgspec.ValidationError as error:
        raise _explain(path, *_placed(str(error), document, convert), fields) from None
    except KapokError as error:
        raise type(error)(
            f"{path}: {error.message}",
            code=error.code,
            remedy=error.remedy,
            clause=error.clause,
            party=error.party,
        ) from None


def read(path: Path) -> str:
    """The text of a settings file.

    Raises:
        NotFound: ``no_settings`` when there is no such file.
        InvalidInput: ``bad_settings`` when it cannot be read, or is no text.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        raise NotFound(
            f"there is no settings file {path}",
            code="no_settings",
            remedy="enrol first (`kapok enroll TOKEN` writes one), or name the right folder with --home",
        ) from None
    except OSError as error:
        raise _bad(path, f"cannot be read: {error.strerror}", "make it readable for this user") from None
    if len(content) > _MOST_BYTES:
        raise _bad(path, f"is larger than {_MOST_BYTES} bytes", "name a settings file")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise _bad(path, "is not UTF-8 text", "save it as UTF-8") from None


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _bad(path, f"is not TOML: {error}", "mend the line that is named") from None
    except RecursionError:
        raise _bad(path, "has lists or tables nested too deep", "no setting has more than a few") from None


def _path_reader(folder: Path) -> Any:
    def read(wanted: type, value: object) -> object:
        if wanted is not Path:
            raise AssertionError(f"settings cannot hold {wanted}")
        if not isinstance(value, str) or not value:
            raise ValueError("Expected `str`")
        return folder / Path(value).expanduser()

    return read


def _placed(text: str, document: dict[str, Any], read: Callable[[Any], object]) -> tuple[str, str]:
    """The key that msgspec's words are about, and the rest of them.

    Where msgspec says ``[...]``, some key of a table, the key is named: the first that is as wrong by itself.
    """
    where = _AT.search(text)
    if where is None:
        return "", text
    at, what = where["key"], text[: where.start()]
    before, any_key, after = at.partition("[...]")
    for key in _follow(document, before) if any_key else ():
        trial = copy.deepcopy(document)
        table = _follow(trial, before)
        alone = {key: table[key]}
        table.clear()
        table.update(alone)
        try:
            read(trial)
        except msgspec.ValidationError as error:
            if str(error) == text:
                return f"{before}.{key}{after}", what
    return at, what


def _follow(document: Any, path: str) -> dict[str, Any]:
    """The table at the end of a path such as ``rule[1].required_members``."""
    for step in _STEP.findall(path):
        document = document[int(step[1:-1]) if step.startswith("[") else step]
    return cast("dict[str, Any]", document)


def _explain(path: Path, at: str, what: str, fields: dict[str, tuple[str, ...]]) -> InvalidInput:
    if unknown := _UNKNOWN.match(what):
        key = f"{at}.{unknown['key']}" if at else unknown["key"]
        return _bad(path, f"key {key!r} is not known", _instead(unknown["key"], fields))
    choices = fields.get(_INDEX.sub("", at.split(".")[-1]), ())
    if missing := _MISSING.match(what):
        key = f"{at}.{missing['key']}" if at else missing["key"]
        return _bad(path, f"key {key!r} is missing", _add(fields.get(missing["key"], ())))
    if choices and not what.startswith("Expected `array`"):
        given = _GIVEN.match(what)
        quotes = "without quotes" if all(map(str.isdigit, choices)) else "in quotes"
        return _bad(
            path,
            f"key {at!r} must be one of: {', '.join(choices)}"
            + (f"; it is {given['value']}" if given else ""),
            f"write one of them, {quotes}",
        )
    what = _KINDS.sub(
        lambda found: " or ".join(_WORDS.get(kind, kind) for kind in found[1].split(" | ")), what
    )
    what = what[:1].lower() + what[1:]
    remedy = "give the key a value of that kind"
    if choices:
        remedy = f"list one or more of: {', '.join(choices)}, each in quotes"
    return _bad(path, f"key {at!r}: {what}" if at else what, remedy)


def _instead(name: str, fields: dict[str, tuple[str, ...]]) -> str:
    if name in fields:
        return "it does not belong here: remove it, or write it where it does"
    alike = near(name, sorted(fields))
    return f"did you mean {' or '.join(alike)}?" if alike else "remove it"


def _add(choices: tuple[str, ...]) -> str:
    return "add it: one of " + ", ".join(choices) if choices else "add it"


def _bad(path: Path, what: str, remedy: str) -> InvalidInput:
    return InvalidInput(f"{path}: {what}", code="bad_settings", remedy=remedy)


@functools.cache
def _fields(struct_type: type[msgspec.Struct]) -> Mapping[str, tuple[str, ...]]:
    """All keys of a structure and those in it, with the values that each may have, if they are listed.

    A structure that ignores unknown keys is a defect.
    """
    found: dict[str, tuple[str, ...]] = {}
    seen: set[type] = set()
    waiting: list[object] = [msgspec.inspect.type_info(struct_type)]
    while waiting:
        match waiting.pop():
            case msgspec.inspect.StructType(cls=cls, fields=fields, forbid_unknown_fields=forbids) as one:
                if not forbids:
                    raise AssertionError(f"{cls.__name__} must forbid unknown fields to be settings")
                if cls not in seen:
                    seen.add(cls)
                    found.update({field.encode_name: _choices(field.type) for field in fields})
                    if one.tag_field is not None:
                        found[one.tag_field] = tuple(sorted({*found.get(one.tag_field, ()), str(one.tag)}))
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
