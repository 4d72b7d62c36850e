"""The two controls of following in the status row: the view's, and the dataset's.

`FollowButton` is about the view: whether it goes where the newest planes are. `FollowingSwitch` is about the
disk: whether what is written there is noticed.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QAction, QWidget

from ...engine.look_schedule import Following
from ..keyboard.keys import keys_of
from ..look.icon_files import BESIDE_TEXT, icon
from ..look.push_button import PushButton
from ..look.theme import set_role
from ..slots import safe_slot

if TYPE_CHECKING:
    from ...engine.dataset import Dataset
    from ..look.theme import PanelColors

_KEY = keys_of("follow")


class FollowButton(PushButton):
    """Down while everything that may follow does. `follow_clicked(on)` is the user's wish.

    Its menu says whether the view waits for all channels (`waits_changed`). GUI thread only.
    """

    follow_clicked = Signal(bool)
    waits_changed = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent=parent)
        self._drawn: tuple[bool, PanelColors] | None = None
        self.setCheckable(True)
        self.setText("Follow newest")
        self.setIconSize(BESIDE_TEXT)
        self.setToolTip(
            f"Show the newest time point and position as they are acquired ({_KEY}).\n"
            "Moving a slider pins that axis. Right click: what to wait for"
        )
        set_role(self, "bar")
        self._waits = QAction("Wait for all channels", self)
        self._waits.setCheckable(True)
        self._waits.setChecked(True)
        self._waits.toggled.connect(self._on_waits_toggled)
        self.addAction(self._waits)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)
        self.clicked.connect(self._on_clicked)

    def set_following(self, on: bool) -> None:
        """Show whether everything follows; silent."""
        self.setChecked(on)

    def set_waits(self, waits: bool) -> None:
        """Show whether the view waits for all channels; silent."""
        self._waits.blockSignals(True)
        self._waits.setChecked(waits)
        self._waits.blockSignals(False)

    def draw(self, colors: PanelColors) -> None:
        """Draw the dot in these colours."""
        wanted = (self.isChecked(), colors)
        if wanted != self._drawn:
            self._drawn = wanted
            self.setIcon(icon("dot", colors.accent if self.isChecked() else colors.faint, beside_text=True))

    @safe_slot
    def _on_clicked(self, on: bool) -> None:
        self.follow_clicked.emit(on)

    @safe_slot
    def _on_waits_toggled(self, waits: bool) -> None:
        self.waits_changed.emit(waits)


class _DiskState(Enum):
    """What the switch shows, by the names in `Following`."""

    FOLLOWING = ("Following", "eye", "New data in this dataset appears automatically. Click to pause")
    PAUSED = ("Paused", "pause", "Not looking for new data in this dataset. Click to resume")
    FINISHED = ("Finished", "check", "This dataset no longer seems to be written to. Click to look again")


class FollowingSwitch(PushButton):
    """Says whether a dataset is followed on disk: *Following*, *Paused* or *Finished*; a click pauses it.

    Hidden where that cannot be paused: the row says how far a run is that a host announced. GUI thread only.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent=parent)
        self._dataset: Dataset | None = None
        self._drawn: object = None
        self.setIconSize(BESIDE_TEXT)
        self.setFlat(True)
        set_role(self, "bar")
        self.clicked.connect(self._on_clicked)
        self.hide()

    def show_state(self, dataset: Dataset | None, colors: PanelColors, *, can_pause: bool) -> None:
        """Show the state of `dataset`; call it as often as you like."""
        self._dataset = dataset
        state = None if dataset is None else _DiskState[dataset.following.name]
        wanted = (state, colors, can_pause)
        if wanted == self._drawn:
            return
        self._drawn = wanted
        self.setVisible(state is not None and can_pause)
        if state is not None:
            text, drawing, tip = state.value
            self.setText(text)
            self.setAccessibleName(text)
            self.setToolTip(tip)
            self.setIcon(icon(drawing, colors.dim, beside_text=True))

    @safe_slot
    def _on_clicked(self) -> None:
        if self._dataset is not None:
            self._dataset.set_following(self._dataset.following is not Following.FOLLOWING)
