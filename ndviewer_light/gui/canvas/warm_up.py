"""What the first canvas of a process costs, paid ahead of time and in slices.

A host's event loop must not stand still when its first run starts. Imports, the first canvas and the first
image take several hundred milliseconds, later ones a tenth of that. So everything is imported in a thread
(`import_all`), and one canvas is built ahead, a part at a time (`WarmUp`): once in a process.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import sys
import threading
import weakref
from typing import TYPE_CHECKING

from ...storage import collector
from ..ends import Owner, delete_later
from .opengl import WINDOW_PREPARED, why_no_opengl

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from qtpy.QtCore import QObject
    from qtpy.QtWidgets import QWidget

    from .ndv_pictures import ChannelPictures

logger = logging.getLogger(__name__)

_DRAWN_AFTER = 4
"""Polls."""
_CHANNELS_AHEAD = 4
"""For so many a picture is made ahead; for each more it is made when its first pixels come, in 10 ms."""
_importing = threading.Lock()


def import_all() -> None:
    """Import whatever a canvas needs, once. Any thread; raises `ImportError` if there can be none."""
    with _importing:
        _import_all()


@functools.cache
def _import_all() -> None:
    with collector.importing():
        import numpy.ma  # noqa: F401  by `numpy.unique`, when it is first called

        from ...engine import dataset  # noqa: F401  for the first run
        from . import gl_canvas  # noqa: F401  and so ndv

        with contextlib.suppress(Exception):  # building the canvas will say what is wrong
            _prepare_vispy()
            _fill_caches()


def _prepare_vispy() -> None:
    from qtpy import API_NAME
    from vispy import config, scene  # noqa: F401
    from vispy.app import use_app
    from vispy.util.dpi import get_dpi

    use_app(API_NAME.lower())  # imports its part for this binding
    if config["dpi"] is None:
        # runs a program and waits for it, else once for each canvas; only whole numbers are taken
        config["dpi"] = round(get_dpi(raise_error=False))


def _fill_caches() -> None:
    """Have read what ndv reads when its first canvas is built: what there is of colour maps, 25 ms."""
    from ndv.models import ArrayViewerModel

    ArrayViewerModel()


_has_built = False
"""Whether a canvas was built ahead in this process: for other viewers only their windows are prepared."""


class WarmUp(Owner):
    """Builds a canvas, unless one was built before, a slice with each `step`. GUI thread.

    Never raises: a canvas that cannot be built is reported when it is needed.
    """

    def __init__(self) -> None:
        self._parts: list[QWidget] = []  # to be deleted
        self._pictures: ChannelPictures | None = None
        self._viewer: Callable[[], QObject | None] = lambda: None
        self.needs_time = False
        """Whether the next slice is for later than the next turn of the event loop."""
        self._slices = _built(self._parts, lambda: self._viewer(), self._keep)

    def end_with(self, widget: QObject) -> None:
        """See `Owner.end_with`; `widget` is what the canvases will be in, and its window is prepared too."""
        super().end_with(widget)
        self._viewer = weakref.ref(widget)

    def step(self) -> bool:
        """Do the next slice; False if there is none, or the owner has ended."""
        hook = sys.excepthook
        try:
            self.needs_time = next(self._slices)
        except StopIteration:
            return False
        except Exception:
            logger.debug("warming up the canvas", exc_info=True)
            self.end()
            return False
        finally:
            sys.excepthook = hook  # ndv installs its own
        return True

    def _keep(self, pictures: ChannelPictures) -> None:
        self._pictures = pictures

    def take_pictures(self) -> ChannelPictures | None:
        """What was built, for the first dataset: the caller's from now on; None if there is nothing."""
        pictures, self._pictures = self._pictures, None
        if pictures is not None:
            self._parts.remove(pictures.widget)
        return pictures

    def end(self) -> None:
        """Delete what was built and not taken. Idempotent; also while Qt deletes the owner."""
        super().end()
        self._slices.close()
        while self._parts:
            with contextlib.suppress(RuntimeError):  # deleted with its parent, or with the application
                delete_later(self._parts.pop())


def _prepare_window(viewer: QObject | None) -> Generator[bool, None, None]:
    """Have OpenGL started, and the window that `viewer` is in made for it, before there is a run.

    The first context loads the driver, and with the first OpenGL widget in a window Qt makes that anew and
    draws it with OpenGL from then on. Neither can be cut into pieces: 50 to 200 ms where a program draws
    instead of a graphics card. Where OpenGL does not work the window is left alone, as it would stay empty.
    """
    from qtpy.QtWidgets import QOpenGLWidget, QWidget

    if not isinstance(viewer, QWidget) or why_no_opengl():
        return
    yield False
    widget = QOpenGLWidget(viewer)
    del viewer  # nobody who prepares keeps it from being deleted
    widget.setObjectName(WINDOW_PREPARED)
    widget.setFixedSize(1, 1)
    widget.show()
    for _ in range(_DRAWN_AFTER):
        yield True
    with contextlib.suppress(RuntimeError):  # deleted with the viewer
        widget.hide()  # is enough from now on


def _built(
    parts: list[QWidget], viewer: Callable[[], QObject | None], keep: Callable[[ChannelPictures], None]
) -> Generator[bool, None, None]:
    global _has_built
    if _has_built:
        yield from _prepare_window(viewer())
        return
    from vispy.scene import SceneCanvas

    from .ndv_pictures import ChannelPictures, new_canvas

    yield False
    yield from _prepare_window(viewer())
    scene = SceneCanvas(show=False)
    parts.append(scene.native)
    yield False
    scene.central_widget.add_view()  # as ndv's has one
    yield False
    canvas, first_id = new_canvas()
    parts.append(canvas.frontend_widget())
    yield False
    pictures = ChannelPictures(canvas, first_id, is_volume=False)
    yield False
    scene.close()
    yield from _pictures_ahead(pictures)
    keep(pictures)
    _has_built = True


def _pictures_ahead(pictures: ChannelPictures) -> Generator[bool, None, None]:
    """Have a picture for each channel of the first dataset."""
    import numpy as np
    from cmap import Colormap

    from .drawn_channels import DrawnLook

    looks = [DrawnLook(Colormap("green"), (0.0, 1.0))] * _CHANNELS_AHEAD
    for c in range(_CHANNELS_AHEAD):
        pictures.draw(range(c + 1), {c: np.zeros((8, 8), np.uint16)}, looks)
        yield False
    pictures.start_over(is_volume=False)
