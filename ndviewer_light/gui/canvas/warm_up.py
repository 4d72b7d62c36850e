"""What the first canvas of a process costs, paid ahead of time and in slices.

A host's event loop must not stand still when its first run starts. Imports, the first canvas and the first
image take several hundred milliseconds, later ones a tenth of that. So everything is imported in a thread
(`import_all`), and one canvas is built that nobody sees, a part at a time (`WarmUp`): once in a process.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import logging
import sys
import weakref
from typing import TYPE_CHECKING

from ..ends import Owner
from .opengl import WINDOW_PREPARED, why_no_opengl

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from qtpy.QtCore import QObject
    from qtpy.QtWidgets import QWidget

logger = logging.getLogger(__name__)

_DRAWN_AFTER = 4
"""Turns of the event loop."""

_SMALL_HEAP = 1_500_000
"""Blocks of memory; a full pass of the collector over a heap of half a million takes 60 ms."""


@functools.cache
def import_all() -> None:
    """Import whatever a canvas needs, once. Any thread; raises `ImportError` if there can be none."""
    import numpy.ma  # noqa: F401  by `numpy.unique`, when it is first called

    from ...engine import dataset  # noqa: F401  for the first run
    from . import gl_canvas, ndv_private  # noqa: F401  and so ndv

    ndv_private.import_views()
    with contextlib.suppress(Exception):  # building the canvas will say what is wrong
        _prepare_vispy()
    # So much was just imported that the collector's next full pass would fall into the first run. In a host
    # with a large heap it is little, and a pass takes long.
    if gc.isenabled() and sys.getallocatedblocks() < _SMALL_HEAP:
        gc.collect()


def _prepare_vispy() -> None:
    from qtpy import API_NAME
    from vispy import config, scene  # noqa: F401
    from vispy.app import use_app
    from vispy.util.dpi import get_dpi

    use_app(API_NAME.lower())  # imports its part for this binding
    if config["dpi"] is None:
        # runs a program and waits for it, else once for each canvas; only whole numbers are taken
        config["dpi"] = round(get_dpi(raise_error=False))


_has_built = False
"""Whether a canvas was built ahead in this process: for other viewers only their windows are prepared."""


class WarmUp(Owner):
    """Builds a canvas that is never shown, unless one was built before, a slice with each `step`. GUI thread.

    Never raises: a canvas that cannot be built is reported when it is needed.
    """

    def __init__(self) -> None:
        self._parts: list[QWidget] = []  # to be deleted
        self._viewer: Callable[[], QObject | None] = lambda: None
        self._slices = _built(self._parts, lambda: self._viewer())

    def end_with(self, widget: QObject) -> None:
        """See `Owner.end_with`; `widget` is what the canvases will be in, and its window is prepared too."""
        super().end_with(widget)
        self._viewer = weakref.ref(widget)

    def step(self) -> bool:
        """Do the next slice; False if there is none, or the owner has ended."""
        hook = sys.excepthook
        try:
            next(self._slices)
        except StopIteration:
            self.end()
            return False
        except Exception:
            logger.debug("warming up the canvas", exc_info=True)
            self.end()
            return False
        finally:
            sys.excepthook = hook  # ndv installs its own
        return True

    def end(self) -> None:
        """Delete what was built. Idempotent; also while Qt deletes the owner."""
        super().end()
        self._slices.close()
        while self._parts:
            with contextlib.suppress(RuntimeError):  # deleted with its parent, or with the application
                self._parts.pop().deleteLater()


def _prepare_window(viewer: QObject | None) -> Generator[None, None, None]:
    """Have OpenGL started, and the window that `viewer` is in made for it, before there is a run.

    The first context loads the driver, and with the first OpenGL widget in a window Qt makes that anew and
    draws it with OpenGL from then on. Neither can be cut into pieces: 50 to 200 ms where a program draws
    instead of a graphics card. Where OpenGL does not work the window is left alone, as it would stay empty.
    """
    from qtpy.QtWidgets import QOpenGLWidget, QWidget

    if not isinstance(viewer, QWidget) or why_no_opengl():
        return
    yield
    widget = QOpenGLWidget(viewer)
    del viewer  # nobody who prepares keeps it from being deleted
    widget.setObjectName(WINDOW_PREPARED)
    widget.setFixedSize(1, 1)
    widget.show()
    for _ in range(_DRAWN_AFTER):
        yield
    with contextlib.suppress(RuntimeError):  # deleted with the viewer
        widget.hide()  # is enough from now on


def _built(parts: list[QWidget], viewer: Callable[[], QObject | None]) -> Generator[None, None, None]:
    global _has_built
    if _has_built:
        yield from _prepare_window(viewer())
        return
    import numpy as np
    from cmap import Colormap
    from vispy.scene import SceneCanvas

    from .drawn_channels import DrawnLook
    from .ndv_pictures import new_pictures

    yield
    yield from _prepare_window(viewer())
    scene = SceneCanvas(show=False)
    parts.append(scene.native)
    yield
    pictures = new_pictures(is_volume=False)
    parts.append(pictures.widget)
    yield
    pictures.draw({0}, {0: np.zeros((8, 8), np.uint16)}, [DrawnLook(Colormap("green"), (0.0, 1.0))])
    yield
    scene.close()
    pictures.canvas.close()
    _has_built = True
