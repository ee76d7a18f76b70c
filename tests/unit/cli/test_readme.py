"""What the README prints can be typed: every command and option in its shell blocks exists."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from kapok.cli.app import app

README = Path(__file__).parents[3] / "README.md"
_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.DOTALL | re.MULTILINE)


def commands():
    """Every `kapok …` of the shell blocks as words, up to the end of the command."""
    text = re.sub(
        r"<<EOF.*?\nEOF\n", "\n", "\n".join(_BLOCK.findall(README.read_text("utf-8"))), flags=re.DOTALL
    )
    for line in text.splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|<>;()")
        lexer.whitespace_split = True
        words: list[str] | None = None
        for word in lexer:
            if word == "kapok":
                words = []
            elif words is not None and set(word) <= set("|<>;()"):
                yield words
                words = None
            elif words is not None:
                words.append(word)
        if words is not None:
            yield words


def test_there_are_commands_to_check():
    first = {words[0] for words in commands()}
    assert {"authority", "enroll", "broker", "dataset", "node", "query"} <= first


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_the_command_exists_with_its_options(words):
    command, names = typer.main.get_command(app), list(words)
    while hasattr(command, "commands"):
        command = command.commands[names.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts}
    given = {word for word in names if word.startswith("--")}
    assert given <= known
    assert command.params


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
