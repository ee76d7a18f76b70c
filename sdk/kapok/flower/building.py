"""An app's folder made into its bundle, by Flower's own builder: the same folder gives the same bytes."""

from __future__ import annotations

import warnings
from pathlib import Path

import click
from flwr.cli.build import build_fab_from_disk

from kapok.documents.bundle import bad_bundle, read_project
from kapok.errors import NotFound

__all__ = ["build_bundle"]

_RULES = "see with `flwr build` what Flower makes of it: what `flwr run` takes can be built"


def build_bundle(folder: Path) -> bytes:
    """Build the bundle of an app folder, the one that `flwr run` would take.

    Files that its ``.gitignore`` and ``[tool.flwr.app]`` leave out are not in it, nor are tests.

    Args:
        folder: With ``pyproject.toml``.

    Raises:
        NotFound: ``no_such_app``.
        InvalidInput: ``bad_bundle``, with what Flower says of it.
    """
    if not (folder / "pyproject.toml").is_file():
        raise NotFound(
            f"there is no Flower app in {folder}: it has no pyproject.toml",
            code="no_such_app",
            remedy="name the folder that `flwr run` would take",
        )
    try:
        read_project((folder / "pyproject.toml").read_bytes())
        with warnings.catch_warnings():
            # Flower's, about its own use of other libraries: nobody who builds an app can mend it.
            warnings.simplefilter("ignore", DeprecationWarning)
            return build_fab_from_disk(folder)
    except click.ClickException as error:
        raise bad_bundle(error.message, _RULES) from None
    except (ValueError, OSError) as error:
        raise bad_bundle(str(error), _RULES) from None
