"""One announced run in the host's hands: told of each plane, ended by leaving a ``with`` block."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

    from .acquisition import Acquisition


class RunHandle:
    """A run that `LightweightViewer.run` has started.

    Its methods may be called from any thread, and belong to this run only: once another one has been
    started, or the viewer was closed, they have no effect. Leaving the ``with`` block ends the run, also
    after an exception, which goes on.
    """

    def __init__(self, acquisition: Acquisition | None) -> None:
        self._acquisition = acquisition  # None: the viewer was closed, or there is nothing to show

    @property
    def active(self) -> bool:
        """Whether the run is shown and `end` was not called yet."""
        run = self._acquisition
        return run is not None and run.active and not run.dataset.closed

    def notify(self, t: int = 0, p: int = 0, c: int | str = 0, z: int = 0) -> bool:
        """Notify that a plane of the run is on disk; call it after the write.

        `p` counts the paths of the run, `c` its channels, which may be given by name as well. In any order,
        any number of times, also after the end. About a microsecond, no lock, no I/O, no Qt; never raises.
        Returns False for a plane outside the run: ignored, counted, and logged once.
        """
        run = self._acquisition
        return run is not None and not run.dataset.closed and run.written(t, p, c, z)

    def end(self) -> None:
        """End the run: the last planes are read and shown. Idempotent."""
        if self._acquisition is not None:
            self._acquisition.end()

    def __enter__(self) -> RunHandle:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()
