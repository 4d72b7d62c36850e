"""What is on the canvas, read back from its framebuffer and brought to the pixels of the data."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QEvent, QPointF, Qt
from qtpy.QtGui import QImage, QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QMenu

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytestqt.qtbot import QtBot
    from qtpy.QtCore import QPoint
    from qtpy.QtWidgets import QWidget

    from ndviewer_light.gui.canvas.view_frames import Frame
    from ndviewer_light.gui.viewer import LightweightViewer


@contextlib.contextmanager
def on_screen(qtbot: QtBot, widget: QWidget, width: int, height: int) -> Iterator[None]:
    """Show a widget in this size, and close it in the end."""
    qtbot.addWidget(widget)
    widget.resize(width, height)
    with qtbot.waitExposed(widget):
        widget.show()
    yield
    widget.close()


def settle(qtbot: QtBot, viewer: LightweightViewer, timeout: int = 20_000) -> Frame:
    """Wait until the frame on the canvas is the one wanted, all of it has been read, and it is painted."""

    def settled() -> bool:
        stage = viewer.stage
        canvas = stage.canvas if stage is not None else None
        frame = canvas.frame if canvas is not None else None
        return (
            canvas is not None
            and frame is not None
            and not canvas.busy
            and frame.view == stage.view
            and canvas.is_complete
            and all(plane.state.name != "LOADING" for plane in frame.planes.values())
            and (not canvas.surface.isVisible() or getattr(canvas.surface, "is_up_to_date", True))
        )

    qtbot.waitUntil(settled, timeout=timeout)
    qtbot.wait(80)  # the paint event itself
    qtbot.waitUntil(settled, timeout=timeout)
    return viewer.stage.canvas.frame


def activate(qtbot: QtBot, widget: QWidget) -> None:
    """Give the window of a widget the focus. Without a window manager the X server may not at first."""
    window = widget.window()

    def is_active() -> bool:
        window.activateWindow()
        return window.isActiveWindow()

    qtbot.waitUntil(is_active, timeout=20_000)


def press(qtbot: QtBot, key: Qt.Key, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
    """Press a key where the focus is, once it is somewhere: without any, QTest stops the process."""
    qtbot.waitUntil(lambda: QApplication.focusWidget() is not None, timeout=20_000)
    qtbot.keyClick(QApplication.focusWidget(), key, modifier)


def drag(
    widget: QWidget,
    *points: QPoint,
    modifiers: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier,
    pause_ms: int = 0,
    button: Qt.MouseButton = Qt.MouseButton.LeftButton,
) -> None:
    """Press a button at the first of these points, move over the others, release it at the last.

    `pause_ms` before each move: vispy leaves out those that follow another within 10 ms.
    """
    none = Qt.MouseButton.NoButton
    steps = [(QEvent.Type.MouseButtonPress, points[0], button, button)]
    steps += [(QEvent.Type.MouseMove, point, none, button) for point in points[1:]]
    steps += [(QEvent.Type.MouseButtonRelease, points[-1], button, none)]
    for kind, point, changed, buttons in steps:  # in Qt 5, QTest moves the mouse without the button
        if pause_ms and kind == QEvent.Type.MouseMove:
            QTest.qWait(pause_ms)
        on_screen = QPointF(widget.mapToGlobal(point))
        QApplication.sendEvent(
            widget, QMouseEvent(kind, QPointF(point), on_screen, changed, buttons, modifiers)
        )


def hover(widget: QWidget, at: QPoint | QPointF) -> None:
    """Tell a widget that the mouse moves over it, without a button.

    `QTest.mouseMove` moves the one pointer of the screen in Qt 5, which tests at the same time move, too.
    """
    none, at = Qt.MouseButton.NoButton, QPointF(at)
    place = QPointF(widget.mapToGlobal(at.toPoint()))
    event = QMouseEvent(QEvent.Type.MouseMove, at, place, none, none, Qt.KeyboardModifier.NoModifier)
    QApplication.sendEvent(widget, event)


def choose_limits(viewer: LightweightViewer, c: int, low: float, high: float) -> None:
    """Type the limits of a channel into its strip, as a user does."""
    strip = viewer.stage.strips.strip(c)
    for field, value in ((strip.low, low), (strip.high, high)):
        field.setFocus()
        field.selectAll()
        QTest.keyClicks(field, f"{value:g}")
        QTest.keyClick(field, Qt.Key.Key_Return)
    assert viewer.stage.strips.window_of(c) == (low, high)


def choose_in_menu(button: QWidget, text: str) -> None:
    """Click a button that opens a menu, and then the entry whose text begins with `text`."""
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    menu = next(menu for menu in button.parent().findChildren(QMenu) if menu.isVisible())
    action = next(action for action in menu.actions() if action.text().startswith(text))
    QTest.mouseClick(menu, Qt.MouseButton.LeftButton, pos=menu.actionGeometry(action).center())


@contextlib.contextmanager
def stopped_reader(viewer: LightweightViewer) -> Iterator[None]:
    """The process that reads for the viewer hangs, as one does on a dead disk."""
    pid = viewer.dataset._source.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):  # it was replaced
            os.kill(pid, signal.SIGCONT)


def framebuffer(viewer: LightweightViewer) -> np.ndarray:
    """The canvas as (rows, columns, RGB) uint8, in device pixels."""
    surface = viewer.stage.canvas.surface
    grab = getattr(surface, "grabFramebuffer", None)  # with OpenGL
    image = (surface.grab().toImage() if grab is None else grab()).convertToFormat(
        QImage.Format.Format_RGB888
    )
    bits = image.constBits()
    bits.setsize(image.bytesPerLine() * image.height())
    rows = np.frombuffer(bytes(bits), np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : image.width() * 3].reshape(image.height(), image.width(), 3)


def screen_pixels(viewer: LightweightViewer) -> np.ndarray:
    """The colour on screen at the centre of every data pixel: (Y, X, RGB) uint8."""
    canvas = viewer.stage.canvas
    picture = framebuffer(viewer)
    ratio = canvas.surface.devicePixelRatioF()
    x0, y0, _ = canvas.camera.canvas_to_world((0, 0))
    x1, y1, _ = canvas.camera.canvas_to_world((100, 100))
    image = viewer.dataset.info.image(canvas.frame.view.p)
    size_y, size_x = image.pixel_size_y_um or 1.0, image.pixel_size_x_um or 1.0
    shape = next(p.pixels.shape for p in canvas.frame.planes.values() if p.pixels is not None)
    rows = (((np.arange(shape[0]) + 0.5) * size_y - y0) / (y1 - y0) * 100 * ratio).astype(int)
    columns = (((np.arange(shape[1]) + 0.5) * size_x - x0) / (x1 - x0) * 100 * ratio).astype(int)
    assert rows.max() < len(picture) and columns.max() < picture.shape[1], "not all of it is in view (yet)"
    return picture[np.ix_(rows, columns)]


def expected_colors(planes: dict[str, tuple[np.ndarray, str, float, float]]) -> np.ndarray:
    """What channels (pixels, colour, low, high) add up to: (Y, X, RGB) uint8."""
    total = 0.0
    for pixels, color, low, high in planes.values():
        rgb = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)], float)
        share = np.clip((pixels.astype(float) - low) / (high - low), 0, 1)
        total = total + share[..., None] * rgb
    return np.clip(np.round(total), 0, 255).astype(np.uint8)


def assert_shows(viewer: LightweightViewer, channels: dict[str, np.ndarray]) -> None:
    """The canvas shows these planes, each in its channel's colour and contrast (± 3 of 255 levels)."""
    strips, info = viewer.stage.strips, viewer.dataset.info
    index = {channel.name: c for c, channel in enumerate(info.channels)}
    planes = {
        name: (pixels, strips.color_of(index[name]), *strips.window_of(index[name]))
        for name, pixels in channels.items()
    }
    shown, wanted = screen_pixels(viewer).astype(int), expected_colors(planes).astype(int)
    assert shown.shape == wanted.shape
    wrong = np.abs(shown - wanted).max(axis=-1) > 3
    assert wrong.mean() < 0.005, f"{wrong.mean():.1%} of the pixels on screen are others than in the data"


