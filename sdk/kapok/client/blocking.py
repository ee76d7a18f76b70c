"""The session for those who do not write `await`: the same verbs, each returning when it is done.

An event loop of its own runs in a thread of its own, so that it works in notebooks too, where a loop is
running already. Ctrl-C ends the wait at once; the job goes on.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Coroutine, Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, Unpack

from kapok.client.progress import Listener, silent
from kapok.client.session import AsyncSession, connect_async
from kapok.errors import LocalProtocolError

if TYPE_CHECKING:
    from kapok.client.analyses import HowToFitHazards, HowToSurvive, HowToTest, Kind
    from kapok.client.catalogue import VerifiedDataset
    from kapok.client.explaining import Explanation
    from kapok.client.models import HowToFit
    from kapok.client.result import Result
    from kapok.client.submission import SealName
    from kapok.client.training import TrainingRequest
    from kapok.client.waiting import JobView
    from kapok.computations.comparison.view import Test
    from kapok.computations.cox.view import HazardsFit
    from kapok.computations.glm.fit import Fit
    from kapok.computations.matrices.view import MatrixView
    from kapok.computations.meta.view import MetaAnalysis
    from kapok.computations.survival.view import Curves

__all__ = ["Session", "connect"]

_Answer = TypeVar("_Answer")


class _LoopThread:
    """An event loop in a thread that ends with the interpreter or when it is told to."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="kapok", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        # Whoever waits for a call in another thread would wait for ever.
        unfinished = asyncio.all_tasks(self._loop)
        for task in unfinished:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*unfinished, return_exceptions=True))
        self._loop.close()

    def call(self, work: Coroutine[Any, Any, _Answer]) -> _Answer:
        """Run to the end, from any thread but its own."""
        if not self._thread.is_alive() or self._loop.is_closed():
            work.close()
            raise LocalProtocolError("this session is closed", code="session_closed", remedy="connect again")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            raise
        except CancelledError:
            raise LocalProtocolError(
                "this session was closed meanwhile", code="session_closed", remedy="connect again"
            ) from None

    def stop(self) -> None:
        """End the loop and its thread. Again: nothing more."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._loop.stop)
            if threading.current_thread() is not self._thread:
                self._thread.join(timeout=5)


class Session:
    """An analyst's profile connected to its broker. `connect` makes one.

    Use it as a context manager, or call `close`, or let it go out of scope.
    """

    def __init__(self, thread: _LoopThread, session: AsyncSession) -> None:
        self._thread = thread
        self._session = session
        self._finalizer = weakref.finalize(self, thread.stop)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up. Jobs go on without us. Again: nothing more."""
        if self._finalizer.alive:
            self._thread.call(self._session.close())
            self._finalizer()

    def query(
        self,
        sql: str,
        *,
        seal: SealName | None = None,
        at_least: int | None = None,
        parties: Sequence[str] | None = None,
        deadline_s: int | None = None,
        progress: Listener = silent,
    ) -> Result:
        """Ask a question and wait for its answer. See `AsyncSession.query`."""
        return self._thread.call(
            self._session.query(
                sql,
                seal=seal,
                at_least=at_least,
                parties=parties,
                deadline_s=deadline_s,
                progress=progress,
            )
        )

    def submit(
        self,
        sql: str,
        *,
        seal: SealName | None = None,
        at_least: int | None = None,
        parties: Sequence[str] | None = None,
        deadline_s: int | None = None,
        progress: Listener = silent,
    ) -> str:
        """Ask a question and return its job's identity at once; `wait` gives the answer."""
        return self._thread.call(
            self._session.submit(
                sql,
                seal=seal,
                at_least=at_least,
                parties=parties,
                deadline_s=deadline_s,
                progress=progress,
            )
        )

    def explain(
        self,
        sql: str,
        *,
        seal: SealName | None = None,
        at_least: int | None = None,
        parties: Sequence[str] | None = None,
        progress: Listener = silent,
    ) -> Explanation:
        """What each holder's node would say to a question, which is not asked by it."""
        return self._thread.call(
            self._session.explain(sql, seal=seal, at_least=at_least, parties=parties, progress=progress)
        )

    def explain_analysis(
        self, kind: Kind, what: str | Sequence[str], *, dataset: str, progress: Listener = silent, **how: Any
    ) -> Explanation:
        """What each holder's node would say to an analysis. See `AsyncSession.explain_analysis`."""
        return self._thread.call(
            self._session.explain_analysis(kind, what, dataset=dataset, progress=progress, **how)
        )

    def glm(self, formula: str, *, dataset: str, progress: Listener = silent, **how: Unpack[HowToFit]) -> Fit:
        """Fit a generalised linear model. See `AsyncSession.glm`."""
        return self._thread.call(self._session.glm(formula, dataset=dataset, progress=progress, **how))

    def survival(
        self, formula: str, *, dataset: str, progress: Listener = silent, **how: Unpack[HowToSurvive]
    ) -> Curves:
        """Kaplan-Meier curves and the log-rank test. See `kapok.client.analyses`."""
        return self._thread.call(self._session.survival(formula, dataset=dataset, progress=progress, **how))

    def cox(
        self, formula: str, *, dataset: str, progress: Listener = silent, **how: Unpack[HowToFitHazards]
    ) -> HazardsFit:
        """Fit Cox's proportional hazards. See `kapok.client.analyses`."""
        return self._thread.call(self._session.cox(formula, dataset=dataset, progress=progress, **how))

    def test(
        self,
        name: Literal["t", "anova", "chi2"],
        formula: str,
        *,
        dataset: str,
        progress: Listener = silent,
        **how: Unpack[HowToTest],
    ) -> Test:
        """A t-test, analysis of variance or χ². See `kapok.client.analyses`."""
        return self._thread.call(self._session.test(name, formula, dataset=dataset, progress=progress, **how))

    def matrix(
        self,
        form: Literal["correlation", "covariance", "components", "scaled_components"],
        columns: Sequence[str],
        *,
        dataset: str,
        progress: Listener = silent,
        **how: Unpack[HowToTest],
    ) -> MatrixView:
        """Correlations, covariances or principal components. See `kapok.client.analyses`."""
        return self._thread.call(
            self._session.matrix(form, columns, dataset=dataset, progress=progress, **how)
        )

    def train(self, request: TrainingRequest, *, progress: Listener = silent) -> Result:
        """Run a Flower app over the holders of a dataset. See `AsyncSession.train`."""
        return self._thread.call(self._session.train(request, progress=progress))

    def meta(
        self, formula: str, *, dataset: str, progress: Listener = silent, **how: Unpack[HowToFit]
    ) -> MetaAnalysis:
        """Combine the holders' own fits of a model. See `kapok.client.analyses`."""
        return self._thread.call(self._session.meta(formula, dataset=dataset, progress=progress, **how))

    def wait(self, job_id: str, *, progress: Listener = silent) -> Result:
        """The answer of a job that was asked earlier, as soon as it is there."""
        return self._thread.call(self._session.wait(job_id, progress=progress))

    def result(self, job_id: str) -> Result:
        """The answer of a job, if it is there already."""
        return self._thread.call(self._session.result(job_id))

    def cancel(self, job_id: str) -> None:
        """Withdraw a job that has not ended."""
        self._thread.call(self._session.cancel(job_id))

    def jobs(self) -> list[JobView]:
        """All jobs of this analyst, newest first."""
        return self._thread.call(self._session.jobs())

    def job(self, job_id: str) -> JobView:
        """One job, as the broker has it now."""
        return self._thread.call(self._session.job(job_id))

    def datasets(self, name: str | None = None) -> list[VerifiedDataset]:
        """The datasets of the catalogue, each verified."""
        return self._thread.call(self._session.datasets(name))

    def dataset(self, name: str) -> VerifiedDataset:
        """One dataset by its name, or by name and hash as in ``heart@ab12cd``."""
        return self._thread.call(self._session.dataset(name))

    def publish(self, path: Path | str) -> VerifiedDataset:
        """Sign the schema in a TOML file and publish it under its name."""
        return self._thread.call(self._session.publish(path))


def connect(profile: Path | str | None = None) -> Session:
    """A session of the profile in that folder (KAPOK_HOME, or ``~/.kapok``, when None).

    Raises:
        NotFound: ``no_profile``.
        IdentityInvalid: the profile's identity cannot be used.
    """
    thread = _LoopThread()
    try:
        return Session(thread, thread.call(connect_async(profile)))
    except BaseException:
        thread.stop()
        raise
