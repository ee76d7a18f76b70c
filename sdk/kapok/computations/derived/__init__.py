"""Kinds of questions that one SELECT answers: what an analyst makes of its sums is all that is new.

    text ─▶ Derived(text, question) ─▶ the holder's half of the query ─▶ its answer ─▶ the kind's report

So they have no half at the holder: policies, suppression, complementary suppression and journals are those of
the SELECT, which the analyst might have asked as well.
"""
