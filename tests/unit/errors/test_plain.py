"""Other parties' text made plain: whatever it is, a terminal only shows it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kapok.errors import ConsentWithheld, plain, plain_json, plain_lines


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Größe 北 ≥ 3", "Größe 北 ≥ 3"),
        ("\x1b[2J\x1b[Hforged", "\\u001b[2J\\u001b[Hforged"),
        ("\x9b2J", "\\u009b2J"),
        ("one\ntwo\r\tthree", "one two  three"),
        ("one\u2028two\u0085three", "one two three"),
        ("a\u202eb\u2066c\u200fd", "a\\u202eb\\u2066c\\u200fd"),
        ("\U000e0041", "\\udb40\\udc41"),
        ("\ud800", "\\ud800"),
    ],
)
def test_what_would_move_a_terminal_is_shown_instead(text, shown):
    assert plain(text) == shown


@given(st.text())
def test_plain_text_is_one_printable_line_and_stays_as_it_is(text):
    assert plain(text).isprintable()
    assert plain(plain(text)) == plain(text)
    assert plain_lines(text).count("\n") == text.count("\n")
    assert plain_lines(text).replace("\n", "").isprintable()


@given(st.dictionaries(st.text(), st.text()))
def test_a_json_document_keeps_its_meaning(document):
    encoded = plain_json(json.dumps(document, ensure_ascii=False, indent=1))
    assert encoded.replace("\n", "").isprintable()
    assert json.loads(encoded) == document


def test_an_error_does_nothing_to_a_terminal():
    evil = "\x1b[2J\nerror: all is well"
    error = ConsentWithheld(evil, remedy=evil, clause=evil, party=evil)
    assert len(error.diagnostics().splitlines()) == 4
    assert "\x1b" not in error.diagnostics() + str(error)
    assert error.message == evil
