"""A server app at work, in a thread of the analyst's process: its instructions come out, replies go in.

    program.next()    ─▶ the next instruction, or `Ended`
    program.answer(…) ─▶ goes on

Flower keeps one identity a process: there is one server app at a time. Random numbers are seeded before it
begins, so that it does the same again when it is run again with the same replies: that is how a training is
taken up after its process has died, and with it whatever a strategy keeps.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import queue
import random
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from kapok.documents.bundle import Bundle, ConfigValue
from kapok.errors import InvalidInput, KapokError, LocalProtocolError
from kapok.flower.messages import Array
from kapok.flower.strategies import Start, guarded

if TYPE_CHECKING:
    from flwr.serverapp.strategy import Result

__all__ = ["Ended", "ServerProgram"]

_LOOK_S: Final = 0.2
_LET_GO_S: Final = 1.0
_ONE_AT_A_TIME: Final = threading.Lock()


@dataclass(frozen=True, slots=True)
class Ended:
    """A server app has returned, or failed.

    Attributes:
        error: Why it failed; None when it has not.
        arrays: The model that its strategy ended with; empty when it started none.
    """

    error: BaseException | None
    arrays: Mapping[str, Array] = field(repr=False)


class ServerProgram:
    """A server app in a thread of its own.

    Args:
        bundle: The app, as it was read.
        folder: Its files.
        overrides: Of its run configuration.
        nodes: How many there are.
        run_id: What Flower calls the run.
        seed: Of random numbers.

    Attributes:
        start: How its strategy started; None while none has.
    """

    def __init__(
        self,
        bundle: Bundle,
        folder: Path,
        overrides: Mapping[str, ConfigValue],
        *,
        nodes: int,
        run_id: int,
        seed: int,
    ) -> None:
        self._bundle, self._folder, self._overrides = bundle, folder, overrides
        self._nodes, self._run_id, self._seed = nodes, run_id, seed
        self._out: queue.SimpleQueue[bytes | Ended] = queue.SimpleQueue()
        self._in: queue.SimpleQueue[bytes | BaseException] = queue.SimpleQueue()
        self._given_up = threading.Event()
        self._result: Result | None = None
        self.start: Start | None = None
        self._thread = threading.Thread(target=self._run, name="server app", daemon=True)

    def begin(self) -> None:
        """Load it and let it run, to its first instruction.

        Raises:
            LocalProtocolError: ``server_app_running``: another one is running in this process.
        """
        if not _ONE_AT_A_TIME.acquire(blocking=False):
            raise LocalProtocolError(
                "another server app is running in this process, and Flower keeps one identity for each",
                code="server_app_running",
                remedy="wait until it has ended, or use another process",
            )
        self._thread.start()

    def next(self) -> bytes | Ended:
        """Wait for its next instruction, or its end.

        Raises:
            LocalProtocolError: ``given_up``.
        """
        while True:
            with contextlib.suppress(queue.Empty):
                return self._out.get(timeout=_LOOK_S)
            if self._given_up.is_set():
                raise LocalProtocolError("the server app is not waited for any more", code="given_up")

    def answer(self, reply: bytes) -> None:
        """Give it the reply to its last instruction."""
        self._in.put(reply)

    def give_up(self) -> None:
        """Let it go: what it waits for raises, and nobody waits for it but a moment."""
        self._given_up.set()
        self._in.put(LocalProtocolError("the training was given up", code="given_up"))
        if self._thread.ident is not None:
            self._thread.join(_LET_GO_S)

    def _exchange(self, instruction: bytes) -> bytes:
        self._out.put(instruction)
        answer = self._in.get()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            with _quiet(), _stand_ins(), guarded(self._starting, self._finished):
                self._call()
        except BaseException as raised:  # noqa: BLE001 - told to whoever waits, in another thread
            error = raised
        finally:
            _ONE_AT_A_TIME.release()
        self._out.put(Ended(error, {} if self._result is None else _arrays(self._result)))

    def _call(self) -> None:
        from flwr.app import Context, RecordDict
        from flwr.supercore.run import Run
        from flwr.supercore.task_identity import TaskIdentity

        from kapok.flower.grid import BrokerGrid

        random.seed(self._seed)
        np.random.seed(self._seed & 0xFFFF_FFFF)
        TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = self._run_id, 1, 1
        app = _loaded(self._bundle.server_app, self._folder)
        config = {**self._bundle.config, **self._overrides}
        context = Context(self._run_id, 1, {}, RecordDict(), config)
        app(BrokerGrid(self._nodes, Run.create_empty(self._run_id), self._exchange), context)

    def _starting(self, start: Start) -> None:
        self.start = start

    def _finished(self, result: Result) -> None:
        self._result = result


def server_app_failed(error: BaseException) -> KapokError:
    """What to say of a server app that raised: the analyst's own program, so all that it says."""
    if isinstance(error, KapokError):
        return error
    return InvalidInput(
        f"the server app raised {type(error).__name__}: {error}",
        code="server_app_failed",
        remedy="try it with `flwr run` first; KAPOK_DEBUG=1 shows where it was raised",
    )


def _loaded(component: str, folder: Path) -> Any:
    """The object that ``module:attribute`` names, from a folder's own modules."""
    from flwr.serverapp import ServerApp

    module, _, attribute = component.partition(":")
    own = module.partition(".")[0]
    for name in [name for name in sys.modules if name == own or name.startswith(own + ".")]:
        del sys.modules[name]
    sys.path.insert(0, str(folder))
    try:
        found = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise InvalidInput(
            f"the server app {component} cannot be loaded: {error}",
            code="server_app_not_loaded",
            remedy="install what it imports here, too; `kapok fl inspect` lists it",
        ) from error
    finally:
        sys.path.remove(str(folder))
    if not isinstance(found, ServerApp):
        raise InvalidInput(
            f"{component} is no ServerApp of Flower",
            code="server_app_not_loaded",
            remedy="see pyproject.toml",
        )
    return found


def _arrays(result: Result) -> dict[str, Array]:
    return {name: array.numpy() for name, array in result.arrays.items()}


@contextlib.contextmanager
def _stand_ins() -> Iterator[None]:
    """Behind all that is installed: what only the client half of an app uses (`kapok.flower.absent`)."""
    folder = str(Path(__file__).parent / "absent")
    sys.path.append(folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
        for name in [name for name, one in list(sys.modules.items()) if _is_in(one, folder)]:
            del sys.modules[name]


def _is_in(module: object, folder: str) -> bool:
    return str(getattr(module, "__file__", None) or "").startswith(folder + "/flwr_datasets")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Flower's account of its own progress is left out: it counts one reply, and has no colours here."""
    logger = logging.getLogger("flwr")
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)
