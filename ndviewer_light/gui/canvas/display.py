"""Pixels on screen, one frame at a time: what all canvases have in common, and what others may ask of them.

A canvas draws with OpenGL (`gl_canvas`) or on the CPU (`cpu_canvas`; volumes: `ray_canvas`). It is decided
here when the next frame is requested: once the last one has arrived, so that drawing never waits for frames
that are merely wanted.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QPointF, Qt, QTimer, Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from ..slots import safe_slot
from .canvas_view import View
from .hand import Drags, Hand
from .sight import Sight

if TYPE_CHECKING:
    import numpy as np
    from qtpy.QtCore import QObject
    from qtpy.QtGui import QResizeEvent, QShowEvent

    from ...engine.dataset import Dataset
    from ...model import Channel
    from ...rendering.contrast import ChannelContrasts
    from ...rendering.label_surfaces import LabelSurface
    from ...rendering.volume_rays import VolumeSight
    from ...views.visible_area import VisibleArea
    from .drawn_channels import DrawnChannels, DrawnLook
    from .hand import MouseTool
    from .sight import Camera
    from .view_frames import Frame, ViewFrames
    from .zoom import Projection, Scene

logger = logging.getLogger(__name__)

_TURN_PX = 40
"""So far a key drags a volume."""


class Canvas(QWidget):
    """The picture: request gate, pan and zoom, channels. Subclasses draw it.

    `frame_arrived` is emitted just before a frame is passed to what draws, so that what belongs to it
    is painted with it; `frame_shown` once it has been passed on; `painted` whenever Qt paints it, also where
    it was only moved; `emptied` before what is drawn is dropped, as a volume is to come; `hovered` with the
    position under the mouse (row, column; None outside); `failed` with the reason if nothing can be drawn in
    this way, whatever the dataset; `looks_changed` when a channel is to be drawn in another way.
    """

    frame_arrived = Signal()
    frame_shown = Signal()
    painted = Signal()
    emptied = Signal()
    hovered = Signal(object)
    failed = Signal(str)
    looks_changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self.setMinimumSize(160, 120)
        self._frames: ViewFrames | None = None
        self._build = 0  # counts what was to be shown: whatever is made for an earlier one is discarded
        self._wanted = View()
        self._dirty = False
        self._has_more = False  # of the volume that is wanted a part is drawn
        self._is_taking = False  # a frame is being passed to what draws: until then nothing is requested
        self._channels: DrawnChannels | None = None
        self._place: VisibleArea | None = None  # the user's zoom, to be restored
        self._volume_sight: VolumeSight | None = None  # from where the volume is to be seen once there is one
        self._sight = Sight(self)
        self._hand = Hand(self._sight)
        self._pointed: QPointF | None = None  # where the mouse is
        self._under_mouse: tuple[int, int] | None = None  # which pixel is there
        self.painted.connect(self._hover_again)
        self._drags = Drags(self)
        self.tools: list[MouseTool] = []
        """What takes mouse events before they move the picture: the first that does."""
        self._shown_extent: tuple[object, ...] | None = None  # the last one known
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.timeout.connect(self._on_idle)

    # ---- what draws ------------------------------------------------------------------------

    @property
    @abstractmethod
    def viewer(self) -> Any:
        """What draws frames; None while there is no dataset."""

    @property
    @abstractmethod
    def camera(self) -> Camera | None:
        """What knows which part of the world is seen; None while there is no dataset."""

    @property
    @abstractmethod
    def surface(self) -> QWidget | None:
        """The widget in which the picture is."""

    def turn_camera(self, axes: np.ndarray, center: np.ndarray, edge: float) -> None:
        """See a volume from another side, see `Drawn`."""

    @property
    @abstractmethod
    def busy(self) -> bool:
        """Whether a requested frame has not arrived yet."""

    @abstractmethod
    def show_dataset(self, dataset: Dataset, view: View, contrasts: ChannelContrasts) -> bool:
        """Show `dataset` with these contrasts, which take part in what is seen.

        False if it was overtaken: the event loop may run in here, so another dataset (or none) may have
        been chosen meanwhile, or Qt may have deleted the canvas.
        """

    @abstractmethod
    def release(self) -> None:
        """Stop showing the dataset. Quick: `clear` or the next dataset does the slow part."""
        self._build += 1
        self._frames = self._channels = None
        self._dirty = self._has_more = False
        self._place = self._shown_extent = self._volume_sight = None

    @abstractmethod
    def drop_released(self) -> bool:
        """Do the slow part of a `release`; False if there is nothing left to do."""

    @abstractmethod
    def _request(self, before: View) -> None:
        """Request the frame of the view that is wanted now; `before`: what was wanted."""

    def set_volume_method(self, method: str) -> None:
        """Draw volumes so, by the first of one of `VOLUMES`."""

    def show_surface(self, surface: LabelSurface | None) -> None:
        """Draw the surfaces of labels over the volume, from now on; None: nothing."""

    # ---- what is shown ---------------------------------------------------------------------

    @property
    def frames(self) -> ViewFrames | None:
        """The frames of the dataset on the canvas."""
        return self._frames

    @property
    def frame(self) -> Frame | None:
        """What is on the canvas."""
        return self._frames.frame if self._frames is not None else None

    @property
    def is_complete(self) -> bool:
        """Whether there is a picture, and all channels in view are in it."""
        return self.frame is not None and self._frames is not None and not self._frames.is_held_back

    @property
    def progress(self) -> str:
        """How far a volume has been read; "" while none is."""
        return self._frames.progress if self._frames is not None else ""

    def clear(self) -> None:
        """Show nothing and release the dataset."""
        self.release()
        self.drop_released()

    def show_view(self, view: View) -> None:
        """Show other indices: now if no frame is pending, else as soon as it has arrived."""
        self._wanted = view
        if self._frames is not None:
            self._frames.next_view = view  # a volume that is being read for another one is left
        self._flush()

    def refresh(self) -> None:
        """Something in view has changed: request the frame again."""
        self._dirty = True
        self._flush()

    # ---- pan and zoom ----------------------------------------------------------------------

    def reset_view(self) -> None:
        """Fit the picture to the canvas."""
        self._sight.reset_view()

    def show_one_to_one(self) -> None:
        """Show one pixel of the data (of level 0) on one pixel of the screen."""
        self._hand.show_one_to_one(self.devicePixelRatioF())

    def zoom(self, factor: float) -> None:
        """Enlarge what is in the middle of the canvas."""
        self._hand.zoom(factor)

    def pan(self, right: int, down: int) -> None:
        """Show what lies in that direction (-1, 0 or 1 along each); turn a volume that way."""
        surface = self.surface
        if self._wanted.is_volume and surface is not None:
            self._sight.is_turned = True
            self._drags.drag(surface, right * _TURN_PX, down * _TURN_PX)
        else:
            self._hand.pan(right, down)

    def show_area(self, area: VisibleArea) -> None:
        """Show this part of the picture."""
        self._sight.show_area(area)

    def show_area_first(self, area: VisibleArea) -> None:
        """Show this part of the picture as soon as there is one."""
        self._place = area

    def show_volume_first(self, sight: VolumeSight) -> None:
        """See the volume so as soon as there is one."""
        self._volume_sight = sight

    @property
    def is_fitting(self) -> bool:
        """Whether the whole picture fills the canvas, as after `reset_view`; also while there is none."""
        return self._sight.is_fitting

    def scene(self) -> Scene | None:
        """What the picture is shown in; None in a volume, and while there is no picture."""
        return self._sight.scene()

    def visible_area(self) -> VisibleArea | None:
        """The part of the picture on screen in 2-D (µm), None in a volume."""
        return self._sight.visible_area()

    @property
    def area_of_planes(self) -> VisibleArea | None:
        """The part of planes on screen, or, in a volume, that will be when it is left; None if unknown."""
        if self._place is not None or self.frame is None:
            return self._place
        return self.visible_area()

    def projection(self) -> Projection | None:
        """How the plane lies on screen; None in a volume, without a picture, and while it is hidden."""
        return None if self.isHidden() else self._sight.projection()

    def volume_sight(self, *, of_part: bool) -> VolumeSight | None:
        """From where the volume is seen, of all of it or of the part in the window; None if there is none."""
        return self._sight.volume_sight(of_part=of_part)

    def um_per_screen_pixel(self) -> float | None:
        """How many µm one logical screen pixel spans, in a volume as well: it is drawn without perspective.

        None if unknown.
        """
        return self.fit_and_scale()[1]

    def fit_and_scale(self) -> tuple[bool, float | None]:
        """`is_fitting` and `um_per_screen_pixel`, for half the price of both."""
        is_fitting, scale = self._sight.fit_and_scale()
        frame = self.frame
        is_as_wanted = frame is not None and frame.view.is_volume == self._wanted.is_volume
        return is_fitting, scale if is_as_wanted else None

    # ---- channels --------------------------------------------------------------------------

    def set_visible(self, c: int, visible: bool) -> None:
        """Show or hide a channel; hidden channels are not read."""
        if self._channels is not None:
            self._channels.set_visible(c, visible)
            self.refresh()

    def set_color(self, c: int, choice: str) -> None:
        """Show a channel in another colour ``"#RRGGBB"``, or with a lookup table; ``_r``: inverted."""
        if self._channels is not None:
            self._channels.set_color(c, choice)

    def set_color_of(self, c: int, channel: Channel) -> None:
        """Show a channel in the colour, or with the lookup table, that its dataset wants."""
        if self._channels is not None:
            self._channels.set_color_of(c, channel)

    def set_gamma(self, c: int, gamma: float) -> None:
        """Draw values between the limits of a channel by their power `gamma`; 1 is linear."""
        if self._channels is not None:
            self._channels.set_gamma(c, gamma)

    def apply_contrast(self, c: int) -> None:
        """Draw a channel with the limits it has by now."""
        if self._channels is not None:
            self._channels.apply_contrast(c)

    def limits(self, c: int) -> tuple[float, float] | None:
        """The contrast a channel is shown with; None before there is one."""
        return self._channels.limits(c) if self._channels is not None else None

    @property
    def looks(self) -> tuple[DrawnLook, ...]:
        """How each channel is drawn."""
        return self._channels.looks if self._channels is not None else ()

    def _on_look(self, c: int, look: DrawnLook, before: DrawnLook) -> None:
        """A channel is to be drawn in another way than before."""
        self.looks_changed.emit()

    # ---- the gate --------------------------------------------------------------------------

    def _flush(self) -> None:
        """Request the wanted frame unless one is pending, or is just arriving."""
        if self._frames is None or self.camera is None or self.busy or self._is_taking:
            return
        is_other = self._wanted != self._frames.view
        if not (is_other or self._dirty or self._has_more):
            return
        if self._wanted.is_volume and not self.isVisible():
            return  # until it draws again, vispy would keep the voxels of each frame that comes
        if is_other or not self._has_more:  # otherwise the rest comes first
            self._dirty = False
        self._has_more = False
        before = self._frames.view
        if self._wanted.is_volume and not before.is_volume:
            self._place = self.visible_area()
        self._frames.view = self._wanted
        self._frames.screen = self._screen()
        self._request(before)

    def _take_contrasts(self, frame: Frame) -> None:
        """Draw channels with the limits that follow from a frame."""
        if self._channels is not None:
            self._channels.add_contrasts(frame)

    def _hide_what_is_missing(self, frame: Frame) -> None:
        """Draw nothing of the channels of which a frame has no pixels."""
        if self._channels is not None:
            self._channels.hide_what_is_missing(frame)

    def _note_arrived(self) -> None:
        """The frame that was requested is there, and is painted next."""
        self.frame_arrived.emit()
        self._later.start(0)

    def _dress(self, frame: Frame) -> None:
        """Draw what belongs to a frame beside its pixels."""

    def _screen(self) -> tuple[int, int]:
        """Rows and columns of the canvas, in device pixels."""
        ratio = self.devicePixelRatioF()
        return max(int(self.height() * ratio), 1), max(int(self.width() * ratio), 1)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """A larger canvas may need a larger level; a smaller one keeps what it has."""
        super().resizeEvent(event)
        frame, screen = self.frame, self._screen()
        if frame is not None and frame.level > 0 and self._frames is not None:
            shown = self._frames.screen
            if screen[0] > shown[0] or screen[1] > shown[1]:
                self.refresh()

    @safe_slot
    def showEvent(self, event: QShowEvent | None) -> None:
        super().showEvent(event)
        self._flush()

    @safe_slot
    def _on_idle(self) -> None:
        if self.camera is None or self.busy:
            return
        frame = self.frame
        extent = self._sight.extent() or self._shown_extent
        if self._shown_extent not in (None, extent):
            self._place = None
            self.reset_view()  # a picture of another size: fit it as if it were the first
        self._shown_extent = extent
        if frame is not None:
            self._dress(frame)
        if self._place is not None and self.is_complete and not frame.view.is_volume:
            place, self._place = self._place, None
            self.show_area(place)
        if self._frames is not None and self._frames.is_held_back:
            is_part = frame is not None and frame.view.is_volume
            self._has_more, self._dirty = is_part, self._dirty or not is_part
        self.frame_shown.emit()
        self._flush()

    # ---- mouse and keys --------------------------------------------------------------------

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Take mouse events of the surface, and leave keys to our parents."""
        try:
            return self._filter(watched, event)
        except Exception:
            logger.exception("in the canvas's event filter")
            return False

    def _filter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if event is None or self.camera is None:
            return False
        kind, surface = event.type(), self.surface
        if surface is not None and watched is surface:
            if kind == QEvent.Type.MouseMove:
                self._pointed = _position(event)
            if kind == QEvent.Type.Paint:
                return self._paint(event)
            if kind == QEvent.Type.Leave:
                self._hover(None)
            elif self._is_taken(event, surface):
                return True
            elif kind in (QEvent.Type.Wheel, QEvent.Type.MouseButtonPress):
                self._sight.is_turned = True
            elif kind == QEvent.Type.MouseMove and event.buttons() == Qt.MouseButton.NoButton:  # type: ignore[attr-defined]
                self._hover(_position(event))
                return True  # of ndv, each hover event would cost a picking render of 130 ms or more
        if kind in (QEvent.Type.KeyPress, QEvent.Type.KeyRelease):
            event.ignore()  # nothing inside may take it: it is passed to our parents
            return True
        return False

    def _paint(self, event: QEvent) -> bool:
        """The surface is to be painted; whether that has been done."""
        self.painted.emit()
        return False

    def _is_taken(self, event: Any, surface: QWidget) -> bool:
        return any(tool.take(event, surface) for tool in self.tools) or self._hand.take(event, surface)

    def _hover(self, position: QPointF | None) -> None:
        self._pointed = position
        self._under_mouse = self._pixel_pointed_at()
        self.hovered.emit(self._under_mouse)

    def _pixel_pointed_at(self) -> tuple[int, int] | None:
        is_flat = self._pointed is not None and not self._wanted.is_volume
        return self._sight.pixel_at(self._pointed) if is_flat and self._pointed is not None else None

    @safe_slot
    def _hover_again(self) -> None:
        """The picture has been moved below the mouse, as by keys."""
        if self._pointed is not None and self._pixel_pointed_at() != self._under_mouse:
            self._hover(self._pointed)


def _position(event: Any) -> QPointF:
    return event.position() if hasattr(event, "position") else QPointF(event.pos())
