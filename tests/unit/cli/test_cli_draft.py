"""`kapok dataset draft`: the text on standard output or in a new file, the notices beside it."""

import json
import stat
import subprocess
import sys
import tomllib

import pytest

from kapok.cli.app import run
from kapok.documents.dataset import Dataset


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "ward.csv"
    path.write_text("age,sex,note\n" + "".join(f"{20 + n},{n % 2},seen on day {n}\n" for n in range(40)))
    return path


def test_standard_output_holds_the_schema_and_nothing_else(table, tmp_path, capsys):
    assert run(["dataset", "draft", str(table), "--name", "heart", "--rows-max", "1000"]) == 0
    told = capsys.readouterr()
    (tmp_path / "schema.toml").write_text(told.out)
    made = Dataset.from_toml(tmp_path / "schema.toml")
    assert (made.name, made.rows_max, len(made.columns)) == ("heart", 1000, 2)
    assert "2 columns drafted, 1 column left out" in told.err


def test_a_new_file_is_its_owners_alone_and_none_is_overwritten(table, tmp_path, capsys):
    out = tmp_path / "schema.toml"
    assert run(["dataset", "draft", str(table), "--out", str(out)]) == 0
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert Dataset.from_toml(out).name == "ward"
    before = out.read_bytes()
    assert run(["dataset", "draft", str(table), "--out", str(out)]) == 3
    assert out.read_bytes() == before
    told = capsys.readouterr()
    assert told.out == ""
    assert "is there already" in told.err


def test_columns_and_words_for_unknown_may_be_named(tmp_path, capsys):
    path = tmp_path / "ward.data"
    path.write_text("63;-9\n64;1\n65;0\n" * 5)
    options = ["--columns", "age, ill", "--delimiter", ";", "--null", "-9"]
    assert run(["dataset", "draft", str(path), *options]) == 0
    out = capsys.readouterr().out
    assert '# columns = ["age", "ill"]' in out
    assert '# null = "-9"' in out
    assert "domain = [0, 1]" in out


def test_the_document_has_the_schema_and_its_text(table, capsys):
    assert run(["dataset", "draft", str(table), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in told["schema"]["columns"]] == ["age", "sex"]
    assert told["left_out"] == ["note"]
    assert tomllib.loads(told["toml"])["name"] == told["schema"]["name"] == "ward"


def test_a_bad_file_is_one_error(tmp_path, capsys):
    assert run(["dataset", "draft", str(tmp_path)]) == 3
    assert "is a folder [source_unreadable]" in capsys.readouterr().err
    assert run(["dataset", "draft", str(tmp_path / "none.csv")]) == 5


def test_without_duckdb_the_extra_is_named(table):
    program = (
        "import sys; sys.modules['duckdb'] = None; from kapok.cli.app import run; "
        f"sys.exit(run(['dataset', 'draft', {str(table)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "kapok[node]" in done.stderr
    assert "Traceback" not in done.stderr
