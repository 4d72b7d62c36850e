"""Whether the picture can be drawn with OpenGL here, and what the user wants it drawn with."""

from __future__ import annotations

import ctypes
import functools
import os
from typing import NamedTuple

from qtpy.QtGui import QOffscreenSurface, QOpenGLContext

CANVAS_VARIABLE = "NDVIEWER_CANVAS"
"""The environment variable that says what draws the picture: "gl", "cpu", or "auto" (the default)."""
WINDOW_PREPARED = "makes the window one for OpenGL"
"""The name of the hidden widget that does so (`warm_up.py`)."""
_LEAST = (2, 1)
"""The version of OpenGL that vispy needs. Windows without a driver, as over remote desktop, offers 1.1."""
_DRAWN_BY_PROGRAMS = ("llvmpipe", "softpipe", "software", "swiftshader", "gdi generic", "basic render")
"""Parts of the names of what draws instead of a graphics card: Mesa's, Google's, Apple's and Microsoft's."""
_GL_RENDERER = 0x1F01


def canvas_wanted() -> str:
    """What the user wants the picture drawn with: "gl", "cpu" or "auto"; anything else is "auto"."""
    wanted = os.environ.get(CANVAS_VARIABLE, "").strip().lower()
    return wanted if wanted in ("gl", "cpu") else "auto"


def why_no_opengl() -> str:
    """Why nothing can be drawn with OpenGL here; "" if it can. GUI thread; tried once, in 40 ms."""
    return _found().why_not


def draws_in_software() -> bool:
    """Whether a program draws what OpenGL draws here, instead of a graphics card. GUI thread."""
    return any(name in _found().renderer.lower() for name in _DRAWN_BY_PROGRAMS)


class _OpenGLFound(NamedTuple):
    why_not: str
    renderer: str = ""


@functools.cache
def _found() -> _OpenGLFound:
    context = QOpenGLContext()
    if not context.create():
        return _OpenGLFound("no OpenGL context can be created here")
    surface = QOffscreenSurface()
    surface.setFormat(context.format())
    surface.create()
    if not context.makeCurrent(surface):
        return _OpenGLFound("an OpenGL context was created, but cannot be used")
    renderer = _renderer(context)
    context.doneCurrent()
    form = context.format()
    version = form.majorVersion(), form.minorVersion()
    if version < _LEAST and not context.isOpenGLES():
        said = f"OpenGL {version[0]}.{version[1]} is too old: {_LEAST[0]}.{_LEAST[1]} or later is needed"
        return _OpenGLFound(said, renderer)
    return _OpenGLFound("", renderer)


def _renderer(context: QOpenGLContext) -> str:
    """What draws in this context, which is current; PyQt hands out none of the functions that tell."""
    address = context.getProcAddress(b"glGetString")
    if not address:
        return ""
    get_string = ctypes.CFUNCTYPE(ctypes.c_char_p, ctypes.c_uint)(int(address))
    return (get_string(_GL_RENDERER) or b"").decode(errors="replace")
