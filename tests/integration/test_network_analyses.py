"""Survival, tests, matrices and meta-analyses over real processes: they are questions like others."""


def test_tests_matrices_and_survival_are_asked_by_their_own_commands(network):
    asked = ("--dataset", "heart", "--json")
    tested = network.kapok("test", "t", "chol ~ sex", *asked)
    assert tested.status == 0, tested.stderr
    assert tested.document()["report"]["status"] == "complete"
    curves = network.kapok("survival", "Surv(age, num > 0) ~ 1", "--grid", "50,60,80", *asked)
    assert curves.status == 0, curves.stderr
    assert curves.document()["report"]["text"].startswith("SURVIVAL age EVENT num > 0 GRID (50, 60, 80)")
    matrix = network.kapok("matrix", "correlation", "age", "chol", *asked)
    assert matrix.status == 0, matrix.stderr
    shown = network.kapok("job", "result", matrix.document()["job"])
    assert "correlation" in shown.stdout
    hazards = network.kapok("cox", "Surv(age, num > 0) ~ sex", "--grid", "50,60,80", *asked)
    assert hazards.status == 0, hazards.stderr
    assert hazards.document()["report"]["status"] in ("complete", "suppressed")
    combined = network.kapok("meta", "chol ~ age", *asked)
    assert combined.status == 0, combined.stderr
    assert combined.document()["report"]["text"].startswith("META GLM chol ON 1, age")
