"""Domains from a file of codes: what a schema file may name, and what may be in it."""

from pathlib import Path

import pytest

from kapok.documents.dataset import Dataset
from kapok.errors import InvalidInput, NotFound


def read(folder: Path, codes: str | bytes, keys: str, kind: str = "text", file: str = "codes.csv") -> Dataset:
    (folder / file).write_bytes(codes.encode() if isinstance(codes, str) else codes)
    schema = folder / "flights.toml"
    schema.write_text(
        f'name = "flights"\nrows_max = 9\n[[columns]]\nname = "carrier"\ntype = "{kind}"\n{keys}\n'
    )
    return Dataset.from_toml(schema)


AIRLINES = 'carrier,name\n9E,"Endeavor Air, Inc."\nAA,American Airlines Inc.\n'


@pytest.mark.parametrize(
    ("codes", "keys", "file"),
    [
        (AIRLINES, 'domain_file = "codes.csv"\ndomain_column = "carrier"', "codes.csv"),
        (
            "\ufeff" + AIRLINES.replace("\n", "\r\n"),
            'domain_file = "codes.csv"\ndomain_column = "carrier"',
            "codes.csv",
        ),
        (AIRLINES, 'domain_file = "./codes.dat"\ndomain_column = "carrier"', "codes.dat"),
        ('"9E"\nAA', 'domain_file = "codes.csv"', "codes.csv"),
        ("9E\n\nAA\n", 'domain_file = "codes.txt"', "codes.txt"),
        ("9E\r\nAA\r\n", 'domain_file = "codes"', "codes"),
    ],
)
def test_the_document_carries_the_codes_in_the_files_order(tmp_path, codes, keys, file):
    made = read(tmp_path, codes, keys, file=file)
    assert made.column("carrier").domain == ("9E", "AA")
    assert b"codes" not in made.to_payload()
    listed = read(tmp_path, codes, 'domain = ["9E", "AA"]')
    assert listed.to_payload() == made.to_payload()


def test_a_line_of_a_text_file_is_one_code_whatever_is_in_it(tmp_path):
    made = read(tmp_path, 'a, b\n"c"\n', 'domain_file = "codes.txt"', file="codes.txt")
    assert made.column("carrier").domain == ("a, b", '"c"')


def test_codes_of_an_integer_column_are_integers(tmp_path):
    made = read(tmp_path, "3\n-1\n0\n", 'domain_file = "codes.txt"', "integer", "codes.txt")
    assert made.column("carrier").domain == (3, -1, 0)


COLUMN = 'domain_file = "codes.csv"\ndomain_column = "carrier"'


@pytest.mark.parametrize(
    ("codes", "keys", "says", "remedy"),
    [
        ("AA\nUA\nAA\n", 'domain_file = "codes.csv"', "in line 3 the code of line 1 again", "once"),
        (
            "AA\nU\x07A\n",
            'domain_file = "codes.csv"',
            "in line 2 a text with control characters",
            "printable",
        ),
        ("A\u200bA\n", 'domain_file = "codes.csv"', "in line 1 a text with control", "printable"),
        ("Ae\u0301\n", 'domain_file = "codes.csv"', "in line 1 a text with decomposed", "NFC"),
        ("A\u2028B\n", 'domain_file = "codes.csv"', "in line 1 a text with control", "printable"),
        ("AA\n" + "x" * 201, 'domain_file = "codes.csv"', "in line 2 a text of more than 200", "200"),
        ("AA \n", 'domain_file = "codes.csv"', "begins or ends with a space", "printable"),
        ("", 'domain_file = "codes.csv"', "has no codes", "line"),
        ("\n\n", 'domain_file = "codes.csv"', "has no codes", "line"),
        ("carrier\n", COLUMN, "has no codes", "line"),
        ("carrier\nAA\n", 'domain_file = "codes.csv"', "begins with the column's name", "domain_column"),
        (AIRLINES, 'domain_file = "codes.csv"', "several columns", "one of carrier, name"),
        (AIRLINES, COLUMN.replace('"carrier"', '"carier"'), "no column 'carier'", "did you mean carrier"),
        ("carrier,carrier\nAA,UA\n", COLUMN, "more than one column 'carrier'", "carrier"),
        ("carrier,name\nAA\n", COLUMN, "in line 2 another number of cells", "mend"),
        ('carrier,name\n"AA,x\n', COLUMN, "cannot be read as CSV in line", "mend"),
        (b"\xff\xfe\x00", 'domain_file = "codes.csv"', "not UTF-8", "UTF-8"),
        pytest.param(b"x" * (2**24 + 1), 'domain_file = "codes.csv"', "too large", "10000", id="large"),
        pytest.param(
            "\n".join(map(str, range(10_001))),
            'domain_file = "codes.csv"',
            "too many codes",
            "10000",
            id="many",
        ),
        (
            "AA\n",
            'domain_file = "codes.csv"\ndomain = ["AA"]',
            "a domain and a domain_file",
            "one of the two",
        ),
        ("AA\n", "domain_file = 3", "not a text", "domain_file"),
        ("AA\n", 'domain_column = "carrier"', "the latter alone", "domain_file"),
        ("AA\n", 'domain_file = "codes.csv"\ndomain_column = 1', "not a text", "domain_column"),
    ],
)
def test_refuses_a_file_of_codes(tmp_path, codes, keys, says, remedy):
    with pytest.raises(InvalidInput) as caught:
        read(tmp_path, codes, keys)
    assert caught.value.code == "bad_dataset"
    assert says in caught.value.message
    assert "flights.toml" in caught.value.message
    assert remedy in (caught.value.remedy or "")
    assert caught.value.message.isprintable()


@pytest.mark.parametrize("codes", ["007\n", "1.0\n", "AA\n", "+1\n", "1" * 19 + "\n", "١\n"])
def test_refuses_codes_that_are_no_integers(tmp_path, codes):
    with pytest.raises(InvalidInput, match="line 1 a code that is not written as an integer"):
        read(tmp_path, codes, 'domain_file = "codes.csv"', "integer")


@pytest.mark.parametrize("kind", ["decimal", "boolean", "date"])
def test_other_types_have_no_codes(tmp_path, kind):
    resolution = 'resolution = "0.1"' if kind == "decimal" else ""
    with pytest.raises(InvalidInput, match="and has a domain"):
        read(tmp_path, "1\n", f'domain_file = "codes.csv"\n{resolution}', kind)


@pytest.mark.parametrize("file", ["none.csv", ".", "codes.csv/none"])
def test_a_missing_file_is_not_found(tmp_path, file):
    with pytest.raises(NotFound) as caught:
        read(tmp_path, "AA\n", f'domain_file = "{file}"')
    assert caught.value.code == "no_such_file"
    assert "folder of the schema" in (caught.value.remedy or "")


@pytest.mark.parametrize("file", ["../secret", "{above}/secret", "below/../../secret", "link", "x\\u0000"])
def test_no_file_outside_the_schemas_folder_is_published(tmp_path, file):
    (tmp_path / "secret").write_text("key\n")
    folder = tmp_path / "schemas"
    (folder / "below").mkdir(parents=True)
    (folder / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(InvalidInput, match="not in the schema's folder") as caught:
        read(folder, "AA\n", f'domain_file = "{file.format(above=tmp_path)}"')
    assert "becomes public" in (caught.value.remedy or "")
