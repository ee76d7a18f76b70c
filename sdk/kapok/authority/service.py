"""The authority's own certificate: with it the enrolment service answers, under the tokens' root."""

from __future__ import annotations

import logging
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kapok.authority.register import Register
from kapok.authority.root import RootKey
from kapok.authority.settings import AuthorityHome, AuthoritySettings
from kapok.identity.certificates import certificate_from_pem
from kapok.identity.credentials import CERTIFICATE_FILE, IDENTITY_FOLDER, KEY_FILE, ROOT_FILE
from kapok.identity.issuing import check_host
from kapok.identity.keyfiles import (
    decode_key,
    encode_key,
    generate_key,
    make_private_folder,
    read_private_file,
    read_public_file,
    replace_file,
    write_new_file,
)

__all__ = ["ServiceIdentity"]

_LOG: Final = logging.getLogger(__name__)
_RENEW_S: Final = 30 * 86_400
_DAY_S: Final = 86_400


class ServiceIdentity:
    """The identity folder of the enrolment service.

    Args:
        place: The authority's folder.
        settings: Its names and hosts, and how long certificates last.
        root: Signs.
        register: Where every certificate is written down.
    """

    def __init__(
        self, place: AuthorityHome, settings: AuthoritySettings, root: RootKey, register: Register
    ) -> None:
        self._folder = place.folder / IDENTITY_FOLDER
        self._settings, self._root, self._register = settings, root, register

    def make(self, passphrase: str | None, now: float) -> None:
        """Write ``<home>/identity``, replacing nothing."""
        key = generate_key()
        make_private_folder(self._folder)
        write_new_file(self._folder / KEY_FILE, encode_key(key, passphrase))
        write_new_file(self._folder / ROOT_FILE, self._root.root.pem, mode=0o644)
        pem = self._issued(key.public_key(), now)
        write_new_file(self._folder / CERTIFICATE_FILE, pem, mode=0o644)

    def renew(self, passphrase: str | None, now: float) -> None:
        """Issue the certificate anew if it ends soon or the settings' `hosts` have changed; the key stays."""
        current = certificate_from_pem(read_public_file(self._folder / CERTIFICATE_FILE))
        remaining_s = current.not_valid_after_utc.timestamp() - now
        names = current.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        carried = {name for name in names if not isinstance(name, x509.UniformResourceIdentifier)}
        enough_s = min(_RENEW_S, self._settings.leaf_days * _DAY_S / 2)
        if remaining_s > enough_s and carried == {check_host(host) for host in self._settings.hosts}:
            return
        key_file = self._folder / KEY_FILE
        key = decode_key(read_private_file(key_file), passphrase, key_file)
        pem = self._issued(key.public_key(), now)
        replace_file(self._folder / CERTIFICATE_FILE, pem, mode=0o644)
        _LOG.info("the authority's own certificate was renewed")

    def _issued(self, key: ec.EllipticCurvePublicKey, now: float) -> bytes:
        name, days = self._settings.name, self._settings.leaf_days
        certificate = self._root.issue(key, name, now=now, days=days, hosts=self._settings.hosts)
        self._register.add_certificate(name, certificate, now)
        return certificate.public_bytes(serialization.Encoding.PEM)
