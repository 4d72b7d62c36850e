"""A read that is wanted still is begun again when what it had joined was given up by somebody else."""

from __future__ import annotations

import pytest

from ndviewer_light.errors import CorruptDataError, ReadDroppedError
from ndviewer_light.storage.cancellation import CancelScope


class Reads:
    """Reads whose first ones end because whoever had begun them gave them up."""

    def __init__(self, given_up: int) -> None:
        self.given_up = given_up
        self.begun = 0

    def __call__(self) -> int:
        self.begun += 1
        if self.begun <= self.given_up:
            raise ReadDroppedError("not wanted any more")
        return 7


def test_what_was_given_up_by_others_is_read_again():
    reads = Reads(given_up=1)
    assert CancelScope().run(reads) == 7
    assert reads.begun == 2


def test_what_nobody_wants_is_not_read_again():
    reads, scope = Reads(given_up=1), CancelScope()
    scope.drop()
    with pytest.raises(ReadDroppedError):
        scope.run(reads)
    assert reads.begun == 1


def test_what_is_given_up_again_and_again_ends():
    reads = Reads(given_up=1000)
    with pytest.raises(ReadDroppedError):
        CancelScope().run(reads)
    assert 1 < reads.begun < 20


def test_other_errors_are_not_tried_again():
    calls = []

    def fail():
        calls.append(1)
        raise CorruptDataError("damaged")

    with pytest.raises(CorruptDataError):
        CancelScope().run(fail)
    assert len(calls) == 1
