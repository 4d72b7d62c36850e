"""Parts of the widget that are made before a host asks for it, one in each turn of its event loop.

Made together, when the widget is created, they keep a host's event loop for half of what that takes. GUI
thread only.
"""

from __future__ import annotations

import functools
import importlib
import logging
from typing import TYPE_CHECKING, TypeVar

from qtpy.QtCore import QCoreApplication, QThread, QTimer

from .ends import delete_at_exit, leave_to_parent

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from qtpy.QtWidgets import QWidget

    Part = TypeVar("Part", bound=QWidget)

logger = logging.getLogger(__name__)

_MADE = (
    (".run_status.status_row", "StatusRow"),
    (".panels.sliders", "AxisSliders"),
    (".panels.channels", "ChannelStrips"),
    (".picture_pane", "PicturePane"),
    (".windows.message_page", "MessagePage"),
)
_LOOK_EVERY_MS = 20

_ready: dict[type[QWidget], QWidget] = {}


def begin(importing: threading.Thread, is_imported: Callable[[], bool]) -> None:
    """Make one of each part once `importing` has ended, and it `is_imported`: nothing is imported here.

    None without an application, or in another thread than that of the GUI.
    """
    application = QCoreApplication.instance()
    if application is None or QThread.currentThread() != application.thread():
        return
    timer = QTimer(application)
    left = list(_MADE)

    def step() -> None:
        if importing.is_alive():
            return
        if left and is_imported():
            _make(*left.pop(0))
        else:
            timer.stop()
            timer.deleteLater()

    timer.timeout.connect(step)
    timer.start(_LOOK_EVERY_MS)


def _make(module: str, name: str) -> None:
    try:
        kind = getattr(importlib.import_module(module, __package__), name)
        if kind not in _ready:
            part = kind()
            delete_at_exit(part)
            part.destroyed.connect(functools.partial(_ready.pop, kind, None))
            _ready[kind] = part
    except Exception:  # the widget says what is wrong when it is created
        logger.info("%s could not be made ahead", name, exc_info=True)


def part_made(kind: type[Part]) -> Part:
    """One that was made ahead, which is the caller's from now on; without one, a new one."""
    part = _ready.pop(kind, None)
    if part is None:
        return kind()
    leave_to_parent(part)
    return part  # type: ignore[return-value]
