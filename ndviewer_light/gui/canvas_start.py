"""Brings the canvas: what draws is chosen, imported off the GUI thread, and the canvas is handed over.

With OpenGL: ndv, made quick in slices. Where no OpenGL context can be created, a program draws instead of a
graphics card, ndv cannot be imported, or the user wants it so: canvases drawn on the CPU, one for planes and
one for volumes. These take a fraction of the time that such a program takes, and not in the GUI thread.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from qtpy import QT6
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QMessageBox, QWidget

from ..storage import collector
from .canvas.opengl import WINDOW_PREPARED, canvas_wanted, draws_in_software, why_no_opengl
from .ends import delete_later
from .qt_modules import FOR_VISPY, import_of_qt
from .short_turns import short_turns

if TYPE_CHECKING:
    from collections.abc import Callable

    from .background import Background
    from .canvas.display import Canvas
    from .canvas.gl_canvas import GlCanvas
    from .canvas.warm_up import WarmUp
    from .later_parts import LaterParts
    from .poll import Poll

logger = logging.getLogger(__name__)

SO_WANTED = "as requested"
"""Why the picture is drawn on the CPU though there may be OpenGL."""


class CanvasStart:
    """For one widget. Each canvas comes by `ready(canvas, why)`, on the GUI thread, or `failed(reason)` does.

    `why` the canvas is drawn on the CPU, as a part of a sentence; "" if that is what is best here.
    Only the canvas that was called for last comes.
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
        self._calls = 0  # counts the canvases that were called for
        self._is_on_cpu = False
        self._why_on_cpu = ""
        self._is_for_volumes = False  # what is wanted
        self._draws_volumes: bool | None = None  # whether the canvas on the CPU that came last does
        self._had_failed = False

    def begin(self) -> None:
        """Choose, and import what the canvas needs in a thread. GUI thread."""
        wanted = canvas_wanted()
        if wanted == "cpu":
            self._draw_on_cpu(SO_WANTED)
        elif wanted == "gl":
            self._draw_with_opengl()
        else:
            self._later.add_next(self._choose)

    def _choose(self) -> None:
        if why := why_no_opengl():
            self._fall_back(why)
        elif draws_in_software():
            self._draw_on_cpu("")
        else:
            self._draw_with_opengl()

    def show_volumes(self, wanted: bool) -> None:
        """A volume is to be drawn, or planes again: bring another canvas if that takes one. GUI thread."""
        if wanted is self._is_for_volumes:
            return
        self._is_for_volumes = wanted
        if self._is_on_cpu:
            call = self._call()  # what was called for and has not come is not wanted any more
            if wanted is not self._draws_volumes:
                self._bring_on_cpu(call)

    def fall_back(self, why: str) -> None:
        """The canvas that was brought can draw nothing: bring the one that needs no OpenGL. GUI thread."""
        self._had_failed = True
        self._fall_back(why)

    def _fall_back(self, why: str) -> None:
        if canvas_wanted() == "auto":
            logger.warning("the picture is drawn without OpenGL: %s", why)
        self._draw_on_cpu(why)

    def _call(self) -> int:
        self._calls += 1
        return self._calls

    def _is_current(self, call: int) -> bool:
        return call == self._calls and not self._is_over()

    # ---- with OpenGL -----------------------------------------------------------------------

    def _draw_with_opengl(self) -> None:
        import_of_qt(FOR_VISPY)
        self._background.run("ndviewer-import", short_turns()(partial(self._import, self._call())))

    def _import(self, call: int) -> None:
        """In a thread."""
        try:
            import_for_opengl()
            from .canvas import gl_canvas, warm_up
        except Exception as error:  # vispy has errors of its own where a library of the system is missing
            logger.info("ndv cannot be imported", exc_info=True)
            reason = _with_remedy(error)
            self._poll.post(lambda: self._on_no_ndv(call, reason))
        else:
            begin = lambda: self._begin_warm_up(call, warm_up.WarmUp(), gl_canvas.GlCanvas)  # noqa: E731
            self._poll.post(lambda: self._later.add(begin))

    def _on_no_ndv(self, call: int, reason: str) -> None:
        if self._is_current(call):
            self._fall_back(reason)

    def _begin_warm_up(self, call: int, warming: WarmUp, canvas_class: type[GlCanvas]) -> None:
        if self._is_current(call):
            warming.end_with(self._owner)
            self._warm_up(call, warming, canvas_class)

    def _warm_up(self, call: int, warming: WarmUp, canvas_class: type[GlCanvas]) -> None:
        """Go on with what makes the first canvas quick, a slice at a time: the host's events come between."""
        if self._is_current(call) and warming.step():
            self._poll.hurry()
            post = self._poll.post if warming.needs_time else self._poll.post_for_next_turn
            post(lambda: self._warm_up(call, warming, canvas_class))
            return
        if self._is_current(call):
            self._ready(canvas_class(self._background, self._poll, warming.take_pictures()), "")
        warming.end()

    # ---- on the CPU ------------------------------------------------------------------------

    def _draw_on_cpu(self, why: str) -> None:
        self._is_on_cpu, self._why_on_cpu, self._draws_volumes = True, why, None
        self._bring_on_cpu(self._call())

    def _bring_on_cpu(self, call: int) -> None:
        self._background.run("ndviewer-import", short_turns()(partial(self._import_for_cpu, call)))

    def _import_for_cpu(self, call: int) -> None:
        """In a thread."""
        try:
            import_for_cpu()
            if self._is_for_volumes:
                from .canvas import ray_canvas  # noqa: F401
        except ImportError as error:
            reason = str(error)
            logger.error("the canvas cannot be displayed: %s", reason)
            self._poll.post(lambda: self._failed(reason))
        else:
            bring = partial(self._bring, call)
            self._poll.post(lambda: self._later.add(bring))  # after the tools, which are made in slices

    def _bring(self, call: int) -> None:
        if not self._is_current(call):
            return
        self._draws_volumes = self._is_for_volumes
        self._ready(self._new_on_cpu(), self._why_on_cpu)
        if self._had_failed:
            self._had_failed = False
            for prepared in self._owner.findChildren(QWidget, WINDOW_PREPARED):
                prepared.setParent(None)
                delete_later(prepared)
            _show_anew(self._owner.window(), self._why_on_cpu)

    def _new_on_cpu(self) -> Canvas:
        if self._draws_volumes:
            from .canvas.ray_canvas import RayCanvas  # it has been imported

            return RayCanvas(self._background)
        from .canvas.cpu_canvas import CpuCanvas

        return CpuCanvas(self._background)


def import_for_opengl() -> None:
    """Import what draws with OpenGL. Any thread; raises `ImportError`, or what its libraries raise."""
    from .canvas import warm_up
    from .look.icon_files import use_bundled_icons

    use_bundled_icons()
    _check_ndv()
    warm_up.import_all()


def import_for_cpu() -> None:
    """Import what the first picture drawn on the CPU needs. Any thread; raises `ImportError`."""
    with collector.importing():
        import cmap  # noqa: F401
        import numpy.ma  # noqa: F401  by `numpy.unique`, when it is first called

        from ..engine import dataset  # noqa: F401  for the first run
        from ..rendering import seen_layers  # noqa: F401
        from .canvas import cpu_canvas  # noqa: F401


def _with_remedy(error: Exception) -> str:
    return f"{error}. Install it with: pip install 'ndv>=0.5,<0.6' vispy pyopengl"


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
