"""How thick the panes of sections are: as the stack is, if there is room, or as the user has dragged them.

GUI thread only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QObject

from ..slots import safe_slot
from .section_sight import thickness_px

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...model import ImageInfo
    from ..panels.picture_room import PictureRoom


class SectionThickness(QObject):
    """Gives the panes around the picture the thickness of the stack, also when their room changes."""

    def __init__(self, room: PictureRoom, image: Callable[[], ImageInfo | None]) -> None:
        """`image` is what is in view."""
        super().__init__(room)
        self._room = room
        self._image = image
        self._is_on = self._is_by_hand = False
        self._fitted_to: ImageInfo | None = None
        room.dragged.connect(self._on_dragged)
        room.double_clicked.connect(self._on_double_clicked)
        room.installEventFilter(self)

    def begin(self) -> None:
        """Sections are shown from now on."""
        self._is_on = True
        self._fit()

    def end(self) -> None:
        """They are shown no longer."""
        self._is_on = False

    def start_over(self) -> None:
        """Another dataset: what was dragged was for the one before."""
        self._is_by_hand = False

    def fit_to(self, image: ImageInfo) -> None:
        """Fit the panes to the image in view, unless they are already."""
        if image != self._fitted_to:
            self._fit()

    def _fit(self) -> None:
        image, room = self._image(), self._room.size()
        if image is None or self._is_by_hand:
            return
        self._fitted_to = image
        um_x = image.pixel_size_x_um or image.pixel_size_um or 1.0
        um_y = image.pixel_size_y_um or image.pixel_size_um or 1.0
        um_z = image.z_step_um or image.pixel_size_um or 1.0
        thick = thickness_px(
            image.n_z * um_z, image.height * um_y, image.width * um_x, (room.height(), room.width())
        )
        self._room.set_thickness(thick, thick)

    @safe_slot
    def _on_dragged(self) -> None:
        self._is_by_hand = True

    @safe_slot
    def _on_double_clicked(self) -> None:
        self._is_by_hand = False
        self._fit()

    @safe_slot(default=False)
    def eventFilter(self, _watched: QObject | None, event: QEvent | None) -> bool:
        """Fit the panes when their room has another size."""
        if self._is_on and event is not None and event.type() == QEvent.Type.Resize:
            self._fit()
        return False
