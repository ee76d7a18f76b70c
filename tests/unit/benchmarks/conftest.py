"""`benchmarks` lies beside the source roots and is not installed: the folder above is its root."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3]))


@pytest.fixture(scope="session")
def benchmark_key():
    from benchmarks.keys import benchmark_key

    return benchmark_key(2048)


@pytest.fixture
def figure():
    """One contender of Kapok's, two runs, and a peer that is not there."""
    from benchmarks.records import Aim, Entry, Figure, Run
    from benchmarks.spread import spread_of

    spread = spread_of([10.0, 5.0])
    entry = Entry(
        name="Kapok | ours",
        role="kapok",
        units_per_run=1,
        rate_wall=spread,
        rate_cpu=spread,
        ratio_wall=spread,
        ratio_cpu=spread,
        runs=[Run(wall_s=0.2, cpu_s=0.1), Run(wall_s=0.4, cpu_s=0.2)],
        aim=Aim(of="ratio", least=2.2),
    )
    return Figure(
        key="core/product",
        title="a product",
        unit="products",
        threads=1,
        parameters={"bits": 2048},
        baseline="gmpy2",
        entries=[entry],
        absent={"pypaillier": "not measured: pypaillier is not installed here"},
    )


@pytest.fixture
def report(figure):
    """A small report with something of everything in it."""
    from benchmarks.records import FORMAT, Aim, Fact, Profile, Quoted, Report, Share
    from benchmarks.spread import spread_of

    fact = Fact(
        key="paillier/table",
        title="table",
        unit="B",
        threads=1,
        parameters={},
        value=spread_of([3e8]),
        aim=Aim(of="value", most=2e8),
    )
    share = Share(name="matrix products", seconds=0.5, share=0.5, calls=12)
    profile = Profile(
        key="p",
        title="an encryption",
        parameters={"bits": 2048},
        seconds=1.0,
        kinds=[share],
        functions=[share],
    )
    return Report(
        format=FORMAT,
        command="python -m benchmarks --short",
        started="2026-01-01T00:00:00+00:00",
        seconds=1.5,
        machine={"cpu": "x"},
        versions={"python": "3"},
        peers={"phe": "1.5.0"},
        options={"short": True},
        figures=[figure],
        facts=[fact],
        profiles=[profile],
        quoted=[Quoted(name="n", what="w", figure="f", source="s")],
    )
