"""Windows of the stand-alone application: one per dataset, and a launcher to open one from."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QFileDialog, QLabel, QMainWindow, QVBoxLayout

from .slots import safe_slot
from .theme import Panel, dark_palette
from .viewer import LightweightViewer

if TYPE_CHECKING:
    from qtpy.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QMouseEvent

logger = logging.getLogger(__name__)

TITLE = "NDViewer Lightweight"


def _dropped_path(event: QDropEvent | QDragEnterEvent | None) -> str:
    """The first local file or folder of a drop, "" if there is none."""
    data = event.mimeData() if event is not None else None
    urls = data.urls() if data is not None and data.hasUrls() else []
    return next((url.toLocalFile() for url in urls if url.isLocalFile()), "")


class _DropTarget:
    """Mixed into a widget: a dropped folder is opened by its `open_path`."""

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        if event is not None and _dropped_path(event):
            event.acceptProposedAction()

    @safe_slot
    def dropEvent(self, event: QDropEvent | None) -> None:
        path = _dropped_path(event)
        if event is not None and path:
            event.acceptProposedAction()
            self.open_path(path)

    def open_path(self, path: str) -> None:
        """Open the dataset at `path`."""
        raise NotImplementedError


class LightweightMainWindow(_DropTarget, QMainWindow):
    """One dataset in a window of its own; drop another folder on it to look at that instead."""

    def __init__(self, dataset_path: str = "") -> None:
        super().__init__()
        self.setPalette(dark_palette())
        self.viewer = LightweightViewer()
        self.setCentralWidget(self.viewer)
        self.setAcceptDrops(True)
        self.setGeometry(100, 100, 1200, 800)
        self._name("")
        self.viewer.dataset_loaded.connect(self._name)
        if dataset_path:
            self.open_path(dataset_path)

    def open_path(self, path: str) -> None:
        """Show the dataset at `path`."""
        self._name(path)
        self.viewer.load_dataset(path)

    @safe_slot
    def _name(self, path: str) -> None:
        name = os.path.basename(os.path.abspath(path)) if path else ""
        self.setWindowTitle(f"{TITLE} - {name}" if name else TITLE)

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """The viewer lets go of its dataset with the window."""
        self.viewer.close()
        super().closeEvent(event)


class _DropZone(QLabel):
    """A large label that says what to do, and is clicked to do it."""

    clicked = Signal()

    def __init__(self) -> None:
        super().__init__("Drop folder here\nor click to open")
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
QLabel:focus, QLabel:hover {{ border-color: {accent}; }}
"""


class LauncherWindow(_DropTarget, QMainWindow):
    """Drop a folder, or click to choose one; each opens in a window of its own, the launcher stays."""

    def __init__(self) -> None:
        super().__init__()
        self.setPalette(dark_palette())
        self.setWindowTitle(f"{TITLE} - Open Dataset")
        self.setGeometry(100, 100, 400, 300)
        self.setAcceptDrops(True)
        self.drop_label = _DropZone()
        self.drop_label.clicked.connect(self._choose)
        self.status_label = QLabel()
        self.status_label.setTextFormat(Qt.TextFormat.PlainText)
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
        self._dialog: QFileDialog | None = None

    @property
    def viewer_window(self) -> LightweightMainWindow | None:
        """The window opened last, None if there is none."""
        return self.viewer_windows[-1] if self.viewer_windows else None

    def open_path(self, path: str) -> None:
        """Open the dataset at `path` in a new window."""
        window = LightweightMainWindow(path)
        window.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        window.destroyed.connect(lambda: self._forget(window))
        offset = 30 * (len(self.viewer_windows) % 8)
        window.move(140 + offset, 120 + offset)
        self.viewer_windows.append(window)
        window.show()
        self.status_label.setText(os.path.basename(path.rstrip("/\\")))

    def _forget(self, window: LightweightMainWindow) -> None:
        self.viewer_windows = [other for other in self.viewer_windows if other is not window]

    @safe_slot
    def _choose(self) -> None:
        dialog = self._dialog = QFileDialog(self, "Open a dataset")
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly, True)
        dialog.fileSelected.connect(self.open_path)
        dialog.open()
