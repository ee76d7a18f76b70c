import base64
import ipaddress
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kapok.errors import IdentityInvalid
from kapok.identity import certificates
from kapok.identity.certificates import TrustRoot, certificate_from_der, certificate_from_pem
from kapok.identity.issuing import certificate_request, new_root, requested_key
from kapok.identity.keyfiles import generate_key
from kapok.identity.names import PartyName

NOW = 1_800_000_000.0
LEAF = "spiffe://kapok.test/org/clinic/node/one"
DAY = 86_400.0


def refuse(root: TrustRoot, certificate: x509.Certificate, code: str, now: float = NOW) -> IdentityInvalid:
    with pytest.raises(IdentityInvalid) as caught:
        root.check(certificate, now)
    assert caught.value.code == code
    assert caught.value.remedy
    return caught.value


def test_what_the_forge_makes_by_default_is_right(domain: Any) -> None:
    certificate = domain.forge()
    assert str(domain.root.check(certificate, NOW)) == LEAF
    hosts = [x509.DNSName("node.example"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    assert str(domain.root.check(domain.forge(others=hosts), NOW)) == LEAF


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"days": (-400, -35)}, "certificate_expired"),
        ({"days": (1, 365)}, "certificate_not_yet_valid"),
        ({"uris": (LEAF, "spiffe://kapok.test/org/clinic/node/two")}, "bad_certificate"),
        ({"uris": (LEAF, LEAF)}, "bad_certificate"),
        ({"uris": ()}, "bad_certificate"),
        ({"uris": (), "others": (x509.DNSName("node.example"),)}, "bad_certificate"),
        ({"others": (x509.RFC822Name("a@b.example"),)}, "bad_certificate"),
        ({"uris": (), "others": (x509.RFC822Name("a@b.example"),)}, "bad_certificate"),
        ({"uris": ("https://kapok.test/org/clinic/node/one",)}, "bad_certificate"),
        ({"uris": ("spiffe://kapok.test/org/clinic/root/one",)}, "bad_certificate"),
        ({"uris": ("spiffe://other.test/org/clinic/node/one",)}, "foreign_certificate"),
        ({"ca": True}, "bad_certificate"),
        ({"usage": "key_encipherment"}, "bad_certificate"),
        ({"usage": "key_cert_sign"}, "bad_certificate"),
        ({"extended": (ExtendedKeyUsageOID.SERVER_AUTH,)}, "bad_certificate"),
        ({"extended": (ExtendedKeyUsageOID.CODE_SIGNING,)}, "bad_certificate"),
        ({"critical": True}, "bad_certificate"),
        ({"curve": ec.SECP384R1()}, "bad_certificate"),
        (
            {"issuer": x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "somebody else")])},
            "foreign_certificate",
        ),
    ],
)
def test_bad_certificates_are_refused(domain: Any, changes: dict[str, Any], code: str) -> None:
    refuse(domain.root, domain.forge(**changes), code)


def test_another_root_of_the_same_names_is_foreign(domain: Any) -> None:
    error = refuse(domain.root, domain.forge(signed_by=generate_key()), "foreign_certificate")
    assert "kapok.test" in error.message
    twin = type(domain)()
    assert twin.root.certificate.subject == domain.root.certificate.subject
    refuse(domain.root, twin.forge(), "foreign_certificate")


def test_errors_say_which_dates(domain: Any) -> None:
    certificate = domain.forge()
    late = refuse(domain.root, certificate, "certificate_expired", NOW + 366 * DAY)
    assert LEAF in late.message
    assert f"{certificate.not_valid_after_utc:%Y-%m-%d}" in late.message
    early = refuse(domain.root, certificate, "certificate_not_yet_valid", NOW - 2 * DAY)
    assert "clock" in (early.remedy or "")
    refuse(domain.root, domain.forge(days=(-1, 5000)), "certificate_expired", NOW + 3651 * DAY)


def test_an_altered_certificate_is_foreign(domain: Any) -> None:
    der = bytearray(domain.forge().public_bytes(serialization.Encoding.DER))
    der[der.index(b"clinic")] ^= 1
    refuse(domain.root, certificate_from_der(bytes(der)), "foreign_certificate")


