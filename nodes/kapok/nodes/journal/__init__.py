"""What a node must remember across restarts: tries, approvals, consents, seals, releases, cohorts.

Every change is on disk before it is answered, and so is the journal's number in its mirror (`instance`).
Nothing here was read from the holder's table; a release record holds ρ, which the receiver alone can
open, never b.

    instance   the journal's number and its mirror: a journal restored from a copy is noticed
    tables     the tables
    records    what is read from them
    journal    what the runner writes and reads
    inbox      what the local officer writes and reads
"""

from kapok.nodes.journal.inbox import Inbox
from kapok.nodes.journal.journal import Journal
from kapok.nodes.journal.records import JobRecord, NewJob, Scope, StoredRelease

__all__ = ["Inbox", "JobRecord", "Journal", "NewJob", "Scope", "StoredRelease"]
