"""A party's own credentials: its private key, its certificate, and the root that it trusts.

Everything that can be wrong with them is found here, on the party's own machine, before it dials: over TLS
a wrong certificate shows as "Socket closed" and nothing more.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kapok.errors import IdentityInvalid, InvalidInput
from kapok.errors.secrecy import NeverPickled
from kapok.identity.certificates import (
    TrustRoot,
    certificate_from_pem,
    fingerprint,
    key_fingerprint,
    public_key,
)
from kapok.identity.keyfiles import (
    decode_key,
    encode_key,
    passphrase_or_environment,
    read_private_file,
    read_public_file,
    refuse_open_folder,
)
from kapok.identity.names import PartyName, Role

__all__ = ["CERTIFICATE_FILE", "IDENTITY_FOLDER", "KEY_FILE", "ROOT_FILE", "Credentials"]

IDENTITY_FOLDER: Final = "identity"
KEY_FILE: Final = "key.pem"
CERTIFICATE_FILE: Final = "certificate.pem"
ROOT_FILE: Final = "root.pem"


class Credentials(NeverPickled):
    """What a party proves its name with. Never printed, never pickled.

    Attributes:
        name: The party's name.
        root: The trust domain's root.
        certificate: The party's certificate.
        fingerprint: SHA-256 of the certificate (DER), 32 bytes.
        key_fingerprint: SHA-256 of the public key (SubjectPublicKeyInfo, DER), 32 bytes.
    """

    __slots__ = ("_key", "certificate", "fingerprint", "key_fingerprint", "name", "root")

    def __init__(
        self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate, root: TrustRoot, now: float
    ) -> None:
        """Check that the three belong together at `now`, in seconds since the epoch.

        Raises:
            IdentityInvalid: see `TrustRoot.check`; ``key_mismatch`` when the key is not the certificate's.
        """
        self.name: PartyName = root.check(certificate, now)
        if key_fingerprint(key.public_key()) != key_fingerprint(public_key(certificate)):
            raise IdentityInvalid(
                f"the private key is not that of the certificate of {self.name}",
                code="key_mismatch",
                remedy="bring key.pem and certificate.pem back from the same backup, or enrol again",
                party=str(self.name),
            )
        self._key = key
        self.certificate = certificate
        self.root = root
        self.fingerprint = fingerprint(certificate)
        self.key_fingerprint = key_fingerprint(key.public_key())

    @classmethod
    def load(
        cls,
        home: Path | str,
        passphrase: str | None = None,
        *,
        role: Role | None = None,
        clock: Callable[[], float] = time.time,
    ) -> Credentials:
        """Read ``<home>/identity/{key,certificate,root}.pem`` and check them.

        Args:
            home: The party's home folder.
            passphrase: Opens the private key; else that of the environment variable ``KAPOK_PASSPHRASE``.
            role: What the party must be; None for any.
            clock: Seconds since the epoch.

        Raises:
            NotFound: ``no_identity``.
            IdentityInvalid: with what is wrong, and what to do.
            InvalidInput: ``wrong_role``.
        """
        folder = Path(home) / IDENTITY_FOLDER
        key_path = folder / KEY_FILE
        pem = read_private_file(key_path)
        refuse_open_folder(folder)
        key = decode_key(pem, passphrase_or_environment(passphrase), key_path)
        certificate = certificate_from_pem(
            read_public_file(folder / CERTIFICATE_FILE), str(folder / CERTIFICATE_FILE)
        )
        root = TrustRoot.from_pem(read_public_file(folder / ROOT_FILE))
        found = cls(key, certificate, root, clock())
        if role is not None and found.name.role is not role:
            raise InvalidInput(
                f"{home} is the folder of {found.name}, whose role is not {role}",
                code="wrong_role",
                party=str(found.name),
                remedy=f"name the folder of the {role} with --home, or enrol with a token for that role",
            )
        return found

    @property
    def root_pem(self) -> bytes:
        """The root certificate in PEM."""
        return self.root.pem

    @property
    def certificate_pem(self) -> bytes:
        """The party's certificate in PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def certificate_der(self) -> bytes:
        """The party's certificate in DER."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    def check_dates(self, now: float) -> None:
        """Refuse to go on with a certificate that has expired since it was loaded.

        Raises:
            IdentityInvalid: ``certificate_expired`` or ``certificate_not_yet_valid``.
        """
        self.root.check_dates(self.certificate, now)

    def key_pem(self) -> bytes:
        """Return the private key, *not encrypted*, for the TLS library: it goes nowhere else."""
        return encode_key(self._key, None)

    def private_key(self) -> ec.EllipticCurvePrivateKey:
        """Return the private key's handle, for the library that makes signed statements."""
        return self._key

    def sign(self, message: bytes) -> bytes:
        """Return the ECDSA signature (SHA-256, DER) of a message."""
        return self._key.sign(message, ec.ECDSA(hashes.SHA256()))

    def __repr__(self) -> str:
        return f"<Credentials of {self.name}>"
