"""A window of the stand-alone application, with one dataset.

It is shown before what is in it is built: modules of the viewer are imported when its first picture, which
says that it opens something, is on screen.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from qtpy.QtCore import QPoint, Qt, QTimer, Signal
from qtpy.QtWidgets import QApplication, QLabel, QMainWindow, QWidget

from ...views.link_scheme import is_view_link
from ..ends import delete_at_exit, delete_garbage
from ..given_paths import short_name
from ..keyboard.tab_order import arrange_tabs
from ..look.theme import dark_palette
from ..slots import safe_slot
from .drop_target import DropTarget
from .window_settings import keep_window, place_window

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qtpy.QtGui import QCloseEvent, QKeyEvent, QPaintEvent, QShowEvent

    from ..run_status.latency import LatencyLog
    from ..viewer import LightweightViewer
    from .chooser import DatasetChooser
    from .top_bar import TopBar
    from .window_contents import WindowContents

TITLE = "NDViewer Lightweight"
_LATEST_MS = 250
"""After it was shown, until a window is filled even if nothing of it was painted: it may be minimised."""


class LightweightMainWindow(DropTarget, QMainWindow):
    """A window with one dataset; drop another on it to show that instead, several to have a window for each.

    While it is being written, the view follows its newest time point and position. What is in the window is
    built once it has been painted, or when `viewer` or `bar` is first asked for.
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
        delete_at_exit(self)
        self._path, self._watch = dataset_path, watch
        self._storage_options = dict(storage_options or {})
        self._latency_log = latency_log
        self._scheduler = scheduler
        self._others: list[LightweightMainWindow] = []  # opened from here
        self._contents: WindowContents | None = None
        self._is_closed = False
        self.setPalette(dark_palette())
        self.setCentralWidget(_EmptyPage(self._fill, "Opening…" if dataset_path else ""))
        self.setAcceptDrops(True)
        place_window(self)
        self.name("" if is_view_link(dataset_path) else short_name(dataset_path))

    @property
    def contents(self) -> WindowContents:
        """What is in it; built when first needed."""
        if self._contents is None:
            from .window_contents import WindowContents

            path, self._path = self._path, ""
            contents = self._contents = WindowContents(
                self, path, self._storage_options, latency_log=self._latency_log, scheduler=self._scheduler
            )
            self.setCentralWidget(contents)
            if path:
                contents.begin(path, watch=self._watch)
        return self._contents

    @property
    def viewer(self) -> LightweightViewer:
        """The widget that shows the dataset."""
        return self.contents.viewer

    @property
    def bar(self) -> TopBar:
        """The row of buttons above it."""
        return self.contents.bar

    @property
    def chooser(self) -> DatasetChooser:
        """What asks which dataset to open."""
        return self.contents.chooser

    @safe_slot
    def _fill(self) -> None:
        if not self._is_closed:
            _ = self.contents

    def open_path(self, path: str, format_name: str = "") -> None:
        """Show the dataset at `path`; its format is recognised if none is named."""
        self.contents.open_path(path, format_name)

    def open_paths(self, paths: Sequence[str]) -> None:
        """Show the first of these datasets here, the others in windows of their own."""
        for path in paths[1:]:
            window = LightweightMainWindow(
                path, self._storage_options, latency_log=self._latency_log, scheduler=self._scheduler
            )
            self._others.append(shown_beside(window, self, len(self._others) + 1))
            window.closed.connect(self._forget)
        self.open_path(paths[0])

    def say_of_drop(self, text: str) -> None:
        """In the status line."""
        self.viewer.contents.status.say("message", text)

    @safe_slot
    def _forget(self, window: LightweightMainWindow) -> None:
        self._others = [other for other in self._others if other is not window]

    def name(self, name: str) -> None:
        """Give it a title that contains the name of a dataset, and that no other window has."""
        title = f"{TITLE} - {name}" if name else TITLE
        self.setWindowTitle(self._distinct(title) if name else title)

    def _distinct(self, title: str) -> str:
        taken = {window.windowTitle() for window in _windows() if window is not self}
        numbered = (f"{title} ({n})" for n in itertools.count(2))
        return next(each for each in itertools.chain([title], numbered) if each not in taken)

    def showEvent(self, event: QShowEvent | None) -> None:
        """It is filled soon, even if nothing of it is painted."""
        super().showEvent(event)
        if self._contents is None:
            QTimer.singleShot(_LATEST_MS, self._fill)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Keys that nobody has taken work wherever the focus is, also before anything is in the window."""
        if event is not None and not self.contents.press(event):
            self.viewer.keyPressEvent(event)

    def focusNextPrevChild(self, forward: bool) -> bool:
        """Tab and Shift Tab go through the controls as they are on screen."""
        arrange_tabs(self)
        return bool(super().focusNextPrevChild(forward))

    def __del__(self) -> None:
        delete_garbage(self)

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Close the viewer with the window."""
        self._is_closed = True
        if self._contents is not None:
            side = self._contents.side
            if side is not None and self.isVisible():
                keep_window(self, side.shown_widths, panels=side.wanted)
            self._contents.end()
        super().closeEvent(event)
        self.closed.emit(self)


class _EmptyPage(QLabel):
    """What a window shows until it is filled: `fill` is called after it has been painted."""

    def __init__(self, fill: object, text: str) -> None:
        super().__init__(text)
        self._fill: object | None = fill
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        super().paintEvent(event)
        if (fill := self._fill) is not None:
            self._fill = None
            QTimer.singleShot(0, fill)  # type: ignore[call-overload]


def _windows() -> list[LightweightMainWindow]:
    return [each for each in QApplication.topLevelWidgets() if isinstance(each, LightweightMainWindow)]


def shown_beside(window: LightweightMainWindow, other: QWidget | None, n: int) -> LightweightMainWindow:
    """Show a window, not exactly over the `n` that are there already; Qt deletes it when it is closed."""
    window.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    if other is not None and n:
        window.move(_place_beside(window, other, 30 * (n % 8)))
    window.show()
    return window


def _place_beside(window: QWidget, other: QWidget, step: int) -> QPoint:
    """Below and right of another window; where it would not be on the screen, from the other end again."""
    screen, around = other.screen(), other.frameGeometry().size() - other.geometry().size()
    if screen is None:
        return QPoint(other.x() + step, other.y() + step)
    room, size = screen.availableGeometry(), window.size() + around
    free_x, free_y = max(room.width() - size.width(), 0), max(room.height() - size.height(), 0)
    left, top = other.x() - room.left() + step, other.y() - room.top() + step
    return QPoint(room.left() + left % (free_x + 1), room.top() + top % (free_y + 1))
