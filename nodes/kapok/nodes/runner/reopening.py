"""A reopening of a cohort: verified by this node, and in force once it is in its journal, not before.

Every signature is verified from the authority's root. The journal has the last word: it knows which cohorts
bind this node, and which reopening it accepted last.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from kapok.documents.reopening import Reopening, SignedReopening
from kapok.errors import ConsentWithheld, KapokError, NotFound
from kapok.nodes.runner.outgoing import AnsweredReopening, reopening_token
from kapok.protocols.secure_sum.params import Signer, Verifier

__all__ = ["answer_reopening", "take"]

Keep = Callable[[str, Reopening, SignedReopening], bool]
"""Notes a verified reopening of an asset's cohort in the journal; returns whether it is new."""

_log = logging.getLogger(__name__)


def answer_reopening(
    text: bytes,
    *,
    name: str,
    assets: Mapping[str, str],
    verifier: Verifier,
    signer: Signer,
    now: float,
    keep: Keep,
) -> AnsweredReopening | None:
    """Accept a reopening that the broker relays, or say why not; None for one that cannot be read.

    Args:
        text: JSON of a `SignedReopening`.
        name: This node's.
        assets: Its tables, by the hash of each dataset that it has over them.
        verifier: Believes the authority alone.
        signer: Signs the answer.
        now: Seconds since the epoch.
        keep: The journal's.

    Raises:
        Unavailable: ``journal_unavailable``: nothing may be answered.
    """
    try:
        document = SignedReopening.from_json(text)
    except KapokError as error:
        _log.warning("a reopening cannot be read", extra={"code": error.code})
        return None
    refusal: KapokError | None = None
    try:
        if take(document, name=name, assets=assets, verifier=verifier, now=now, keep=keep):
            _log.warning("a cohort was reopened by its officers", extra={"reopening": document.id})
    except KapokError as error:
        if error.code == "journal_unavailable":
            raise
        _log.warning("a reopening was refused", extra={"reopening": document.id, "code": error.code})
        refusal = error
    return AnsweredReopening(document.id, reopening_token(document.id, refusal, signer))


def take(
    document: SignedReopening,
    *,
    name: str,
    assets: Mapping[str, str],
    verifier: Verifier,
    now: float,
    keep: Keep,
) -> bool:
    """Verify a reopening and note it in the journal; return whether it is new.

    Args:
        document: With its signatures.
        name: This node's.
        assets: Its tables, by the hash of each dataset that it has over them.
        verifier: Believes the authority alone.
        now: Seconds since the epoch.
        keep: The journal's.

    Raises:
        PeerProtocolError: ``bad_statement``.
        TimedOut: ``reopening_expired``.
        NotAuthorised: ``signature_missing``.
        ConsentWithheld: ``not_concerned``: this node is in neither cohort.
        NotFound: ``dataset_not_joined``.
        InvalidInput: ``reopening_superseded``.
        CohortTooSmall: ``cohort_not_named``.
    """
    reopening = document.check(verifier, now)
    # Whoever is in one of the cohorts has its own organisation among those that had to sign.
    if name not in reopening.nodes:
        raise ConsentWithheld(
            "the reopening is about cohorts that this node is not in",
            code="not_concerned",
            remedy="give it to the nodes that it names",
        )
    asset = assets.get(reopening.dataset)
    if asset is None:
        raise NotFound(
            "this node has not joined the dataset that the reopening is about",
            code="dataset_not_joined",
            remedy="let it join the dataset first (node.toml)",
        )
    return keep(asset, reopening, document)