def voxel_middle(viewer: LightweightViewer, voxel: np.ndarray) -> np.ndarray:
    """Where the middle of a voxel (z, y, x) of the volume that is drawn is: x, y, z in µm."""
    pictures = viewer.stage.canvas.viewer
    if hasattr(pictures, "scene"):
        scene = pictures.scene
        return np.array(scene.begin) + (np.asarray(voxel)[::-1] + 0.5) * np.array(scene.spans)[::-1]
    (visual,) = pictures.visuals
    return visual.transform.map(voxel[::-1])[:3]  # of vispy's voxels, indices are the middles


def label_bounds(viewer: LightweightViewer) -> list[float]:
    """From where to where the surfaces of labels in the volume reach: x, y, z in µm; empty if none are."""
    canvas = viewer.stage.canvas
    if hasattr(canvas.viewer, "scene"):
        scene = canvas.viewer.scene
        if scene is None or scene.surface is None:
            return []
        corners = scene.surface.corners * np.array(scene.voxel_um)
    else:
        mesh = canvas._mesh.visual if getattr(canvas, "_mesh", None) is not None else None
        if mesh is None:
            return []
        corners = mesh.transform.map(mesh.mesh_data.get_vertices())[:, :3]
    return np.concatenate([corners.min(axis=0), corners.max(axis=0)]).tolist()


def volume_box(viewer: LightweightViewer) -> np.ndarray | None:
    """Where the box of the volume ends: x, y, z in µm; None while there is none."""
    canvas = viewer.stage.canvas
    if hasattr(canvas.viewer, "scene"):
        scene = canvas.viewer.scene
        return None if scene is None else np.array(scene.box_um)
    box = getattr(canvas, "_box", None)
    return None if box is None or box.corners is None else box.corners.max(axis=0)


def volume_method(viewer: LightweightViewer) -> str | None:
    """How volumes are drawn: the first of one of `VOLUMES`."""
    pictures = viewer.stage.canvas.viewer
    if hasattr(pictures, "scene"):
        return pictures.scene.method if pictures.scene is not None else None
    from ndviewer_light.gui.canvas.volume_visuals import method_of

    return method_of(pictures)
