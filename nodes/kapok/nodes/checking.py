"""`kapok node check`: everything that can be wrong here, before anybody asks.

It changes nothing, but keeps documents that it has fetched.
"""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from kapok import settings as settings_files
from kapok.documents.dataset import Dataset
from kapok.documents.envelope import JwsVerifier
from kapok.errors import KapokError, NotFound
from kapok.identity.credentials import Credentials
from kapok.identity.expiry import ends_soon
from kapok.identity.keyfiles import make_private_folder, read_private_file
from kapok.identity.names import Role
from kapok.nodes import policy_check
from kapok.nodes.apps.approval import AppApproval
from kapok.nodes.apps.host import AppHost
from kapok.nodes.apps.readiness import app_in_words, app_problems, app_warnings
from kapok.nodes.joining import Documents
from kapok.nodes.journal import Journal
from kapok.nodes.journal.apps import app_approvals
from kapok.nodes.journal.history import policies, read_only
from kapok.nodes.journal.reading import pause_of
from kapok.nodes.officers import JOURNAL_FILE
from kapok.nodes.policy import Policy, load_policy, policy_text
from kapok.nodes.settings import (
    POLICY_FILE,
    SETTINGS_FILE,
    TAG_KEY_FILE,
    VERSION_KEY_FILE,
    NodeSettings,
    load_settings,
)
from kapok.nodes.sources import Table, TableReport
from kapok.nodes.sources.version import VersionKey
from kapok.nodes.wording import policy_in_words
from kapok.wire.dialler import Dialler

__all__ = ["CheckReport", "DatasetReport", "check"]


@dataclass(frozen=True, slots=True)
class DatasetReport:
    """A dataset of ``node.toml``.

    Attributes:
        name: This node's name for it.
        hash: Lower-case hex.
        asset: The table's name.
        title: The dataset's own name; None while its document is neither here nor at the broker.
        table: What the check of the whole table found; None without the document.
        problems: What is wrong, in words: columns, numbers of rows and row numbers, never a cell.
    """

    name: str
    hash: str
    asset: str
    title: str | None
    table: TableReport | None
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What `kapok node check` shows.

    Attributes:
        party: This node's name.
        key_fingerprint: SHA-256 of its public key, hex: what another holder's `required_members` names.
        broker: The broker's address.
        broker_problem: Why it cannot be reached; None when it can be, or was not asked.
        policy: The policy in words.
        datasets: In the order of ``node.toml``.
        problems: Everything that keeps this node from answering, in words.
        warnings: What does not, and is dangerous all the same, in words.
    """

    party: str
    key_fingerprint: str
    broker: str
    broker_problem: str | None
    policy: tuple[str, ...]
    datasets: tuple[DatasetReport, ...]
    problems: tuple[str, ...]
    warnings: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing keeps this node from answering."""
        return not self.problems


def check(
    home: Path | str,
    *,
    dial: bool = True,
    passphrase: str | None = None,
    clock: Callable[[], float] = time.time,
) -> CheckReport:
    """Check settings, identity, policy and every table; with `dial` also whether the broker can be reached.

    Not for use inside a running event loop.

    Raises:
        NotFound: ``no_identity``, ``no_settings`` or ``no_policy``.
        IdentityInvalid: a key or certificate is wrong here.
        InvalidInput: ``wrong_role``, or what is wrong with settings or policy.
    """
    home = Path(home)
    credentials = Credentials.load(home, passphrase, role=Role.NODE, clock=clock)
    texts = {SETTINGS_FILE: settings_files.read(home / SETTINGS_FILE), POLICY_FILE: policy_text(home)}
    settings, policy = load_settings(home, texts[SETTINGS_FILE]), load_policy(home, texts[POLICY_FILE])
    documents = Documents(settings.state_folder, JwsVerifier(credentials.root_pem, clock))
    found, broker_problem = _documents(settings, documents, credentials, dial=dial)
    datasets = tuple(_dataset(settings, name, found[entry.hash]) for name, entry in settings.datasets.items())
    problems = [f"dataset {one.name}: {what}" for one in datasets for what in one.problems]
    problems += _keys(settings)
    problems += _journal(settings)
    paused, changed, by_hand = _on_record(settings, texts)
    problems += paused
    if not datasets:
        problems.append("node.toml names no dataset")
    if broker_problem:
        problems.append(f"broker: {broker_problem}")
    known = {
        name: None if isinstance(one := found[entry.hash], str) else one
        for name, entry in settings.datasets.items()
    }
    problems += policy_check.problems(policy, known, credentials.name)
    problems += app_problems(settings, policy.app, by_hand, AppHost.of(home, settings).hidden)
    rows = {one.name: one.table.rows if one.table else None for one in datasets}
    notes = [f"dataset {one.name}: {note}" for one in datasets if one.table for note in one.table.notes]
    return CheckReport(
        party=str(credentials.name),
        key_fingerprint=credentials.key_fingerprint.hex(),
        broker=", ".join(settings.brokers),
        broker_problem=broker_problem,
        policy=(*policy_in_words(policy, settings.datasets), *_apps(policy, by_hand)),
        datasets=datasets,
        problems=tuple(problems),
        warnings=(
            *_ending(credentials, clock()),
            *_warnings(home, settings),
            *changed,
            *notes,
            *policy_check.warnings(policy, rows),
            *app_warnings(policy.app, by_hand),
        ),
    )


