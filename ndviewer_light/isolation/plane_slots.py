"""The slots of a reader process: planes are read or copied into them, and handed over."""

from __future__ import annotations

import contextlib
import queue
from typing import TYPE_CHECKING, Any

from ..engine.transpose import copy_into, is_transposed
from ..storage.plane_memory import lent
from .shared_memory import MappedSlot

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np


class _LentSlot:
    """A slot that a plane may be read into: `LentMemory` for one thread and one plane."""

    def __init__(self, number: int, slot: MappedSlot) -> None:
        self.number = number
        self.is_taken = False
        """Whether a reply hands it over, after which the viewer releases it."""
        self._slot = slot
        self._at: int | None = None

    def take(self, shape: tuple[int, ...], dtype: np.dtype, order: str) -> np.ndarray:
        """See `LentMemory`."""
        array = self._slot.array(shape if order == "C" else shape[::-1], dtype)
        self._at = _address(array)
        return array if order == "C" else array.T

    @property
    def is_used(self) -> bool:
        """Whether something was read into it."""
        return self._at is not None

    def holds(self, stored: np.ndarray) -> bool:
        """Whether these C-contiguous pixels are in the slot already."""
        return self._at is not None and stored.flags.c_contiguous and _address(stored) == self._at


class PlaneSlots:
    """Slots, which are used by one plane each until they are released. Any thread."""

    def __init__(self, addresses: Sequence[int | str]) -> None:
        self._slots = [MappedSlot(address) for address in addresses]
        self._free: queue.SimpleQueue[int] = queue.SimpleQueue()
        for number in range(len(self._slots)):
            self._free.put(number)

    def __len__(self) -> int:
        return len(self._slots)

    def release(self, number: int) -> None:
        """The plane in a slot has been copied out of it."""
        self._free.put(number)

    def close(self) -> None:
        """Give the memory back; nobody uses a slot any more."""
        for slot in self._slots:
            slot.close()

    @contextlib.contextmanager
    def lending(self) -> Iterator[_LentSlot | None]:
        """Within, this thread may read one plane into a slot, for `put`.

        None if no slot is free now: planes that are ready go first.
        """
        try:
            number = self._free.get_nowait()
        except queue.Empty:
            yield None
            return
        slot = _LentSlot(number, self._slots[number])
        try:
            with lent(slot):
                yield slot
        finally:
            if not slot.is_taken:
                self._free.put(number)

    def put(self, pixels: np.ndarray, slot: _LentSlot | None = None) -> dict[str, Any]:
        """Hand pixels over in `slot`, or as soon as one is free: where they are, for the reply.

        As they are stored, even if that is column by column.
        """
        turned = is_transposed(pixels)
        stored = pixels.T if turned else pixels
        number = self._free.get() if slot is None else slot.number
        try:
            mapped = self._slots[number]
            if slot is None or not slot.holds(stored):
                if slot is not None and slot.is_used:  # it may be a part of what is in the slot
                    stored = stored.copy(order="K")
                copy_into(mapped.array(stored.shape, stored.dtype), stored)
            mapped.flush()
        except BaseException:
            if slot is None:
                self._free.put(number)
            raise
        if slot is not None:
            slot.is_taken = True
        return {"slot": number, "shape": stored.shape, "dtype": stored.dtype.str, "turned": turned}


def _address(array: np.ndarray) -> int:
    at: int = array.__array_interface__["data"][0]
    return at
