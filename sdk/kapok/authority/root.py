"""The root key of a trust domain: everything that the authority signs is signed here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from kapok.authority.settings import AuthorityHome
from kapok.errors import IdentityInvalid
from kapok.errors.secrecy import NeverPickled
from kapok.identity import issuing
from kapok.identity.certificates import TrustRoot
from kapok.identity.keyfiles import (
    decode_key,
    encode_key,
    generate_key,
    make_private_folder,
    read_private_file,
    read_public_file,
    write_new_file,
)
from kapok.identity.names import PartyName

__all__ = ["RootKey"]


class RootKey(NeverPickled):
    """A root's private key and certificate. Never printed, never pickled.

    Attributes:
        root: The certificate.
    """

    __slots__ = ("_key", "root")

    def __init__(self, key: ec.EllipticCurvePrivateKey, root: TrustRoot) -> None:
        """Raises: IdentityInvalid: ``key_mismatch``."""
        if key.public_key() != root.certificate.public_key():
            raise IdentityInvalid(
                "the root key is not that of the root certificate",
                code="key_mismatch",
                remedy="bring the folder root/ back from a backup",
            )
        self._key = key
        self.root = root

    @classmethod
    def generate(cls, trust_domain: str, now: float) -> RootKey:
        """Return a new root, valid for ten years from `now`."""
        key = generate_key()
        return cls(key, TrustRoot(issuing.new_root(key, trust_domain, now)))

    @classmethod
    def load(cls, place: AuthorityHome, passphrase: str | None) -> RootKey:
        """Read it from ``<home>/root``.

        Raises:
            NotFound: ``no_identity``.
            IdentityInvalid: what is wrong with the files, or the passphrase.
        """
        key = decode_key(read_private_file(place.root_key), passphrase, place.root_key)
        return cls(key, TrustRoot.from_pem(read_public_file(place.root_certificate)))

    def store(self, place: AuthorityHome, passphrase: str | None) -> None:
        """Write it to ``<home>/root``, replacing nothing."""
        make_private_folder(place.root_folder)
        write_new_file(place.root_key, encode_key(self._key, passphrase))
        write_new_file(place.root_certificate, self.root.pem, mode=0o644)

    def issue(
        self, key: ec.EllipticCurvePublicKey, name: PartyName, *, now: float, days: int, hosts: Sequence[str]
    ) -> x509.Certificate:
        """Return a party's certificate: see `kapok.identity.issuing.issue`."""
        return issuing.issue(self._key, self.root.certificate, key, name, now=now, days=days, hosts=hosts)

    def revocation_list(self, revoked: Mapping[int, float], *, number: int, now: float, days: int) -> bytes:
        """Return a list of revoked certificates, DER: see `kapok.identity.issuing.revocation_list`."""
        return issuing.revocation_list(
            self._key, self.root.certificate, revoked, number=number, now=now, days=days
        )

    def __repr__(self) -> str:
        return f"<RootKey of {self.root.trust_domain}>"
