"""2,000 datasets with damaged metadata: no process dies or hangs, no error but the documented ones."""

from __future__ import annotations

import sys

import pytest

from tests.mutants.__main__ import run


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory and time as Linux does")
def test_damaged_metadata() -> None:
    outcomes = run(2_000)
    assert outcomes.faults == []
    assert outcomes.counts.total() == 2_000
    assert outcomes.counts["opened"] > 1_000
    assert outcomes.counts.total() - outcomes.counts["opened"] > 200
    assert outcomes.most_mib < 1_000


@pytest.mark.skipif(sys.platform != "linux", reason="as above")
@pytest.mark.parametrize("seed", [1_011_612, 1_106_694], ids=["attribute", "fill value"])
def test_what_hdf5_dies_of_is_not_asked_of_it(seed: int) -> None:
    """An attribute that was a text and is a sequence of another type; a fill value of a size that is none."""
    outcomes = run(1, seed, processes=1)
    assert outcomes.faults == []
    assert outcomes.counts.total() == 1
