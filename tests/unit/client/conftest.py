"""A trust domain with real certificates, a small dataset, and nodes that joined it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from kapok.client.catalogue import VerifiedDataset, verified
from kapok.documents.dataset import DATASET_TYP, Column, Dataset
from kapok.documents.envelope import JwsSigner, JwsVerifier, document_id, encode
from kapok.documents.statements import MEMBERSHIP_TYP, Membership
from kapok.identity.certificates import TrustRoot
from kapok.identity.credentials import Credentials
from kapok.identity.issuing import issue, new_root
from kapok.identity.names import PartyName, Role
from kapok.protocols.wraps import WrapKey
from kapok.wire.messages import CatalogueEntry

HOSPITALS = ("cleveland", "hungarian", "switzerland", "va")


class Domain:
    """A root, whom it names, and what they sign."""

    def __init__(self, trust_domain: str = "test.example") -> None:
        self.trust_domain = trust_domain
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.root = TrustRoot(new_root(self.key, trust_domain, time.time() - 1000))
        self.verifier = JwsVerifier(self.root.pem)
        self.tag_keys = {name: WrapKey.generate() for name in HOSPITALS}
        self._known: dict[PartyName, Credentials] = {}

    def name(self, role: Role, organisation: str) -> PartyName:
        return PartyName(self.trust_domain, organisation, role, "main")

    def credentials(self, role: Role, organisation: str) -> Credentials:
        name = self.name(role, organisation)
        if name not in self._known:
            key = ec.generate_private_key(ec.SECP256R1())
            certificate = issue(
                self.key, self.root.certificate, key.public_key(), name, now=time.time() - 100, days=10
            )
            self._known[name] = Credentials(key, certificate, self.root, time.time())
        return self._known[name]

    def signer(self, role: Role, organisation: str) -> JwsSigner:
        return JwsSigner(self.credentials(role, organisation))

    def membership(self, organisation: str, dataset_hash: str, tag_key: bytes | None = None) -> str:
        statement = Membership(dataset=dataset_hash, tag_key=tag_key or self.tag_keys[organisation].public)
        return self.signer(Role.NODE, organisation).sign(MEMBERSHIP_TYP, encode(statement))

    def entry(self, dataset: Dataset, members: Sequence[str] = HOSPITALS) -> CatalogueEntry:
        payload = dataset.to_payload()
        return CatalogueEntry(
            document=self.signer(Role.ANALYST, "university").sign(DATASET_TYP, payload),
            memberships=tuple(self.membership(name, document_id(payload)) for name in members),
            connected=tuple(str(self.name(Role.NODE, name)) for name in members[:-1]),
        )


@pytest.fixture(scope="session")
def domain() -> Domain:
    return Domain()


@pytest.fixture(scope="session")
def foreign_domain() -> Domain:
    """Another root under the same trust domain."""
    return Domain()


@pytest.fixture(scope="session")
def heart() -> Dataset:
    return Dataset(
        name="heart",
        columns=(
            Column(name="age", type="integer", minimum=0, maximum=120),
            Column(name="sex", type="integer", domain=(0, 1)),
        ),
        rows_max=1000,
    )


@pytest.fixture(scope="session")
def catalogued(domain: Domain, heart: Dataset) -> VerifiedDataset:
    return verified(domain.entry(heart), domain.verifier)


@pytest.fixture
def profile_home(tmp_path: Path) -> Path:
    (tmp_path / "analyst.toml").write_text('broker = "127.0.0.1:1"\nkey_bits = 2048\npatience_s = 0\n')
    return tmp_path
