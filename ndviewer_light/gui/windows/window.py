"""Windows of the stand-alone application: one per dataset, and a launcher to open one from."""

from __future__ import annotations

import itertools
import logging
import os
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from qtpy.QtCore import Qt, QUrl, Signal
from qtpy.QtWidgets import (
    QApplication,
    QLabel,
    QMainWindow,
    QVBoxLayout,
    QWidget,
)

from ...storage.presentable import presentable
from ..canvas.written import Written
from ..given_paths import format_option, is_same_place
from ..keyboard.key_bindings import KeyBindings
from ..look.one_line_label import OneLineLabel
from ..look.theme import Panel, dark_palette
from ..panels.playback import PlaySpeed
from ..saved_views.view_link import place_in
from ..slots import safe_slot
from ..viewer import LightweightViewer
from ..waiting import short_name
from .chooser import DatasetChooser
from .linked_windows import linked_windows
from .top_bar import TopBar
from .window_settings import (
    are_panels_wanted,
    keep_play_speed,
    keep_window,
    keep_written,
    kept_play_speed,
    kept_widths,
    kept_written,
    note_opened,
    place_window,
    recent_paths,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qtpy.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QKeyEvent, QMouseEvent

    from ..run_status.latency import LatencyLog

logger = logging.getLogger(__name__)

TITLE = "NDViewer Lightweight"
_MOST_DROPPED = 16


def _dropped_paths(event: QDropEvent | QDragEnterEvent | None) -> list[str]:
    """The files, folders and addresses dropped."""
    data = event.mimeData() if event is not None else None
    urls = data.urls() if data is not None and data.hasUrls() else []
    paths = [_local_path(url) if url.isLocalFile() else _address(url) for url in urls]
    return [path for path in dict.fromkeys(paths) if path][:_MOST_DROPPED]


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
        if event is not None and _dropped_paths(event):
            event.acceptProposedAction()

    @safe_slot
    def dropEvent(self, event: QDropEvent | None) -> None:
        paths = _dropped_paths(event)
        if event is not None and paths:
            event.acceptProposedAction()
            self.open_paths(paths)

    def open_paths(self, paths: Sequence[str]) -> None:
        """Open the datasets at these paths, each in a window."""
        raise NotImplementedError


class LightweightMainWindow(_DropTarget, QMainWindow):
    """A window with one dataset; drop another on it to show that instead, several to have a window for each.

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
        scheduler: str | None = None,
    ) -> None:
        """`watch`: there need not be a dataset at the path yet. `scheduler`: see `use_cluster`."""
        super().__init__()
        self._storage_options = dict(storage_options or {})
        self._options_of = place_in(dataset_path)
        """What the options are for; "" if for everything that is opened here."""
        self.setPalette(dark_palette())
        self.viewer = LightweightViewer(panels=True)
        self.viewer.set_follow(t=True, p=True)
        self.viewer.remember_views()
        self.viewer.latencies.log = latency_log
        self._latency_log = latency_log
        self._scheduler = scheduler
        self.viewer.use_cluster(scheduler)
        self._others: list[LightweightMainWindow] = []  # opened from here
        self.bar = TopBar(self.viewer.actions_by_name, self.viewer.contents.parts)
        self._chooser = DatasetChooser(self)
        self._chooser.chosen.connect(self.open_path)
        self.bar.open.clicked.connect(self._chooser.ask)
        self.bar.link.toggled.connect(self._on_link_toggled)
        self.bar.measure.clicked.connect(self._on_measure)
        self.bar.written.clicked.connect(self._on_written)
        KeyBindings(self, {"window": self}, {"open": self._chooser.ask})
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.bar)
        column.addWidget(self.viewer, 1)
        self.setCentralWidget(page)
        self.setAcceptDrops(True)
        self._remember()
        self._name("")
        self.viewer.dataset_loaded.connect(self._on_loaded)
        if dataset_path and watch:
            self._name(dataset_path)
            self.viewer.watch(dataset_path, self._storage_options)
        elif dataset_path:
            self.open_path(dataset_path)

    def _remember(self) -> None:
        """Look like the window that was closed last."""
        place_window(self)
        screen = self.viewer.contents
        if self.viewer.stage is not None and screen.side is not None:
            screen.side.wanted = are_panels_wanted()
            screen.side.widths = kept_widths(3)
            self._chooser.recent = screen.chooser.recent = recent_paths
            overlay = self.viewer.stage.overlay
            overlay.set_written(Written.of_text(kept_written()))
            overlay.written_changed.connect(safe_slot(lambda: keep_written(overlay.written.as_text())))
            playback = self.viewer.contents.stage.sliders.playback
            playback.choose(PlaySpeed.of_text(kept_play_speed()))
            playback.chosen.connect(safe_slot(lambda: keep_play_speed(playback.speed.as_text())))

    def open_path(self, path: str, format_name: str = "") -> None:
        """Show the dataset at `path`; its format is recognised if none is named."""
        place = place_in(path)
        self._name(place)
        is_known = not self._options_of or is_same_place(place, self._options_of)
        options = self._storage_options if is_known else {}
        self.viewer.load_dataset(path, {**options, **format_option(format_name)})

    def open_paths(self, paths: Sequence[str]) -> None:
        """Show the first of these datasets here, the others in windows of their own."""
        for path in paths[1:]:
            window = LightweightMainWindow(
                path, self._storage_options, latency_log=self._latency_log, scheduler=self._scheduler
            )
            self._others.append(_shown_beside(window, self, len(self._others) + 1))
            window.closed.connect(self._forget)
        self.open_path(paths[0])

    @safe_slot
    def _forget(self, window: LightweightMainWindow) -> None:
        self._others = [other for other in self._others if other is not window]

    @safe_slot
    def _on_measure(self) -> None:
        self.viewer.contents.tools.measuring.show_menu(self.bar.measure)

    @safe_slot
    def _on_written(self) -> None:
        self.viewer.contents.tools.written.show(self.bar.written)

    @safe_slot
    def _on_link_toggled(self, linked: bool) -> None:
        if linked:
            linked_windows().link(self.viewer.contents)
        else:
            linked_windows().unlink(self.viewer.contents)

    @safe_slot
    def _on_loaded(self, path: str) -> None:
        self._name(path)
        note_opened(path)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Unhandled keys go to the viewer, wherever the focus is: Escape and F."""
        self.viewer.keyPressEvent(event)

    @safe_slot
    def _name(self, path: str) -> None:
        name = short_name(path)
        self.setWindowTitle(self._distinct(f"{TITLE} - {name}") if name else TITLE)
        self.bar.name.say(name, presentable(path))

    def _distinct(self, title: str) -> str:
        """A title that no other window has."""
        taken = {window.windowTitle() for window in _windows() if window is not self}
        numbered = (f"{title} ({n})" for n in itertools.count(2))
        return next(each for each in itertools.chain([title], numbered) if each not in taken)

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Close the viewer with the window."""
        side = self.viewer.contents.side
        if side is not None and self.isVisible():
            keep_window(self, side.shown_widths, panels=side.wanted)
        linked_windows().unlink(self.viewer.contents)
        self.viewer.close()
        super().closeEvent(event)
        self.closed.emit(self)


def _windows() -> list[LightweightMainWindow]:
    return [each for each in QApplication.topLevelWidgets() if isinstance(each, LightweightMainWindow)]


def _shown_beside(window: LightweightMainWindow, other: QWidget | None, n: int) -> LightweightMainWindow:
    """Show a window, not exactly over the `n` that are there already; Qt deletes it when it is closed."""
    window.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    if other is not None and n:
        step = 30 * (n % 8)
        window.move(other.x() + step, other.y() + step)
    window.show()
    return window


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
QLabel:focus, QLabel:hover {{ border-color: {accent}; }}
"""


class LauncherWindow(_DropTarget, QMainWindow):
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
        self._chooser = DatasetChooser(self)
        self._chooser.chosen.connect(self.open_path)
        self._chooser.recent = recent_paths
        self.drop_label.clicked.connect(self._chooser.ask)
        KeyBindings(self, {"window": self}, {"open": self._chooser.ask})
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
        self.viewer_windows.append(_shown_beside(window, last, 1 if last is not None else 0))
        self.status_label.say(short_name(path.rstrip("/\\")), presentable(path))

    def open_paths(self, paths: Sequence[str]) -> None:
        """Open each of these datasets in a new window."""
        for path in paths:
            self.open_path(path)

    @safe_slot
    def _forget(self, window: LightweightMainWindow) -> None:
        self.viewer_windows = [other for other in self.viewer_windows if other is not window]
