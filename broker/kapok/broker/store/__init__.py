"""The broker's durable state: every change is one transaction, on disk before anybody is answered.

schema      the tables
rows        the rows of one transaction
catalogue   datasets and who has joined them
jobs        jobs, whom they ask, consents and refusals, history
attempts    attempts with their rosters and releases
vectors     sealed vectors in chunks, and the folded sums
duties      what a node owes
reopenings  reopenings of cohorts
inquiries   inquiries that are open just now
brokers     the broker processes on one store, and what each does
wakeups     what they tell one another
database    transactions over all of these
"""

from kapok.broker.store.database import Store, Transaction, restoring_file

__all__ = ["Store", "Transaction", "restoring_file"]
