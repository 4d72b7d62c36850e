"""Asks what a film is to show. GUI thread only."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, NamedTuple

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from ...model import how_many
from ...rendering.scale_bar import NO_SCALE
from ..look.theme import Panel, set_role
from ..slots import safe_slot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...rendering.film_frames import Inscription
    from ..canvas.written import Written

MOST_FRAMES = 10_000
_TICKED = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsUserCheckable
_CHANNEL_LINE_PX = 22
_MOST_CHANNEL_LINES = 6
"""Of channels that are listed without scrolling."""


class FilmPlan(NamedTuple):
    """What a film shows: along "t", "z", "p" or a "turn" of a volume, and how."""

    axis: str
    fps: int
    inscription: Inscription
    of_part: bool = True
    """Of the part of the picture that is seen, rather than of all of it."""
    channels: tuple[int, ...] | None = None
    """None: those that are shown."""
    side_by_side: bool = False


class FilmDialog(QDialog):
    """Asks what a film shows; `accepted` once that is said."""

    def __init__(
        self,
        parent: QWidget | None,
        sizes: Sequence[tuple[str, str, int]],
        written: Written,
        *,
        is_part: bool = False,
        wants_part: bool = True,
        channels: Sequence[str] = (),
        shown: Sequence[int] = (),
        can_split: bool = True,
        is_split: bool = False,
        has_scale: bool = True,
    ) -> None:
        """`sizes`: the axes there are, as (axis, name, number of frames). `written`: on the picture now.

        `is_part`: only a part of it is seen, `wants_part`: and the film is of that at first. `channels`: the
        names of those that may be in it, of which the indices `shown` are on screen, side by side if
        `is_split`; not `can_split`: all fields are in it, with the names of wells. `has_scale`: whether it is
        known how large pixels are.
        """
        super().__init__(parent)
        self._bar = written.bar if written.bar.share else written.bar._replace(size="small")
        self.setWindowTitle("Save a film")
        if parent is not None:
            self.setPalette(parent.palette())
        self.axis = QComboBox()
        for axis, name, n in sizes:
            self.axis.addItem(f"{name} ({how_many(min(n, MOST_FRAMES), 'frame')})", axis)
        self.part = QCheckBox("Visible part only", self)
        self.part.setChecked(wants_part)
        self.part.setVisible(is_part)
        self.channels = _channel_list(channels, shown, self)
        self.channels.itemChanged.connect(self._on_channels)
        self.side_by_side = QCheckBox("Side by side", self)
        self.side_by_side.setChecked(is_split)
        self.fps = QSpinBox()
        self.fps.setRange(1, 60)
        self.fps.setValue(10)
        self.scale_bar, self.time, self.label = (
            QCheckBox("Scale bar"),
            QCheckBox("Time"),
            QCheckBox("Position" if can_split else "Wells", self),
        )
        page = Panel(self)
        form = QFormLayout(page)
        form.setContentsMargins(14, 14, 14, 12)
        form.setVerticalSpacing(8)
        for name, widget, tip in (
            ("Over", self.axis, "What changes from frame to frame; everything else stays as shown"),
            ("Channels", self.channels, "Channels in the film; initially those shown"),
            ("", self.side_by_side, "Each channel in a pane of its own, and all together"),
            ("Part", self.part, "The part of the picture that is visible now, not the whole field"),
            ("Frames per second", self.fps, "Playback speed"),
            ("Written on it", self.scale_bar, "A scale bar at the lower right"),
            ("", self.time, "When it was acquired, or the number of the time point"),
            (
                "",
                self.label,
                "The name of the field" if can_split else "The names of wells, rows and columns",
            ),
        ):
            widget.setToolTip(tip)
            widget.setAccessibleName(name or tip)
            is_offered = {
                self.part: is_part,
                self.channels: len(channels) > 1,
                self.side_by_side: len(channels) > 1 and can_split,
            }
            widget.setVisible(is_offered.get(widget, True))
            if is_offered.get(widget, True):
                form.addRow(name, widget)
        self.scale_bar.setChecked(written.bar.share > 0 and has_scale)
        if not has_scale:
            self.scale_bar.setEnabled(False)
            self.scale_bar.setToolTip(f"No scale bar: {NO_SCALE}")
        self.time.setChecked(any(axis == "t" for axis, *_ in sizes))
        self.label.setChecked(written.position)
        kind = "MP4 or GIF" if can_write_mp4() else "GIF (MP4 with: pip install 'ndviewer_light[movies]')"
        form.addRow("As", QLabel(kind))
        self.save_button, self.cancel_button = QPushButton("Save…"), QPushButton("Cancel")
        row = QHBoxLayout()
        row.setSpacing(6)
        row.addStretch(1)
        for button, tip, slot in (
            (self.cancel_button, "Close without saving a film", self.reject),
            (self.save_button, "Choose where it is saved", self.accept),
        ):
            button.setAutoDefault(False)
            button.setToolTip(tip)
            set_role(button, "chip")
            button.clicked.connect(slot)
            row.addWidget(button)
        self.save_button.setDefault(True)
        lines = min(max(len(channels), 1), _MOST_CHANNEL_LINES)
        self.channels.setFixedHeight(lines * _CHANNEL_LINE_PX + 2 * self.channels.frameWidth())
        self._on_channels()
        form.addRow(row)
        for field in (self.axis, self.fps, self.channels):
            for each in (field, *field.findChildren(QWidget)):
                each.setPalette(self.palette())  # below a stylesheet it would have the application's
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(page)

    @property
    def plan(self) -> FilmPlan:
        """What was said."""
        from ...rendering.film_frames import Inscription  # not needed before the window is shown

        label, time, bar = (box.isChecked() for box in (self.label, self.time, self.scale_bar))
        written, chosen = Inscription(label, time, bar, self._bar), self._chosen()
        is_split = not self.side_by_side.isHidden() and self.side_by_side.isChecked() and len(chosen) > 1
        axis, of_part = str(self.axis.currentData()), self.part.isChecked()
        return FilmPlan(axis, self.fps.value(), written, of_part, chosen, is_split)

    def _chosen(self) -> tuple[int, ...]:
        rows = range(self.channels.count())
        return tuple(c for c in rows if self.channels.item(c).checkState() == Qt.CheckState.Checked)

    @safe_slot
    def _on_channels(self) -> None:
        """A film needs a channel, and two to show them side by side."""
        n = len(self._chosen())
        self.save_button.setEnabled(n > 0)
        self.side_by_side.setEnabled(n > 1)


def can_write_mp4() -> bool:
    """Whether what encodes MP4 is installed."""
    return importlib.util.find_spec("av") is not None


def _channel_list(names: Sequence[str], shown: Sequence[int], parent: QWidget) -> QListWidget:
    """The channels with a box each, ticked for those that are `shown`."""
    found = QListWidget(parent)
    found.setUniformItemSizes(True)
    found.setTextElideMode(Qt.TextElideMode.ElideMiddle)
    found.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    for c, name in enumerate(names):
        item = QListWidgetItem(name)
        item.setFlags(
            Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsUserCheckable
        )
        item.setSizeHint(QSize(0, _CHANNEL_LINE_PX))
        item.setCheckState(Qt.CheckState.Checked if c in shown else Qt.CheckState.Unchecked)
        found.addItem(item)
    return found
