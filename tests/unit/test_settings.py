from pathlib import Path
from typing import Literal

import msgspec
import pytest

from kapok import settings
from kapok.errors import InvalidInput, NotFound


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    file: Path
    hash: str = ""


class Circle(msgspec.Struct, tag_field="kind", tag="circle", frozen=True, forbid_unknown_fields=True):
    radius: int = 1


class Square(msgspec.Struct, tag_field="kind", tag="square", frozen=True, forbid_unknown_fields=True):
    side: int = 1


class Example(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    broker: str
    least_rows: int = 10
    wait_s: float = 1.0
    sources: dict[str, Source] = {}
    tags: tuple[str, ...] = ()
    level: Literal["high", "low"] = "low"
    colours: tuple[Literal["red", "blue"], ...] = ()
    moods: tuple[str, ...] = ()
    shape: Circle | Square | None = None

    def __post_init__(self) -> None:
        if self.least_rows < 1:
            raise InvalidInput("least_rows is below 1", code="bad_settings", remedy="raise it")


def write(folder: Path, text: str) -> Path:
    path = folder / "example.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_reads_values_and_paths_relative_to_the_file(tmp_path: Path) -> None:
    path = write(
        tmp_path, 'broker = "h:1"\nwait_s = 2\n[sources.a]\nfile = "x.csv"\n[sources.b]\nfile = "/y.csv"\n'
    )
    read = settings.load(path, Example)
    assert read.broker == "h:1"
    assert read.wait_s == 2.0
    assert read.sources["a"].file == tmp_path / "x.csv"
    assert read.sources["b"].file == Path("/y.csv")


@pytest.mark.parametrize(
    ("text", "says", "remedy"),
    [
        ('brokre = "h"', "'brokre'", "broker"),
        ('broker = "h"\n[sources.a]\nfile = "x"\nhsah = "y"', "hsah", "hash"),
        ("broker = 5", "key 'broker': expected a text in quotes", "kind"),
        ('broker = "h"\nleast_rows = "5"', "key 'least_rows': expected a whole number", "kind"),
        ('broker = "h"\nleast_rows = true', "whole number", "kind"),
        ('broker = "h"\nleast_rows = 1999-12-31', "expected a whole number", "kind"),
        ("least_rows = 5", "key 'broker' is missing", "add it"),
        ('broker = "h"\n[sources.a]\nhash = "x"', "file", "add it"),
        ('broker = "h"\n[sources.a]\nfile = 5', "text in quotes", "kind"),
        ('broker = "h"\ntags = ["a", 2]', "tags[1]", "kind"),
        ('broker = "h"\nlevel = "loud"', "key 'level' must be one of: high, low; it is 'loud'", "in quotes"),
        (
            'broker = "h"\ncolours = ["red", "pink"]',
            "'colours[1]' must be one of: blue, red; it is 'pink'",
            "",
        ),
        ('broker = "h"\ncolours = "red"', "key 'colours': expected a list [...]", "blue, red"),
        ('broker = "h"\nlevel = 3', "key 'level' must be one of: high, low", "in quotes"),
        ('broker = "h"\n[shape]\nkind = "oval"', "key 'shape.kind' must be one of: circle, square", ""),
        ('broker = "h"\n[shape]\nradius = 1', "key 'shape.kind' is missing", "one of circle, square"),
        ('broker = "h"\n[shape]\nkind = "square"\nradius = 1', "'shape.radius' is not known", "belong here"),
        ('broker = "h"\n[sources.a]\nfile = "x"\n[sources.b]\nfile = 5', "key 'sources.b.file'", "kind"),
        ("broker = ", "is not TOML", "line"),
        ("broker = " + "[" * 5000 + "]" * 5000, "nested too deep", "few"),
        ("broker = " + "{a = " * 5000 + "1" + "}" * 5000, "nested too deep", "few"),
        ('broker = "h"\nleast_rows = 0', "below 1", "raise it"),
    ],
)
def test_refuses_with_file_key_and_what_is_expected(
    tmp_path: Path, text: str, says: str, remedy: str
) -> None:
    path = write(tmp_path, text)
    with pytest.raises(InvalidInput) as caught:
        settings.load(path, Example)
    assert caught.value.code == "bad_settings"
    assert str(path) in caught.value.message
    assert says in caught.value.message
    assert remedy in (caught.value.remedy or "")


def test_values_that_a_type_does_not_list_can_be_named(tmp_path: Path) -> None:
    path = write(tmp_path, 'broker = "h"\nmoods = "sad"\n')
    with pytest.raises(InvalidInput) as caught:
        settings.load(path, Example, choices={"moods": {"sad", "glad"}})
    assert "glad, sad" in (caught.value.remedy or "")


def test_absent_file_says_enrol(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        settings.load(tmp_path / "none.toml", Example)
    assert caught.value.code == "no_settings"
    assert "enroll" in (caught.value.remedy or "")


def test_folder_and_latin1_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        settings.load(tmp_path, Example)
    (tmp_path / "l.toml").write_bytes(b'broker = "\xe9"')
    with pytest.raises(InvalidInput, match="UTF-8"):
        settings.load(tmp_path / "l.toml", Example)


def test_structure_that_ignores_unknown_keys_is_a_defect(tmp_path: Path) -> None:
    class Lax(msgspec.Struct):
        a: int = 1

    with pytest.raises(AssertionError, match="Lax"):
        settings.load(write(tmp_path, ""), Lax)
