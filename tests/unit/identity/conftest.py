from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kapok.identity.certificates import TrustRoot
from kapok.identity.issuing import new_root
from kapok.identity.keyfiles import generate_key

NOW = 1_800_000_000.0
USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)
LEAF = "spiffe://kapok.test/org/clinic/node/one"


@dataclass
class Domain:
    """A trust domain whose root also signs what no authority would."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=generate_key)
    trust_domain: str = "kapok.test"

    def __post_init__(self) -> None:
        self.root = TrustRoot(new_root(self.key, self.trust_domain, NOW))

    def forge(
        self,
        key: ec.EllipticCurvePrivateKey | None = None,
        *,
        uris: Sequence[str] = (LEAF,),
        others: Sequence[x509.GeneralName] = (),
        days: tuple[float, float] = (-1, 365),
        ca: bool = False,
        usage: str = "digital_signature",
        extended: Sequence[x509.ObjectIdentifier] = (ExtendedKeyUsageOID.CLIENT_AUTH,),
        issuer: x509.Name | None = None,
        critical: bool = False,
        signed_by: ec.EllipticCurvePrivateKey | None = None,
        curve: ec.EllipticCurve | None = None,
    ) -> x509.Certificate:
        public = (key or ec.generate_private_key(curve or ec.SECP256R1())).public_key()
        flags = dict.fromkeys(USAGES, False) | {usage: True}
        moment = datetime.fromtimestamp(NOW, UTC)
        root_id = self.root.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        names = [x509.UniformResourceIdentifier(uri) for uri in uris]
        builder = (
            x509.CertificateBuilder()
            .serial_number(x509.random_serial_number())
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "one")]))
            .issuer_name(issuer or self.root.certificate.subject)
            .not_valid_before(moment + timedelta(days=days[0]))
            .not_valid_after(moment + timedelta(days=days[1]))
            .public_key(public)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.KeyUsage(**flags), critical=True)
            .add_extension(x509.ExtendedKeyUsage(extended), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(root_id), critical=False
            )
        )
        if names or others:
            builder = builder.add_extension(x509.SubjectAlternativeName([*names, *others]), critical=False)
        if critical:
            unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.55555.1"), b"x")
            builder = builder.add_extension(unknown, critical=True)
        return builder.sign(signed_by or self.key, hashes.SHA256())


@pytest.fixture
def clock() -> Callable[[], float]:
    return lambda: NOW


@pytest.fixture(scope="session")
def domain() -> Domain:
    return Domain()
