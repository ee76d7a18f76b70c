"""An analyst's profile: one folder with its settings, its identity, its result key and its jobs.

<home>/analyst.toml      settings
<home>/identity/         certificate, its private key, the root that everyone trusts
<home>/result-key.json   private Paillier key under which sums travel, mode 0600, made at its first use
<home>/jobs/             one file for each job (`kapok.client.jobs`)
<home>/known/            who was seen to have joined which dataset (`kapok.client.known`), and who is revoked

With a passphrase (KAPOK_PASSPHRASE) it locks the result key and the secrets of jobs (`kapok.client.vault`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from kapok.client.vault import Vault
from kapok.errors import InvalidInput, NotFound
from kapok.protocols.sizes import DEFAULT_KEY_BITS, KeyBits, KeyProfile
from kapok.settings import load
from kapok.wire.address import Addresses, addresses

if TYPE_CHECKING:
    from collections.abc import Callable

    from kapok.identity.credentials import Credentials
    from kapok.identity.revocation import Revocations
    from kapok.protocols.paillier.private import PrivateKey

__all__ = ["HOME_VARIABLE", "AnalystSettings", "Profile", "home_folder"]

HOME_VARIABLE: Final = "KAPOK_HOME"
_KEY_PURPOSE: Final = "result key"
_REVOCATIONS: Final = "revoked.crl"


class AnalystSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What ``analyst.toml`` says. The template beside this module explains every value."""

    broker: Addresses
    seal: Literal["paillier", "pad"] = "paillier"
    deadline_s: int = 60
    key_bits: KeyBits = DEFAULT_KEY_BITS
    key_profile: KeyProfile = "standard"
    patience_s: int = 10
    traces: str = ""


def home_folder(given: Path | str | None = None) -> Path:
    """The folder that was given, else the one that KAPOK_HOME names, else ``~/.kapok``."""
    named = given or os.environ.get(HOME_VARIABLE) or "~/.kapok"
    return Path(named).expanduser()


