"""What an analyst keeps of a training: each exchange's reply, from which the server app can be run again.

    <home>/jobs/<job id>.training/
      training.json     the app's folder and how it was started
      000001.reply      the mean of the first exchange, as Flower's message; and so on
      exchanges.jsonl   a line for each: what was asked, by hash, and the metrics
      model.npz         the model, once the training has ended

A server app is a program: what it and its strategy keep in memory cannot be saved from outside. But given the
same replies it does the same again, so the replies are its checkpoint. They are means, results of the
analyst's own; files of mode 0600 all the same.
"""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from kapok.documents.bundle import ConfigValue
from kapok.errors import InvalidInput, NotFound
from kapok.flower.messages import Array, Metric

__all__ = ["Exchange", "Exchanges", "Training", "fingerprint"]

_ABOUT: Final = "training.json"
_LOG: Final = "exchanges.jsonl"
_MODEL: Final = "model.npz"


class Training(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a training was started.

    Attributes:
        folder: The app's.
        app: Hash of its bundle.
        config: Overrides of its run configuration.
        nodes: How many were asked.
        run_id: What Flower calls the run.
        seed: Of the server app's random numbers.
    """

    folder: str
    app: str
    config: dict[str, ConfigValue]
    nodes: int
    run_id: int
    seed: int


class Exchange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One exchange that is done.

    Attributes:
        number: From 1.
        kind: ``train`` or ``evaluate``.
        asked: SHA-256 of the instruction, hex.
        holders: How many contributed.
        weight: The sum of their weights.
        resolution: Most by which a value of a float array is off.
        metrics: Weighted means.
        parties: Names of the nodes that contributed, sorted.
    """

    number: int
    kind: str
    asked: str
    holders: int
    weight: float
    resolution: float
    metrics: dict[str, Metric]
    parties: tuple[str, ...] = ()


_LINES: Final = msgspec.json.Decoder(Exchange)


class Exchanges:
    """The folder of one training."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def model_file(self) -> Path:
        """Where the model lies, or would lie."""
        return self._folder / _MODEL

    def begin(self, training: Training) -> None:
        """Keep how it was started."""
        from kapok.identity.keyfiles import make_private_folder

        make_private_folder(self._folder)
        self._write(_ABOUT, msgspec.json.encode(training))

    def training(self) -> Training:
        """How it was started.

        Raises:
            NotFound: ``no_training``: this job is none, or its folder is gone.
            InvalidInput: ``bad_job_file``.
        """
        try:
            return msgspec.json.decode((self._folder / _ABOUT).read_bytes(), type=Training)
        except OSError:
            raise NotFound(
                "this profile has no training of that job",
                code="no_training",
                remedy="`kapok job wait` waits for a question; for another profile's, name its folder "
                "(--home)",
            ) from None
        except msgspec.MsgspecError:
            raise self._damaged(_ABOUT) from None

    def keep(self, exchange: Exchange, reply: bytes) -> None:
        """Keep an exchange; on disk when this returns. One that is there already is replaced."""
        self._write(f"{exchange.number:06}.reply", reply)
        before = [one for one in self.done() if one.number < exchange.number]
        lines = [msgspec.json.encode(one) + b"\n" for one in (*before, exchange)]
        self._write(_LOG, b"".join(lines))

    def done(self) -> list[Exchange]:
        """The exchanges that are done, in order.

        Raises:
            InvalidInput: ``bad_job_file``.
        """
        try:
            return _LINES.decode_lines((self._folder / _LOG).read_bytes())
        except FileNotFoundError:
            return []
        except (OSError, msgspec.MsgspecError):
            raise self._damaged(_LOG) from None

    def reply(self, number: int) -> bytes:
        """The reply of an exchange that is done.

        Raises:
            InvalidInput: ``bad_job_file``.
        """
        try:
            return (self._folder / f"{number:06}.reply").read_bytes()
        except OSError:
            raise self._damaged(f"{number:06}.reply") from None

    def save_model(self, arrays: Mapping[str, Array]) -> None:
        """Keep the model, by the names of its arrays."""
        content = io.BytesIO()
        # Not np.savez, whose own arguments are names that no array may have.
        with zipfile.ZipFile(content, "w") as archive:
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                    np.lib.format.write_array(file, np.asarray(array), allow_pickle=False)
        self._write(_MODEL, content.getvalue())

    def _write(self, name: str, content: bytes) -> None:
        from kapok.identity.keyfiles import replace_file

        replace_file(self._folder / name, content)

    def _damaged(self, name: str) -> InvalidInput:
        return InvalidInput(
            f"{os.fspath(self._folder / name)}, a file of a training, is missing or damaged",
            code="bad_job_file",
            remedy="bring it back from a backup, or train anew",
        )


def fingerprint(instruction: bytes) -> str:
    """What stands for an instruction: equal for equal content."""
    return hashlib.sha256(instruction).hexdigest()
