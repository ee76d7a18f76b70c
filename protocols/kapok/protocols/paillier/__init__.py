"""Paillier encryption of vectors: the second lock on a sealed contribution.

`public` holds the analyst's result key as others see it, `vector` the ciphertexts as they travel, `plain`
encrypts and adds on Python integers, `packing` lays masked words into plaintexts, and `private` is the
receiver's alone. Everything but `vector`, `plain` and `private` is free of integers the size of a ciphertext,
so that a faster arithmetic can stand behind the same types.

Sources: Paillier, *Public-key cryptosystems based on composite degree residuosity classes* (EUROCRYPT 1999);
Damgård, Jurik, Nielsen, *A generalization of Paillier's public-key system with applications to electronic
voting* (International Journal of Information Security 9, 2010).
"""
