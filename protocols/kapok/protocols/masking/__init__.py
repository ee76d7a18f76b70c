"""Masks: vectors of words that two parties share, one adds and the other takes away.

    i                                                j
    MaskKey i ── public key (signed statement) ────▶
              ◀──────────── public key ───────────── MaskKey j
    k = i.agree(j's key, info)                       k = j.agree(i's key, info)      the same 32 bytes
    x + G(k): with_masks(x, …, plus=[k])             y − G(k): with_masks(y, …, minus=[k])

`pairwise` agrees keys (X25519, RFC 7748, then HKDF-SHA256, RFC 5869); `expansion` is the generator G that
turns a key into as many words as a vector has, and adds them to it or takes them away. What a key is bound to
is the protocol's business: it hands in `info`. The construction is that of Bonawitz et al., CCS 2017, section
4, without its recovery of dropped parties: nobody ever reveals a pairwise key.
"""
