"""A logistic regression over the four hospitals, as processes of their own on this machine.

    python examples/heart_regression.py

Once with a least cell of 5: of the 740 patients whose records are complete, one hospital has a single one
without the disease, and the model is not shown. Once with a least cell of 1, to which the hospitals would
have to agree: it is the fit of the pooled rows, to every digit that is printed.
"""

import sys
import tempfile
from pathlib import Path

from kapok.demo.hospitals import HEART, HOSPITALS, Hospital, Rules
from kapok.demo.network import Network
from kapok.demo.scenario import Scenario

MODEL = ("num > 0 ~ age + sex + oldpeak + exang", "--dataset", "heart", "--family", "binomial")
COMPLETE = ("cp", "trestbps", "chol", "fbs", "restecg", "thalach")


def main() -> None:
    """Ask both networks and print what the analyst sees."""
    rest = [argument for name in COMPLETE for argument in ("--complete", name)]
    for least in (5, 1):
        hospitals = tuple(Hospital(one.name, Rules(min_cell=least)) for one in HOSPITALS)
        command = " ".join(["kapok glm", repr(MODEL[0]), *MODEL[1:], *rest])
        print(f"\nLeast cell {least} at every hospital: {command}\n")
        with (
            tempfile.TemporaryDirectory() as folder,
            Network(Path(folder) / "net", Scenario("heart", HEART.schema_file, hospitals)) as network,
        ):
            finished = network.kapok("glm", *MODEL, *rest)
        print(finished.stdout or finished.stderr)
        if finished.status:
            sys.exit(finished.status)


if __name__ == "__main__":
    main()
