"""Brings the canvas: what draws is chosen, imported off the GUI thread, and the canvas is handed over.

With OpenGL: ndv, made quick in slices. Where no OpenGL context can be created, ndv cannot be imported, or the
user wants it so: the canvas that is drawn on the CPU.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from qtpy import QT6
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QMessageBox, QWidget

from .canvas.opengl import WINDOW_PREPARED, canvas_wanted, why_no_opengl
from .ends import delete_later
from .qt_modules import FOR_VISPY, import_of_qt
from .short_turns import short_turns

if TYPE_CHECKING:
    from collections.abc import Callable

    from .background import Background
    from .canvas.cpu_canvas import CpuCanvas
    from .canvas.display import Canvas
    from .canvas.gl_canvas import GlCanvas
    from .canvas.warm_up import WarmUp
    from .later_parts import LaterParts
    from .poll import Poll

logger = logging.getLogger(__name__)

SO_WANTED = "as requested"
"""Why the picture is drawn on the CPU though there may be OpenGL."""


class CanvasStart:
    """For one widget. In the end `ready(canvas, why)` is called on the GUI thread, or `failed(reason)`.

    `why` the canvas is drawn on the CPU, as a part of a sentence; "" if it is drawn with OpenGL.
    """

    def __init__(
        self,
        owner: QWidget,
        background: Background,
        poll: Poll,
        later: LaterParts,
        is_over: Callable[[], bool],
        ready: Callable[[Canvas, str], None],
        failed: Callable[[str], None],
    ) -> None:
        """`later`: slices between which the host's events come. `is_over()`: no canvas is wanted any more."""
        self._owner = owner
        self._background = background
        self._poll = poll
        self._later = later
        self._is_over = is_over
        self._ready = ready
        self._failed = failed
        self._is_on_cpu = self._had_failed = False

    def begin(self) -> None:
        """Choose, and import what the canvas needs in a thread. GUI thread."""
        if canvas_wanted() == "cpu":
            self.draw_on_cpu(SO_WANTED)
            return
        import_of_qt(FOR_VISPY)
        if canvas_wanted() == "auto":
            self._later.add_next(self._try_opengl)  # while ndv is being imported
        self._background.run("ndviewer-import", short_turns()(self._import))

    def draw_on_cpu(self, why: str) -> None:
        """Bring the canvas that needs no OpenGL. GUI thread."""
        if self._is_on_cpu:
            return
        self._is_on_cpu = True
        if canvas_wanted() == "auto":
            logger.warning("the picture is drawn without OpenGL: %s", why)
        self._background.run("ndviewer-import", short_turns()(lambda: self._import_for_cpu(why)))

    def fall_back(self, why: str) -> None:
        """The canvas that was brought can draw nothing: bring the one that needs no OpenGL. GUI thread."""
        self._had_failed = True
        self.draw_on_cpu(why)

    # ---- with OpenGL -----------------------------------------------------------------------

    def _try_opengl(self) -> None:
        if why := why_no_opengl():
            self.draw_on_cpu(why)

    def _import(self) -> None:
        """In a thread."""
        try:
            import_for_opengl()
            from .canvas import gl_canvas, warm_up
        except Exception as error:  # vispy has errors of its own where a library of the system is missing
            logger.info("ndv cannot be imported", exc_info=True)
            reason = f"{error}. Install it with: pip install 'ndv>=0.5,<0.6' vispy pyopengl"
            self._poll.post(lambda: self.draw_on_cpu(reason))
        else:
            begin = lambda: self._begin_warm_up(warm_up.WarmUp(), gl_canvas.GlCanvas)  # noqa: E731
            self._poll.post(lambda: self._later.add(begin))

    def _begin_warm_up(self, warming: WarmUp, canvas_class: type[GlCanvas]) -> None:
        if not self._is_on_cpu:
            warming.end_with(self._owner)
            self._warm_up(warming, canvas_class)

    def _warm_up(self, warming: WarmUp, canvas_class: type[GlCanvas]) -> None:
        """Go on with what makes the first canvas quick, a slice at a time: the host's events come between."""
        if not self._is_over() and warming.step():
            self._poll.hurry()
            post = self._poll.post if warming.needs_time else self._poll.post_for_next_turn
            post(lambda: self._warm_up(warming, canvas_class))
            return
        if not self._is_over():
            self._ready(canvas_class(self._background, self._poll, warming.take_pictures()), "")
        warming.end()

    # ---- on the CPU ------------------------------------------------------------------------

    def _import_for_cpu(self, why: str) -> None:
        """In a thread."""
        try:
            from .canvas import cpu_canvas
        except ImportError as error:
            reason = str(error)
            logger.error("the canvas cannot be displayed: %s", reason)
            self._poll.post(lambda: self._failed(reason))
        else:
            self._poll.post(lambda: self._bring(cpu_canvas.CpuCanvas, why))

    def _bring(self, canvas_class: type[CpuCanvas], why: str) -> None:
        if not self._is_over():
            self._ready(canvas_class(self._background, self._poll), why)
            if self._had_failed:
                for prepared in self._owner.findChildren(QWidget, WINDOW_PREPARED):
                    prepared.setParent(None)
                    delete_later(prepared)
                _show_anew(self._owner.window(), why)


def import_for_opengl() -> None:
    """Import what draws with OpenGL. Any thread; raises `ImportError`, or what its libraries raise."""
    from .canvas import warm_up
    from .look.icon_files import use_bundled_icons

    use_bundled_icons()
    _check_ndv()
    warm_up.import_all()


def _check_ndv() -> None:
    """Raise `ImportError` if ndv is too old, as pip may install it beside an old numpy."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        found = version("ndv")
    except PackageNotFoundError:  # frozen applications lack metadata; importing ndv will tell
        return
    if [int(part) for part in found.split(".")[:2] if part.isdecimal()] < [0, 5]:
        raise ImportError(f"ndv {found} is too old")


def _show_anew(window: QWidget | None, why: str) -> None:
    """Show a window again that stays empty: Qt still paints it with OpenGL since it had an OpenGL widget.

    Qt 6 stops when the native window is made anew; Qt 5 never does, so another window says how to go on.
    """
    if not QT6:
        _say_how_to_go_on(window, why)
    elif window is not None and window.isVisible():
        geometry = window.geometry()
        window.setParent(window.parentWidget(), window.windowFlags())  # makes its native window anew
        window.setGeometry(geometry)
        window.show()


def _say_how_to_go_on(window: QWidget | None, why: str) -> None:
    """In a window of its own, since the other one stays empty."""
    what = f"This window can no longer show anything: {why}."
    how = "Start again with ndviewer-light --canvas cpu, or with NDVIEWER_CANVAS=cpu in the environment."
    logger.error("%s %s", what, how)
    icon, button = QMessageBox.Icon.Warning, QMessageBox.StandardButton.Ok
    box = QMessageBox(icon, "No OpenGL", f"{what}\n\n{how}", button, window)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.setWindowModality(Qt.WindowModality.NonModal)
    box.show()
