"""Which way the view goes: through z, time or fields, step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .canvas_view import View

_AXES = ("t", "p", "z")


class WayOfView:
    """The last steps of the view. One thread at a time."""

    def __init__(self) -> None:
        self._view: View | None = None
        self._step: tuple[str, int] | None = None  # the axis along which it went, and how far
        self._way: tuple[str, int] | None = None  # the same of two steps one after the other

    def next_views(self, view: View, n: int) -> Sequence[View]:
        """Where the next `n` steps lead after this one, nearest first; nothing before it went that way twice.

        They may lie beyond the ends of an axis.
        """
        if view != self._view:
            self._note(view)
        if self._way is None:
            return ()
        axis, step = self._way
        return [view._replace(**{axis: getattr(view, axis) + step * i}) for i in range(1, n + 1)]

    def _note(self, view: View) -> None:
        before, step = self._step, None if self._view is None else _step_between(self._view, view)
        self._view, self._step, self._way = view, step, None
        if step is not None and before is not None and step[0] == before[0] and step[1] * before[1] > 0:
            # where views are left out because they come too fast, they lie in between
            self._way = step[0], min(step[1], before[1], key=abs)


def _step_between(before: View, view: View) -> tuple[str, int] | None:
    """The axis along which two views differ, and by how much, if they differ by nothing else."""
    steps = {axis: getattr(view, axis) - getattr(before, axis) for axis in _AXES}
    axes = [axis for axis, step in steps.items() if step]
    if len(axes) != 1 or before._replace(**{axes[0]: getattr(view, axes[0])}) != view:
        return None
    return axes[0], steps[axes[0]]
