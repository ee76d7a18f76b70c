"""TLS to a PostgreSQL that has an authority of its own: as a node's source, and as a broker's store.

One server for all; each case is what an operator may have set wrong, and what is said of it.
"""

import datetime
import os
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from support.postgres import PASSWORD, READER, emptied, started

from kapok.broker.store import Store
from kapok.errors import InvalidInput
from kapok.nodes.sources.engine import Unreadable
from kapok.nodes.sources.postgres_session import Session

NAMED, UNNAMED = "localhost", "127.0.0.1"
IN_USE = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
pytestmark = [
    # pg8000 leaves the socket of a connection on which something was refused to the collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Authority:
    """A small one, as a hospital has it: nothing of Kapok's."""

    def __init__(self, name):
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._sign(self._name, self._key.public_key(), ca=True)

    def issue(self, name, *hosts, days=30):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        kind, form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        pem = key.private_bytes(serialization.Encoding.PEM, kind, form)
        return pem, self._sign(subject, key.public_key(), hosts, days=days)

    def _sign(self, subject, key, hosts=(), *, ca=False, days=30):
        now = datetime.datetime.now(datetime.UTC)
        usage = x509.KeyUsage(not ca, False, False, False, False, ca, ca, False, False)
        builder = (
            x509.CertificateBuilder(self._name, subject, key, x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=60))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca, None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
        )
        if hosts:
            names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


class Server:
    """A running server with TLS, and files of whoever dials it.

    Attributes:
        server: The server.
        files: The folder of the files: own.crt, other.crt, client.crt, client.key.
    """

    def __init__(self, server, files):
        self.server, self.files, self._own = server, files, Authority("our own")
        self._data = server.folder / "data"
        self._rules = (self._data / "pg_hba.conf").read_text()
        key, certificate = self._own.issue(READER)
        for name, text in {
            "own.crt": self._own.certificate,
            "other.crt": Authority("another").certificate,
            "client.crt": certificate,
            "client.key": key,
        }.items():
            (files / name).write_bytes(text)
            (files / name).chmod(0o600)
        self.show(days=30)
        self.set("ssl_ca_file = 'root.crt'", "ssl = on")
        emptied(server)

    def show(self, days):
        """Let the server have another certificate."""
        key, certificate = self._own.issue("database", NAMED, days=days)
        owner = self._data.stat()
        for name, text in {
            "server.key": key,
            "server.crt": certificate,
            "root.crt": self._own.certificate,
        }.items():
            (self._data / name).write_bytes(text)
            os.chown(self._data / name, owner.st_uid, owner.st_gid)
            (self._data / name).chmod(0o600)
        self.set()

    def set(self, *settings, rules=""):
        """Change settings, and rules that come before all others; wait until new connections have them."""
        (self._data / "pg_hba.conf").write_text(rules + self._rules)
        self.server.run(*(f"ALTER SYSTEM SET {one}" for one in settings))
        with self.server.cursor() as cursor:
            cursor.execute("SELECT pg_conf_load_time()")
            before = cursor.fetchone()
        self.server.run("SELECT pg_reload_conf()")
        for _ in range(200):
            with self.server.cursor() as cursor:
                cursor.execute("SELECT pg_conf_load_time()")
                if cursor.fetchone() != before:
                    return
            time.sleep(0.02)
        pytest.fail("the server does not take its settings")

    def source(self, host=NAMED, **query):
        """What a node's session says; True over TLS."""
        session = Session(5)
        try:
            session.connect(_with(self.server.url().replace("127.0.0.1", host), query), 5)
            return session.fetch(IN_USE).to_pylist()[0]["ssl"]
        except Unreadable as error:
            return _said(error)
        finally:
            session.close()

    def store(self, host=NAMED, **query):
        """What a broker says of its store; None where all is well."""
        url = f"postgresql://{READER}@{host}:{self.server.port}/kapok_store"
        try:
            Store.open(_with(url, query), PASSWORD).close()
        except InvalidInput as error:
            return _said(error)
        return None

    def trusting(self, file="own.crt"):
        return {"sslrootcert": str(self.files / file)}

    def showing(self):
        return {"sslcert": str(self.files / "client.crt"), "sslkey": str(self.files / "client.key")}


def _said(error):
    said = f"{error}: {error.remedy}"
    assert PASSWORD not in said
    return said


def _with(url, query):
    return url + "?" + "&".join(f"{key}={value}" for key, value in query.items())


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    with started() as running:
        yield Server(running, tmp_path_factory.mktemp("tls"))


FULL = {"sslmode": "verify-full"}


def test_a_server_whose_name_and_authority_are_right_is_spoken_to_over_tls(tls):
    assert tls.source(**FULL, **tls.trusting()) is True
    assert tls.store(**tls.trusting()) is None


@pytest.mark.parametrize(
    ("file", "host", "said"),
    [
        ("other.crt", NAMED, "is not one of the authorities in sslrootcert"),
        ("own.crt", UNNAMED, "is not for the host in the URL"),
        ("none.crt", NAMED, "sslrootcert"),
    ],
)
def test_whoever_else_answers_is_told_from_a_server_that_is_away(tls, file, host, said):
    assert said in tls.source(host, **FULL, **tls.trusting(file))
    assert said in tls.store(host, **tls.trusting(file))


def test_a_certificate_that_has_expired_is_said(tls):
    tls.show(days=-1)
    assert "has expired" in tls.source(**FULL, **tls.trusting())
    assert "has expired" in tls.store(**tls.trusting())
    tls.show(days=30)


def test_a_server_without_tls_is_left(tls):
    tls.set("ssl = off")
    assert "offers no TLS" in tls.source(**FULL, **tls.trusting())
    assert "offers no TLS" in tls.store(**tls.trusting())
    tls.set("ssl = on")


def test_a_server_that_asks_for_certificates_is_shown_one(tls):
    tls.set(
        rules=f"hostssl all {READER} all scram-sha-256 clientcert=verify-full\nhost all {READER} all reject\n"
    )
    asked = "asks for a certificate of the client"
    assert asked in tls.source(**FULL, **tls.trusting())
    assert asked in tls.store(**tls.trusting())
    assert tls.source(**FULL, **tls.trusting(), **tls.showing()) is True
    assert tls.store(**tls.trusting(), **tls.showing()) is None
    assert "does not admit this user from this machine" in tls.source(sslmode="disable")
    key = tls.files / "client.key"
    key.chmod(0o644)
    for said in (
        tls.source(**FULL, **tls.trusting(), **tls.showing()),
        tls.store(**tls.trusting(), **tls.showing()),
    ):
        assert "sslkey" in said
        assert "chmod 600" in said
    key.chmod(0o600)
    tls.set()
