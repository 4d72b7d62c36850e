"""The QApplication of our own program; never used inside a host."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

from qtpy.QtCore import QCoreApplication, Qt
from qtpy.QtWidgets import QApplication

from .theme import apply_dark_theme

if TYPE_CHECKING:
    from types import TracebackType

logger = logging.getLogger(__name__)


def application() -> QApplication:
    """Return the running QApplication, or make ours: dark, GL contexts shared, crash-proof slots."""
    running = QApplication.instance()
    if isinstance(running, QApplication):
        return running
    # Without it a canvas moved to another window (docking, floating) has lost its GL context.
    QCoreApplication.setAttribute(Qt.ApplicationAttribute.AA_ShareOpenGLContexts)
    app = QApplication(sys.argv[:1])
    app.setApplicationName("ndviewer-light")
    apply_dark_theme(app)
    sys.excepthook = _log_exception
    return app


def _log_exception(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    # PyQt aborts the process on an exception in a slot only while Python's own hook is in place.
    if issubclass(kind, KeyboardInterrupt):
        QCoreApplication.quit()
        return
    logger.critical("unexpected error; the viewer goes on", exc_info=(kind, error, traceback))
