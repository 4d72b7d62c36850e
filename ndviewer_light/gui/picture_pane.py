"""Where the picture is: the canvas, what is drawn over it, and what is shown instead of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from .canvas.fit_button import FitButton
from .canvas.go_box import GoBox
from .canvas.overlay import CanvasOverlay
from .canvas.still_picture import StillPicture
from .ends import delete_later
from .slots import safe_slot

if TYPE_CHECKING:
    from ..rendering.volume_rays import VolumeSight
    from ..views.visible_area import VisibleArea
    from .canvas.display import Canvas


class PicturePane(QWidget):
    """Holds the canvas once there is one. GUI thread only.

    `uncovered` is emitted when nothing is shown instead of it any more.
    """

    uncovered = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._canvas: Canvas | None = None
        self._covers: list[tuple[QWidget, str]] = []  # shown instead of the picture, the last of them
        self._area_due: VisibleArea | None = None  # to be shown once there is a picture
        self._sight_due: VolumeSight | None = None  # once there is a volume
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self.setMinimumSize(160, 120)
        self.still = StillPicture(self)
        self.overlay = CanvasOverlay(self)
        self.fit_button = FitButton(self)
        self.fit_button.clicked.connect(self._on_fit_clicked)
        self.go_box = GoBox(self)

    @property
    def canvas(self) -> Canvas | None:
        """The picture; None until what draws it has been imported."""
        return self._canvas

    def set_canvas(self, canvas: Canvas) -> None:
        """Insert the canvas, also in place of another one, which is released: it will show the same part.

        Until it has something to draw, what the other one drew stays on screen.
        """
        before, self._canvas = self._canvas, canvas
        if before is not None:
            self._keep_still(before)
            self._area_due = self._area_due or before.area_of_planes
            before.clear()
            self._column.removeWidget(before)
            before.setParent(None)
            delete_later(before)
        self._column.addWidget(canvas)
        for each in (self.still, self.overlay, self.fit_button, self.go_box):
            each.raise_()
        if self.is_covered:
            canvas.hide()
        canvas.emptied.connect(self._on_emptied)
        canvas.frame_shown.connect(self._on_frame_shown)
        canvas.painted.connect(self._update_scale_bar)  # with the picture that it measures

    def clear(self) -> None:
        """Show nothing."""
        self.still.drop()
        if self._canvas is not None:
            self._canvas.clear()

    # ---- what is shown instead -------------------------------------------------------------

    @property
    def is_covered(self) -> bool:
        """Whether another widget is shown instead of the picture: the overview, or channels side by side."""
        return bool(self._covers)

    @property
    def way_back(self) -> str:
        """How to leave what covers the picture, in words; "" if nothing does."""
        return self._covers[-1][1] if self._covers else ""

    def cover(self, widget: QWidget, way_back: str, *, below: bool = False) -> None:
        """Show another widget instead of the picture or its cover; `way_back` says how to leave it.

        `below`: another cover stays over it.
        """
        if self._column.indexOf(widget) < 0:
            self._column.addWidget(widget)
        if below and self._covers:
            self._covers = [(widget, way_back), *(each for each in self._covers if each[0] is not widget)]
            return
        if self._covers:
            self._covers[-1][0].hide()
        self._covers = [each for each in self._covers if each[0] is not widget]
        self._covers.append((widget, way_back))
        if self._canvas is not None:
            self._canvas.hide()
        self.still.drop()
        for each in (self.overlay, self.fit_button):
            each.hide()
        widget.show()
        widget.raise_()  # over what is drawn over the picture as well
        self.go_box.raise_()

    def uncover(self, widget: QWidget) -> None:
        """Show again what a widget covers: another one, or the picture."""
        self._covers = [each for each in self._covers if each[0] is not widget]
        widget.hide()
        if self._covers:
            self._covers[-1][0].show()
            return
        if self._canvas is not None:
            self._canvas.show()
        self.overlay.show()
        self._update_scale_bar()
        self.uncovered.emit()

    # ---- what is seen of it ----------------------------------------------------------------

    @property
    def area(self) -> VisibleArea | None:
        """What is seen of the picture; None if it fits the window, and in a volume."""
        if self._area_due is not None or self._canvas is None or self._canvas.is_fitting:
            return self._area_due
        return self._canvas.visible_area()

    @property
    def sight(self) -> VolumeSight | None:
        """From where the volume is seen, and what of it; None as it is at first, and of planes."""
        if self._sight_due is not None or self._canvas is None or self._canvas.is_fitting:
            return self._sight_due
        return self._canvas.volume_sight(of_part=True)

    def restore(self, area: VisibleArea | None, sight: VolumeSight | None) -> None:
        """Show this part of the picture, and see a volume so, once there is one; None: all of it."""
        self.still.drop()
        self._area_due, self._sight_due = area, sight

    def begin(self) -> None:
        """The canvas shows a dataset: move to what is to be seen of it."""
        if self._canvas is not None and self._area_due is not None:
            self._canvas.show_area_first(self._area_due)
        if self._canvas is not None and self._sight_due is not None:
            self._canvas.show_volume_first(self._sight_due)
        self._update_scale_bar()

    def _keep_still(self, canvas: Canvas) -> None:
        surface = canvas.surface
        if canvas.frame is not None and surface is not None and surface.isVisible():
            self.still.keep(surface)

    @safe_slot
    def _on_emptied(self) -> None:
        if self._canvas is not None:
            self._keep_still(self._canvas)

    @safe_slot
    def _on_frame_shown(self) -> None:
        if self._canvas is not None and self._canvas.frame is not None:
            self.still.drop()

    @safe_slot
    def _on_fit_clicked(self) -> None:
        if self._canvas is not None:
            self._canvas.reset_view()
            self._update_scale_bar()

    @safe_slot
    def _update_scale_bar(self) -> None:
        canvas = self._canvas
        if canvas is not None and canvas.is_complete:
            self._area_due = None
            if canvas.frame is not None and canvas.frame.view.is_volume:
                self._sight_due = None
        is_fitting, scale = (True, None) if canvas is None else canvas.fit_and_scale()
        self.fit_button.show_if(not self.is_covered and not is_fitting)
        self.overlay.set_um_per_px(scale)
