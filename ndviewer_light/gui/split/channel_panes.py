"""The panes of all channels in a grid, at one place and zoom."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QObject, Qt, Signal
from qtpy.QtGui import QPalette
from qtpy.QtWidgets import QGridLayout, QToolButton, QWidget

from ...rendering.colormaps import ramp
from ..canvas.drawn_channels import layer_of, layers_of
from ..canvas.fit_button import BUTTON_MARGIN_PX, PICTURE_BUTTON_STYLE, FitButton
from ..canvas.hand import Hand
from ..canvas.painted_pane import PlacedLayers
from ..canvas.sight import Sight
from ..canvas.zoom import FIT_MARGIN
from ..keyboard.keys import keys_of
from ..look.short_names import without_beginning
from ..look.theme import PANES_GROUND
from ..plane_states import state_of_view
from ..slots import safe_slot
from .channel_pane import ChannelPane
from .pane_grid import columns_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qtpy.QtGui import QResizeEvent

    from ...views.visible_area import VisibleArea
    from ..background import Background
    from ..canvas.drawn_channels import DrawnLook
    from ..canvas.hand import MouseTool
    from ..canvas.overlay import CanvasOverlay
    from ..canvas.picture_layer import PictureLayer
    from ..canvas.sight import Span
    from ..canvas.view_frames import Frame, ViewFrames
    from ..canvas.zoom import Projection

logger = logging.getLogger(__name__)

_SPACING_PX = 2
_BETWEEN_PX = 8


class ChannelPanes(QWidget):
    """Shows the channels of frames one by one, and finally all of them together. GUI thread only.

    A camera for all panes. `hovered` with the row and column under the mouse; None outside. `gray_clicked`
    if the user wants them in gray, or in their colours; `moved` when they show another part of the picture.
    """

    hovered = Signal(object)
    gray_clicked = Signal()
    moved = Signal()

    def __init__(self, background: Background, parent: QWidget) -> None:
        super().__init__(parent)
        self._background = background
        self._frames: ViewFrames | None = None
        self._extent: object = None
        self._in_gray = False
        self._columns = 0
        self._layers_over: list[PictureLayer] = []
        self.tools: list[MouseTool] = []
        """What takes mouse events before they move the picture: the first that does."""
        self.panes: list[ChannelPane] = []
        """Of each channel, and finally of all of them where there are several."""
        self._pointed: tuple[float, float] | None = None  # where the mouse is
        self.was_moved = False
        """Whether the user has moved the picture since `begin`."""
        self._sight = Sight(self)
        self._hand = Hand(self)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(_SPACING_PX)
        self.setAccessibleName("Channels side by side")
        # between the panes it is dark under any palette, and what is drawn over the picture is not seen
        self.setAutoFillBackground(True)
        palette = self.palette()
        palette.setColor(QPalette.ColorRole.Window, PANES_GROUND)
        self.setPalette(palette)
        self.fit_button = FitButton(self)
        self.fit_button.clicked.connect(self._on_fit_clicked)
        self.gray_button = QToolButton(self)
        self.gray_button.setStyleSheet(PICTURE_BUTTON_STYLE)
        self.gray_button.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # keys still go to the picture
        self.gray_button.clicked.connect(self._on_gray_clicked)
        self._say_gray()

    # ---- what is shown ---------------------------------------------------------------------

    def draw_over(self, layers: Sequence[PictureLayer]) -> None:
        """Draw what these draw over the picture over each pane, the last on top."""
        self._layers_over.extend(layers)
        for layer in layers:
            layer.changed.connect(self._paint_layers)

    @safe_slot
    def _paint_layers(self) -> None:
        for pane in self.panes:
            pane.update()

    def say_as(self, overlay: CanvasOverlay, note_of: Callable[[int], str]) -> None:
        """Write over each pane what is written over the picture; `note_of` a channel is said in its pane."""
        for pane in self.panes:
            own, c = pane.overlay, pane.channel
            own.set_written(overlay.written)
            own.set_position(overlay.position())
            own.set_time(overlay.time())
            own.set_note(overlay.note() if c is None else note_of(c))
            own.set_wait(overlay.wait() if pane is self.panes[-1] else "")

    def begin(self, frames: ViewFrames, area: VisibleArea | None) -> None:
        """Show the frames of a dataset, at first this part of them; None: all of it."""
        self._frames = frames
        self._extent = None if area is None else self._sight.extent()
        if area is not None:
            self._see(area.x, area.y)
        self.was_moved = False

    def end(self) -> None:
        """Show nothing."""
        self._frames = None
        for pane in self.panes:
            pane.show_layers(None)

    def set_in_gray(self, in_gray: bool) -> None:
        """Draw single channels in gray, or in their colours; takes effect with the next frame."""
        self._in_gray = in_gray
        self._say_gray()

    def show_frame(self, frame: Frame, looks: Sequence[DrawnLook], names: Sequence[str]) -> None:
        """Show the channels of a frame as they are drawn."""
        channels = [c for c in frame.planes if c < len(looks)]
        self._have_panes(len(channels) + (len(channels) != 1))
        size = self._sight.voxel_size()
        layers = layers_of(frame, looks)
        gray, short_names = ramp("#FFFFFF"), without_beginning(names)
        for c, pane in zip(channels, self.panes, strict=False):
            own = [layer] if (layer := layer_of(frame, looks, c)) is not None else []
            if self._in_gray:
                own = [layer._replace(colormap=gray) for layer in own]
            pane.set_channel(c, names[c], short_names[c])
            pane.overlay.set_state(*state_of_view(frame._replace(planes={c: frame.planes[c]}), names))
            pane.show_layers(PlacedLayers.of_frame(own, frame, size))
        if len(channels) != 1:
            merged = self.panes[-1]
            merged.set_channel(None, "All" if channels else "No channel is on")
            merged.overlay.set_state(*state_of_view(frame, names))
            merged.show_layers(PlacedLayers.of_frame(list(layers.values()), frame, size))
        self._fit_new_pictures()
        self._arrange()
        self._update()

    def _fit_new_pictures(self) -> None:
        extent = self._sight.extent()
        if extent not in (None, self._extent):
            self._extent = extent
            self._sight.reset_view()

    def _have_panes(self, n: int) -> None:
        while len(self.panes) > n:
            pane = self.panes.pop()
            self._grid.removeWidget(pane)
            pane.hide()
            pane.deleteLater()
            self._columns = 0
        while len(self.panes) < n:
            pane = ChannelPane(self._background, self._layers_over)
            if self.panes:
                asked = self.panes[0].camera.asked
                pane.camera.set_range(asked.x, asked.y, margin=0)
            pane.installEventFilter(self)
            pane.resized.connect(self._update)
            self.panes.append(pane)
            self._columns = 0

    def _arrange(self) -> None:
        """Put the panes into the grid in which their pictures are largest."""
        scene = self._sight.scene()
        aspect = scene.width_um / scene.height_um if scene is not None else 1.0
        columns = columns_for(len(self.panes), self.width(), self.height(), aspect)
        if columns == self._columns:
            return
        for row in range(self._grid.rowCount()):
            self._grid.setRowStretch(row, 0)
        for column in range(self._grid.columnCount()):
            self._grid.setColumnStretch(column, 0)
        self._columns = columns
        for i, pane in enumerate(self.panes):
            row, column = divmod(i, columns)
            self._grid.addWidget(pane, row, column)
            self._grid.setRowStretch(row, 1)
            self._grid.setColumnStretch(column, 1)
        self.fit_button.raise_()
        self.gray_button.raise_()

    @safe_slot
    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        if self.panes:
            self._arrange()
        self._place_button()
        self._update()

    # ---- one camera for all ----------------------------------------------------------------

    @property
    def camera(self) -> ChannelPanes | None:
        """Itself, where there are panes."""
        return self if self.panes else None

    @property
    def frames(self) -> ViewFrames | None:
        """What is shown."""
        return self._frames

    @property
    def surface(self) -> ChannelPane | None:
        """The first pane: all are as large."""
        return self.panes[0] if self.panes else None

    def canvas_to_world(self, pos_xy: tuple[float, float]) -> tuple[float, float, float]:
        """The place (x, y, 0) in µm below a point of any pane."""
        return self.panes[0].camera.canvas_to_world(pos_xy)

    def set_range(self, x: Span | None = None, y: Span | None = None, *, margin: float = FIT_MARGIN) -> None:
        """See this part in all panes."""
        for pane in self.panes:
            pane.camera.set_range(x, y, margin=margin)

    def refresh(self) -> None:
        """Paint all panes again."""
        for pane in self.panes:
            pane.refresh()
        self._update()

    def _see(self, x: Span, y: Span) -> None:
        self._have_panes(max(len(self.panes), 1))
        self.set_range(x, y, margin=0)

    # ---- moving it -------------------------------------------------------------------------

    def scene(self) -> Any:
        """What a picture is shown in; None while there is none."""
        return self._sight.scene()

    def visible_area(self) -> VisibleArea | None:
        """What of the picture is in each pane (µm)."""
        return self._sight.visible_area()

    def projection(self) -> Projection | None:
        """How the plane lies in each pane; None while they are hidden, and without a picture."""
        return None if self.isHidden() else self._sight.projection()

    def turn_camera(self, *_seen: object) -> None:
        """There are no volumes here."""

    def volume_scale(self) -> None:
        """There are no volumes here."""
        return

    def show_area(self, area: VisibleArea) -> None:
        """Show this part in all panes."""
        self.was_moved = True
        self._sight.show_area(area)

    def reset_view(self) -> None:
        """Fit the picture to each pane."""
        self.was_moved = True
        self._sight.reset_view()

    def show_one_to_one(self) -> None:
        """Show one pixel of the data (of level 0) on one pixel of the screen."""
        self._hand.show_one_to_one(self.devicePixelRatioF())

    def zoom(self, factor: float) -> None:
        """Enlarge what is in the middle of each pane."""
        self._hand.zoom(factor)

    def pan(self, right: int, down: int) -> None:
        """Show what lies in that direction (-1, 0 or 1 along each) in each pane."""
        self._hand.pan(right, down)

    @property
    def is_fitting(self) -> bool:
        """Whether the whole picture fills each pane."""
        return self._sight.is_fitting

    # ---- mouse -----------------------------------------------------------------------------

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Take mouse events of the panes, and leave keys to our parents."""
        try:
            return self._filter(watched, event)
        except Exception:
            logger.exception("in the event filter of channels side by side")
            return False

    def _filter(self, watched: QObject | None, event: Any) -> bool:
        if event is None or not isinstance(watched, ChannelPane):
            return False
        kind = event.type()
        if kind == QEvent.Type.Leave:
            self._pointed = None
            self._point_at(None)
        elif kind in (QEvent.Type.KeyPress, QEvent.Type.KeyRelease):
            event.ignore()
            return True
        elif any(tool.take(event, watched) for tool in self.tools) or self._hand.take(event, watched):
            return True
        elif kind == QEvent.Type.MouseMove:
            at = event.position() if hasattr(event, "position") else event.pos()
            self._pointed = at.x(), at.y()
            self._point_at(self._pointed)
        return False

    def _point_at(self, at: tuple[float, float] | None) -> None:
        x, y, _ = (None, None, None) if at is None else self.canvas_to_world(at)
        for pane in self.panes:
            pane.show_cursor(None if x is None or y is None else (x, y))
        if x is None or y is None or self._frames is None:
            self.hovered.emit(None)
            return
        size = self._sight.voxel_size()
        self.hovered.emit((int(y // size["y"]), int(x // size["x"])))

    # ---- buttons ---------------------------------------------------------------------------

    @safe_slot
    def _update(self) -> None:
        """Scale bar and buttons, as they are at the place and zoom of now."""
        scale = self._sight.um_per_screen_pixel() if self._frames is not None else None
        for pane in self.panes:
            pane.overlay.set_um_per_px(scale)
        self.fit_button.show_if(self._frames is not None and not self.is_fitting)
        self._place_button()
        if self._pointed is not None:  # the mouse is still, and over something else now
            self._point_at(self._pointed)
        self.moved.emit()

    def _say_gray(self) -> None:
        key = keys_of("split_gray")
        self.gray_button.setText("Colours" if self._in_gray else "Gray")
        what = "in their colours" if self._in_gray else "in gray"
        self.gray_button.setToolTip(f"Show single channels {what} ({key})")
        self._place_button()

    def _place_button(self) -> None:
        """At the lower left, or above the scale bar of the pane there if both have no room side by side."""
        self.gray_button.adjustSize()
        width = self.gray_button.width() + _BETWEEN_PX
        end = BUTTON_MARGIN_PX + width + (0 if self.fit_button.isHidden() else self.fit_button.width())
        columns = max(self._columns, 1)
        corner = self.panes[(len(self.panes) - 1) // columns * columns] if self.panes else None
        plate = corner.overlay.bar_plate() if corner is not None else None
        up = round(plate.height()) + _BETWEEN_PX if plate is not None and end > plate.left() else 0
        top = self.height() - self.gray_button.height() - BUTTON_MARGIN_PX - up
        self.gray_button.move(BUTTON_MARGIN_PX, top)
        self.fit_button.leave_room(width, up)
        self.gray_button.raise_()

    @safe_slot
    def _on_fit_clicked(self) -> None:
        self.reset_view()

    @safe_slot
    def _on_gray_clicked(self) -> None:
        self.gray_clicked.emit()
