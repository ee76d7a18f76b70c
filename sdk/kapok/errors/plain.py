"""Other parties' text, made plain before a person reads it.

A question, a refusal or a description is written by somebody else, and a terminal obeys what is in it: an
escape sequence clears the screen and paints another question over the one that waits for approval, a
direction override turns words around, a line break adds a line that nobody wrote.
"""

from __future__ import annotations

__all__ = ["plain", "plain_json", "plain_lines"]


def plain(text: str) -> str:
    r"""Make a text one line that shows whatever is in it.

    Line breaks and other white space become blanks; control characters, direction marks and whatever else
    has no shape become their escapes, like ``\u001b``.
    """
    return text if text.isprintable() else "".join(map(_shown, text))


def plain_lines(text: str) -> str:
    """As `plain`, line by line: for a text whose line breaks are our own."""
    return "\n".join(map(plain, text.split("\n")))


def plain_json(encoded: str) -> str:
    """As `plain` for a JSON document; it keeps its meaning, for such characters stand in its texts alone."""
    return "".join(char if char.isprintable() or char == "\n" else _escaped(char) for char in encoded)


def _shown(char: str) -> str:
    if char.isprintable():
        return char
    return " " if char.isspace() else _escaped(char)


def _escaped(char: str) -> str:
    """The escape of JSON: beyond the first 65,536 characters as two surrogates."""
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
