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
