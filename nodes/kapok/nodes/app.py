"""The node daemon: here its parts are wired together.

    node.toml, policy.toml, identity ─▶ journal, joining ─▶ runner ─▶ link ─▶ broker

SIGTERM drains: answers that have begun are sent, then it ends. SIGHUP lets it judge by what ``policy.toml``
says now. It may be killed at any instant as well: everything that was answered is in the journal.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from kapok import settings as settings_files
from kapok.daemon import alone, stopped_by_sigterm, told_by_sighup
from kapok.daemon.chores import kept_going
from kapok.daemon.metrics import metrics_served
from kapok.documents.envelope import JwsSigner, JwsVerifier
from kapok.errors import KapokError
from kapok.identity.credentials import Credentials
from kapok.identity.expiry import expires, warned_daily
from kapok.identity.keyfiles import (
    make_private_folder,
    read_or_make_private_file,
    read_public_file,
    replace_file,
    write_new_file,
)
from kapok.identity.names import Role
from kapok.identity.renewal import Current
from kapok.identity.revocation import Revocations
from kapok.logs import configure, traces
from kapok.nodes.apps.host import AppHost
from kapok.nodes.apps.readiness import app_problems, app_warnings
from kapok.nodes.checking import CheckReport, check
from kapok.nodes.joining import DOCUMENTS_FOLDER, Documents, Joining
from kapok.nodes.journal import Journal
from kapok.nodes.link import Link
from kapok.nodes.metrics import NodeMetrics
from kapok.nodes.officers import JOURNAL_FILE
from kapok.nodes.reloading import load_in_force, reload
from kapok.nodes.runner import Context, InForce, JoinedDataset, Runner
from kapok.nodes.settings import (
    POLICY_FILE,
    SETTINGS_FILE,
    TAG_KEY_FILE,
    VERSION_KEY_FILE,
    NodeSettings,
    load_settings,
    template,
)
from kapok.nodes.sources.files import clear_spill
from kapok.nodes.sources.version import VersionKey
from kapok.protocols.wraps import WrapKey
from kapok.wire.dialler import Dialler

__all__ = ["CheckReport", "check", "run"]

REVOCATIONS_FILE: Final = "revoked.crl"
_VERSION_KEY_BYTES: Final = 32
_DAY_S: Final = 86_400.0
_log = logging.getLogger(__name__)

Clock = Callable[[], float]


async def run(
    home: Path | str,
    *,
    ready: Callable[[str], None] | None = None,
    stop: asyncio.Event | None = None,
    passphrase: str | None = None,
    clock: Clock = time.time,
    dialler: Dialler | None = None,
) -> None:
    """Join the datasets and answer until SIGTERM, or until `stop` is set.

    Args:
        home: The node's folder: identity, ``node.toml``, ``policy.toml``, and its state unless
            the settings say otherwise.
        ready: Called once with the broker's address, when assignments are taken from there.
        stop: Ends it, where given.
        passphrase: Opens the private key; else that of the environment variable ``KAPOK_PASSPHRASE``.
        clock: Seconds since the epoch.
        dialler: Reaches the broker, and spaces tries; over TLS when None.

    Raises:
        NotFound: ``no_identity`` or ``no_settings``.
        IdentityInvalid: a key or certificate is wrong, here or at the broker.
        InvalidInput: ``wrong_role``, ``already_running``, ``journal_restored``, ``asset_renamed``, or what is
            wrong with the settings.
    """
    home = Path(home)
    credentials = Credentials.load(home, passphrase, role=Role.NODE, clock=clock)
    settings_text = settings_files.read(home / SETTINGS_FILE)
    settings = load_settings(home, settings_text)
    configure(sys.stderr, settings.log_level, settings.log_format)
    traces.configure("node", settings.traces)
    make_private_folder(settings.state_folder)
    stop = stop or asyncio.Event()
    with (
        alone(settings.state_folder, "node"),
        stopped_by_sigterm(stop),
        _journal(settings, clock) as journal,
    ):
        _write_missing_policy(home)
        in_force = load_in_force(home, settings_text, journal)
        current = Current(home, credentials, passphrase, clock)
        revocations = _revocations(settings, credentials)
        metrics = NodeMetrics(lambda: expires(current.now), clock)
        apps = AppHost.of(home, settings)
        apps.clear()
        told = (clock, metrics, dialler or Dialler())
        runner, link = _wire(settings, apps, current, revocations, journal, in_force, *told)
        _log.info("node starts", extra={"party": str(credentials.name), "broker": settings.brokers})
        runner.tell_of_pause()
        _warn_of_apps(settings, in_force, journal, apps)
        with (
            told_by_sighup(partial(reload, home, settings_text, journal, runner)),
            metrics_served(metrics.registry, settings.metrics_address),
        ):
            try:
                async with (
                    current.kept_up(),
                    _forgetting(journal, settings.history_days, clock),
                    warned_daily(lambda: current.now, clock, revocations.overdue),
                ):
                    await link.run(stop, ready)
            finally:
                runner.close()
        _log.info("node stopped")


def _write_missing_policy(home: Path) -> None:
    """A node without a policy file gets one that explains itself, and refuses every question."""
    if not (home / POLICY_FILE).exists():
        write_new_file(home / POLICY_FILE, template(POLICY_FILE).encode())
        _log.warning(
            "there was no policy file: one without rules was written, and every question is refused",
            extra={"file": str(home / POLICY_FILE), "remedy": "add the rules that you agree to, and restart"},
        )


def _forgetting(journal: Journal, days: int, clock: Clock) -> AbstractAsyncContextManager[None]:
    """Forget old texts, at once and once a day, for as long as the block lasts."""
    return kept_going("the daily forgetting", partial(_forget_daily, journal, days, clock))


async def _forget_daily(journal: Journal, days: int, clock: Clock) -> None:
    while days:
        try:
            jobs = await asyncio.to_thread(journal.forget_texts, clock() - days * _DAY_S)
            if jobs:
                _log.info("old questions were forgotten", extra={"jobs": jobs, "days": days})
        except KapokError as error:
            _log.warning("old questions are forgotten tomorrow", exc_info=error)
        await asyncio.sleep(_DAY_S)


def _revocations(settings: NodeSettings, credentials: Credentials) -> Revocations:
    """The newest list of revoked certificates that this node has seen; it outlives the process."""
    file = settings.state_folder / REVOCATIONS_FILE
    kept = read_public_file(file) if file.exists() else None
    return Revocations(credentials.root, kept, keep=partial(replace_file, file))


def _wire(
    settings: NodeSettings,
    apps: AppHost,
    current: Current,
    revocations: Revocations,
    journal: Journal,
    in_force: InForce,
    clock: Clock,
    metrics: NodeMetrics,
    dialler: Dialler,
) -> tuple[Runner, Link]:
    """Make every part and give it what it stands on."""
    state = settings.state_folder
    credentials = current.now
    signer = JwsSigner(credentials)
    verifier = JwsVerifier(credentials.root_pem, clock, revocations.revokes)
    current.tell(lambda: signer.renew(current.now))
    _warn_of_lost_keys(state)
    version_key = read_or_make_private_file(state / VERSION_KEY_FILE, _new_version_key)
    tag_key = WrapKey.from_private_bytes(read_or_make_private_file(state / TAG_KEY_FILE, _new_tag_key))
    joined: dict[str, JoinedDataset] = {}
    joining = Joining(
        settings=settings,
        documents=Documents(state, verifier),
        joined=joined,
        version_key=VersionKey(version_key),
        tag_key=tag_key.public,
        signer=signer,
        place=journal.place,
    )
    clear_spill(settings.engine)
    joining.open_kept()
    context = Context(
        name=str(credentials.name),
        in_force=in_force,
        journal=journal,
        joined=joined,
        signer=signer,
        verifier=verifier,
        tag_key=tag_key,
        apps=apps,
        clock=clock,
        observer=metrics,
        open_jobs_max=settings.open_jobs_max,
    )
    runner = Runner(context)
    return runner, Link(
        current, settings.brokers, runner, joining, revocations, dialler, metrics.heard, clock
    )


def _warn_of_apps(settings: NodeSettings, in_force: InForce, journal: Journal, apps: AppHost) -> None:
    """Say at the start what keeps approved apps from running, and what runs without a sandbox."""
    policy, by_hand = in_force.policy.app, journal.app_approvals()
    for problem in app_problems(settings, policy, by_hand, apps.hidden):
        _log.error("an approved app cannot run", extra={"what": problem})
    for warning in app_warnings(policy, by_hand):
        _log.warning("an app is not shut in", extra={"what": warning})


def _warn_of_lost_keys(state: Path) -> None:
    """A node that has joined had its keys: whoever deleted one should know that it is replaced."""
    if not any((state / DOCUMENTS_FOLDER).glob("*.joined")):
        return
    for file, consequence in (
        (TAG_KEY_FILE, "jobs that were asked before are refused, and must be asked again"),
        (VERSION_KEY_FILE, "the data have another version from now on, though they may be the same"),
    ):
        if not (state / file).exists():
            _log.warning(
                "a key of this node is missing, and a new one is made",
                extra={"file": str(state / file), "consequence": consequence},
            )


def _new_version_key() -> bytes:
    return secrets.token_bytes(_VERSION_KEY_BYTES)


def _new_tag_key() -> bytes:
    return WrapKey.generate().private_bytes()


@contextmanager
def _journal(settings: NodeSettings, clock: Clock) -> Iterator[Journal]:
    """The open journal. A restored one that an officer has accepted gets a new tag key with it.

    Every specification that was written before is sealed to the old key: so no job of the time that the
    journal has forgotten can be asked again, and be released a second time.
    """
    journal = Journal.open(
        settings.state_folder / JOURNAL_FILE,
        settings.instance_file,
        clock=clock,
        accept=settings.accept_rollback,
        on_accept=lambda: (settings.state_folder / TAG_KEY_FILE).unlink(missing_ok=True),
    )
    try:
        yield journal
    finally:
        journal.close()
