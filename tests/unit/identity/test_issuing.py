import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kapok.errors import IdentityInvalid, InvalidInput
from kapok.identity.certificates import TrustRoot
from kapok.identity.issuing import certificate_request, issue, new_root, requested_key
from kapok.identity.keyfiles import generate_key
from kapok.identity.names import PartyName, Role

NOW = 1_800_000_000.0
ROOT_KEY = generate_key()
ROOT = new_root(ROOT_KEY, "kapok.test", NOW)


def named(role: Role) -> PartyName:
    return PartyName("kapok.test", "clinic", role, "one")


def alternative_names(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value


def test_root_signs_parties_only() -> None:
    constraints = ROOT.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (True, True, 0)
    assert (ROOT.not_valid_after_utc - ROOT.not_valid_before_utc).days == 3650
    assert TrustRoot(ROOT).trust_domain == "kapok.test"
    with pytest.raises(InvalidInput):
        new_root(ROOT_KEY, "Not A Domain", NOW)


@pytest.mark.parametrize("role", list(Role))
def test_every_role_gets_one_name_and_passes_under_its_root(role: Role) -> None:
    certificate = issue(ROOT_KEY, ROOT, generate_key().public_key(), named(role), now=NOW)
    assert TrustRoot(ROOT).check(certificate, NOW) == named(role)
    names = alternative_names(certificate)
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [str(named(role))]
    usages = set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    serves = role in (Role.BROKER, Role.AUTHORITY)
    assert (ExtendedKeyUsageOID.SERVER_AUTH in usages) == serves
    assert names.get_values_for_type(x509.DNSName) == (["localhost"] if serves else [])
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == (["127.0.0.1"] if serves else [])


def test_dates_allow_for_clock_skew_and_end_with_the_root() -> None:
    key = generate_key().public_key()
    certificate = issue(ROOT_KEY, ROOT, key, named(Role.NODE), now=NOW)
    assert certificate.not_valid_before_utc.timestamp() == NOW - 300
    assert certificate.not_valid_after_utc.timestamp() == NOW + 365 * 86_400
    late = issue(ROOT_KEY, ROOT, key, named(Role.NODE), now=NOW + 3600 * 86_400)
    assert late.not_valid_after_utc == ROOT.not_valid_after_utc


def test_hosts_are_names_or_addresses_of_those_who_are_called() -> None:
    key = generate_key().public_key()
    certificate = issue(
        ROOT_KEY, ROOT, key, named(Role.BROKER), now=NOW, hosts=("Broker.Example.org", "::1", "::1")
    )
    names = alternative_names(certificate)
    assert names.get_values_for_type(x509.DNSName) == ["broker.example.org"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["::1"]
    for role, host in (
        (Role.NODE, "node.example.org"),
        (Role.BROKER, "broker:7443"),
        (Role.BROKER, "*.example.org"),
        (Role.BROKER, "1.2.3.400"),
        (Role.BROKER, ""),
        (Role.BROKER, "a" * 64),
    ):
        with pytest.raises(InvalidInput) as caught:
            issue(ROOT_KEY, ROOT, key, named(role), now=NOW, hosts=(host,))
        assert caught.value.code == "bad_host"


def test_a_request_proves_possession() -> None:
    key = generate_key()
    der = certificate_request(key, named(Role.NODE))
    assert requested_key(der) == key.public_key()
    foreign = (
        generate_key()
        .public_key()
        .public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    )
    own = key.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    wide = ec.generate_private_key(ec.SECP384R1())
    other_curve = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "one")]))
        .sign(wide, hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
    )
    version = der[:7] + bytes([der[7] ^ 1]) + der[8:]
    for bad in (der.replace(own, foreign), der[:-1], b"", b"x" * 20_000, other_curve, version):
        assert bad != der
        with pytest.raises(IdentityInvalid) as caught:
            requested_key(bad)
        assert caught.value.code == "bad_certificate_request"
