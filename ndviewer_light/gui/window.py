"""Windows of the stand-alone application: one per dataset, and a launcher to open one from."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from qtpy.QtCore import Qt, QUrl, Signal
from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QMainWindow,
    QPushButton,
    QVBoxLayout,
)

from .chooser import DatasetChooser
from .slots import safe_slot
from .theme import Panel, dark_palette
from .viewer import LightweightViewer
from .waiting import short_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qtpy.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QKeyEvent, QMouseEvent

    from .latency import LatencyLog

logger = logging.getLogger(__name__)

TITLE = "NDViewer Lightweight"


def _dropped_path(event: QDropEvent | QDragEnterEvent | None) -> str:
    """The first file, folder or address dropped, or ""."""
    data = event.mimeData() if event is not None else None
    urls = data.urls() if data is not None and data.hasUrls() else []
    return next((_local_path(url) if url.isLocalFile() else _address(url) for url in urls), "")


def _address(url: QUrl) -> str:
    """An address as written: signatures in a query do not survive decoding."""
    return url.toEncoded().data().decode("ascii")


def _local_path(url: QUrl) -> str:
    """The file named by a URL, byte for byte: Qt loses bytes of names that are not UTF-8."""
    if os.name == "nt" or url.host():
        return str(url.toLocalFile())
    encoded = url.path(QUrl.ComponentFormattingOption.FullyEncoded)
    return os.fsdecode(unquote_to_bytes(encoded))


class _DropTarget:
    """Mixin for widgets: what is dropped on them is opened with `open_path`."""

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
    """A window with one dataset; drop another on it to show that instead.

    While it is being written, the view follows its newest time point and position.
    """

    closed = Signal(object)
    """The window itself, when it is closed."""

    def __init__(
        self,
        dataset_path: str = "",
        storage_options: Mapping[str, str] | None = None,
        *,
        watch: bool = False,
        latency_log: LatencyLog | None = None,
    ) -> None:
        """`watch`: there need not be a dataset at the path yet."""
        super().__init__()
        self._storage_options = dict(storage_options or {})
        self.setPalette(dark_palette())
        self.viewer = LightweightViewer(panels=True)
        self.viewer.set_follow(t=True, p=True)
        self.viewer.remember_views()
        self.viewer.latencies.log = latency_log
        self.setCentralWidget(self.viewer)
        self.setAcceptDrops(True)
        self.setGeometry(100, 100, 1200, 800)
        self._name("")
        self.viewer.dataset_loaded.connect(self._name)
        if dataset_path and watch:
            self._name(dataset_path)
            self.viewer.watch(dataset_path, self._storage_options)
        elif dataset_path:
            self.open_path(dataset_path)

    def open_path(self, path: str) -> None:
        """Show the dataset at `path`."""
        self._name(path)
        self.viewer.load_dataset(path, self._storage_options)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Unhandled keys go to the viewer, wherever the focus is: Escape and F."""
        self.viewer.keyPressEvent(event)

    @safe_slot
    def _name(self, path: str) -> None:
        name = short_name(path)
        self.setWindowTitle(f"{TITLE} - {name}" if name else TITLE)

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Close the viewer with the window."""
        self.viewer.close()
        super().closeEvent(event)
        self.closed.emit(self)


class _DropZone(QLabel):
    """A large clickable label that says what to do."""

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
    """Drop or choose datasets; each opens in its own window, the launcher stays."""

    def __init__(
        self, storage_options: Mapping[str, str] | None = None, *, latency_log: LatencyLog | None = None
    ) -> None:
        super().__init__()
        self._latency_log = latency_log
        self._storage_options = dict(storage_options or {})
        self.setPalette(dark_palette())
        self.setWindowTitle(f"{TITLE} - Open Dataset")
        self.setGeometry(100, 100, 400, 300)
        self.setAcceptDrops(True)
        self.drop_label = _DropZone()
        self._chooser = DatasetChooser(self)
        self._chooser.chosen.connect(self.open_path)
        self.drop_label.clicked.connect(self._chooser.choose_folder)
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
        column.addLayout(self._make_buttons())
        column.addWidget(self.status_label)
        self.setCentralWidget(page)

    def _make_buttons(self) -> QHBoxLayout:
        row = QHBoxLayout()
        for text, tip, choose in (
            ("Open file…", "ND2, HDF5, NWB, TIFF, zip or reference file", self._chooser.choose_file),
            ("Open URL…", "https://, s3:// or gs://", self._chooser.choose_url),
        ):
            button = QPushButton(text)
            button.setToolTip(tip)
            button.clicked.connect(choose)
            row.addWidget(button)
        return row

    @property
    def viewer_window(self) -> LightweightMainWindow | None:
        """The window opened last, or None."""
        return self.viewer_windows[-1] if self.viewer_windows else None

    def open_path(self, path: str) -> None:
        """Open the dataset at `path` in a new window."""
        window = LightweightMainWindow(path, self._storage_options, latency_log=self._latency_log)
        window.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        window.closed.connect(self._forget)
        offset = 30 * (len(self.viewer_windows) % 8)
        window.move(140 + offset, 120 + offset)
        self.viewer_windows.append(window)
        window.show()
        self.status_label.setText(short_name(path.rstrip("/\\")))

    @safe_slot
    def _forget(self, window: LightweightMainWindow) -> None:
        self.viewer_windows = [other for other in self.viewer_windows if other is not window]
