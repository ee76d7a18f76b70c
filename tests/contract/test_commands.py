"""Whatever pages, templates and messages tell people to type is a command with these options."""

import ast
import re
import shlex
from itertools import chain
from pathlib import Path

import click
import pytest
import typer

from kapok.cli.app import app

ROOT = Path(__file__).parents[2]
SOURCES = [ROOT / root / "kapok" for root in ("sdk", "protocols", "broker", "nodes")]
PAGES = sorted(chain(ROOT.glob("*.md"), (ROOT / "docs").rglob("*.md"), (ROOT / "examples").rglob("*.md")))
TEMPLATES = sorted(path for root in SOURCES for path in root.rglob("*.toml"))
CODE = sorted(path for root in SOURCES for path in root.rglob("*.py"))
GRAMMAR = typer.main.get_command(app)

_BLOCK = re.compile(r"^ *```sh\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
_FENCED = re.compile(r"^ *```.*?^ *```", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"`kapok ([^`]+)`")
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


def typed(script):
    """Every `kapok …` of a shell script as words, up to the end of the command."""
    script = re.sub(r"<<EOF.*?\nEOF\n", "\n", script, flags=re.DOTALL).replace("\\\n", " ")
    for line in script.splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|<>;()")
        lexer.whitespace_split = True
        words = None
        for word in lexer:
            if word == "kapok" or word.endswith("/kapok"):
                words = []
            elif words is not None and set(word) <= set("|<>;()"):
                yield words
                words = None
            elif words is not None:
                words.append(word)
        if words:
            yield words


def on_page(page):
    """The commands of a page's shell blocks, and those within its sentences."""
    text = page.read_text(encoding="utf-8")
    for block in _BLOCK.findall(text):
        yield from typed(block)
    for command in _INLINE.findall(_FENCED.sub("", text)):
        yield command.split()


def in_messages(path):
    """The commands in backquotes of a module's texts; what is filled in at run time is a placeholder."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            text = "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            text = node.value
        else:
            continue
        for command in _INLINE.findall(text):
            yield command.split()


def wrong(words):
    """What is wrong with a command: there is none of its name, or it has no such option; None if nothing."""
    command, rest = GRAMMAR, list(words)
    while isinstance(command, click.Group) and rest and rest[0] in command.commands:
        command = command.commands[rest.pop(0)]
    if isinstance(command, click.Group) and rest and rest[0][0] not in "-…":
        one_of = set(re.split(r"[|,]", rest[0]))  # `kapok cohort show|propose|sign`
        return None if one_of <= set(command.commands) else f"no command: kapok {' '.join(words)}"
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    unknown = set(_OPTION.findall(" ".join(rest))) - known
    return f"no such option: kapok {' '.join(words)}" if unknown else None


def faults(commands):
    """What is wrong with any of them; what begins with a placeholder is not looked at."""
    return [fault for words in commands if words[0][0] not in "…(" and (fault := wrong(words))]


def test_what_is_wrong_is_seen():
    assert wrong(["job", "wait", "ab12", "--json"]) is None
    assert wrong(["job", "await", "ab12"])
    assert wrong(["jobs"])
    assert wrong(["job", "wait", "ab12", "--jason"])
    assert wrong(["cohort", "show|sing"])


def test_the_readme_has_commands_to_look_at():
    first = {words[0] for words in on_page(ROOT / "README.md")}
    assert {"authority", "enroll", "broker", "dataset", "node", "query", "job", "cohort"} <= first


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_on_a_page_can_be_typed(page):
    assert faults(on_page(page)) == []


def test_every_command_in_a_settings_template_can_be_typed():
    found = [
        command.split()
        for path in TEMPLATES
        for command in _INLINE.findall(path.read_text(encoding="utf-8").replace("\n# ", " "))
    ]
    assert len(found) >= 10
    assert faults(found) == []


def test_every_command_in_a_message_or_docstring_can_be_typed():
    found = [words for path in CODE for words in in_messages(path)]
    assert len(found) >= 100
    assert faults(found) == []
