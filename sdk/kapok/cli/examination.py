"""What `kapok doctor` looks at: whatever keeps a party from its work, found before anybody waits for it.

It changes nothing, but keeps documents of datasets that it has fetched. Each thing is looked at by the code
that uses it: identity, settings and databases as daemons open them, the line to the broker as it is dialled,
a node's policy and tables as `kapok node check` does.
"""

from __future__ import annotations

import asyncio
import pwd
import resource
import shlex
import shutil
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from kapok.errors import IdentityInvalid, InvalidInput, KapokError, NotFound, Unavailable
from kapok.identity.credentials import Credentials
from kapok.identity.expiry import ends_soon, expires
from kapok.identity.keyfiles import read_public_file
from kapok.identity.revocation import Revocations, revoked_error
from kapok.wire import version
from kapok.wire.address import Address, addresses
from kapok.wire.proxy import proxy_for

if TYPE_CHECKING:
    from kapok.broker.settings import BrokerSettings
    from kapok.nodes.settings import NodeSettings
    from kapok.wire.channel import Connection
    from kapok.wire.version import About

__all__ = ["Examination", "Finding", "examine"]

Grade = Literal["ok", "warning", "problem"]

_MIB: Final = 2**20
_LITTLE_BYTES: Final = 1024 * _MIB
_TOO_LITTLE_BYTES: Final = 64 * _MIB
_FEW_FILES: Final = 4096
_SKEW_S: Final = 30.0
_TOO_SKEWED_S: Final = 300.0
_ANYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - dialled, not bound
_INPUT: Final = InvalidInput.exit_status
_UNAVAILABLE: Final = Unavailable.exit_status
_OF_BROKERS: Final = "kapok.wire.v1.CatalogueService"
_START: Final = {
    "authority": "`kapok authority run`, or `systemctl start kapok-authority`",
    "broker": "`kapok broker run`, or `systemctl start kapok-broker`",
    "node": "`kapok node run`, or `systemctl start kapok-node`",
}

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: What, in a word or two.
        grade: Whether it is well.
        text: What was found.
        remedy: What to do; None where nothing need be done or can be said.
        exit_status: Of the command, were this the worst.
    """

    subject: str
    grade: Grade
    text: str
    remedy: str | None = None
    exit_status: int = 0


@dataclass(slots=True)
class Examination:
    """Of one folder.

    Attributes:
        home: The folder.
        role: Whose it is: ``authority``, ``broker``, ``node`` or ``analyst``, by its settings file. Officers
            and operators have an analyst's.
        findings: In the order of looking.
    """

    home: Path
    role: str
    findings: list[Finding] = field(default_factory=list)

    @property
    def exit_status(self) -> int:
        """0 unless there is a problem; input that cannot be used comes before what cannot be reached."""
        return min((one.exit_status for one in self.findings if one.grade == "problem"), default=0)

    def ok(self, subject: str, text: str) -> None:
        """Note that something is well."""
        self.findings.append(Finding(subject, "ok", text))

    def warn(self, subject: str, text: str, remedy: str | None = None) -> None:
        """Note what works, and should not stay so."""
        self.findings.append(Finding(subject, "warning", text, remedy))

    def problem(self, subject: str, text: str, remedy: str | None = None, status: int = _INPUT) -> None:
        """Note what does not work."""
        self.findings.append(Finding(subject, "problem", text, remedy, status))

    @contextmanager
    def looking(self, subject: str) -> Iterator[None]:
        """Whatever is raised within is a problem; what comes after is looked at all the same."""
        try:
            yield
        except KapokError as error:
            status = _UNAVAILABLE if error.exit_status == _UNAVAILABLE else _INPUT
            self.problem(subject, f"{error.message} [{error.code}]", error.remedy, status)


def examine(home: Path, *, clock: Clock = time.time) -> Examination:
    """Look at everything in a party's folder and at its line to others. Not inside a running event loop.

    Raises:
        NotFound: ``no_home``: nobody has enrolled there.
    """
    for name, role, look in _ROLES:
        if (home / name).is_file():
            found = Examination(home, role)
            credentials = _identity(found, clock)
            _folder(found)
            _owners(found)
            look(found, credentials, clock)
            return found
    raise NotFound(
        f"{home} is nobody's folder: it has none of {', '.join(name for name, _, _ in _ROLES)}",
        code="no_home",
        remedy="enrol first (`kapok enroll TOKEN`), or name the right folder with --home",
    )


def _identity(found: Examination, clock: Clock) -> Credentials | None:
    credentials: Credentials | None = None
    with found.looking("identity"):
        try:
            credentials = Credentials.load(found.home, clock=clock)
        except IdentityInvalid as error:
            if found.role == "authority" and error.code == "certificate_expired":
                error.remedy = f"start it again, and it renews its own: {_START['authority']}"
            raise
        until = f"{datetime.fromtimestamp(expires(credentials), UTC):%Y-%m-%d}"
        found.ok(
            "identity",
            f"{credentials.name} until {until}: signed by the root of {credentials.root.trust_domain}; "
            "the key is the certificate's, and no file is open to others",
        )
        # Of a node `kapok.nodes.checking` says it.
        if found.role != "node" and (ending := ends_soon(credentials, clock())):
            found.warn("identity", *ending)
    return credentials


def _folder(found: Examination) -> None:
    mode = stat.S_IMODE(found.home.stat().st_mode)
    if mode & 0o077:
        text = f"other users of this machine may enter {found.home} (mode {mode:04o})"
        found.warn("folder", text, f"chmod 700 {shlex.quote(str(found.home))}")


def _owners(found: Examination) -> None:
    """Files that the folder's user cannot use: left there by a command that was given as root."""
    home = found.home.stat()
    strange = []
    for path in (*found.home.glob("*"), *found.home.glob("*/*")):
        with suppress(OSError):
            file = path.stat()
            if stat.S_ISREG(file.st_mode) and file.st_uid != home.st_uid != 0 and not file.st_mode & 0o077:
                strange.append((path, _user(file.st_uid)))
    if strange:
        more = f", and {len(strange) - 1} more" if strange[1:] else ""
        (path, user), owner = strange[0], _user(home.st_uid)
        found.problem(
            "owner",
            f"{path} is {user}'s alone{more}: {owner}, whose the folder is, cannot use it",
            f"chown -R {owner}: {shlex.quote(str(found.home))}, and give commands as {owner}, not as {user}",
        )


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _disk(found: Examination, folder: Path) -> None:
    there = folder if folder.exists() else found.home
    try:
        free = shutil.disk_usage(there).free
    except OSError as error:
        found.problem("disk", f"{there} cannot be looked at: {error.strerror}", "run as the user who owns it")
        return
    text = f"{free // _MIB:,} MiB are free at {there}"
    remedy = "make room: nothing is answered that cannot be written down"
    if free < _TOO_LITTLE_BYTES:
        found.problem("disk", text, remedy)
    elif free < _LITTLE_BYTES:
        found.warn("disk", text, remedy)
    else:
        found.ok("disk", text)