def _keys(settings: NodeSettings) -> Iterator[str]:
    """Why the node would not start with the keys of its own that lie beside the journal."""
    for name in (TAG_KEY_FILE, VERSION_KEY_FILE):
        file = settings.state_folder / name
        try:
            if file.exists():
                read_private_file(file)
        except KapokError as error:
            yield f"{error.message} [{error.code}]: {error.remedy}"


def _journal(settings: NodeSettings) -> list[str]:
    """Why the node would not start with the journal that is there."""
    try:
        Journal.examine(
            settings.state_folder / JOURNAL_FILE, settings.instance_file, settings.accept_rollback
        )
    except KapokError as error:
        return [f"journal: {error.message} [{error.code}]" + (f": {error.remedy}" if error.remedy else "")]
    return []


def _apps(policy: Policy, by_hand: Sequence[AppApproval]) -> Iterator[str]:
    """Which apps may run, in words."""
    for number, rule in enumerate(policy.app, 1):
        yield from app_in_words(f"App {number}", rule)
    for one in by_hand:
        yield from app_in_words(f"App approved by {one.approved_by} {_at(one.approved_at)}", one.rule)


def _on_record(
    settings: NodeSettings, texts: Mapping[str, str]
) -> tuple[list[str], list[str], tuple[AppApproval, ...]]:
    """That the node is paused; which of its files it has not read as they are now; apps approved by hand."""
    try:
        found = read_only(
            settings.state_folder / JOURNAL_FILE,
            lambda journal: (
                pause_of(journal),
                policies(journal, since=math.inf),
                app_approvals(journal, since=math.inf),
            ),
        )
    except KapokError:
        return [], [], ()  # what is wrong with the journal is said beside this
    pause, last, by_hand = found or (None, (), ())
    paused = []
    if pause is not None:
        because = f" ({pause.reason})" if pause.reason else ""
        paused.append(
            f"paused since {_at(pause.paused_at)} by {pause.paused_by}{because}: nothing is answered until "
            "`kapok node resume`"
        )
    changed = [
        f"{file} has changed since the node read it ({_at(one.since)}): the one before counts until {until}"
        for one in last
        for file, known, until in (
            (POLICY_FILE, one.policy, "it gets the signal HUP, or is restarted"),
            (SETTINGS_FILE, one.settings, "it is restarted"),
        )
        if texts[file] != known
    ]
    return paused, changed, by_hand


def _at(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _ending(credentials: Credentials, now: float) -> list[str]:
    found = ends_soon(credentials, now)
    return [] if found is None else [": ".join(found)]


def _warnings(home: Path, settings: NodeSettings) -> tuple[str, ...]:
    """A backup that takes the mirror along restores it with the journal: then nothing is noticed."""
    mirror = settings.instance_file.resolve()
    for folder in (home, settings.state_folder):
        if mirror.is_relative_to(folder.resolve()):
            return (
                f"the file `instance` ({mirror}) lies inside {folder}: a backup of that folder takes it "
                "along, and a journal that is restored from it goes unnoticed; name a file outside of every "
                "backup in node.toml, and move this one there if the node has run",
            )
    return ()


def _documents(
    settings: NodeSettings, documents: Documents, credentials: Credentials, *, dial: bool
) -> tuple[dict[str, Dataset | str], str | None]:
    """For each hash the document, from here or from the broker, or why there is none; and why no broker."""
    wanted = {entry.hash for entry in settings.datasets.values()}
    found: dict[str, Dataset | str] = {}
    for one in wanted:
        kept = documents.kept(one)
        found[one] = kept if kept is not None else "its document is not here, and the broker was not reached"

    async def ask() -> None:
        async with await Dialler().connect_any(credentials, settings.brokers) as broker:
            for one in [one for one, document in found.items() if isinstance(document, str)]:
                try:
                    found[one] = documents.take(one, await broker.catalogue.dataset(one))
                except NotFound:
                    found[one] = "the broker does not know it: publish it, or correct its hash"
                except KapokError as error:
                    found[one] = error.message

    if dial:
        make_private_folder(settings.state_folder)
        try:
            asyncio.run(ask())
        except KapokError as error:
            return found, error.message
    return found, None


def _dataset(settings: NodeSettings, name: str, document: Dataset | str) -> DatasetReport:
    entry = settings.datasets[name]
    if isinstance(document, str):
        return DatasetReport(name, entry.hash, entry.asset, None, None, (document,))
    key = VersionKey(secrets.token_bytes(32))
    report = Table(document, entry.source, settings.engine, key).check()
    return DatasetReport(
        name,
        entry.hash,
        entry.asset,
        document.name,
        report,
        tuple(
            f"{problem}: {problem.remedy}" if problem.remedy else str(problem) for problem in report.problems
        ),
    )