@pytest.mark.parametrize("cut", [0, 1, 100, -1])
def test_truncated_certificates_are_refused(domain: Any, cut: int) -> None:
    der = domain.forge().public_bytes(serialization.Encoding.DER)
    with pytest.raises(IdentityInvalid):
        certificate_from_der(der[:cut])
    with pytest.raises(IdentityInvalid):
        certificate_from_der(der + b"\0")
    with pytest.raises(IdentityInvalid):
        certificate_from_der(b"0" * 20_000)
    pem = domain.root.pem
    for text in (b"", b"nonsense", pem[: len(pem) // 2], pem + pem):
        with pytest.raises(IdentityInvalid):
            certificate_from_pem(text)


def test_a_leaf_is_no_root(domain: Any) -> None:
    with pytest.raises(IdentityInvalid) as caught:
        TrustRoot(domain.forge())
    assert caught.value.code == "bad_root"
    key = generate_key()
    with pytest.raises(IdentityInvalid) as caught:
        TrustRoot(
            domain.forge(key, ca=True, usage="key_cert_sign", uris=("spiffe://kapok.test",), signed_by=key)
        )
    assert caught.value.code == "bad_root"  # signed by its own key, yet issued under another's name


@pytest.mark.parametrize(
    "uris",
    [
        ["spiffe://"],
        ["spiffe://kapok.test/org/x/node/y"],
        ["https://kapok.test"],
        ["spiffe://kapok.test", "spiffe://other.test"],
        [],
    ],
)
def test_a_root_without_one_trust_domain_is_none(uris: list[str]) -> None:
    key = generate_key()
    good = new_root(key, "kapok.test", NOW)
    builder = x509.CertificateBuilder(
        good.issuer, good.subject, key.public_key(), 5, good.not_valid_before_utc, good.not_valid_after_utc
    )
    for extension in good.extensions:
        if not isinstance(extension.value, x509.SubjectAlternativeName):
            builder = builder.add_extension(extension.value, extension.critical)
    if uris:
        names = [x509.UniformResourceIdentifier(uri) for uri in uris]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    with pytest.raises(IdentityInvalid):
        TrustRoot(builder.sign(key, hashes.SHA256()))


def test_a_key_fingerprint_outlives_a_renewal(domain: Any) -> None:
    key = generate_key()
    first, second = domain.forge(key), domain.forge(key)
    assert certificates.fingerprint(first) != certificates.fingerprint(second)
    assert certificates.key_fingerprint(certificates.public_key(first)) == certificates.key_fingerprint(
        certificates.public_key(second)
    )


def test_an_rsa_certificate_is_refused(domain: Any) -> None:
    good = domain.forge()
    key = rsa.generate_private_key(65537, 2048)
    builder = x509.CertificateBuilder(
        good.issuer, good.subject, key.public_key(), 5, good.not_valid_before_utc, good.not_valid_after_utc
    )
    for extension in good.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    refuse(domain.root, builder.sign(domain.key, hashes.SHA256()), "bad_certificate")


def of_version(raw: bytes, version: int) -> bytes:
    """The same DER, under another version number."""
    mark = b"\xa0\x03\x02\x01\x02" if b"\xa0\x03\x02\x01\x02" in raw[:20] else b"\x02\x01\x00"
    return raw.replace(mark, mark[:-1] + bytes([version]), 1)


@pytest.mark.parametrize("version", [1, 4, 9])
def test_a_version_that_is_none_is_no_certificate_and_no_request(domain: Any, version: int) -> None:
    """The library has an error of its own for it. A request comes from somebody whom nobody knows yet."""
    der = of_version(domain.forge().public_bytes(serialization.Encoding.DER), version)
    pem = b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"
    for read in (lambda: certificate_from_der(der), lambda: certificate_from_pem(pem)):
        with pytest.raises(IdentityInvalid) as caught:
            read()
        assert caught.value.code == "bad_certificate"
    request = certificate_request(generate_key(), PartyName.parse(LEAF))
    with pytest.raises(IdentityInvalid) as caught:
        requested_key(of_version(request, version))
    assert caught.value.code == "bad_certificate_request"
