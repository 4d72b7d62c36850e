"""Whether the picture can be drawn with OpenGL here, and what the user wants it drawn with."""

from __future__ import annotations

import functools
import os

from qtpy.QtGui import QOffscreenSurface, QOpenGLContext

CANVAS_VARIABLE = "NDVIEWER_CANVAS"
"""The environment variable that says what draws the picture: "gl", "cpu", or "auto" (the default)."""
WINDOW_PREPARED = "makes the window one for OpenGL"
"""The name of the hidden widget that does so (`warm_up.py`)."""
_LEAST = (2, 1)
"""The version of OpenGL that vispy needs. Windows without a driver, as over remote desktop, offers 1.1."""


def canvas_wanted() -> str:
    """What the user wants the picture drawn with: "gl", "cpu" or "auto"; anything else is "auto"."""
    wanted = os.environ.get(CANVAS_VARIABLE, "").strip().lower()
    return wanted if wanted in ("gl", "cpu") else "auto"


@functools.cache
def why_no_opengl() -> str:
    """Why nothing can be drawn with OpenGL here; "" if it can. GUI thread; tried once, in 40 ms."""
    context = QOpenGLContext()
    if not context.create():
        return "no OpenGL context can be created here"
    surface = QOffscreenSurface()
    surface.setFormat(context.format())
    surface.create()
    if not context.makeCurrent(surface):
        return "an OpenGL context was created, but cannot be used"
    context.doneCurrent()
    form = context.format()
    version = form.majorVersion(), form.minorVersion()
    if version < _LEAST and not context.isOpenGLES():
        return f"OpenGL is of version {version[0]}.{version[1]} here, and {_LEAST[0]}.{_LEAST[1]} is needed"
    return ""
