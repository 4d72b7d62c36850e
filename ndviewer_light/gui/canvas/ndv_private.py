"""What is reached in ndv and vispy by private names, as there are no public ones. Nothing else uses any."""

from __future__ import annotations

import contextlib
import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ndv
    from ndv.views.bases import ArrayCanvas


_VIEWS = ("ndv.views._qt._array_view", "ndv.views._vispy._array_canvas")


def import_views() -> None:
    """Import what ndv imports when it builds its first viewer; a version without these is only slower.

    Any thread, unlike the public functions that give out their classes: those make a Qt application.
    """
    for name in _VIEWS:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def canvas_of(viewer: ndv.ArrayViewer) -> ArrayCanvas:
    """The canvas of an ndv viewer: what it shows of the world, and the way back."""
    return viewer._canvas


def cancel_requests(viewer: ndv.ArrayViewer) -> None:
    """Forget what an ndv viewer has requested and not been given."""
    viewer._cancel_futures()


def visuals_of(canvas: ArrayCanvas) -> list[Any]:
    """What vispy draws on an ndv canvas for ndv: images, volumes."""
    return list(canvas._elements)  # type: ignore[attr-defined]


def world_of(canvas: ArrayCanvas) -> Any:
    """The node of vispy below which all that is drawn on an ndv canvas lies, in µm."""
    return canvas._view.scene  # type: ignore[attr-defined]


def vispy_canvas_of(canvas: ArrayCanvas) -> Any:
    """The canvas of vispy that an ndv canvas draws on; None if it does not draw with vispy."""
    return getattr(canvas, "_canvas", None)


def gl_objects_of(vispy_canvas: Any) -> dict[Any, Any]:
    """The textures, buffers and programs in the OpenGL context of a canvas of vispy, by their numbers."""
    objects: dict[Any, Any] = vispy_canvas.context.shared.parser._objects
    return objects
