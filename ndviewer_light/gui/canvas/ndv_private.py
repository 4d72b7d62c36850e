"""What is reached in ndv and vispy by private names, as there are no public ones. Nothing else uses any."""

from __future__ import annotations

import contextlib
import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ndv.views.bases import ArrayCanvas, ImageHandle


_VIEWS = ("ndv.views._vispy._array_canvas",)


def import_views() -> None:
    """Import what ndv imports when it builds its first canvas; a version without these is only slower.

    Any thread, unlike the public functions that give out their classes: those make a Qt application.
    """
    for name in _VIEWS:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def visual_of(handle: ImageHandle) -> Any:
    """What vispy draws for an image or a volume of ndv: a handle has no place, and no method of drawing."""
    return handle._visual  # type: ignore[attr-defined]


def vispy_canvas_of(canvas: ArrayCanvas) -> Any:
    """The canvas of vispy that an ndv canvas draws on; None if it does not draw with vispy."""
    return getattr(canvas, "_canvas", None)


def gl_objects_of(vispy_canvas: Any) -> dict[Any, Any]:
    """The textures, buffers and programs in the OpenGL context of a canvas of vispy, by their numbers."""
    objects: dict[Any, Any] = vispy_canvas.context.shared.parser._objects
    return objects
