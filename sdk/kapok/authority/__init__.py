"""The identity authority: makes a trust domain's root, gives out one-time tokens, signs certificates.

It is trusted for membership, and must not be run by the broker's operator.
"""
