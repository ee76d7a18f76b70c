"""Names of parties: SPIFFE IDs, the only thing that policies match.

    spiffe://<trust domain>/org/<organisation>/<role>/<name>

Source: SPIFFE-ID specification, section 2 (trust domain and path character sets).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from kapok.errors import InvalidInput

__all__ = ["PartyName", "PartyPattern", "Role", "command_to_ask"]

_DOMAIN: Final = re.compile(r"[a-z0-9]([a-z0-9._-]{0,253}[a-z0-9])?\Z")
_SEGMENT: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?\Z")


class Role(StrEnum):
    """What a certificate's holder may be."""

    BROKER = "broker"
    NODE = "node"
    ANALYST = "analyst"
    OFFICER = "officer"
    OPERATOR = "operator"
    SUPERVISOR = "supervisor"
    AUTHORITY = "authority"


def _segment(what: str, text: str) -> str:
    if not _SEGMENT.match(text):
        raise InvalidInput(
            f"{what} {text!r} is not allowed in a party's name",
            code="bad_party_name",
            remedy="use 1 to 63 of the characters a-z A-Z 0-9 . _ -, a letter or digit at both ends",
        )
    return text


@dataclass(frozen=True, slots=True, order=True)
class PartyName:
    """A party's name. Its text form sorts and hashes byte for byte; in the path, case counts.

    Raises:
        InvalidInput: ``bad_party_name`` when a part has characters that SPIFFE does not allow.
    """

    trust_domain: str
    organisation: str
    role: Role
    name: str

    def __post_init__(self) -> None:
        if not _DOMAIN.match(self.trust_domain):
            raise InvalidInput(
                f"trust domain {self.trust_domain!r} is not allowed in a party's name",
                code="bad_party_name",
                remedy="use lower-case letters, digits, '.', '-' and '_', like a host name",
            )
        _segment("organisation", self.organisation)
        _segment("name", self.name)

    def __str__(self) -> str:
        return f"spiffe://{self.trust_domain}/org/{self.organisation}/{self.role}/{self.name}"

    @property
    def organisation_id(self) -> str:
        """The organisation with its trust domain: ``spiffe://<trust domain>/org/<organisation>``."""
        return f"spiffe://{self.trust_domain}/org/{self.organisation}"

    @classmethod
    def parse(cls, text: str) -> PartyName:
        """Read the text form.

        Raises:
            InvalidInput: ``bad_party_name`` when it is anything else.
        """
        parts = text.split("/")
        if len(parts) != 7 or parts[0] != "spiffe:" or parts[1] or parts[3] != "org":
            raise InvalidInput(
                f"{text!r} is not a party's name",
                code="bad_party_name",
                remedy="write spiffe://<trust domain>/org/<organisation>/<role>/<name>",
            )
        try:
            role = Role(parts[5])
        except ValueError:
            raise InvalidInput(
                f"{parts[5]!r} in {text!r} is not a role",
                code="bad_party_name",
                remedy="roles are " + ", ".join(Role),
            ) from None
        return cls(parts[2], parts[4], role, parts[6])


@dataclass(frozen=True, slots=True)
class PartyPattern:
    """A party's name in which trust domain, organisation or name may be ``*`` (all of it, nothing finer).

    ``org/<organisation>/<role>/<name>`` is short for one of any trust domain, ``spiffe://*/org/…``: whoever
    has verified a certificate knows that it is of its own.

    Raises:
        InvalidInput: ``bad_party_name`` when it is neither a name nor such a pattern.
    """

    text: str

    def __post_init__(self) -> None:
        if self.text.startswith("org/"):
            object.__setattr__(self, "text", f"spiffe://*/{self.text}")
        parts = self.text.split("/")
        if partly := next((part for part in parts if "*" in part and part != "*"), ""):
            raise InvalidInput(
                f"{partly!r} in {self.text!r} is half a pattern: * stands for a whole part of a name",
                code="bad_party_name",
                remedy="write * for all of the part, as in org/*/analyst/*, or write the part in full",
            )
        if len(parts) == 7:
            parts[2] = "any" if parts[2] == "*" else parts[2]
            parts[4] = "any" if parts[4] == "*" else parts[4]
            parts[6] = "any" if parts[6] == "*" else parts[6]
        PartyName.parse("/".join(parts))

    @property
    def trust_domain(self) -> str:
        """The trust domain of every party that it covers; ``*`` for any."""
        return self.text.split("/")[2]

    @property
    def organisation(self) -> str:
        """The organisation of every party that it covers; ``*`` for any."""
        return self.text.split("/")[4]

    @property
    def role(self) -> Role:
        """The role of every party that it covers."""
        return Role(self.text.split("/")[5])

    def matches(self, name: PartyName) -> bool:
        """Whether the pattern covers this name."""
        return self.covers(PartyPattern(str(name)))

    def covers(self, other: PartyPattern) -> bool:
        """Whether every name that the other pattern matches matches this one too."""
        mine, theirs = self.text.split("/"), other.text.split("/")
        return all(pattern in ("*", part) for pattern, part in zip(mine, theirs, strict=True))


def command_to_ask(organisations: Iterable[str]) -> str:
    """The command that asks these organisations alone, for a remedy: ``kapok query --party a --party b``."""
    return " ".join(("`kapok query", *(f"--party {name}" for name in sorted(set(organisations))))) + "`"
