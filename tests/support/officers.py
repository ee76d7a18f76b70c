"""Officers of organisations a, b, c, … who write and sign reopenings of cohorts.

`credentials` gives each party its credentials: ``credentials(organisation, role, name)``.
"""

from collections.abc import Callable, Iterable

from kapok.documents.envelope import JwsSigner
from kapok.documents.reopening import Reopening, SignedReopening
from kapok.identity.credentials import Credentials
from kapok.identity.names import Role

DOMAIN = "kapok.test"
DAY_S = 24 * 3600


def node_names(letters: Iterable[str]) -> tuple[str, ...]:
    """The nodes of these organisations, in order."""
    return tuple(f"spiffe://{DOMAIN}/org/{letter}/node/main" for letter in sorted(letters))


def organisation(name: str) -> str:
    """An organisation in full."""
    return f"spiffe://{DOMAIN}/org/{name}"


def reopening(
    old: Iterable[str], new: str, *, dataset: str, now: float, receiver: str = "university", **changes
) -> Reopening:
    """The reopening that an officer of the first organisation proposes.

    Args:
        old: Letters of each cohort in force, e.g. ``["abcd"]``.
        new: Letters of the new one.
        dataset: Its hash.
        now: It expires a day later.
        receiver: The organisation's short name.
        changes: Other fields.
    """
    old = tuple(sorted(node_names(letters) for letters in old))
    given = {
        "dataset": dataset,
        "receiver": organisation(receiver),
        "serial": 1,
        "old": old,
        "new": node_names(new),
        "proposer": f"{sorted({*old[0]})[0].partition('/node/')[0]}/officer/chief",
        "expires": int(now) + DAY_S,
    }
    return Reopening(**(given | changes))


def signed(
    document: Reopening | SignedReopening,
    credentials: Callable[[str, Role, str], Credentials],
    letters: Iterable[str] | None = None,
    role: Role = Role.OFFICER,
) -> SignedReopening:
    """Add the signatures of the officers of these organisations; of all that it concerns when None."""
    reopened = document if isinstance(document, Reopening) else document.read()
    found = document if isinstance(document, SignedReopening) else SignedReopening.of(document)
    if letters is None:
        letters = [one.rpartition("/")[2] for one in reopened.organisations]
    for letter in letters:
        found = found.signed_by(JwsSigner(credentials(letter, role, "chief")))
    return found
