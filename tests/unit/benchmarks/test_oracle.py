import math
import secrets

import pytest

from benchmarks.oracle import opened, sampled


@pytest.mark.parametrize("degree", [1, 3])
def test_the_oracle_opens_what_the_definition_encrypts(benchmark_key, degree):
    n = benchmark_key.n
    modulus = n ** (degree + 1)
    plaintext = secrets.randbelow(n**degree)
    # (1+N)^m by the binomial theorem, and an N^s-th power to hide it (Damgård and Jurik 2001, section 3).
    power, term = 0, 1
    for place in range(degree + 1):
        power += term
        term = term * (plaintext - place) * n * pow(place + 1, -1, modulus) % modulus
    assert power % modulus == pow(1 + n, plaintext, modulus)
    randomness = secrets.randbelow(n)
    assert math.gcd(randomness, n) == 1
    ciphertext = power * pow(randomness, n**degree, modulus) % modulus
    assert opened(benchmark_key, ciphertext, degree) == plaintext


def test_samples_have_both_ends_and_lie_within():
    for count in (1, 2, 100):
        places = sampled(count)
        assert {0, count - 1} <= set(places)
        assert all(0 <= place < count for place in places)
