"""Colours and stylesheet of our panels, derived from the palette around them."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent
from qtpy.QtGui import QColor, QFont, QFontDatabase, QPalette
from qtpy.QtWidgets import QAbstractSpinBox, QApplication, QComboBox, QMenu, QWidget

from ..slots import safe_slot
from .icon_files import ICONS

if TYPE_CHECKING:
    from qtpy.QtCore import QObject
    from qtpy.QtWidgets import QLineEdit

_DARK = {
    "Window": (16, 17, 20),
    "WindowText": (222, 225, 230),
    "Base": (24, 26, 30),
    "AlternateBase": (30, 32, 37),
    "Text": (222, 225, 230),
    "Button": (33, 36, 42),
    "ButtonText": (222, 225, 230),
    "BrightText": (255, 120, 110),
    "ToolTipBase": (40, 43, 50),
    "ToolTipText": (235, 237, 240),
    "Highlight": (61, 165, 255),
    "HighlightedText": (8, 12, 18),
    "Link": (61, 165, 255),
    "PlaceholderText": (130, 135, 144),
    "Light": (64, 68, 76),
    "Midlight": (52, 56, 63),
    "Mid": (44, 47, 54),
    "Dark": (12, 13, 15),
    "Shadow": (0, 0, 0),
}
_DARK_DISABLED = {"WindowText": (110, 114, 122), "Text": (110, 114, 122), "ButtonText": (110, 114, 122)}

PLATE, INK = QColor(0, 0, 0, 165), QColor(245, 246, 248)
"""Text over the picture, and the plate behind it, under any palette."""

PLOT_BACKGROUND = QColor(13, 14, 17)
"""Behind histograms and the canvas under any palette: channel colours are made for black."""


PANES_GROUND = QColor(28, 30, 35)
"""Between pictures side by side, under any palette."""


def apply_dark_theme(app: QApplication) -> None:
    """Apply Fusion style and a dark palette to our own application. Never called inside a host."""
    app.setStyle("Fusion")
    app.setPalette(dark_palette())


def dark_palette() -> QPalette:
    """The palette of our own windows, even if somebody else created the application."""
    palette = QPalette()
    for role, rgb in _DARK.items():
        palette.setColor(getattr(QPalette.ColorRole, role), QColor(*rgb))
    for role, rgb in _DARK_DISABLED.items():
        palette.setColor(QPalette.ColorGroup.Disabled, getattr(QPalette.ColorRole, role), QColor(*rgb))
    return palette


def _with_all_roles(palette: QPalette) -> QPalette:
    """The same colours, of which a widget that is given them takes none from its surroundings."""
    found = QPalette()
    groups = QPalette.ColorGroup.Active, QPalette.ColorGroup.Inactive, QPalette.ColorGroup.Disabled
    for role in (getattr(QPalette.ColorRole, name) for name in _DARK):
        for group in groups:
            found.setBrush(group, role, palette.brush(group, role))
    return found


def mix(a: QColor, b: QColor, share: float) -> QColor:
    """`a` mixed with a `share` (0 to 1) of `b`."""
    values = (round(x + (y - x) * share) for x, y in zip(a.getRgb()[:3], b.getRgb()[:3], strict=True))
    return QColor(*values)


@dataclass(frozen=True)
class PanelColors:
    """The colours our panels paint with."""

    window: QColor
    card: QColor
    text: QColor
    dim: QColor
    faint: QColor
    border: QColor
    groove: QColor
    button: QColor
    accent: QColor
    accent_fill: QColor
    handle: QColor
    warning: QColor

    @classmethod
    def of(cls, palette: QPalette) -> PanelColors:
        """The colours matching `palette`, light or dark."""
        role = QPalette.ColorRole
        active = QPalette.ColorGroup.Active  # an unfocused window keeps its colours
        window, text = palette.color(active, role.Window), palette.color(active, role.WindowText)
        accent = palette.color(active, role.Highlight)
        dark = window.lightness() < text.lightness()
        return cls(
            window=window,
            card=palette.color(active, role.Base),
            text=text,
            dim=mix(text, window, 0.36),
            faint=mix(text, window, 0.62),
            border=mix(window, text, 0.14 if dark else 0.22),
            groove=mix(window, text, 0.16 if dark else 0.24),
            button=mix(window, text, 0.10) if dark else mix(window, QColor("white"), 0.45),
            accent=accent,
            accent_fill=mix(window, accent, 0.28),
            handle=QColor(222, 225, 230) if dark else QColor(255, 255, 255),
            warning=QColor(255, 190, 92) if dark else QColor(148, 82, 0),
        )


_BRIGHT = 0.55
"""Of a colour on which black can be read better than white."""

_STYLE = """
QLabel {{ color: {text}; }}
QLabel[role="dim"] {{ color: {dim}; }}
QLabel[role="warning"] {{ color: {warning}; }}
QLabel[role="key"] {{
    background: {button}; border: 1px solid {border}; border-bottom: 2px solid {border}; border-radius: 4px;
    padding: 0 5px;
}}
QLabel[role="note"] {{ color: #ffbe5c; background: rgba(12, 13, 16, 215); }}
QFrame[role="card"] {{ background: {card}; border: 1px solid {border}; border-radius: 5px; }}
QAbstractButton[role="chip"] {{
    background: {button}; color: {text}; border: 1px solid {border}; border-radius: 4px; padding: 3px 8px;
    outline: none;
}}
QPushButton[role="chip"][says="mode"] {{ padding: 3px 5px; }}
QToolButton[role="chip"] {{ padding: 0; }}
QToolButton[opens="menu"] {{ padding-right: 12px; }}
QAbstractButton[role="chip"]:hover {{ border-color: {dim}; }}
QAbstractButton[role="chip"]:checked {{ background: {accent_fill}; border-color: {accent}; }}
QAbstractButton[role="chip"]:focus {{ border-color: {text}; }}
QAbstractButton[role="chip"]:disabled {{ color: {dim}; background: transparent; }}
QAbstractButton[role="dot"] {{
    background: transparent; border: 1px solid transparent; border-radius: 4px; padding: 0;
}}
QAbstractButton[role="dot"]:hover {{ border-color: {dim}; }}
QAbstractButton[role="dot"]:focus {{ border-color: {text}; }}
QPushButton::menu-indicator {{ subcontrol-origin: padding; subcontrol-position: right center; right: 6px; }}
QPushButton[role="bar"] {{
    background: {button}; color: {text}; border: 1px solid {border}; border-radius: 4px; padding: 2px 8px;
    outline: none;
}}
QPushButton[role="bar"]::menu-indicator {{ right: 2px; }}
QPushButton[role="bar"]:flat {{ background: transparent; color: {dim}; border-color: transparent; }}
QPushButton[role="bar"]:hover {{ border-color: {dim}; }}
QPushButton[role="bar"]:focus {{ border-color: {text}; }}
QPushButton[role="bar"]:checked {{ background: {accent_fill}; border-color: {accent}; }}
QPushButton[role="bar"]:disabled {{ color: {dim}; border-color: transparent; }}
QLineEdit[role="number"] {{
    background: transparent; color: {text}; border: 1px solid transparent; border-radius: 3px;
    padding: 1px 2px; selection-background-color: {accent};
}}
QLineEdit[role="number"]:hover {{ border-color: {border}; }}
QLineEdit[role="number"]:focus {{ border-color: {accent}; background: {window}; }}
QLineEdit[role="path"] {{
    background: {card}; color: {text}; border: 1px solid {border}; border-radius: 4px; padding: 3px 6px;
    selection-background-color: {accent};
}}
QLineEdit[role="path"]:focus {{ border-color: {accent}; }}
QCheckBox {{ color: {text}; outline: none; }}
QCheckBox::indicator, QListView::indicator {{
    width: 12px; height: 12px; border: 1px solid {dim}; border-radius: 3px; background: {window};
}}
QCheckBox::indicator:checked, QListView::indicator:checked {{
    background: {accent}; border-color: {accent}; image: url("{tick}");
}}
QCheckBox::indicator:focus {{ border-color: {text}; }}
QSlider:horizontal {{ min-height: 20px; }}
QSlider::groove:horizontal {{ height: 4px; border-radius: 2px; background: {groove}; }}
QSlider::sub-page:horizontal {{ height: 4px; border-radius: 2px; background: {accent}; }}
QSlider::handle:horizontal {{
    width: 12px; height: 12px; margin: -5px 0; border-radius: 7px; border: 1px solid {dim};
    background: {handle};
}}
QSlider::handle:horizontal:focus {{ border: 2px solid {accent}; width: 10px; height: 10px; }}
QSlider::handle:horizontal:hover {{ border-color: {accent}; }}
QPlainTextEdit[role="detail"] {{ background: transparent; border: none; color: {dim}; }}
QScrollArea {{ background: transparent; border: none; }}
QScrollBar:vertical {{ background: transparent; border: none; width: 8px; margin: 0; }}
QScrollBar::handle:vertical {{ background: {groove}; border-radius: 3px; min-height: 24px; margin: 0 1px; }}
QScrollBar::handle:vertical:hover {{ background: {dim}; }}
QScrollBar::add-line:vertical, QScrollBar::sub-line:vertical {{ height: 0; }}
QScrollBar::add-page:vertical, QScrollBar::sub-page:vertical {{ background: transparent; }}
QListView, QTableView {{
    background: {card}; color: {text}; border: 1px solid {border}; border-radius: 4px;
    selection-background-color: {accent}; selection-color: {window}; outline: none;
}}
QTableView::item {{ padding: 3px 4px; }}
"""


def panel_style(palette: QPalette) -> str:
    """The stylesheet of our panels under `palette`."""
    colors = PanelColors.of(palette)
    named = {name: color.name() for name, color in vars(colors).items()}
    is_bright = colors.accent.lightnessF() > _BRIGHT
    tick = ICONS / f"tick-{'black' if is_bright else 'white'}.svg"
    return _STYLE.format_map({**named, "tick": tick.as_posix()})


def menu_of(owner: QWidget) -> QMenu:
    """A menu of this widget in the colours of its window, whatever those of the application are."""
    menu = QMenu(owner)
    menu.aboutToShow.connect(safe_slot(lambda: menu.setPalette(owner.window().palette())))
    return menu


class Panel(QWidget):
    """A widget styled with `panel_style` that follows the host's palette changes.

    A widget with a stylesheet no longer inherits the palette around it, nor is it notified of changes
    (Qt without ``AA_UseStyleSheetPropagationInWidgetStyles``), so it watches its parent.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._watched: QWidget | None = None
        self._wearing = False
        self._worn_hidden = False
        self._worn: QPalette | None = None  # the palette whose style it has
        self._watch_parent()
        self.apply_style()

    def event(self, event: QEvent | None) -> bool:
        handled = bool(super().event(event))
        if event is not None and hasattr(self, "_watched"):
            self._follow(event.type())
        return handled

    @safe_slot
    def _follow(self, kind: QEvent.Type) -> None:
        if kind == QEvent.Type.ParentChange:
            self._watch_parent()
            if self._around() != self._worn:
                self.apply_style()
        elif kind == QEvent.Type.ApplicationPaletteChange:
            self.apply_style()
        elif kind == QEvent.Type.Show and self._worn_hidden:
            self._worn_hidden = False
            self.apply_style()  # Qt leaves out children that are hidden while other colours are applied
        elif kind == QEvent.Type.Show:
            self._dress_boxes()

    @safe_slot(default=False)
    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if event is not None and event.type() == QEvent.Type.PaletteChange and watched is self._watched:
            self.apply_style()
        return False

    def _watch_parent(self) -> None:
        parent = self.parentWidget()
        if parent is not self._watched:
            if self._watched is not None:
                self._watched.removeEventFilter(self)
            self._watched = parent
            if parent is not None:
                parent.installEventFilter(self)

    def apply_style(self) -> None:
        """Apply the surrounding palette, with matching style and icons."""
        if self._wearing:
            return
        self._wearing = True  # removing and setting a stylesheet sends events that lead here
        around = self._around()
        colors, before = PanelColors.of(around), getattr(self, "_colors", None)
        self._worn_hidden |= before not in (None, colors) and not self.isVisible()
        self._worn = around
        self._colors = colors  # our own palette() may differ once styled
        self.setStyleSheet("")
        self.setPalette(around)
        self.setStyleSheet(panel_style(around))
        self._dress_boxes()
        self._wearing = False
        self.palette_changed()

    def _dress_boxes(self) -> None:
        """Boxes to choose or count in are drawn by a palette: below a stylesheet, the application's."""
        boxes = (*self.findChildren(QComboBox), *self.findChildren(QAbstractSpinBox))
        palette = _with_all_roles(self._worn) if boxes and self._worn is not None else None
        for each in (each for box in boxes for each in (box, *box.findChildren(QWidget))):
            if palette is not None and each.palette() != palette:
                each.setPalette(palette)

    def _around(self) -> QPalette:
        return self._watched.palette() if self._watched is not None else QApplication.palette()

    def palette_changed(self) -> None:
        """Update what a stylesheet cannot colour: icons. Called whenever `colors` may have changed."""

    @property
    def colors(self) -> PanelColors:
        """The current colours."""
        return self._colors


def colors_of(widget: QWidget) -> PanelColors:
    """The colours for `widget`: those of its panel, because its own palette may be stale."""
    at: QWidget | None = widget
    while at is not None:
        if isinstance(at, Panel):
            return at.colors
        at = at.parentWidget()
    return PanelColors.of(widget.palette())


def digits_font(widget: QWidget) -> QFont:
    """A font with digits of equal width, in the size of `widget`'s own."""
    font = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
    if widget.font().pointSizeF() > 0:
        font.setPointSizeF(widget.font().pointSizeF())
    return font


def heading_font(widget: QWidget) -> QFont:
    """The font of panel headings: small, spaced capitals."""
    font = QFont(widget.font())
    font.setBold(True)
    if font.pointSizeF() > 0:
        font.setPointSizeF(font.pointSizeF() * 0.85)
    font.setLetterSpacing(QFont.SpacingType.AbsoluteSpacing, 1.0)
    return font


def set_role(widget: QWidget, role: str) -> None:
    """Select the rules of `panel_style` that apply to `widget`."""
    widget.setProperty("role", role)


def color_placeholder(line: QLineEdit, color: QColor) -> None:
    """Show the text of an empty field in this colour: that of a stylesheet would be too faint.

    Has an effect once the field is shown.
    """
    palette = line.palette()
    palette.setColor(QPalette.ColorRole.PlaceholderText, color)
    line.setPalette(palette)


def plain_tooltip(text: str) -> str:
    """`text` as a tooltip that shows it literally: Qt interprets anything like a tag as HTML."""
    return f"<qt>{html.escape(text)}</qt>".replace("\n", "<br>") if text else ""
