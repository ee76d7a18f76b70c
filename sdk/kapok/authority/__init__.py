"""The identity authority: makes a trust domain's root, gives out one-time tokens, signs certificates.

It is trusted for membership, and must not be run by the broker's operator.

    root, register   the one key; tokens given out, certificates issued and revoked
    handler, service    what the enrolment service does; the certificate with which it answers
    revoking         a list of revoked certificates, signed, and sent to the broker
    settings, app    ``authority.toml``; all of it wired together
"""
