import importlib
import importlib.metadata
import secrets

import numpy as np
import pytest

from benchmarks import peers
from benchmarks.peers import Absent
from benchmarks.peers.gmpy2_fixed_base import FixedBase, table_bytes, widest_window
from benchmarks.peers.phe_gmpy2 import PheGmpy2
from benchmarks.records import Figure
from benchmarks.session import Options, Session


@pytest.fixture(scope="module")
def fixed_base(benchmark_key):
    # Windows of 6 bits: the table is made in a moment.
    return FixedBase(benchmark_key, most_bytes=8_000_000)


def plaintexts(key, count=3):
    return [0, key.n - 1, *(secrets.randbelow(key.n) for _ in range(count))]


def test_fixed_base_is_what_its_formula_says(benchmark_key, fixed_base, monkeypatch):
    n = benchmark_key.n
    monkeypatch.setattr(secrets, "randbits", lambda bits: (1 << bits) - 3)
    expected = (1 + 5 * n) * pow(benchmark_key.h_s, (1 << 1024) - 3, n * n) % (n * n)
    assert fixed_base.encrypt([5]) == [expected]


def test_fixed_base_opens_what_it_encrypts_and_so_does_phe(benchmark_key, fixed_base):
    values = plaintexts(benchmark_key)
    ciphertexts = fixed_base.encrypt(values)
    assert fixed_base.decrypt(ciphertexts) == values
    assert PheGmpy2(benchmark_key).open_integers([int(one) for one in ciphertexts]) == values


def test_fixed_base_adds_objects_and_bytes(benchmark_key, fixed_base):
    left, right = plaintexts(benchmark_key), plaintexts(benchmark_key)
    vectors = [fixed_base.encrypt(left), fixed_base.encrypt(right)]
    truth = [(a + b) % benchmark_key.n for a, b in zip(left, right, strict=True)]
    assert fixed_base.decrypt(fixed_base.add(vectors)) == truth
    bodies = [b"".join(int(one).to_bytes(512, "little") for one in vector) for vector in vectors]
    body = fixed_base.add_bytes(bodies, 512)
    total = [int.from_bytes(body[start : start + 512], "little") for start in range(0, len(body), 512)]
    assert fixed_base.decrypt(total) == truth


def test_the_widest_window_within_the_memory():
    for most in (1, 10**6, 10**7, 10**8):
        window = widest_window(2048, 1024, most)
        assert window == 1 or table_bytes(2048, 1024, window) <= most
        assert table_bytes(2048, 1024, window + 1) > most


def test_phe_is_the_baseline_in_all_verbs(benchmark_key):
    phe = PheGmpy2(benchmark_key)
    values = [1, 2, 1 << 1000]
    ciphertexts = phe.encrypt(values)
    assert phe.decrypt(ciphertexts) == values
    assert phe.decrypt(phe.add([ciphertexts] * 3)) == [3 * value for value in values]
    assert phe.decrypt(phe.multiply(ciphertexts, [5, 6, 7])) == [5, 12, 7 << 1000]


@pytest.mark.parametrize(("module", "distribution"), [("paillier", "pypaillier"), ("heu.numpy", "sf-heu")])
def test_a_peer_that_is_not_installed_says_so(module, distribution, monkeypatch):
    def absent(name):
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(Absent, match=f"{distribution} is not installed here"):
        peers.load(module, distribution)


def test_presence_names_every_peer(monkeypatch):
    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(peers, "version", absent)
    assert peers.presence() == dict.fromkeys(peers.DISTRIBUTIONS, "not installed")


def test_an_absent_peer_is_in_the_figure_with_the_reason():
    session = Session(
        Options(
            suites=("core",), bits=(2048,), threads=(1,), seconds=0, repeats=1, short=True, profile=False
        ),
        1,
    )

    def make():
        raise Absent("it is not installed here")

    absent = {}
    assert session.peer("a peer", make, absent) is None
    figure = session.figure("x/y", "t", "u", [], absent=absent)
    assert isinstance(figure, Figure)
    assert figure.absent == {"a peer": "not measured: it is not installed here"}


@pytest.mark.parametrize("name", ["rust_paillier.RustPaillier", "heu.Heu"])
def test_installed_libraries_add_and_open_rightly(benchmark_key, name):
    module, peer_class = name.split(".")
    make = getattr(importlib.import_module(f"benchmarks.peers.{module}"), peer_class)
    try:
        peer = make(benchmark_key)
    except Absent:
        pytest.skip("the library belongs to the benchmark environment")
    values = [0, 1, secrets.randbits(1800)]
    total = peer.add([peer.encrypt(peer.encode(values)), peer.encrypt(peer.encode(values))])
    opened = peer.opened(total)
    assert {0, 2} <= set(opened)
    assert all(number == 2 * values[place] for place, number in opened.items())


def test_flower_masks_and_unmasks():
    from benchmarks.peers.flower import MODULUS, SecAggPlusClient

    try:
        client = SecAggPlusClient(3)
    except Absent:
        pytest.skip("Flower belongs to the benchmark environment")
    values = np.arange(100, dtype=np.int64)
    masked = client.mask(values)
    assert (client.unmask(masked) == values).all()
    assert (masked != values).any()
    assert masked.max() < MODULUS
