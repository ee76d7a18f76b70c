"""The one tree of errors that public calls raise.

Every error has a stable snake_case `code`, says in plain words what happened and what to do (`remedy`), and
knows whether trying again can help. `kapok.wire` maps each class to a gRPC status and back, so that a client
raises the class that the broker raised; the command line turns it into the documented exit status.

Messages name parties, columns, clauses and steps; never a value from anybody's data, never a secret.
A raw exception of a library that leaves a public call is a defect.

`wording` has the words that messages share, `plain` makes other parties' text fit to be read, `secrecy` keeps
what is secret from being pickled.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import ClassVar, Final

from kapok.errors.plain import plain, plain_json, plain_lines
from kapok.errors.wording import counted, near

__all__ = [
    "BudgetExhausted",
    "CohortTooSmall",
    "ConsentWithheld",
    "IdentityInvalid",
    "InternalError",
    "InvalidInput",
    "KapokError",
    "LocalProtocolError",
    "NotAuthorised",
    "NotFound",
    "PeerProtocolError",
    "ProtocolError",
    "Refused",
    "SealBroken",
    "TimedOut",
    "Unavailable",
    "VersionMismatch",
    "counted",
    "error_class",
    "is_code",
    "near",
    "plain",
    "plain_json",
    "plain_lines",
]

_OF_CALLS: Final = frozenset({"call_timed_out", "handshake_timed_out", "upload_stalled"})
_CODE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*\Z")


def is_code(text: str) -> bool:
    """Whether it can be an error's code: a snake_case word. To be asked of text that another party sent."""
    return bool(_CODE.match(text))


class KapokError(Exception):
    """The root: something went wrong that a person can be told about.

    Attributes:
        code: Stable snake_case word for programs, e.g. ``unknown_column``.
        message: What happened, one sentence without a full stop at its end.
        remedy: What would mend it, or None where nothing can be said.
        clause: The rule of a policy or specification that failed, e.g. ``policy.min_cell``, or None.
        party: The SPIFFE name or organisation that it concerns, or None.
    """

    default_code: ClassVar[str] = "internal_error"
    exit_status: ClassVar[int] = 1

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        remedy: str | None = None,
        clause: str | None = None,
        party: str | None = None,
    ) -> None:
        code = code or self.default_code
        if not is_code(code):
            raise AssertionError(f"not a snake_case error code: {code!r}")
        super().__init__(message)
        self.code = code
        self.message = message
        self.remedy = remedy
        self.clause = clause
        self.party = party

    @property
    def retryable(self) -> bool:
        """Whether trying the same again can help."""
        return False

    def __str__(self) -> str:
        return plain(self.message)

    @cached_property
    def __notes__(self) -> list[str]:  # type: ignore[override]
        """What Python shows beneath a traceback, in a notebook for one; `add_note` adds to it."""
        return self.diagnostics().splitlines()[1:]

    def diagnostics(self) -> str:
        """The whole error in plain words, one line per thing known, for a terminal or a log.

        What another party wrote into it can do nothing to a terminal.
        """
        lines = [f"{plain(self.message)} [{self.code}]"]
        if self.party:
            lines.append(f"  party: {plain(self.party)}")
        if self.clause:
            lines.append(f"  clause: {plain(self.clause)}")
        if self.remedy:
            lines.append(f"  what to do: {plain(self.remedy)}")
        return "\n".join(lines)


class InternalError(KapokError):
    """A defect of Kapok itself, or of the machine under it."""


class InvalidInput(KapokError):
    """What was given cannot be used as it stands: settings, a question, a schema, a file."""

    default_code = "invalid_input"
    exit_status = 3


class Refused(KapokError):
    """Somebody who may say no said no, for a reason that depends on question, schema and policy alone."""

    default_code = "refused"
    exit_status = 4


class NotAuthorised(Refused):
    """The party's name or role may not do this."""

    default_code = "not_authorised"


class ConsentWithheld(Refused):
    """A node's own policy does not allow the job."""

    default_code = "consent_withheld"


class BudgetExhausted(Refused):
    """The questions that policy grants the analyst's organisation are used up."""

    default_code = "budget_exhausted"


class CohortTooSmall(Refused):
    """Too few organisations, or a set of parties that differs from the cohort already fixed."""

    default_code = "cohort_too_small"


class NotFound(KapokError):
    """No such job, dataset, file or party."""

    default_code = "not_found"
    exit_status = 5


class Unavailable(KapokError):
    """Somebody cannot be reached, or takes no more, just now; trying again can help.

    Attributes:
        retry_after_s: Of somebody who takes no more just now: seconds before which trying again is of no use;
            None where that is not known.
    """

    default_code = "unavailable"
    exit_status = 6

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        remedy: str | None = None,
        clause: str | None = None,
        party: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, code=code, remedy=remedy, clause=clause, party=party)
        self.retry_after_s = retry_after_s

    @property
    def retryable(self) -> bool:
        """It can: whoever is away comes back."""
        return True

    def diagnostics(self) -> str:
        """As of every error, with the time after which to try again."""
        told = super().diagnostics()
        return told if self.retry_after_s is None else f"{told}\n  try again in: {self.retry_after_s:.1f} s"


class TimedOut(Unavailable):
    """A deadline passed before all that was needed was there."""

    default_code = "timed_out"

    @property
    def retryable(self) -> bool:
        """It can where the deadline was that of one call, and not of a job."""
        return self.code in _OF_CALLS


class ProtocolError(KapokError):
    """A message that the protocol does not allow here. The receiver's state is unchanged."""

    default_code = "protocol_error"
    exit_status = 7


class LocalProtocolError(ProtocolError):
    """Our own side asked for a step that its state does not allow."""

    default_code = "local_protocol_error"


class PeerProtocolError(ProtocolError):
    """Another party sent what it must not send: named in `party` where it can be told."""

    default_code = "peer_protocol_error"


class SealBroken(ProtocolError):
    """A sum does not open, or its tag shows that somebody shifted it. No result may be read from it."""

    default_code = "seal_broken"


class IdentityInvalid(KapokError):
    """A certificate, key, signature or enrolment token is wrong, expired, foreign or spent."""

    default_code = "identity_invalid"
    exit_status = 8


class VersionMismatch(KapokError):
    """The two sides speak different versions of the wire or of a protocol suite."""

    default_code = "version_mismatch"
    exit_status = 9


def _tree(root: type[KapokError]) -> dict[str, type[KapokError]]:
    found = {root.__name__: root}
    for child in root.__subclasses__():
        found |= _tree(child)
    return found


_CLASSES = _tree(KapokError)


def error_class(kind: str) -> type[KapokError]:
    """The class of that name, as it travels; `InternalError` for one that this version does not know.

    The root is nobody's class: whoever says it says nothing that this version knows.
    """
    return InternalError if kind == KapokError.__name__ else _CLASSES.get(kind, InternalError)
