"""The menu of the overview (right click): how overlaps, names, statistics and older pictures are drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QPoint, Qt, Signal

from ..look.theme import menu_of
from ..slots import safe_slot

if TYPE_CHECKING:
    from .scene_canvas import SceneCanvas


class SceneMenu(QObject):
    """Switches of one canvas. GUI thread only. `dimming`: whether older pictures stay, dimmed."""

    dimming = Signal(bool)

    def __init__(self, canvas: SceneCanvas) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self.menu = menu_of(canvas)
        self.blend = self._switch("Blend fields where they overlap", on=False)
        self.names = self._switch("Names of rows, columns and wells", on=True)
        self.dim = self._switch("Keep pictures of the previous time point, dimmed", on=True)
        self.values = self._switch("Colours of plane statistics over the fields", on=True)
        self.values.toggled.connect(safe_slot(canvas.set_values_shown))
        self.blend.toggled.connect(safe_slot(canvas.set_blending))
        self.names.toggled.connect(safe_slot(canvas.show_names))
        self.dim.toggled.connect(self.dimming)
        canvas.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        canvas.customContextMenuRequested.connect(self._on_requested)

    def _switch(self, text: str, *, on: bool):  # type: ignore[no-untyped-def]  # QAction moved between Qt 5 and 6
        action = self.menu.addAction(text)
        action.setCheckable(True)
        action.setChecked(on)
        return action

    @safe_slot
    def _on_requested(self, at: QPoint) -> None:
        self.menu.popup(self._canvas.mapToGlobal(at))
