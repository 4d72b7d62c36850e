"""The interface `Source`: what reads the planes of one dataset."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from ..model import DatasetInfo, PlaneKey

StorageOptions = Mapping[str, str] | None
"""How the storage is accessed on which a dataset lies ("endpoint", "anonymous", …)."""


class Source(ABC):
    """Reads the planes of one dataset, blocking and dumb: no cache, no threads, no retries.

    Every method may be called from any thread.
    """

    format: str
    """The format's name as users read it, "ome-zarr"."""

    @property
    @abstractmethod
    def info(self) -> DatasetInfo:
        """What is known now. A new object whenever more is known: compare by identity."""

    @property
    def identity(self) -> str | None:
        """A name for what is stored, another one as soon as it changes; None where nothing tells.

        Planes are kept under it for the next time (see `disk_cached`), so it has to hold across programs.
        """
        return None

    @abstractmethod
    def read_plane(self, key: PlaneKey, level: int = 0) -> np.ndarray:
        """The pixels (Y, X) of one plane, in the memory order in which they are stored.

        Raises `PlaneNotStoredError` if nothing of it is stored, `IndexError` outside the
        dataset, another `DatasetError` if it cannot be read; never makes up pixels. What takes long may
        end early with `ReadDroppedError` when the `CancelScope` of the calling thread is dropped.
        """

    @abstractmethod
    def plane_shape(self, key: PlaneKey, level: int = 0) -> tuple[int, int] | None:
        """(Y, X) of one plane, or None while its store does not exist yet."""

    def exists(self, key: PlaneKey) -> bool:
        """Whether there is a file or store that may hold this plane; cheaper than opening it."""
        return self.plane_shape(key) is not None

    @abstractmethod
    def refresh(self) -> DatasetInfo:
        """Look at the metadata again: sizes may have grown, stores may have appeared."""

    def describe(self) -> dict[str, Any]:
        """What there is to know beyond `info`, for people and as JSON; its names are free but for these.

        ``why``: what made us take it for this format. ``hosts``: the computers that reading it asks.
        ``requests``, ``bytes``: what was sent for so far by other means than the fetcher.
        """
        return {}

    @abstractmethod
    def close(self) -> None:
        """Let go of every handle; reads under way end with an error. May be called twice."""
