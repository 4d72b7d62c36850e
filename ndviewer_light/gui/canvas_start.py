"""Brings the canvas: ndv is imported off the GUI thread and made quick in slices, then it is handed over."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from .qt_modules import import_of_qt

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QWidget

    from .background import Background
    from .canvas.display import Canvas
    from .canvas.warm_up import WarmUp
    from .poll import Poll

logger = logging.getLogger(__name__)


class CanvasStart:
    """For one widget. In the end `ready(canvas)` is called on the GUI thread, or `failed(reason)`."""

    def __init__(
        self,
        owner: QWidget,
        background: Background,
        poll: Poll,
        is_over: Callable[[], bool],
        ready: Callable[[Canvas], None],
        failed: Callable[[str], None],
    ) -> None:
        """`is_over()`: no canvas is wanted any more."""
        self._owner = owner
        self._background = background
        self._poll = poll
        self._is_over = is_over
        self._ready = ready
        self._failed = failed

    def begin(self) -> None:
        """Import what a canvas needs, in a thread. GUI thread."""
        import_of_qt(_OF_QT)
        self._background.run("ndviewer-import", self._import)

    def _import(self) -> None:
        try:
            from .look.icon_files import use_bundled_icons

            use_bundled_icons()
            _check_ndv()
            from .canvas import warm_up

            warm_up.import_all()
            from .canvas import display
        except ImportError as error:
            reason = f"{error}. Install it with: pip install 'ndv>=0.5,<0.6' vispy pyopengl"
            logger.error("the canvas cannot be displayed: %s", reason)
            self._poll.post(lambda: self._failed(reason))
        else:
            self._poll.post(lambda: self._begin_warm_up(warm_up.WarmUp(), display.Canvas))

    def _begin_warm_up(self, warming: WarmUp, canvas_class: type[Canvas]) -> None:
        warming.end_with(self._owner)
        self._warm_up(warming, canvas_class)

    def _warm_up(self, warming: WarmUp, canvas_class: type[Canvas]) -> None:
        """Go on with what makes the first canvas quick, a slice at a time: the host's events come between."""
        if not self._is_over() and warming.step():
            self._poll.post(lambda: self._warm_up(warming, canvas_class))
            return
        warming.end()
        if not self._is_over():
            self._ready(canvas_class())


_OF_QT = ("QtOpenGL", "QtOpenGLWidgets", "QtTest")
"""What vispy imports of Qt."""


def _check_ndv() -> None:
    """Raise `ImportError` if ndv is too old, as pip may install it beside an old numpy."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        found = version("ndv")
    except PackageNotFoundError:  # frozen applications lack metadata; importing ndv will tell
        return
    if [int(part) for part in found.split(".")[:2] if part.isdecimal()] < [0, 5]:
        raise ImportError(f"ndv {found} is too old")
