"""The widget of a canvas of vispy that OpenGL draws beside the window, to be painted by Qt as an image.

A window with a widget of OpenGL in it is composed anew, by OpenGL, whatever is painted in it. Where a program
draws instead of a graphics card, each time costs as much as the picture.
"""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QImage, QOffscreenSurface, QOpenGLContext, QPainter
from qtpy.QtOpenGL import QOpenGLFramebufferObject
from qtpy.QtWidgets import QWidget
from vispy.app import use_app
from vispy.gloo import gl

from ..slots import safe_slot
from .opengl import paints_images

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qtpy.QtGui import QResizeEvent


@contextlib.contextmanager
def surface_that_fits() -> Iterator[None]:
    """Canvases of vispy made in here have the widget that costs least on this computer. GUI thread."""
    if not paints_images():
        yield
        return
    backend = use_app().backend_module
    before = backend.CanvasBackend
    backend.CanvasBackend = _surface_class(backend.QtBaseCanvasBackend)
    try:
        yield
    finally:
        backend.CanvasBackend = before


class ImageSurface(QWidget):
    """Paints what was drawn last, until vispy draws again. GUI thread only.

    Its methods are those of Qt's widget of OpenGL that are used of that. Its context is its own: wherever the
    widget is moved, it is not lost.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context = QOpenGLContext(self)
        self._context.create()
        self._offscreen = QOffscreenSurface(None, self)
        self._offscreen.setFormat(self._context.format())
        self._offscreen.create()
        self._buffer: QOpenGLFramebufferObject | None = None
        self._image = QImage()
        self._is_stale = True
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setFocusPolicy(Qt.FocusPolicy.WheelFocus)

    @property
    def is_up_to_date(self) -> bool:
        """Whether painting it draws nothing, as where something over it has changed."""
        return not self._is_stale and self._image.size() == self._size_in_pixels()

    def context(self) -> QOpenGLContext:
        """In which it is drawn."""
        return self._context

    def isValid(self) -> bool:
        """Whether anything can be drawn."""
        return bool(self._context.isValid())

    def makeCurrent(self) -> None:
        """Have OpenGL draw here."""
        self._context.makeCurrent(self._offscreen)

    def doneCurrent(self) -> None:
        """Have OpenGL draw nowhere."""
        self._context.doneCurrent()

    def grabFramebuffer(self) -> QImage:
        """The picture as it is now; what is painted stays as it is."""
        return self._drawn()

    def _size_in_pixels(self) -> QSize:
        ratio = self.devicePixelRatioF()
        return QSize(max(int(self.width() * ratio), 1), max(int(self.height() * ratio), 1))

    @safe_slot
    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self._is_stale = True
        self._tell_size()

    @safe_slot
    def paintEvent(self, _event: Any) -> None:
        if not self.is_up_to_date:
            self._is_stale = False  # first: while it draws, vispy may ask for more
            self._image = self._drawn()
        painter = QPainter(self)
        painter.drawImage(self.rect(), self._image)
        painter.end()

    def _drawn(self) -> QImage:
        if not self.isValid():
            return self._image
        self.makeCurrent()
        size = self._size_in_pixels()
        if self._buffer is None or self._buffer.size() != size:
            attachment = QOpenGLFramebufferObject.Attachment.Depth
            self._buffer = QOpenGLFramebufferObject(size, attachment, gl.GL_TEXTURE_2D, _OPAQUE)
            self._tell_size()
        self._buffer.bind()
        self._draw()
        gl.glFinish()  # other Python threads go on meanwhile, such as a writer; taking the image stops them
        return self._buffer.toImage()

    def _draw(self) -> None:
        """Draw into the buffer."""
        raise NotImplementedError

    def _tell_size(self) -> None:
        """Say what draws how large the picture is."""
        raise NotImplementedError


_OPAQUE = 0x8051
"""GL_RGB8: behind a picture that is partly transparent one would see what is behind the window."""


@functools.cache
def _surface_class(base: Any) -> Any:
    """The widget for vispy; `base` is what its widgets have in common, made by it for the binding in use."""

    class VispySurface(base, ImageSurface):
        _has_begun = False

        def _init_specific(self, options: Any, more: Any) -> None:
            """Called by vispy, which takes care of the rest."""
            ImageSurface.__init__(self, options.parent)
            options.context.shared.add_ref("qt-image", self)
            self.makeCurrent()  # vispy asks how large textures may be
            self._initialized = True

        def _draw(self) -> None:
            canvas = self._vispy_canvas
            if canvas is None:  # closed
                return
            canvas.set_current()
            if not self._has_begun:
                self._has_begun = True
                canvas.events.initialize()
            canvas.events.draw(region=None)

        def _tell_size(self) -> None:
            if self._vispy_canvas is None:
                return
            size = self._size_in_pixels()
            in_pixels = (size.width(), size.height())
            self._vispy_set_physical_size(*in_pixels)
            self._vispy_canvas.events.resize(size=(self.width(), self.height()), physical_size=in_pixels)

        def resizeGL(self, _width: int, _height: int) -> None:
            """The window was moved to another screen."""
            self._tell_size()
            self._vispy_update()

        def _vispy_update(self) -> None:
            self._is_stale = True
            self.update()

        def _vispy_set_current(self) -> None:
            if self._vispy_canvas is not None:
                self.makeCurrent()

        def _vispy_swap_buffers(self) -> None:
            """There are none."""

        def _vispy_get_fb_bind_location(self) -> int:
            return self._buffer.handle() if self._buffer is not None else 0

        def _vispy_close(self) -> None:
            self.close()
            self.makeCurrent()
            self._buffer = None
            self.doneCurrent()

    return VispySurface
