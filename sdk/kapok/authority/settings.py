"""An authority's settings, ``<home>/authority.toml``, and where its files lie."""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from kapok import settings
from kapok.errors import InvalidInput, NotFound
from kapok.identity.issuing import check_host
from kapok.identity.names import PartyName, Role
from kapok.logs import LogFormat, LogLevel
from kapok.wire.address import Address

__all__ = ["AuthorityHome", "AuthoritySettings", "template"]

_ANYWHERE: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - refused below, not bound
_MOST_LEAF_DAYS: Final = 3650
_MOST_LIFETIME_S: Final = 90 * 86_400


class AuthoritySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What ``authority.toml`` holds; each value is explained there.

    Raises:
        InvalidInput: ``bad_settings``, ``bad_address``, ``bad_host`` or ``bad_party_name``.
    """

    trust_domain: str
    listen: str
    address: str
    hosts: tuple[str, ...]
    broker: str = ""
    leaf_days: int = 365
    token_lifetime_s: float = 86_400
    revocation_days: int = 30
    log_level: LogLevel = "info"
    log_format: LogFormat = "json"

    def __post_init__(self) -> None:
        PartyName(self.trust_domain, "authority", Role.AUTHORITY, "authority")
        Address.parse(self.listen)
        address = Address.parse(self.address)
        for host in self.hosts:
            check_host(host)
        if self.broker:
            Address.parse(self.broker)
        if address.host in _ANYWHERE:
            raise InvalidInput(
                f"{self.address} is not where others can reach the authority",
                code="bad_address",
                remedy="name the host under which they do, for example --address authority.example.org:7440",
            )
        if address.host.lower() not in [host.lower() for host in self.hosts]:
            raise InvalidInput(
                f"the host of address {self.address} is not one of hosts",
                code="bad_settings",
                remedy=f"add {address.host!r} to hosts",
            )
        if not 1 <= self.leaf_days <= _MOST_LEAF_DAYS:
            raise InvalidInput(
                "leaf_days is out of range", code="bad_settings", remedy=f"set 1 to {_MOST_LEAF_DAYS}"
            )
        if not 1 <= self.revocation_days <= _MOST_LEAF_DAYS:
            raise InvalidInput(
                "revocation_days is out of range", code="bad_settings", remedy=f"set 1 to {_MOST_LEAF_DAYS}"
            )
        check_lifetime(self.token_lifetime_s)

    @property
    def name(self) -> PartyName:
        """The authority's own name."""
        return PartyName(self.trust_domain, "authority", Role.AUTHORITY, "authority")


def check_lifetime(lifetime_s: float) -> float:
    """Return a token's lifetime in seconds.

    Raises:
        InvalidInput: ``bad_settings`` when it is out of range.
    """
    if not 1 <= lifetime_s <= _MOST_LIFETIME_S:
        raise InvalidInput(
            "the lifetime of a token is out of range",
            code="bad_settings",
            remedy=f"set 1 to {_MOST_LIFETIME_S} seconds",
        )
    return lifetime_s


def template(trust_domain: str, listen: str, address: str, hosts: Sequence[str], broker: str) -> str:
    """Return the text of a new settings file, every value documented."""
    text = importlib.resources.files(__package__).joinpath("authority.toml").read_text(encoding="utf-8")
    for key, value in (
        ("TRUST_DOMAIN", trust_domain),
        ("LISTEN", listen),
        ("ADDRESS", address),
        ("BROKER", broker),
    ):
        text = text.replace(f"@{key}@", value)
    return text.replace("@HOSTS@", json.dumps(list(hosts)))


@dataclass(frozen=True, slots=True)
class AuthorityHome:
    """Where the files of an authority lie."""

    folder: Path

    @property
    def settings_file(self) -> Path:
        """``authority.toml``: written last when an authority is made."""
        return self.folder / "authority.toml"

    @property
    def register_file(self) -> Path:
        """The register's database."""
        return self.folder / "authority.db"

    @property
    def root_folder(self) -> Path:
        """Holds the root's key and certificate."""
        return self.folder / "root"

    @property
    def root_key(self) -> Path:
        """The root's private key."""
        return self.root_folder / "key.pem"

    @property
    def root_certificate(self) -> Path:
        """The root certificate."""
        return self.root_folder / "certificate.pem"

    @property
    def dial_file(self) -> Path:
        """Where the running authority is reached, when the system picked its port."""
        return self.folder / "address"

    def load(self) -> AuthoritySettings:
        """Read the settings.

        Raises:
            NotFound: ``no_authority`` when there is none here.
            InvalidInput: what is wrong with them.
        """
        try:
            return settings.load(self.settings_file, AuthoritySettings)
        except NotFound:
            raise NotFound(
                f"there is no authority in {self.folder}",
                code="no_authority",
                remedy="make one with `kapok authority init TRUST_DOMAIN`, or name its folder with --home",
            ) from None

    def dial_address(self, loaded: AuthoritySettings) -> str:
        """Where parties reach the authority.

        Raises:
            NotFound: ``authority_not_running`` when the system picks its port and it has not run yet.
        """
        if Address.parse(loaded.address).port:
            return loaded.address
        try:
            return str(Address.parse(self.dial_file.read_text(encoding="ascii").strip()))
        except FileNotFoundError:
            raise NotFound(
                "the authority's port is picked when it starts, and it has not been started",
                code="authority_not_running",
                remedy="start it (`kapok authority run`), or set a port in authority.toml",
            ) from None
