"""The QApplication of the standalone program; never used inside a host."""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
import sys
from typing import TYPE_CHECKING

from qtpy.QtCore import QCoreApplication, QSocketNotifier, Qt, QTimer
from qtpy.QtWidgets import QApplication, QWidget

from ..look.theme import apply_dark_theme

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType

logger = logging.getLogger(__name__)

_OURS = __name__.removesuffix("windows.application")
"""What modules of our widgets are called, whatever name the package was imported under."""
_START_MS = 3000
"""By then the first picture is there, mostly."""


def application() -> QApplication:
    """Return the running QApplication, or create ours: dark, shared GL contexts, crash-proof slots."""
    running = QApplication.instance()
    if isinstance(running, QApplication):
        return running
    # Without it, a canvas moved to another window (docking, floating) loses its GL context.
    QCoreApplication.setAttribute(Qt.ApplicationAttribute.AA_ShareOpenGLContexts)
    app = QApplication(sys.argv[:1])
    app.setApplicationName("ndviewer-light")
    apply_dark_theme(app)
    sys.excepthook = _log_exception
    app.aboutToQuit.connect(lambda: delete_windows(app.topLevelWidgets()))
    return app


def call_when_started(do: Callable[[], None]) -> None:
    """Call `do` some seconds after the event loop has begun. GUI thread."""
    QTimer.singleShot(_START_MS, do)


def delete_windows(windows: Iterable[QWidget]) -> None:
    """Have Qt delete those that are ours as the last thing that the event loop does.

    Python would delete them in whatever order, after the application as well: with OpenGL, that crashes.
    Menus go with what they belong to. Others without a parent are of Qt itself, which deletes them as well:
    a list of completions with the box in which one typed, a widget with the layout of a plot.
    """
    for window in windows:
        if window.parent() is None and type(window).__module__.startswith(_OURS):
            window.deleteLater()


@contextlib.contextmanager
def end_on_signals(app: QApplication) -> Iterator[list[int]]:
    """While it lasts, Ctrl-C and requests to end close all windows, and so the program.

    Yields a list that gets the signals received. Qt's event loop does not return to Python for a signal by
    itself: Python's wake-up socket makes it. Main thread only.
    """
    received: list[int] = []
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.setblocking(False)
    notifier = QSocketNotifier(ours.fileno(), QSocketNotifier.Type.Read, app)  # type: ignore[call-overload]

    def end_program() -> None:
        with contextlib.suppress(BlockingIOError):
            received.extend(number for number in ours.recv(4096) if number in ends)
        if received:
            app.closeAllWindows()
            app.quit()

    notifier.activated.connect(lambda *_: end_program())
    ends = (signal.SIGINT, signal.SIGTERM)
    # Python calls handlers wherever it is, in the middle of painting too: no window can be closed there
    before = {number: signal.signal(number, lambda *_: None) for number in ends}
    wake_up = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    try:
        yield received
    finally:
        signal.set_wakeup_fd(wake_up)
        for number, handler in before.items():
            signal.signal(number, handler)
        notifier.setEnabled(False)
        notifier.deleteLater()
        ours.close()
        theirs.close()


def _log_exception(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    # PyQt aborts the process on an exception in a slot only while Python's own hook is in place.
    if issubclass(kind, KeyboardInterrupt):
        QCoreApplication.quit()
        return
    logger.critical("unexpected error; the viewer keeps running", exc_info=(kind, error, traceback))
