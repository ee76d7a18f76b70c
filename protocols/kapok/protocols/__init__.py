"""Cryptographic protocols, sans-IO: messages in, messages and results out. No sockets, no files, no clock.

secure_sum           the masked sum: read its page first
masking, paillier    its two locks: pairwise masks; encryption of vectors under the receiver's key
wraps                short secrets sealed to one party's public key
words, word_sum      vectors of fixed-width words, and their sums in place
arithmetic, radix    numbers modulo N^(s+1): whole batches; tiny ones
sizes                what roles fix in common
"""