def _files(found: Examination) -> None:
    """How many parties may be connected to a broker of this user."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if most == resource.RLIM_INFINITY or most >= _FEW_FILES:
        return
    found.warn(
        "files",
        f"{most:,} files may be open at a time, and each connected party is one",
        "let the broker's user have more: LimitNOFILE= in its unit, or `ulimit -Hn`",
    )


def _runs(found: Examination, folder: Path, *, has_run: bool = True) -> bool:
    """Whether its daemon runs. Where it has never run that is a warning: nobody waits for it yet."""
    from kapok.daemon import runs

    running, text, remedy = runs(folder, found.role), "it does not run", f"start it: {_START[found.role]}"
    if running:
        found.ok("daemon", "it runs")
    elif not has_run:
        found.warn("daemon", text, remedy)
    else:
        found.problem("daemon", text, remedy, _UNAVAILABLE)
    return running


def _can_listen(found: Examination, subject: str, address: Address | None) -> None:
    """Whether a daemon that does not run could listen there."""
    from kapok.wire.server import why_not_listening

    if address is not None and address.port and (fault := why_not_listening(address)) is not None:
        found.problem(subject, f"{fault.message} [{fault.code}]", fault.remedy)


def _tells(found: Examination, settings: BrokerSettings | NodeSettings, *, running: bool) -> None:
    """Metrics and traces, of broker and node."""
    from kapok.logs import traces

    address = settings.metrics_address
    if not running:
        _can_listen(found, "metrics", address)
    if settings.traces:
        with found.looking("traces"):
            traces.check(settings.traces)
    if address is not None and not address.is_loopback:
        found.warn(
            "metrics",
            f"they are told at {address}, without TLS, to whoever reaches it",
            "keep them on loopback, or see that a firewall lets your own monitoring alone pass",
        )


def _broker(
    found: Examination,
    credentials: Credentials | None,
    address: str,
    clock: Clock,
    revocations: Revocations | None = None,
) -> bool:
    """Dial a broker as its parties do, and hold it to a list of revocations; return whether that worked."""
    before = len(found.findings)
    if credentials is None:
        found.problem("broker", "it was not dialled: there is no identity to show", "mend the identity first")
        return False
    from kapok.wire.channel import connect
    from kapok.wire.greeting import check_broker

    async def ask() -> tuple[bool, About, float]:
        async with await connect(credentials, address) as line:
            if revocations is not None:
                await check_broker(line, credentials, revocations, clock)
            before = clock()
            serving, about = await _health_of_broker(line, address)
            return serving, about, (before + clock()) / 2

    with found.looking("broker"):
        serving, about, now = asyncio.run(ask())
        if serving:
            by = "" if (proxy := proxy_for(Address.parse(address))) is None else f", by {proxy}"
            found.ok(
                "broker", f"{address} answers with TLS 1.3, takes this party's certificate, and serves{by}"
            )
        else:
            text = f"{address} answers, and says that it cannot do its work just now"
            found.problem("broker", text, "its operator finds the cause in its log", _UNAVAILABLE)
        _clock(found, about, now)
        _release(found, about)
    return all(one.grade == "ok" for one in found.findings[before:] if one.subject == "broker")


async def _health_of_broker(line: Connection, address: str) -> tuple[bool, About]:
    try:
        return await line.health.check(_OF_BROKERS)
    except NotFound:
        raise InvalidInput(
            f"what answers at {address} is of our trust domain, and no broker",
            code="not_a_broker",
            remedy="name the broker's address in the settings: an authority, for one, has another port",
        ) from None


def _brokers(
    found: Examination,
    credentials: Credentials | None,
    places: Iterable[str],
    clock: Clock,
    kept: Path,
) -> bool:
    """Dial each, and hold it to the list of revocations that is kept; return whether one can be used.

    Of several one is enough: what is wrong with the others is then no problem of this party's.
    """
    revocations = None if credentials is None else _revocations(found, credentials, kept, clock)
    before = len(found.findings)
    usable = [_broker(found, credentials, place, clock, revocations) for place in places]
    if any(usable):
        found.findings[before:] = [
            replace(one, grade="warning", exit_status=0)
            if one.subject == "broker" and one.grade != "ok"
            else one
            for one in found.findings[before:]
        ]
    return any(usable)


def _clock(found: Examination, about: About, now: float) -> None:
    if about.time is None:
        return
    apart = about.time - now
    side = "ahead of" if apart > 0 else "behind"
    text = f"the broker's clock is {_duration(abs(apart))} {side} this machine's"
    remedy = "set the one that is wrong, and keep it right with NTP: certificates and deadlines depend on it"
    if abs(apart) > _TOO_SKEWED_S:
        found.problem("clock", text, remedy)
    elif abs(apart) > _SKEW_S:
        found.warn("clock", text, remedy)
    else:
        found.ok("clock", text)


def _duration(seconds: float) -> str:
    for unit_s, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 3 * unit_s:
            return f"{seconds / unit_s:.1f} {unit}"
    return f"{seconds:.1f} s"


def _release(found: Examination, about: About) -> None:
    here, there = version.release(), about.release or "a release that it does not say"
    text = f"{here} here, {there} at the broker, version {version.WIRE_VERSION} of the wire on both sides"
    if here == there:
        found.ok("version", text)
    else:
        found.warn("version", text, "they understand each other; bring both to the newer one when you can")


def _look_at_authority(found: Examination, _own: Credentials | None, _now: Clock) -> None:
    from kapok.authority.app import examine_register
    from kapok.authority.settings import AuthorityHome
    from kapok.identity.certificates import TrustRoot
    from kapok.identity.keyfiles import read_private_file, read_public_file
    from kapok.wire.channel import enrolment_health

    place = AuthorityHome(found.home)
    _disk(found, found.home)
    with found.looking("root"):
        read_private_file(place.root_key)
        root = TrustRoot.from_pem(read_public_file(place.root_certificate))
        found.ok("root", f"of {root.trust_domain}; the key file is open to nobody else")
    with found.looking("register"):
        examine_register(place)
        found.ok("register", str(place.register_file))
    with found.looking("settings"):
        settings = place.load()
        found.ok("settings", str(place.settings_file))
        address = place.dial_address(settings)
        if not _runs(found, place.folder):
            _can_listen(found, "service", Address.parse(settings.listen))
            return
        with found.looking("service"):
            pem = read_public_file(place.root_certificate)
            serving, _ = asyncio.run(enrolment_health(address, pem))
            if serving:
                found.ok("service", f"{address} answers with the authority's certificate, and serves")
            else:
                found.problem("service", f"{address} is about to stop", status=_UNAVAILABLE)


def _look_at_broker(found: Examination, own: Credentials | None, clock: Clock) -> None:
    from kapok.broker.app import SETTINGS_FILE, store_password, store_place
    from kapok.broker.settings import BrokerSettings
    from kapok.broker.store import Store
    from kapok.settings import load

    with found.looking("settings"):
        settings = load(found.home / SETTINGS_FILE, BrokerSettings)
        found.ok("settings", str(found.home / SETTINGS_FILE))
        running = _runs(found, found.home)
        _tells(found, settings, running=running)
        _files(found)
        place = store_place(found.home, settings.store)
        if isinstance(place, Path):
            _disk(found, place.parent)
        with found.looking("store"):
            Store.examine(place, store_password(found.home, settings))
            new = isinstance(place, Path) and not place.exists()
            found.ok("store", f"{place}, which the first start makes" if new else str(place))
        listens = Address.parse(settings.listen)
        if not running:
            _can_listen(found, "broker", listens)
        elif listens.port:
            dialled = Address(_ANYWHERE.get(listens.host, listens.host), listens.port)
            _broker(found, own, str(dialled), clock)


def _look_at_node(found: Examination, own: Credentials | None, clock: Clock) -> None:
    from kapok.nodes.app import REVOCATIONS_FILE
    from kapok.nodes.checking import check
    from kapok.nodes.officers import JOURNAL_FILE
    from kapok.nodes.settings import SETTINGS_FILE, load_settings

    with found.looking("settings"):
        settings = load_settings(found.home)
        found.ok("settings", str(found.home / SETTINGS_FILE))
        has_run = (settings.state_folder / JOURNAL_FILE).exists()
        _tells(found, settings, running=_runs(found, settings.state_folder, has_run=has_run))
        _disk(found, settings.state_folder)
        reached = _brokers(found, own, settings.brokers, clock, settings.state_folder / REVOCATIONS_FILE)
        if own is None:
            return
        with found.looking("check"):
            report = check(found.home, dial=reached, clock=clock)
            for one in report.datasets:
                if not one.problems and one.table is not None:
                    found.ok("dataset", f"{one.name}: {one.table.rows:,} rows, as the schema says")
            for text in report.warnings:
                found.warn("check", text)
            for text in report.problems:
                found.problem("check", text)
            if report.ok:
                found.ok("check", "policy, journal and tables keep this node from nothing")


def _revocations(found: Examination, own: Credentials, file: Path, clock: Clock) -> Revocations:
    """The list that this party has been given, if any; nothing is kept of what the broker hands on now."""
    kept = Revocations(own.root)
    with found.looking("revocations"):
        if file.exists():
            kept = Revocations(own.root, read_public_file(file))
        if (overdue := kept.overdue(clock())) is not None:
            found.warn("revocations", *overdue)
        elif kept.current is not None:
            found.ok("revocations", f"list {kept.current.number}, of {len(kept.current.serials)}")
        if kept.revokes(own.certificate.serial_number):
            error = revoked_error(str(own.name))
            found.problem("revocations", f"{error.message} [{error.code}]", error.remedy)
    return kept


def _look_at_analyst(found: Examination, own: Credentials | None, clock: Clock) -> None:
    from kapok.client.profile import Profile

    _disk(found, found.home)
    with found.looking("settings"):
        profile = Profile.load(found.home)
        found.ok("settings", str(found.home / "analyst.toml"))
        with found.looking("result key"):
            if profile.key_path.exists():
                profile.opening_key().check()
                found.ok("result key", str(profile.key_path))
        places = addresses(profile.settings.broker)
        _brokers(found, own, places, clock, profile.revocations_file)


_Look = Callable[[Examination, Credentials | None, Clock], Any]
_ROLES: Final[tuple[tuple[str, str, _Look], ...]] = (
    ("authority.toml", "authority", _look_at_authority),
    ("broker.toml", "broker", _look_at_broker),
    ("node.toml", "node", _look_at_node),
    ("analyst.toml", "analyst", _look_at_analyst),
)