@dataclass(frozen=True, slots=True)
class Profile:
    """The folder, the settings in it, and what opens the secrets in it."""

    home: Path
    settings: AnalystSettings
    vault: Vault = field(default_factory=Vault, repr=False, compare=False)

    @classmethod
    def load(cls, home: Path | str | None = None) -> Profile:
        """Read the settings of a profile.

        Raises:
            NotFound: ``no_profile``: nobody has enrolled there as an analyst.
            InvalidInput: ``bad_settings``: the file says something that it may not say.
        """
        folder = home_folder(home)
        path = folder / "analyst.toml"
        if not path.is_file() and (folder / "node.toml").is_file():
            raise NotFound(
                f"{folder} is a node's folder, and this is an analyst's command",
                code="no_profile",
                remedy="name an analyst's folder with --home or KAPOK_HOME. A holder gets a dataset's hash "
                "from its analyst, who is shown it",
            )
        if not path.is_file():
            raise NotFound(
                f"{folder} is not an analyst's folder: it has no analyst.toml",
                code="no_profile",
                remedy="enrol with `kapok enroll TOKEN`, or name another folder with --home or KAPOK_HOME",
            )
        settings = load(path, AnalystSettings)
        try:
            addresses(settings.broker)
        except InvalidInput as error:
            raise InvalidInput(
                f"{path}: broker must be host:port, or a list of them: {error.message}",
                code="bad_settings",
                remedy=error.remedy,
            ) from None
        return cls(folder, settings)

    @property
    def jobs_folder(self) -> Path:
        """Where the jobs' files lie."""
        return self.home / "jobs"

    @property
    def known_folder(self) -> Path:
        """Where it is kept who was seen to have joined which dataset."""
        return self.home / "known"

    @property
    def revocations_file(self) -> Path:
        """Where the newest list of revoked certificates is kept."""
        return self.known_folder / _REVOCATIONS

    def revocations(self, credentials: Credentials) -> Revocations:
        """The newest list of revoked certificates that this profile has seen; a newer one is kept.

        Raises:
            IdentityInvalid: ``bad_revocation_list``.
        """
        from kapok.identity.keyfiles import make_private_folder, read_public_file, replace_file
        from kapok.identity.revocation import Revocations

        file = self.revocations_file

        def keep(der: bytes) -> None:
            make_private_folder(self.known_folder)
            replace_file(file, der)

        return Revocations(credentials.root, read_public_file(file) if file.exists() else None, keep)

    @property
    def key_path(self) -> Path:
        """Where the result key lies."""
        return self.home / "result-key.json"

    def result_key(self, notice: Callable[[str], None] = lambda _text: None) -> PrivateKey:
        """The profile's Paillier key, to ask under; made, and kept, when there is none yet.

        Args:
            notice: Told, in words, when a key is made.

        Raises:
            InvalidInput: as `opening_key`; ``bad_file`` when it cannot be written; ``bad_key_size`` when the
                settings ask for a profile that has no keys of that size.
            IdentityInvalid: ``passphrase_needed`` or ``passphrase_wrong``.
        """
        if not self.key_path.exists():
            self._make_key(notice)
        return self.opening_key()

    def rotate_key(self) -> PrivateKey:
        """Replace the result key by a new one. Sums under the old key can no longer be opened.

        Raises:
            InvalidInput: ``bad_file`` when it cannot be written, ``bad_key_size`` when the settings ask for a
                profile that has no keys of that size; the old key is still there then.
        """
        from kapok.identity.keyfiles import replace_file
        from kapok.protocols.paillier.keygen import generate

        key = generate(self.settings.key_bits, self.settings.key_profile)
        replace_file(self.key_path, self._locked(key))
        return key

    def _make_key(self, notice: Callable[[str], None]) -> None:
        from kapok.identity.keyfiles import write_new_file
        from kapok.protocols.paillier.keygen import generate

        bits, kind = self.settings.key_bits, self.settings.key_profile
        notice(f"making this profile's result key ({bits} bits, {kind}): {self.key_path}")
        key = generate(bits, kind)
        try:
            write_new_file(self.key_path, self._locked(key))
        except InvalidInput as error:
            if error.code != "file_exists":
                raise
            # Another query of the same profile was quicker: its key is the profile's.

    def opening_key(self) -> PrivateKey:
        """The profile's Paillier key, to open sums with; never made here, for a new one would open none.

        Raises:
            NotFound: ``result_key_missing``: its file is not there.
            InvalidInput: ``bad_private_key``: the file is damaged; ``bad_result_key``: it cannot be read, or
                others may read it.
            IdentityInvalid: ``passphrase_needed`` or ``passphrase_wrong``.
        """
        from kapok.protocols.paillier.private import PrivateKey

        try:
            mode, kept = self.key_path.stat().st_mode, self.key_path.read_bytes()
        except FileNotFoundError:
            raise NotFound(
                f"{self.key_path}, the result key that opens this profile's sums, is missing",
                code="result_key_missing",
                remedy="bring it back, and take the answer again: nothing is lost until then",
            ) from None
        except OSError as error:
            raise InvalidInput(
                f"{self.key_path} cannot be read: {error.strerror}",
                code="bad_result_key",
                remedy="run as the user who owns it",
            ) from None
        if mode & 0o077:
            raise InvalidInput(
                f"{self.key_path} can be read by others",
                code="bad_result_key",
                remedy=f"chmod 600 {self.key_path}; if others had access, make a new key: `kapok key rotate`",
            )
        content = self.vault.unlock_file(kept, _KEY_PURPOSE, self.key_path)
        try:
            return PrivateKey.from_json_bytes(content)
        except InvalidInput as error:
            raise InvalidInput(
                f"{self.key_path}: {error.message}",
                code=error.code,
                remedy="bring it back from a backup; or make a new key (`kapok key rotate`): it opens no "
                "sum of a job that is open now",
            ) from None

    def _locked(self, key: PrivateKey) -> bytes:
        content = key.to_json_bytes()
        return msgspec.json.encode(self.vault.lock(content, _KEY_PURPOSE)) if self.vault.locks else content
