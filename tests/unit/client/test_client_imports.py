import json
import subprocess
import sys

HEAVY = (
    "pandas",
    "pyarrow",
    "duckdb",
    "flwr",
    "statsmodels",
    "grpc",
    "sqlglot",
    "numpy",
    "cryptography",
    "sqlalchemy",
    "alembic",
    "rich",
)


def loaded_by(code: str) -> set[str]:
    text = f"{code}\nimport json, sys\nprint(json.dumps(sorted(name.split('.')[0] for name in sys.modules)))"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_importing_the_client_loads_nothing_heavy():
    assert not loaded_by("import kapok.client") & set(HEAVY)


def test_connecting_without_a_profile_loads_nothing_heavy(tmp_path):
    code = (
        "import kapok.client as kapok\n"
        f"try:\n    kapok.connect({str(tmp_path / 'none')!r})\n"
        "except Exception as error:\n    assert error.code == 'no_profile', error"
    )
    assert not loaded_by(code) & set(HEAVY) - {"cryptography", "numpy"}


def test_an_answer_becomes_an_arrow_table_without_pandas():
    code = (
        "from kapok.computations.query.analyst import Answer, AnswerColumn\n"
        "column = AnswerColumn('count', 'rows', 'int64', 0, None, '')\n"
        "assert Answer((column,), ((3,),), ()).to_arrow().to_pylist() == [{'count': 3}]"
    )
    loaded = loaded_by(code)
    assert "pyarrow" in loaded
    assert "pandas" not in loaded


def test_command_line_loads_nothing_heavy_before_a_command_runs():
    assert not loaded_by("import kapok.cli.app") & set(HEAVY)


def test_public_names_are_there():
    import kapok.client as client

    for name in client.__all__:
        assert getattr(client, name)
    assert set(dir(client)) == set(client.__all__)
