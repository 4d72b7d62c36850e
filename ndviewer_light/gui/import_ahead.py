"""Imports the widget in a thread, before a host asks for it, while the host's event loop goes on."""

from __future__ import annotations

import importlib
import logging
import sys
import threading

from ..storage import collector
from .short_turns import short_turns

logger = logging.getLogger(__name__)

_BINDINGS = ("PyQt6", "PyQt5")
_WIDGET = f"{__package__}.viewer"


def begin() -> None:
    """Begin to import; returns at once and never raises. GUI thread.

    Nothing as long as the host has not imported Qt: it may want another binding than would be chosen here.
    """
    if not any(f"{binding}.QtCore" in sys.modules for binding in _BINDINGS):
        logger.debug("nothing is imported ahead: Qt has not been imported yet")
        return
    try:
        from .qt_modules import FOR_VISPY, FOR_WIDGETS, import_of_qt

        import_of_qt((*FOR_WIDGETS, *FOR_VISPY))
        from . import parts_ahead

        importing = threading.Thread(target=_import, name="ndviewer-import", daemon=True)
        importing.start()
        parts_ahead.begin(importing, lambda: sys.modules.get(_WIDGET) is not None)
    except Exception:  # the widget says what is wrong when it is imported or created
        logger.info("nothing is imported ahead", exc_info=True)


def import_widget() -> None:
    """Import the widget, and what the first run needs in the same moment. Any thread."""
    with collector.importing():
        importlib.import_module(_WIDGET)
        importlib.import_module("..engine.dataset", __package__)


def _import() -> None:
    """In a thread. None of it creates objects of Qt."""
    try:
        with short_turns():
            import_widget()
            from .canvas.opengl import canvas_wanted
            from .canvas_start import import_for_opengl

            if canvas_wanted() != "cpu":
                import_for_opengl()
    except Exception:
        logger.info("the widget could not be imported ahead", exc_info=True)
