"""Paillier encryption of vectors, as Damgård and Jurik generalised it: the second lock on a contribution.

| room | what is in it |
|---|---|
| `public` | the result key as others see it; its degrees and profiles |
| `plaintexts`, `packing` | the digits of plaintexts; masked words laid into them |
| `vector` | ciphertexts as they travel, and the strict parser of what a peer sent |
| `scheme` | encrypt, add and scale vectors; `pool`: encrypt with randomness made ahead |
| `plain`, `vectorised` | how it is done: on Python integers, on whole arrays; `tables` of powers |
| `digits` | the arithmetic of a key, and the checks of digits |
| `private`, `opening`, `keygen` | the receiver's alone: decrypt; make a key |
| `number_theory` | what making and checking a key takes |

Sources: Paillier, *Public-key cryptosystems based on composite degree residuosity classes* (EUROCRYPT 1999);
Damgård, Jurik, *A generalisation, a simplification and some applications of Paillier's probabilistic
public-key system* (PKC 2001); Damgård, Jurik, Nielsen, *A generalization of Paillier's public-key system with
applications to electronic voting* (International Journal of Information Security 9, 2010).
"""
