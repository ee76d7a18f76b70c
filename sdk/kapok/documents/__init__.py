"""Signed documents: what parties agree on in writing, each identified by the hash of its payload.

    envelope                 the JWS around every one: signing, verifying, identity
    statements               membership, job specification, refusal, opinion
    reopening                a cohort's, signed by officers
    dataset, columns         a schema: its columns, and their values as whole numbers
    codes, dates             domains from files of codes; days and seconds
    bundle, inspection       Flower's app bundle, byte for byte; what is in it, for who decides about it

What is signed within the masked sum itself is in `kapok.protocols.secure_sum.messages`.
"""
