"""The tools for the stage, made once the host's events have had their turn, or when they are needed."""

from __future__ import annotations

import logging
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QWidget

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from .later_parts import LaterParts
    from .panels.left_panels import LeftPanels
    from .places.places_view import PlacesView
    from .stage import Stage
    from .stage_tools import StageTools

    Making = Generator[StageTools, None, StageTools]

logger = logging.getLogger(__name__)

_MODULES = (
    ".scene.scene_canvas",
    ".scene.scene_view",
    ".orthogonal.orthogonal_view",
    ".split.split_view",
    ".statistics.statistics_view",
    ".measures.measuring",
    ".stage_tools",
    ".keyboard.actions",
)
"""What the tools and the keys for them need, a slice each."""


class ToolsLater:
    """For one stage. GUI thread only; until the tools are made there is nothing to step, leave or end."""

    def __init__(self, stage: Stage, later: LaterParts, make: Callable[[], Making]) -> None:
        """`make()`: makes them, some with each step, and says what there is of them."""
        self._stage = stage
        self._later = later
        self._make = make
        self._making: Making | None = None
        self._partly_made: StageTools | None = None
        self._made: StageTools | None = None
        self._cluster: object = None

    def use_cluster(self, scheduler: object) -> None:
        """The cluster that makes small pictures of the overview, see `SceneView.scheduler`."""
        self._cluster = scheduler
        if self._made is not None:
            self._made.scene.scheduler = scheduler

    @property
    def slices(self) -> list[Callable[[], object]]:
        """What there is to do for them."""
        return [*(partial(import_module, name, __package__) for name in _MODULES), self._make_now]

    @property
    def tools(self) -> StageTools:
        """The tools; made now if they have not been made yet."""
        if self._made is None:
            self._later.finish()
        if self._made is None:
            raise RuntimeError("the tools for the picture could not be made")
        return self._made

    def _make_now(self) -> None:
        """Make some of them; the rest in the next slice."""
        try:
            if self._making is None:
                self._making = self._make()
            self._partly_made = next(self._making)
        except StopIteration as done:
            self._made = done.value
            self.use_cluster(self._cluster)
            _show_like_parent(self._stage)
        except Exception:  # the picture is shown all the same
            logger.exception("the tools for the picture could not be made")
        else:
            self._later.add_next(self._make_now)

    @property
    def are_shown(self) -> dict[str, Callable[[], bool]]:
        """Whether a tool is shown, by the name of its action in `keys`."""
        return {
            "split": lambda: self._made is not None and self._made.split.is_on,
            "orthogonal": lambda: self._made is not None and self._made.orthogonal.is_on,
            "overview": lambda: self._made is not None and self._made.scene.is_shown,
            "statistics": lambda: self._made is not None and self._made.statistics.is_shown,
        }

    def show_on_maps(self, panels: LeftPanels, places: PlacesView) -> None:
        """See `StageTools.show_on_maps`."""
        self.tools.show_on_maps(panels, places)

    def leave_scene(self) -> None:
        """Show the picture of one field, in case all fields are shown."""
        if self._made is not None:
            self._made.scene.leave()

    def progress(self) -> str:
        """See `StageTools.progress`."""
        return self._made.progress if self._made is not None else ""

    def step(self) -> bool:
        """See `StageTools.step`."""
        return self._made is not None and self._made.step()

    def step_saving(self) -> bool:
        """See `StageTools.step_saving`."""
        return self._made is not None and self._made.step_saving()

    def cancel(self) -> bool:
        """See `StageTools.cancel`."""
        return self._made is not None and self._made.cancel()

    def leave(self) -> None:
        """See `StageTools.leave`."""
        if self._made is not None:
            self._made.leave()

    def end(self) -> None:
        """See `StageTools.end`; those that are being made end as well."""
        if self._partly_made is not None:
            self._partly_made.end()


def _show_like_parent(widget: QWidget) -> None:
    """Show what was made in `widget` while that was shown, as Qt shows what is there before; not windows.

    What was hidden on purpose stays hidden.
    """
    if not widget.isVisible():
        return
    for child in widget.findChildren(QWidget):
        is_left = not child.testAttribute(Qt.WidgetAttribute.WA_WState_ExplicitShowHide)
        if is_left and child.isHidden() and not child.isWindow():
            child.show()
