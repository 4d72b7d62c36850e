"""Choosing how limits are found: of one channel, and, with what goes with it, of all of them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtGui import QAction, QActionGroup

from ...rendering.contrast import CLIPS, DEFAULT_CLIP, ContrastMode
from ..look.push_button import PushButton
from ..look.theme import menu_of, set_role
from ..slots import safe_slot

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QMenu, QWidget

MODE_TIPS = {
    ContrastMode.RUN: "Limits from all planes seen of this run: brightness can be compared",
    ContrastMode.PLANE: "Limits from the plane in view: each looks as bright as it can",
    ContrastMode.FULL: "Limits of the detector: the whole range",
    ContrastMode.MANUAL: "Limits stay as they are",
}
_MIXED = "Mixed"


def widest_mode(widget: QWidget) -> int:
    """The width of the widest name of a mode, px."""
    metrics = widget.fontMetrics()
    return max(metrics.horizontalAdvance(text) for text in (*(mode.value for mode in ContrastMode), _MIXED))


def add_modes(menu: QMenu, current: ContrastMode | None, choose: Callable[[ContrastMode], None]) -> None:
    """Offer the contrast modes in a menu, the `current` one checked."""
    group = QActionGroup(menu)
    for mode in ContrastMode:
        tip = MODE_TIPS[mode]
        action = QAction(f"{mode.value}: {tip[0].lower()}{tip[1:]}", menu)
        action.setCheckable(True)
        action.setChecked(mode is current)
        action.triggered.connect(partial(_call, choose, mode))
        group.addAction(action)
        menu.addAction(action)


@safe_slot
def _call(choose: Callable[[ContrastMode], None], mode: ContrastMode, *_: object) -> None:
    choose(mode)


class ContrastButton(PushButton):
    """Says which contrast mode the channels have, and has the menu for all of them."""

    mode_chosen = Signal(object)
    """A `ContrastMode`, for all channels."""
    clip_chosen = Signal(float)
    """One of `CLIPS`."""
    logarithmic_chosen = Signal(bool)
    restart_chosen = Signal()
    """Forget what was seen of the run, but for the plane in view."""
    reset_chosen = Signal()
    """Go back to what the dataset wants, for all channels."""
    remember_chosen = Signal(bool)
    """Whether the next dataset begins with what is chosen."""
    gray_chosen = Signal(bool)
    """Whether a channel that is shown alone is shown in gray."""
    export_chosen = Signal()
    import_chosen = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent=parent)
        self.setAutoDefault(False)
        self.setAccessibleName("Contrast of all channels")
        self.setToolTip("Contrast of all channels")
        set_role(self, "chip")
        self._clip, self._is_logarithmic, self._remembers = DEFAULT_CLIP, True, True
        self._is_gray = False
        self._modes: set[ContrastMode] = set()
        self.setFixedWidth(widest_mode(self) + 36)  # with the arrow of its menu
        self._menu = menu_of(self)
        self._menu.aboutToShow.connect(self._fill)
        self.setMenu(self._menu)
        self.say({ContrastMode.RUN})

    def say(self, modes: set[ContrastMode]) -> None:
        """Show the mode that all channels have, or that they differ."""
        self._modes = modes
        self.setText(next(iter(modes)).value if len(modes) == 1 else _MIXED if modes else "")

    def set_clip(self, clip: float) -> None:
        """Show the percentage that automatic limits leave out."""
        self._clip = clip

    @safe_slot
    def _fill(self) -> None:
        menu = self._menu
        menu.clear()
        add_modes(menu, next(iter(self._modes)) if len(self._modes) == 1 else None, self.mode_chosen.emit)
        menu.addSeparator()
        menu.addAction("Start again from the plane in view", self.restart_chosen.emit)
        clips = menu.addMenu("Automatic limits leave out")
        group = QActionGroup(clips)
        for clip in CLIPS:
            action = clips.addAction("nothing" if clip == 0 else f"{clip:g} % at each end")
            action.setCheckable(True)
            action.setChecked(clip == self._clip)
            action.triggered.connect(partial(self._choose_clip, clip))
            group.addAction(action)
        log = menu.addAction("Logarithmic histograms")
        log.setCheckable(True)
        log.setChecked(self._is_logarithmic)
        log.toggled.connect(self._choose_logarithmic)
        gray = menu.addAction("A channel alone in gray\tG")
        gray.setCheckable(True)
        gray.setChecked(self._is_gray)
        gray.toggled.connect(self.set_gray)
        menu.addSeparator()
        remember = menu.addAction("Keep for channels of these names")
        remember.setCheckable(True)
        remember.setChecked(self._remembers)
        remember.toggled.connect(self._choose_remembering)
        menu.addAction("Export channel settings…", self.export_chosen.emit)
        menu.addAction("Import channel settings…", self.import_chosen.emit)
        menu.addAction("Reset all channels", self.reset_chosen.emit)

    @safe_slot
    def _choose_clip(self, clip: float, *_: object) -> None:
        self._clip = clip
        self.clip_chosen.emit(clip)

    @safe_slot
    def _choose_remembering(self, remembers: bool) -> None:
        self._remembers = remembers
        self.remember_chosen.emit(remembers)

    @safe_slot
    def _choose_logarithmic(self, is_logarithmic: bool) -> None:
        self._is_logarithmic = is_logarithmic
        self.logarithmic_chosen.emit(is_logarithmic)

    @property
    def is_gray(self) -> bool:
        """Whether a channel that is shown alone is shown in gray."""
        return self._is_gray

    @safe_slot
    def set_gray(self, is_gray: bool) -> None:
        """Show a channel that is shown alone in gray, or in its colour."""
        self._is_gray = is_gray
        self.gray_chosen.emit(is_gray)
