"""The scale bar, and what is said over the picture of planes that are not there."""

from __future__ import annotations

import numpy as np
import pytest
from panel_eye import LEFT, shown
from qtpy.QtCore import QEvent, QObject, QPoint, QRect
from qtpy.QtGui import QColor, QImage, QPalette, QRegion
from qtpy.QtWidgets import QWidget

from ndviewer_light.gui.canvas.overlay import CanvasOverlay
from ndviewer_light.rendering.scale_bar import scale_bar

pytestmark = pytest.mark.each_binding


@pytest.mark.parametrize(
    ("um_per_px", "longest_px", "length_px", "label"),
    [
        pytest.param(0.325, 160, 50 / 0.325, "50 µm", id="20x"),
        pytest.param(1.0, 100, 100, "100 µm", id="exact"),
        pytest.param(1.0, 99.9, 50, "50 µm", id="just-below"),
        pytest.param(0.001, 160, 100, "100 nm", id="nm"),
        pytest.param(0.00625, 160, 160, "1 µm", id="one-um"),
        pytest.param(10, 160, 100, "1 mm", id="mm"),
        pytest.param(40, 160, 125, "5 mm", id="5-mm"),
        pytest.param(1e-6, 160, 100, "0.1 nm", id="below-nm"),
    ],
)
def test_scale_bar_is_the_longest_round_length_that_fits(um_per_px, longest_px, length_px, label):
    assert scale_bar(um_per_px, longest_px) == (pytest.approx(length_px), label)


@pytest.mark.parametrize("um_per_px", [None, 0.0, -1.0, float("nan"), float("inf")])
def test_no_scale_bar_without_a_scale(um_per_px):
    assert scale_bar(um_per_px, 160) is None


@pytest.fixture
def canvas(qtbot):
    widget = QWidget()
    widget.setAutoFillBackground(True)
    palette = QPalette(widget.palette())
    palette.setColor(QPalette.ColorRole.Window, QColor("black"))
    widget.setPalette(palette)
    return shown(qtbot, widget, 640, 400)


class Painted(QObject):
    """The part of a widget that is painted."""

    def __init__(self, widget: QWidget) -> None:
        super().__init__(widget)
        self.region = QRegion()
        widget.installEventFilter(self)

    def eventFilter(self, _watched: object, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Paint:
            self.region = self.region.united(event.region())
        return False


def pixels_of(widget: QWidget) -> np.ndarray:
    image = widget.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    bits = image.constBits()
    bits.setsize(image.sizeInBytes())
    return np.frombuffer(bytes(bits), np.uint32).reshape(image.height(), image.width())


def test_what_is_said_above_leaves_the_picture_below_alone(qtbot, canvas):
    overlay = CanvasOverlay(canvas)
    overlay.set_um_per_px(0.5)
    painted = Painted(overlay)
    changes = [
        lambda: overlay.set_position("B11:1 · t 1"),
        lambda: overlay.set_state("partial", "GFP: nothing stored\nDAPI: not written yet\nCy5: unreadable"),
        lambda: overlay.set_latency("p50 21 ms"),
        lambda: overlay.set_state("none"),
        lambda: overlay.set_position("B11:2"),
        lambda: overlay.set_latency(""),
    ]
    qtbot.waitUntil(lambda: not painted.region.isEmpty())
    for change in changes:
        before = pixels_of(canvas)
        painted.region = QRegion()
        change()
        qtbot.waitUntil(lambda: not painted.region.isEmpty())
        region = painted.region.boundingRect()
        rows, columns = np.nonzero(pixels_of(canvas) != before)
        assert len(rows)
        assert region.contains(QRect(QPoint(columns.min(), rows.min()), QPoint(columns.max(), rows.max())))
        assert region.height() < canvas.height() / 3
    painted.region = QRegion()
    overlay.set_state("absent")
    qtbot.waitUntil(lambda: painted.region.boundingRect() == overlay.rect())


def test_the_overlay_follows_its_canvas_and_lets_the_mouse_through(qtbot, canvas):
    overlay = CanvasOverlay(canvas)
    clicks = []
    canvas.mousePressEvent = lambda event: clicks.append(event)
    canvas.resize(500, 300)
    qtbot.waitUntil(lambda: overlay.width() == 500)
    assert overlay.geometry() == canvas.rect()
    qtbot.mouseClick(canvas.windowHandle(), LEFT, pos=QPoint(30, 30))
    assert len(clicks) == 1
    other = shown(qtbot, QWidget(), 200, 100)
    overlay.cover(other)
    assert overlay.geometry() == other.rect()
    assert overlay.isVisible()


def darkest(widget):
    picture = widget.grab().toImage()
    spots = [(x, y) for x in range(4, picture.width(), 31) for y in range(4, picture.height() // 3, 17)]
    return min(picture.pixelColor(x, y).lightness() for x, y in spots)


@pytest.mark.parametrize("kind", ["waiting", "absent", "error"])
def test_a_plane_that_is_not_there_is_never_black(canvas, kind):
    overlay = CanvasOverlay(canvas)
    assert darkest(canvas) == 0
    overlay.set_state(kind)
    assert darkest(canvas) > 30
    assert overlay.shown_text()
    overlay.set_state("none")
    assert darkest(canvas) == 0


def test_loading_shows_only_if_it_lasts(qtbot, canvas):
    overlay = CanvasOverlay(canvas)
    overlay.set_state("loading")
    assert not overlay.shows_badge()
    overlay.set_state("none")
    assert not overlay.shows_badge()
    overlay.set_state("loading")
    qtbot.waitUntil(overlay.shows_badge)
    overlay.set_state("loading", "Loading 3 of 4")
    assert overlay.shows_badge()  # more of the same: the wait does not begin again


def lit_rows(widget, left):
    """How many rows of pixels right of `left` hold something as bright as text."""
    picture = widget.grab().toImage()
    columns = range(left, picture.width() - 14)
    bright = [any(picture.pixelColor(x, y).green() > 200 for x in columns) for y in range(picture.height())]
    return sum(bright)


def test_a_badge_has_room_for_each_line(canvas):
    overlay = CanvasOverlay(canvas)
    overlay.set_state("partial", "GFP: not written yet")
    one = lit_rows(canvas, 400)
    overlay.set_state("partial", "GFP: not written yet\nCy5: damaged\nDAPI: damaged")
    assert lit_rows(canvas, 400) > 2 * one > 0


@pytest.mark.parametrize("kind", ["none", "loading", "partial", "filled", "waiting", "absent", "error"])
@pytest.mark.parametrize("size", [(640, 400), (60, 40), (1, 1)])
@pytest.mark.parametrize("text", ["/a/path/without/spaces" * 200, "a line\n" * 100, "", "\n"])
def test_any_state_draws_at_any_size(qtbot, canvas, caplog, kind, size, text):
    overlay = CanvasOverlay(canvas)
    overlay.set_position("manual0:12 · t 1 · z 3" * 5)
    overlay.set_um_per_px(0.325)
    overlay.set_state(kind, text)
    overlay.resize(*size)
    overlay._patience.stop()  # a loading badge at once
    assert not overlay.grab().isNull()
    assert caplog.records == []
