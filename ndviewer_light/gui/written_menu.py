"""The menu of what is written on the picture: position, time, and how the scale bar looks. GUI thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QPoint
from qtpy.QtGui import QActionGroup

from ..rendering.scale_bar import BAR_COLORS, BAR_SIZES, NO_SCALE
from .keyboard.keys import keys_of
from .look.theme import menu_of
from .slots import safe_slot

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QMenu, QWidget

    from .scene.scene_canvas import SceneCanvas
    from .stage import Stage


class WrittenMenu(QObject):
    """For one stage, and the overview that covers it, whose scale bar looks the same."""

    def __init__(self, stage: Stage, overview: SceneCanvas) -> None:
        super().__init__(stage)
        self._stage = stage
        self._overlay = stage.overlay
        self._overview = overview
        self.menu: QMenu | None = None
        self._overlay.written_changed.connect(self._on_changed)

    def toggle_position(self) -> None:
        """Say where the view is, or no longer."""
        written = self._overlay.written
        self._overlay.set_written(written._replace(position=not written.position))

    def toggle_time(self) -> None:
        """Write the time on the picture, or no longer."""
        written = self._overlay.written
        self._overlay.set_written(written._replace(time=not written.time))

    def next_bar(self) -> None:
        """Make the scale bar larger; then leave it out; then as at first."""
        sizes = list(BAR_SIZES)
        bar = self._overlay.written.bar
        after = sizes[(sizes.index(bar.size) + 1) % len(sizes)]
        self._overlay.set_written(self._overlay.written._replace(bar=bar._replace(size=after)))

    def show(self, below: QWidget | None = None) -> None:
        """Offer all of it in a menu, below a widget or over the picture."""
        if self.menu is not None:
            self.menu.deleteLater()
        place = below if below is not None else self._stage.picture
        menu = self.menu = menu_of(place.parentWidget() or place)
        written = self._overlay.written
        for text, action, is_on, act in (
            ("Position", "position_label", written.position, self.toggle_position),
            ("Time", "time_stamp", written.time, self.toggle_time),
        ):
            each = menu.addAction(f"{text}\t{keys_of(action)}")
            each.setCheckable(True)
            each.setChecked(is_on)
            each.triggered.connect(safe_slot(act))
        menu.addSeparator()
        bar, image = written.bar, self._stage.image
        if image is not None and image.pixel_size_um is None:
            menu.addAction(f"No scale bar: {NO_SCALE}").setEnabled(False)
        else:
            self._choices(menu, "Scale bar", BAR_SIZES, bar.size, lambda size: bar._replace(size=size))
            self._choices(menu, "Scale bar", BAR_COLORS, bar.color, lambda color: bar._replace(color=color))
        menu.popup(place.mapToGlobal(QPoint(0, place.height()) if below is not None else QPoint(12, 44)))

    def _choices(
        self, menu: QMenu, of: str, words: dict[str, str], now: str, chosen: Callable[[str], Any]
    ) -> None:
        """One entry for each of these, the one that holds `now` marked."""
        group = QActionGroup(menu)
        for value, text in words.items():
            each = menu.addAction(f"{of}: {text}")
            each.setCheckable(True)
            each.setChecked(value == now)
            group.addAction(each)
            wanted = self._overlay.written._replace(bar=chosen(value))
            each.triggered.connect(safe_slot(lambda *_, wanted=wanted: self._overlay.set_written(wanted)))
        menu.addSeparator()

    @safe_slot
    def _on_changed(self) -> None:
        self._overview.set_bar_look(self._overlay.written.bar)
