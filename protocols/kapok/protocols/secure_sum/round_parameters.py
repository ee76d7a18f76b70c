"""Parameters of jobs with several rounds: for the roster's eyes only, and one and the same for all of it.

    analyst                                   broker          holder i
    JobKey(roster)                                                                new for every roster,
                                                                                  wrapped to each member
    sealed = seal_parameters(key, round, …)   ──▶ stores ──▶  open_parameters(…)  parameters and seed
                                                              holder.open(…)      under its own hash of them

A federated average *is* the last round's result and a Newton step shows it, so the broker may not read them.
The analyst signs (job, round, roster hash, parameters hash, wraps). The hash is over the plaintext that each
holder decoded itself, the tag's seed in it: AES-GCM does not commit to its key, and two holders could be made
to read two things from one ciphertext. Their hashes then differ, their masks do not cancel, and the sum is
noise.

The seed in it also keeps the hash from confirming a guess: seals carry the hash in the open, but who guesses
the parameters does not know the seed.

A roster that has shrunk or has new keys needs a new `JobKey`, hence the analyst: it may refuse to go on.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kapok.errors import InvalidInput, KapokError, LocalProtocolError, PeerProtocolError
from kapok.errors.secrecy import NeverPickled
from kapok.protocols.masking.pairwise import derive
from kapok.protocols.secure_sum.framing import framed, hashed, label
from kapok.protocols.secure_sum.messages import PARAMETERS_TYP, ParametersStatement, encode, read
from kapok.protocols.secure_sum.params import Signer, SumTerms, Verifier
from kapok.protocols.secure_sum.roster import Roster
from kapok.protocols.sizes import TAG_SEED_BYTES
from kapok.protocols.wraps import WrapKey, wrap

__all__ = [
    "JobKey",
    "Parameters",
    "SealedParameters",
    "open_parameters",
    "seal_parameters",
]

MOST_PARAMETERS_BYTES: Final = 1 << 31
_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_GCM_TAG_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Parameters(NeverPickled):
    """One round's parameters as a holder decoded them itself; in iterative jobs they are the model.

    Attributes:
        plaintext: The computation's own encoding.
        tag_seed: 32 bytes.
        hash: What goes into the attempt's context.
    """

    plaintext: bytes = field(repr=False)
    tag_seed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.tag_seed) != TAG_SEED_BYTES or len(self.plaintext) > MOST_PARAMETERS_BYTES:
            raise InvalidInput(
                "the seed is not 32 bytes, or the parameters are too long", code="bad_parameters"
            )

    @property
    def hash(self) -> bytes:
        """SHA-256 over seed and plaintext, 32 bytes."""
        return hashed("parameters/several-rounds", self.tag_seed, self.plaintext)


@dataclass(frozen=True, slots=True)
class SealedParameters:
    """What travels: the signed statement, and the parameters under the job key."""

    token: str
    ciphertext: bytes = field(repr=False)


class JobKey(NeverPickled):
    """The key that one roster's parameters are encrypted under. Never printed, never pickled.

    Made by the analyst after it has verified the roster (`kapok.protocols.secure_sum.roster.read_roster`).
    """

    __slots__ = ("_key", "roster", "wraps")

    def __init__(self, roster: Roster, *, secret: bytes | None = None) -> None:
        """Make a key for a roster, or take the one that was stored for this very roster.

        Raises:
            PeerProtocolError: ``bad_wrap_key`` naming the member whose wrap key cannot be used.
        """
        self._key = secrets.token_bytes(_KEY_BYTES) if secret is None else secret
        self.roster = roster
        self.wraps = tuple(self._wrapped(name, key) for name, key in _wrap_keys(roster))

    def private_bytes(self) -> bytes:
        """The key, 32 bytes, for the job's file of mode 0600: a restart goes on with the same one."""
        return self._key

    def cipher(self, round: int) -> AESGCM:  # noqa: A002
        """AES-256-GCM under a key of this round's own, derived from the job key."""
        return _cipher(self._key, self.roster, round)

    def __repr__(self) -> str:
        return "JobKey(<hidden>)"

    def _wrapped(self, name: str, key: bytes) -> bytes:
        try:
            return wrap(key, self._key, _wrap_info(self.roster, name))
        except InvalidInput as error:
            raise PeerProtocolError(
                f"the wrap key of {name} cannot be used: {error.message}", code=error.code, party=name
            ) from None


