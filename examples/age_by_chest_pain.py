"""Ask a running network from Python: mean age and highest heart rate for each kind of chest pain.

    python examples/age_by_chest_pain.py net/analyst

The argument is the folder that `kapok enroll` made for the analyst (README, "By hand"). Nothing in the answer
comes from fewer patients at any one hospital than its policy allows; such cells are None.
"""

import sys

import kapok.client as kapok

QUESTION = "SELECT cp, COUNT(*) AS patients, AVG(age), AVG(thalach) FROM heart GROUP BY cp"


def main(profile: str) -> None:
    """Ask, and print one line for each group."""
    result = kapok.connect(profile).query(QUESTION)
    for row in result.to_arrow().to_pylist():
        print(row)
    print("took part:", ", ".join(party.organisation_name for party in result.parties))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python examples/age_by_chest_pain.py FOLDER, the analyst's (README, 'By hand')")
    main(sys.argv[1])
