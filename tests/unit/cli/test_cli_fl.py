import json
import sys

from support.apps import files_of

from kapok.cli.app import run


def test_building_and_inspecting(tmp_path, capsys, monkeypatch):
    for path, content in files_of("return None").items():
        (tmp_path / "app" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "app" / path).write_bytes(content)
    monkeypatch.chdir(tmp_path)
    assert run(["fl", "build", "app"]) == 0
    out = capsys.readouterr().out
    (file,) = tmp_path.glob("little.*.fab")
    assert run(["fl", "build", "app", "--out", "again.fab", "--json"]) == 0
    built = json.loads(capsys.readouterr().out)
    assert built["hash"] in out
    assert (tmp_path / "again.fab").read_bytes() == file.read_bytes()
    for source in ("app", "again.fab"):
        assert run(["fl", "inspect", source, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["hash"], found["client_app"]) == (built["hash"], "little.client:app")
        assert found["imports"] == ["flwr"]
        assert found["config"]["optimizer"] == "sgd"
    assert run(["fl", "inspect", "app"]) == 0
    assert built["hash"] in capsys.readouterr().out
    assert run(["fl", "build", "app", "--out", "gone/x.fab"]) == 3
    assert "[bad_file]" in capsys.readouterr().err
    assert run(["fl", "build", "nowhere"]) == 5
    assert "[no_such_app]" in capsys.readouterr().err


def test_a_plot_that_cannot_be_drawn_is_said_before_anything_runs(tmp_path, capsys, monkeypatch):
    ask = ["job", "resume", "ab12", "--home", str(tmp_path)]
    assert run([*ask, "--plot", "history.txt"]) == 3
    assert ".png, .pdf, .svg" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert run([*ask, "--plot", str(tmp_path / "history.png")]) == 3
    assert "[no_matplotlib]" in capsys.readouterr().err


def test_without_flower_it_says_what_to_install(tmp_path, capsys, monkeypatch):
    def gone(_folder):
        raise ModuleNotFoundError("No module named 'flwr'", name="flwr")

    monkeypatch.setattr("kapok.flower.building.build_bundle", gone)
    assert run(["fl", "build", str(tmp_path)]) == 3
    err = capsys.readouterr().err
    assert "[extra_missing]" in err
    assert 'pip install "kapok[flower]"' in err