def seal_parameters(
    terms: SumTerms,
    key: JobKey,
    *,
    round: int,  # noqa: A002
    parameters: Parameters,
    name: str,
    signer: Signer,
) -> SealedParameters:
    """Encrypt one round's parameters for a roster and sign what they are. Store them before this is called.

    Args:
        terms: The job's terms.
        key: This roster's key.
        round: From 1 to the terms' limit.
        parameters: Plaintext and tag seed.
        name: The analyst's own name.
        signer: Signs with the analyst's identity.

    Raises:
        LocalProtocolError: ``bad_round`` when the round is above the limit, ``wrong_job`` when the roster is
            another job's.
    """
    if not 1 <= round <= terms.rounds:
        raise LocalProtocolError(f"round {round} is above the limit of {terms.rounds}", code="bad_round")
    if key.roster.job_id != terms.job_id:
        raise LocalProtocolError("the roster is another job's", code="wrong_job")
    statement = ParametersStatement(
        job=terms.job_id,
        round=round,
        roster=key.roster.hash,
        params=parameters.hash,
        name=name,
        wraps=key.wraps,
    )
    nonce = secrets.token_bytes(_NONCE_BYTES)
    plaintext = parameters.tag_seed + parameters.plaintext
    ciphertext = nonce + key.cipher(round).encrypt(nonce, plaintext, parameters.hash)
    return SealedParameters(signer.sign(PARAMETERS_TYP, encode(statement)), ciphertext)


def open_parameters(
    terms: SumTerms,
    *,
    round: int,  # noqa: A002
    roster: Roster,
    sealed: SealedParameters,
    name: str,
    wrap_key: WrapKey,
    analyst: str,
    verifier: Verifier,
) -> Parameters:
    """Decrypt one round's parameters and check that they are what the analyst signed.

    Args:
        terms: The job's terms.
        round: The round that is asked for.
        roster: The roster that this holder has checked.
        sealed: From the broker.
        name: This holder's own name.
        wrap_key: The private half of the key in its consent.
        analyst: The name of whoever signed the job's specification.
        verifier: Verifies the statement.

    Raises:
        IdentityInvalid: signature, certificate or `typ` are wrong.
        PeerProtocolError: ``bad_round`` above the limit, ``not_the_analyst``, ``wrong_round`` for another
            job, round or roster, ``bad_parameters`` when they do not decrypt, or are not what was signed.
    """
    if not 1 <= round <= terms.rounds:
        raise PeerProtocolError(f"round {round} is above the limit of {terms.rounds}", code="bad_round")
    statement, _ = read(ParametersStatement, PARAMETERS_TYP, sealed.token, verifier)
    if statement.name != analyst:
        raise PeerProtocolError(
            f"{statement.name} signed parameters of another analyst's job",
            code="not_the_analyst",
            party=statement.name,
        )
    if (statement.job, statement.round, statement.roster) != (terms.job_id, round, roster.hash):
        raise _bad(analyst, "they are for another job, round or roster", "wrong_round")
    if name not in roster.names or len(statement.wraps) != len(roster.members):
        raise _bad(analyst, "they have another number of wraps than the roster has members")
    try:
        secret = wrap_key.unwrap(statement.wraps[roster.names.index(name)], _wrap_info(roster, name))
        nonce, body = sealed.ciphertext[:_NONCE_BYTES], sealed.ciphertext[_NONCE_BYTES:]
        if len(secret) != _KEY_BYTES or len(body) < TAG_SEED_BYTES + _GCM_TAG_BYTES:
            raise _bad(analyst, "they are too short")
        plaintext = _cipher(secret, roster, round).decrypt(nonce, body, statement.params)
        parameters = Parameters(plaintext[TAG_SEED_BYTES:], plaintext[:TAG_SEED_BYTES])
    except (InvalidTag, ValueError, KapokError):
        raise _bad(analyst, "they do not decrypt") from None
    if parameters.hash != statement.params:
        raise _bad(analyst, "what was decrypted is not what was signed")
    return parameters


def _wrap_keys(roster: Roster) -> list[tuple[str, bytes]]:
    return [(member.name, member.wrap_key) for member in roster.members]


def _wrap_info(roster: Roster, name: str) -> bytes:
    return framed(label("job-key"), roster.job_id, roster.hash, name)


def _cipher(secret: bytes, roster: Roster, round: int) -> AESGCM:  # noqa: A002
    return AESGCM(derive(secret, framed(label("parameters-key"), roster.job_id, roster.hash, round)))


def _bad(analyst: str, why: str, code: str = "bad_parameters") -> PeerProtocolError:
    return PeerProtocolError(f"the parameters of this round cannot be used: {why}", code=code, party=analyst)
