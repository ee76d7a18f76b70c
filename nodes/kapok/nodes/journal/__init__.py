"""What a node must remember across restarts: tries, approvals, consents, seals, releases, cohorts.

Every change is on disk before it is answered, and so is the journal's number in its mirror (`instance`).
Nothing here was read from the holder's table; a release record holds ρ, which the receiver alone can
open, never b.

    instance   the journal's number and its mirror: a journal restored from a copy is noticed
    tables     the tables
    records    what is read from them, by `reading`
    queries    what is asked of them at every step
    journal    what the runner writes and reads
    history    what an officer looks up, from the file alone
    forgetting texts that are emptied after a time
    reopening  officers change a cohort
    apps       officers approve apps
    inbox      what the local officer writes and reads, a pause as well
"""

from kapok.nodes.journal.inbox import Inbox
from kapok.nodes.journal.journal import Journal
from kapok.nodes.journal.records import (
    AcceptedReopening,
    Decision,
    JobRecord,
    NewJob,
    Pause,
    Scope,
    StoredRelease,
    StoredSeal,
)

__all__ = [
    "AcceptedReopening",
    "Decision",
    "Inbox",
    "JobRecord",
    "Journal",
    "NewJob",
    "Pause",
    "Scope",
    "StoredRelease",
    "StoredSeal",
]
