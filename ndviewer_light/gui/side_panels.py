"""The panels left of the picture: made when there is first something to show in them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QObject

from .slots import safe_slot

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QWidget

    from ..engine.dataset import Dataset
    from .panels.left_panels import LeftPanels
    from .places.places_view import PlacesView
    from .stage import Stage

_LEAST_WIDTH = 760
"""A narrower widget is for the picture alone."""


class SidePanels(QObject):
    """For one stage. `step` whenever the dataset is polled; GUI thread only.

    `room`: the widget in which there must be room for them. `go_to(p)` moves the view, `path_of(dataset)`
    says where it is, or will be written; `made(panels, places)` is called once they are.
    """

    def __init__(
        self,
        stage: Stage,
        room: QWidget,
        go_to: Callable[[int], None],
        path_of: Callable[[Dataset], str],
        made: Callable[[LeftPanels, PlacesView], None],
    ) -> None:
        super().__init__(stage)
        self._stage = stage
        self._room = room
        self._go_to = go_to
        self._path_of = path_of
        self._made = made
        self.wanted = True
        """Whether the user wants to see them."""
        self._is_asked_for = False  # also where there is one position only
        self._width: int | None = None  # when they were last shown
        self.widths: list[int] | None = None
        """How wide panels, picture and channels are when the panels are first shown; None: as they like."""

    @cached_property
    def panels(self) -> LeftPanels:
        """The widgets."""
        from .panels.left_panels import LeftPanels

        panels = LeftPanels()
        self._stage.splitter.add_left(panels)
        panels.hide()
        self._room.installEventFilter(self)
        return panels

    @cached_property
    def places(self) -> PlacesView:
        """What they show."""
        from .places.places_view import PlacesView

        places = PlacesView(self._stage, self.panels, self._go_to, self._path_of)
        self._made(self.panels, places)
        return places

    @property
    def is_shown(self) -> bool:
        """Whether they are, in a window that is wide enough and has anything to show in them."""
        return not self._is_unmade and not self.panels.isHidden() and self._stage.splitter.sizes()[0] > 0

    @property
    def shown_widths(self) -> list[int] | None:
        """How wide panels, picture and channels are; None while no panels are shown."""
        return None if self._is_unmade or self.panels.isHidden() else list(self._stage.splitter.sizes())

    @safe_slot(default=False)
    def eventFilter(self, _watched: QObject | None, event: QEvent | None) -> bool:
        """They leave a window that becomes narrow before what is in it is squeezed."""
        if event is not None and event.type() == QEvent.Type.Resize and not self._has_room:
            self.panels.hide()
        return False

    @property
    def _has_several(self) -> bool:
        dataset = self._stage.dataset
        return dataset is not None and len(dataset.info.positions) > 1

    @property
    def _has_room(self) -> bool:
        return self._room.width() >= _LEAST_WIDTH

    @property
    def _is_unmade(self) -> bool:
        return "panels" not in self.__dict__

    def toggle(self) -> str:
        """Show them, or not; returns why they are not shown that should be, "" if they are."""
        if not self._is_unmade and not self.panels.isHidden() and not self.is_shown:
            self.panels.hide()  # the user has dragged them away
            self._width = None
        elif self.is_shown:
            self.wanted &= not self._has_several
            self._is_asked_for = False
        else:
            self.wanted, self._is_asked_for = True, not self._has_several
        self.step()
        if not self.wanted or self.is_shown:
            return ""
        if self._stage.dataset is None:
            return "There is no dataset to show in panels"
        if self._has_room:
            return ""
        return f"There is no room for panels: they appear once the window is {_LEAST_WIDTH} pixels wide"

    def _show(self, is_shown: bool) -> None:
        """Show or hide them; when they come back, they are as wide as they were."""
        splitter = self._stage.splitter
        if not is_shown:
            self.panels.hide()
            return
        self.panels.show()
        widths, self.widths = self.widths, None
        if widths and 0 < widths[0] < self.panels.minimumWidth():  # as a narrow window once squeezed them
            widths = None
        width = self.panels.sizeHint().width() if self._width is None else self._width
        now, picture, channels = splitter.sizes()
        if not widths and now == 0 and width:  # what is hidden while widths are set counts as closed
            widths = [width, max(picture - width, 1), channels]
        if widths:
            splitter.setSizes(widths)

    def step(self) -> None:
        """Where there is only one position, there is nowhere to go: they are shown if that is asked for."""
        is_of_use = self._stage.dataset is not None and (self._has_several or self._is_asked_for)
        is_shown = self.wanted and is_of_use and self._has_room
        if not is_shown and self._is_unmade:
            return
        if is_shown == self.panels.isHidden():
            self._show(is_shown)
        elif is_shown:  # looked at before a window that becomes narrow squeezes them
            self._width = self._stage.splitter.sizes()[0]
        self.places.step()
