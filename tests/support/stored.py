"""Rows of a broker's store, as contracts put them there."""

from kapok.broker.store.schema import AttemptRow, ConsentRow, JobRow, MemberRow, SealedVectorRow

NOW = 1_800_000_000.0
ORGANISATION = "spiffe://kapok.test/org/university"
ADA = f"{ORGANISATION}/analyst/ada"
LONG = {"specification": "token", "payload": b"{}"}


def job_row(job_id="a" * 64, **changes):
    given = {
        "id": job_id,
        "analyst": ADA,
        "organisation": ORGANISATION,
        "state": "gathering",
        "submitted_at": NOW,
        "changed_at": NOW,
        "gathering_since": NOW,
        "deadline": NOW + 60,
    }
    return JobRow(**(given | changes))


def add_job(store, job_id="a" * 64, nodes=("n1", "n2"), **changes):
    with store.transaction() as tx:
        tx.jobs.add(
            job_row(job_id, **changes),
            [MemberRow(job=job_id, node=node, organisation=node) for node in nodes],
            **LONG,
        )
    return job_id


def add_attempt(store, job_id, number=1, state="open", scopes=(None, None)):
    with store.transaction() as tx:
        row = AttemptRow(job=job_id, round=1, number=number, state=state, opened_at=NOW, changed_at=NOW)
        roster = [("n2", "consent of n2", scopes[1]), ("n1", "consent of n1", scopes[0])]
        tx.attempts.add(row, roster)
        return row.id


def add_vector(store, attempt_id, node, chunks=(), *, counted=True):
    with store.transaction() as tx:
        row = SealedVectorRow(attempt=attempt_id, node=node, token=f"seal of {node}", digest="d" * 64)
        row.touched_at = NOW
        tx.vectors.add(row)
        tx.vectors.append(row, list(chunks), NOW + 1)
        row.counted = counted
        return row.id


def add_consent(store, job_id, node, digest, standing):
    with store.transaction() as tx:
        row = ConsentRow(job=job_id, node=node, digest=digest, token="t", rule="fixed", cohorts="[]")
        row.standing, row.received_at = standing, NOW
        tx.jobs.add_consent(row)
