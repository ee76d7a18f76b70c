"""A node's half of every app: which may run for a job, by the approvals that hold, and how it is started."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import secrets
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self, runtime_checkable

from kapok.computations.engines import Engine
from kapok.documents.bundle import ConfigValue, read_bundle
from kapok.documents.dataset import Dataset
from kapok.errors import ConsentWithheld, KapokError, Refused
from kapok.identity.keyfiles import make_private_folder
from kapok.identity.names import PartyName
from kapok.nodes.apps.approval import AppApproval, AppRule, approved_app
from kapok.nodes.apps.bundles import Bundles
from kapok.nodes.apps.environment import app_environment
from kapok.nodes.apps.overrides import fused
from kapok.nodes.apps.partition import write_partition
from kapok.nodes.apps.process import AppProcess, AppTask, start_app
from kapok.nodes.apps.sandbox import check_walls
from kapok.nodes.settings import NodeSettings
from kapok.nodes.source_settings import places

__all__ = ["AppHost", "AppQuestion", "HostedApp"]

_log = logging.getLogger(__name__)


@runtime_checkable
class AppQuestion(Protocol):
    """What a question that runs an app says of it."""

    @property
    def app(self) -> str:
        """The bundle's hash, lower-case hex."""
        ...

    @property
    def columns(self) -> tuple[str, ...]:
        """What the app is to see."""
        ...

    @property
    def config(self) -> Mapping[str, ConfigValue]:
        """What the job changes in the app's configuration."""
        ...

    @property
    def clip_norm(self) -> float | None:
        """To which norm it shortens what the app changes in the model; None: to none."""
        ...


@dataclass(frozen=True, slots=True)
class HostedApp:
    """An app that may run for a job.

    Attributes:
        rule: The approval.
        clause: Of it, for refusals.
        bundle: The bundle's bytes.
        run_config: The whole configuration.
        number: Of an approval by hand; 0 by the policy.
    """

    rule: AppRule
    clause: str
    bundle: bytes = field(repr=False)
    run_config: Mapping[str, ConfigValue] = field(repr=False)
    number: int = 0


class AppHost:
    """Bundles, folders and interpreter of one node.

    Args:
        folder: The node's own for apps; it need not be there yet.
        python: The interpreter of their environment; None for the node's own.
        hidden: Files and folders that no app may see.
    """

    def __init__(self, folder: Path, *, python: Path | None = None, hidden: tuple[Path, ...] = ()) -> None:
        # A node's folder may be given relative to where its command was started; an app starts elsewhere.
        self._folder, self._python = folder.absolute(), python
        self.hidden = tuple(path.absolute() for path in hidden)
        self._bundles = Bundles(folder / "bundles")

    @classmethod
    def of(cls, home: Path, settings: NodeSettings) -> Self:
        """As the node's settings say: its folder, keys and data are hidden.

        Args:
            home: The node's folder.
            settings: As they were loaded.
        """
        files = (
            Path(place)
            for entry in settings.datasets.values()
            for place in places(entry.source)
            if not place.startswith("postgresql ")
        )
        hidden = (home, settings.state_folder, settings.instance_file, *files)
        return cls(settings.apps_folder, python=settings.apps.python, hidden=hidden)

    @property
    def states_folder(self) -> Path:
        """Where what apps keep between rounds lies, a folder for each job."""
        return self._folder / "states"

    def clear(self) -> None:
        """Remove what apps of an earlier run left when the node was killed: partitions are data."""
        for name in ("jobs", "partitions"):
            shutil.rmtree(self._folder / name, ignore_errors=True)

    def approved(
        self,
        question: AppQuestion,
        caller: PartyName,
        *,
        dataset: str,
        policy: Sequence[AppRule],
        by_hand: Iterable[AppApproval],
    ) -> HostedApp:
        """What lets the question's app run here; from question, policy, approvals and bundle alone.

        Raises:
            ConsentWithheld: ``app_not_approved``, ``app_columns_not_allowed``, ``clip_norm_too_large``,
                ``app_not_here``, ``override_not_allowed``, ``app_sandbox_missing``.
        """
        found = approved_app(
            question.app,
            question.columns,
            caller,
            clip_norm=question.clip_norm,
            dataset=dataset,
            policy=policy,
            by_hand=by_hand,
        )
        if isinstance(found, Refused):
            raise found
        try:
            content = self._bundles.content(question.app)
        except KapokError as error:
            _log.error("an approved app is not here", extra={"app": question.app, "code": error.code})
            raise ConsentWithheld(
                "the holder has approved this app, and its bundle is not at the node",
                code="app_not_here",
                clause=found.clause,
                remedy="send the bundle to the holder, who brings it there with `kapok node apps add FILE`",
            ) from None
        if found.rule.isolation == "sandbox":
            try:
                check_walls(app_environment(self._python), self.hidden)
            except KapokError as error:
                _log.error(
                    "an app cannot be shut in, and does not run",
                    extra={"app": question.app, "why": error.message, "remedy": error.remedy},
                )
                raise ConsentWithheld(
                    "the holder lets apps run in a sandbox alone, and the node cannot make one",
                    code="app_sandbox_missing",
                    clause=found.clause,
                    remedy="ask the holder to run `kapok node check`: it says what is missing",
                ) from None
        config = fused(read_bundle(content).config, question.config, found.rule.allowances, found.clause)
        return HostedApp(found.rule, found.clause, content, config, found.number)

    def start(
        self,
        hosted: HostedApp,
        *,
        job_id: str,
        node: str,
        node_config: Mapping[str, ConfigValue],
        engine: Engine,
        dataset: Dataset,
        columns: Sequence[str],
        state: bytes = b"",
    ) -> AppProcess:
        """Write the columns for the app, and start it.

        Args:
            hosted: What `approved` returned.
            job_id: Lower-case hex.
            node: This node's name.
            node_config: What Flower calls so: ``partition-id`` and ``num-partitions``.
            engine: Beside the table.
            dataset: Its schema.
            columns: What the app sees, in this order.
            state: What an earlier process of the job handed out.

        Raises:
            KapokError: what `start_app` and the engine raise.
        """
        partitions = self._folder / "partitions"
        make_private_folder(self._folder)
        make_private_folder(partitions)
        partition = partitions / f"{secrets.token_hex(8)}.parquet"
        try:
            rows = write_partition(engine, dataset, columns, partition)
            task = AppTask(
                job_id=job_id,
                bundle=hosted.bundle,
                bundle_hash=hosted.rule.hash,
                run_config=hosted.run_config,
                node_config=node_config,
                run_id=int(job_id[:16], 16),
                node_id=int.from_bytes(hashlib.sha256(node.encode()).digest()[:8]),
                partition=partition,
                rows=rows,
                limits=hosted.rule.limits,
                isolation=hosted.rule.isolation,
                state=state,
            )
            return start_app(task, self._folder, python=self._python, hidden=self.hidden)
        finally:
            with contextlib.suppress(OSError):
                partition.unlink(missing_ok=True)
