"""What the README says of the command line is so."""

import re
from pathlib import Path

README = Path(__file__).parents[3] / "README.md"


def test_the_exit_statuses_are_those_of_the_errors():
    import kapok.errors

    text = README.read_text(encoding="utf-8")
    stated = {
        int(number)
        for number in re.findall(r"(?:^|[\s,])(\d+) [a-z]", text.partition("Exit status:")[2][:600])
    }
    raised = {getattr(kapok.errors, name).exit_status for name in kapok.errors.__all__ if name[0].isupper()}
    assert raised <= stated


def test_the_warning_that_node_check_gives_over_these_folders_is_explained_where_it_appears():
    text = README.read_text(encoding="utf-8")
    after = text.partition("kapok node check --home")[2].partition("kapok node run")[0]
    assert "warns that the file `instance` lies in the node's own folder" in after
    assert "`instance = " in after
