"""The window of the application that opens datasets, each in a window of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QLabel, QMainWindow, QVBoxLayout

from ...storage.presentable import presentable
from ..given_paths import format_option, short_name
from ..keyboard.key_bindings import KeyBindings
from ..look.one_line_label import OneLineLabel
from ..look.theme import Panel, dark_palette
from ..slots import safe_slot
from .chooser import DatasetChooser
from .drop_target import DropTarget
from .window import TITLE, LightweightMainWindow, shown_beside
from .window_settings import recent_paths

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qtpy.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent, QMouseEvent

    from ..run_status.latency import LatencyLog


class _DropZone(QLabel):
    """A large clickable label that says what to do."""

    clicked = Signal()

    def __init__(self) -> None:
        super().__init__("Drop folders or files here\nor click to open")
        self.setToolTip("Open a folder, a file or an address (Ctrl O)")
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName("Open a dataset")

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        if event is not None and event.button() == Qt.MouseButton.LeftButton:
            self.clicked.emit()

    def keyPressEvent(self, event: object) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):  # type: ignore[attr-defined]
            self.clicked.emit()
        else:
            super().keyPressEvent(event)  # type: ignore[arg-type]


_ZONE_STYLE = """
QLabel {{ border: 2px dashed {border}; border-radius: 10px; font-size: 16px; }}
QLabel:focus, QLabel:hover, QLabel[dragged_over="true"] {{ border-color: {accent}; }}
"""


class LauncherWindow(DropTarget, QMainWindow):
    """Drop or choose datasets; each opens in its own window, the launcher stays."""

    def __init__(
        self,
        storage_options: Mapping[str, str] | None = None,
        *,
        latency_log: LatencyLog | None = None,
        scheduler: str | None = None,
    ) -> None:
        super().__init__()
        self._scheduler = scheduler
        self._latency_log = latency_log
        self._storage_options = dict(storage_options or {})
        self.setPalette(dark_palette())
        self.setWindowTitle(f"{TITLE} - Open Dataset")
        self.setGeometry(100, 100, 400, 300)
        self.setAcceptDrops(True)
        self.drop_label = _DropZone()
        self.chooser = DatasetChooser(self)
        self.chooser.chosen.connect(self.open_path)
        self.chooser.recent = recent_paths
        self.drop_label.clicked.connect(self.chooser.ask)
        KeyBindings(self, {"window": self}, {"open": self.chooser.ask})
        self.status_label = OneLineLabel(Qt.TextElideMode.ElideMiddle)
        self.viewer_windows: list[LightweightMainWindow] = []
        page = Panel()
        colors = page.colors
        self.drop_label.setStyleSheet(
            _ZONE_STYLE.format(border=colors.dim.name(), accent=colors.accent.name())
        )
        column = QVBoxLayout(page)
        column.setContentsMargins(20, 20, 20, 12)
        column.addWidget(self.drop_label, 1)
        column.addWidget(self.status_label)
        self.setCentralWidget(page)

    @property
    def viewer_window(self) -> LightweightMainWindow | None:
        """The window opened last, or None."""
        return self.viewer_windows[-1] if self.viewer_windows else None

    def open_path(self, path: str, format_name: str = "") -> None:
        """Open the dataset at `path` in a new window; its format is recognised if none is named."""
        options = {**self._storage_options, **format_option(format_name)}
        window = LightweightMainWindow(
            path, options, latency_log=self._latency_log, scheduler=self._scheduler
        )
        window.closed.connect(self._forget)
        last = self.viewer_window
        self.viewer_windows.append(shown_beside(window, last, 1 if last is not None else 0))
        self.status_label.say(short_name(path.rstrip("/\\")), presentable(path))

    @safe_slot
    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        super().dragEnterEvent(event)
        self._mark(is_over=event is not None and event.isAccepted())

    @safe_slot
    def dragLeaveEvent(self, event: QDragLeaveEvent | None) -> None:
        super().dragLeaveEvent(event)
        self._mark(is_over=False)

    @safe_slot
    def dropEvent(self, event: QDropEvent | None) -> None:
        self._mark(is_over=False)
        super().dropEvent(event)

    def _mark(self, *, is_over: bool) -> None:
        """Show that what is dragged over the window can be dropped."""
        self.drop_label.setProperty("dragged_over", is_over)
        self.drop_label.style().polish(self.drop_label)

    def open_paths(self, paths: Sequence[str]) -> None:
        """Open each of these datasets in a new window."""
        for path in paths:
            self.open_path(path)

    def say_of_drop(self, text: str) -> None:
        """Below the place to drop things on; whole as the tooltip."""
        self.status_label.say(text, text)

    @safe_slot
    def _forget(self, window: LightweightMainWindow) -> None:
        self.viewer_windows = [other for other in self.viewer_windows if other is not window]
