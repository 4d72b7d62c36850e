"""The thread that rereads planes in view: how long it pauses between two readings."""

from __future__ import annotations

import threading
import time

import pytest
from memory_source import wait_until

from ndviewer_light.engine.rereader import Rereader


@pytest.mark.parametrize(("rounds", "is_longer"), [([{1}, {2}, {1}], False), ([{1, 2}, {2, 3}, {3}], True)])
def test_planes_that_are_written_again_and_again_are_reread_less_often(
    rounds: list[set[int]], is_longer: bool
) -> None:
    left = list(rounds)
    pauses: list[float] = []

    class Closed(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            assert timeout is not None
            pauses.append(timeout)
            return super().wait(timeout)

    def read_again() -> set[int]:
        rereader.written()  # meanwhile
        return left.pop(0) if left else set()

    rereader = Rereader(read_again)
    rereader._work._closed = Closed()
    try:
        rereader.start(time.monotonic())
        wait_until(lambda: len(pauses) >= len(rounds))
    finally:
        rereader.close()
        rereader.join(time.monotonic() + 60)
    first, second, third = pauses[:3]
    assert (second > 2 * first) is (third > 2 * first) is is_longer
