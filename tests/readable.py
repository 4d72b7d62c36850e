"""Can it be read, and reached by keyboard: looks at the widgets of a window as they are on screen."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from qtpy.QtCore import QPoint, QRect, QRectF, Qt
from qtpy.QtGui import QColor, QImage, QPainter
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QGraphicsTextItem,
    QGraphicsView,
    QLabel,
    QLineEdit,
    QMenu,
    QPlainTextEdit,
    QRadioButton,
    QScrollBar,
    QWidget,
)

from ndviewer_light.gui.look.one_line_label import OneLineLabel
from ndviewer_light.gui.panels.histogram import Histogram
from ndviewer_light.gui.panels.place_map import PlaceMap
from ndviewer_light.gui.panels.window_slider import WindowSlider
from ndviewer_light.gui.scene.scene_canvas import SceneCanvas

if TYPE_CHECKING:
    from collections.abc import Iterator

LEAST_CONTRAST = 4.5
"""Of a text against what is behind it (WCAG 2, level AA)."""
LEAST_OF_DISABLED = 3.0
"""Of what cannot be used now; WCAG asks for nothing there."""
_CONTROLS = (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QComboBox,
    QLineEdit,
    QPlainTextEdit,
    Histogram,
    PlaceMap,
    SceneCanvas,
    WindowSlider,
)
_BOX_TO_TICK_PX = 22


def contrast(a: QColor, b: QColor) -> float:
    """WCAG contrast ratio of two colours."""
    brighter, darker = sorted((_luminance(a.getRgb()[:3]), _luminance(b.getRgb()[:3])), reverse=True)
    return float((brighter + 0.05) / (darker + 0.05))


def _luminance(rgb: Any) -> Any:
    """Of colours (…, RGB), 0 to 255."""
    parts = np.asarray(rgb) / 255
    linear = np.where(parts <= 0.03928, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])


class Painted(NamedTuple):
    """A text that a widget paints by hand: in which colour, and where in the widget."""

    widget: QWidget
    text: str
    color: QColor
    place: QRectF


@contextlib.contextmanager
def painted_texts() -> Iterator[list[Painted]]:
    """What is painted by Python with `QPainter.drawText` meanwhile, on widgets."""
    seen: list[Painted] = []
    draw = vars(QPainter)["drawText"]

    def noting(painter: QPainter, *arguments: Any) -> Any:
        device = painter.device()
        text = next((each for each in arguments if isinstance(each, str)), "")
        place = next((QRectF(each) for each in arguments if isinstance(each, QRect | QRectF)), None)
        if isinstance(device, QWidget) and text.strip() and place is not None:
            seen.append(Painted(device, text, painter.pen().color(), painter.worldTransform().mapRect(place)))
        return draw.__get__(painter)(*arguments)

    QPainter.drawText = noting  # type: ignore[method-assign,assignment]
    try:
        yield seen
    finally:
        QPainter.drawText = draw


class _Grabbed:
    """The pixels of a widget as it is on screen."""

    def __init__(self, widget: QWidget) -> None:
        image = widget.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
        bits = image.constBits()
        bits.setsize(image.bytesPerLine() * image.height())
        pixels = np.frombuffer(bytes(bits), np.uint32).reshape(image.height(), image.width())
        self._rgb = pixels & 0xFFFFFF
        self._ratio = image.devicePixelRatioF()

    def contrast_in(self, place: QRect, color: QColor | None = None) -> float:
        """Of the most common colour there and `color`, else the one that differs most from it."""
        top, bottom = (round(y * self._ratio) for y in (place.top(), place.bottom() + 1))
        left, right = (round(x * self._ratio) for x in (place.left(), place.right() + 1))
        codes, counts = np.unique(self._rgb[top:bottom, left:right], return_counts=True)
        colors = np.stack([codes >> 16, codes >> 8 & 0xFF, codes & 0xFF], axis=-1)
        behind = _luminance(colors[counts.argmax()])
        light = _luminance(colors if color is None else [color.getRgb()[:3]])
        return float(np.max((np.maximum(light, behind) + 0.05) / (np.minimum(light, behind) + 0.05)))


def _visible_part(widget: QWidget, window: QWidget) -> QRect:
    """The part of a widget that can be seen, in its window; empty where it is scrolled away."""
    at: QWidget | None = widget
    place = window.rect()
    while at is not None and at is not window:
        place &= QRect(at.mapTo(window, QPoint(0, 0)), at.size())
        at = at.parentWidget()
    return place


def visible_widgets(window: QWidget) -> list[QWidget]:
    """The widget and those in it, as far as they are on screen."""
    return [
        widget
        for widget in (window, *window.findChildren(QWidget))
        if widget.isVisible() and widget.window() is window.window() and not isinstance(widget, QScrollBar)
    ]


def _named(widget: QWidget) -> str:
    said = widget.accessibleName() or getattr(widget, "text", str)()
    return f"{type(widget).__name__} {said!r} in {type(widget.parentWidget()).__name__}"


def faint_texts(window: QWidget) -> list[str]:
    """The texts in a window that cannot be read well, each with its contrast."""
    with painted_texts() as painted:
        picture = _Grabbed(window)
    found: list[str] = []
    for each in painted:
        if each.widget.window() is window.window() and not isinstance(each.widget, OneLineLabel):
            corner = each.widget.mapTo(window, QPoint(0, 0))
            place = each.place.toRect().translated(corner) & _visible_part(each.widget, window)
            if place.width() > 2 and place.height() > 2:
                ratio = picture.contrast_in(place, each.color)
                _judge(found, f"{each.text!r} of {_named(each.widget)}", ratio, LEAST_CONTRAST)
    for widget in visible_widgets(window):
        least = LEAST_CONTRAST if widget.isEnabled() else LEAST_OF_DISABLED
        place = _text_place(widget, window)
        if _text_of(widget).strip() and place.width() > 5 and place.height() > 5:
            _judge(found, _named(widget), picture.contrast_in(place), least)
        for text, place, color in _texts_of_plot(widget, window):
            _judge(found, f"{text} of {_named(widget)}", picture.contrast_in(place, color), least)
    if isinstance(window, QMenu):
        for action in window.actions():
            if not action.isSeparator():
                least = LEAST_CONTRAST if action.isEnabled() else LEAST_OF_DISABLED
                _judge(found, action.text(), picture.contrast_in(window.actionGeometry(action)), least)
    return found


def _texts_of_plot(widget: QWidget, window: QWidget) -> Iterator[tuple[str, QRect, QColor]]:
    """Titles, and the numbers along the axes, of a plot of pyqtgraph; where they are in the window."""
    if not isinstance(widget, QGraphicsView):
        return
    corner = widget.viewport().mapTo(window, QPoint(0, 0))
    for item in widget.items():
        place = widget.mapFromScene(item.sceneBoundingRect()).boundingRect().translated(corner)
        place &= _visible_part(widget, window)
        if not item.isVisible() or place.width() < 6 or place.height() < 6:
            continue
        if isinstance(item, QGraphicsTextItem) and item.toPlainText().strip():
            yield repr(item.toPlainText().strip()), place, _color_of(item)
        elif hasattr(item, "textPen"):
            yield f"the numbers {item.orientation}", place, item.textPen().color()


def _color_of(item: QGraphicsTextItem) -> QColor:
    """In which colour a title is written: that of its first letter."""
    cursor = item.textCursor()
    cursor.setPosition(1)
    brush = cursor.charFormat().foreground()
    return brush.color() if brush.style() != Qt.BrushStyle.NoBrush else item.defaultTextColor()


def _judge(found: list[str], what: str, ratio: float, least: float) -> None:
    if ratio < least:
        found.append(f"{what}: {ratio:.1f}")


def _text_of(widget: QWidget) -> str:
    if isinstance(widget, QComboBox):
        return str(widget.currentText())
    if isinstance(widget, QLineEdit):
        return str(widget.text() or widget.placeholderText())
    if isinstance(widget, QPlainTextEdit):
        return str(widget.toPlainText())
    return str(widget.text()) if isinstance(widget, OneLineLabel | QAbstractButton | QLabel) else ""


def _text_place(widget: QWidget, window: QWidget) -> QRect:
    """Where the text is, in the window; not the frame around it, nor the box to tick."""
    place = _visible_part(widget, window)
    if isinstance(widget, QCheckBox | QRadioButton):
        return place.adjusted(_BOX_TO_TICK_PX, 1, 0, -1)
    if isinstance(widget, QAbstractButton | QComboBox | QLineEdit):
        return place.adjusted(4, 3, -4, -3)
    return place


def unreachable_controls(window: QWidget) -> list[str]:
    """The controls of a window that Tab does not lead to, or that do not say what they are and do."""
    found = []
    for widget in visible_widgets(window):
        if not isinstance(widget, _CONTROLS) or _is_part(widget):
            continue
        by_tab = Qt.FocusPolicy.TabFocus
        lacks = {
            # what a histogram does, the slider and the fields below it do as well
            "keyboard": widget.focusPolicy() & by_tab != by_tab and not isinstance(widget, Histogram),
            # over a picture or a text to read, a tooltip would be in the way
            "tooltip": not widget.toolTip() and not _is_to_look_at(widget),
            "name": not (widget.accessibleName() or (isinstance(widget, QAbstractButton) and widget.text())),
        }
        if any(lacks.values()):
            found.append(f"{_named(widget)}: no {', '.join(what for what, is_so in lacks.items() if is_so)}")
    return found


def _is_part(widget: QWidget) -> bool:
    """Whether it is a part of a control, such as the field in a spin box."""
    return isinstance(widget.parentWidget(), QAbstractSpinBox | QComboBox)


def _is_to_look_at(widget: QWidget) -> bool:
    return isinstance(widget, SceneCanvas) or (isinstance(widget, QPlainTextEdit) and widget.isReadOnly())
