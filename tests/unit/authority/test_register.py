from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from kapok.authority import register as register_module
from kapok.authority.register import Issue, Register
from kapok.errors import IdentityInvalid, InvalidInput
from kapok.identity.issuing import issue, new_root
from kapok.identity.keyfiles import generate_key
from kapok.identity.names import PartyName, Role
from kapok.persistence import open_database

NOW = 1_800_000_000.0
NAME = PartyName("kapok.test", "clinic", Role.BROKER, "one")
ROOT_KEY = generate_key()
ROOT = new_root(ROOT_KEY, "kapok.test", NOW)
SECRET_HASH = b"s" * 32

Engine = sqlalchemy.engine.Engine


def issuer(key: ec.EllipticCurvePublicKey) -> Issue:
    def sign(name: PartyName, hosts: Sequence[str]) -> x509.Certificate:
        return issue(ROOT_KEY, ROOT, key, name, now=NOW, hosts=hosts)

    return sign


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_database(tmp_path / "authority.db", "kapok.authority.migrations")
    yield engine
    engine.dispose()


@pytest.fixture
def register(engine: Engine) -> Register:
    made = Register(engine)
    made.add_token(SECRET_HASH, NAME, ("broker.example.org",), NOW, 3600)
    return made


def refuse(register: Register, code: str, secret_hash: bytes = SECRET_HASH, now: float = NOW) -> None:
    key = generate_key().public_key()
    with pytest.raises(IdentityInvalid) as caught:
        register.spend(secret_hash, key, now, issuer(key))
    assert caught.value.code == code


def test_tables_are_what_the_migrations_make(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        found = compare_metadata(context, register_module._METADATA)
    assert found == []


def test_spent_once_answered_again_for_the_same_key(register: Register, engine: Engine) -> None:
    key = generate_key().public_key()
    first = register.spend(SECRET_HASH, key, NOW + 5, issuer(key))
    assert (first.name, first.repeated, first.others_live) == (NAME, False, 0)
    certificate = x509.load_der_x509_certificate(first.certificate_der)
    assert certificate.public_key() == key
    assert f"{certificate.serial_number:x}" == first.serial
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["broker.example.org"]
    for later in (NOW + 6, NOW + 9999):
        again = register.spend(SECRET_HASH, key, later, issuer(key))
        assert again.repeated
        assert again.certificate_der == first.certificate_der
    refuse(register, "token_spent")
    with engine.connect() as connection:
        tables = connection.exec_driver_sql("SELECT count(*) FROM certificates").scalar()
        row = connection.exec_driver_sql("SELECT name, spent_at, serial FROM tokens").one()
    assert tables == 1
    assert tuple(row) == (str(NAME), NOW + 5, first.serial)


def test_unknown_and_expired_tokens(register: Register) -> None:
    refuse(register, "token_unknown", b"t" * 32)
    refuse(register, "token_unknown", b"")
    refuse(register, "token_expired", now=NOW + 3600)
    key = generate_key().public_key()
    assert register.spend(SECRET_HASH, key, NOW + 3599, issuer(key)).name == NAME


def test_issuing_that_fails_leaves_the_token_open(register: Register) -> None:
    def fail(_name: PartyName, _hosts: Sequence[str]) -> x509.Certificate:
        raise InvalidInput("no", code="bad_host")

    key = generate_key().public_key()
    with pytest.raises(InvalidInput):
        register.spend(SECRET_HASH, key, NOW, fail)
    assert not register.spend(SECRET_HASH, key, NOW, issuer(key)).repeated


def test_of_many_at_once_one_key_wins(register: Register) -> None:
    keys = [generate_key().public_key() for _ in range(6)]

    def attempt(key: ec.EllipticCurvePublicKey) -> str:
        try:
            return register.spend(SECRET_HASH, key, NOW, issuer(key)).serial
        except IdentityInvalid as refusal:
            return refusal.code

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(attempt, keys))
    assert answers.count("token_spent") == 5


def test_enrolling_again_says_how_many_certificates_live(register: Register) -> None:
    key = generate_key().public_key()
    register.spend(SECRET_HASH, key, NOW, issuer(key))
    register.add_token(b"u" * 32, NAME, (), NOW, 3600)
    key = generate_key().public_key()
    assert register.spend(b"u" * 32, key, NOW + 1, issuer(key)).others_live == 1
