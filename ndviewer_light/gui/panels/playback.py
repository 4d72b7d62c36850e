"""Playing axes: how fast, what happens at the end, and how fast it really is."""

from __future__ import annotations

import time
from collections import deque
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from qtpy.QtCore import QObject, QPoint, Qt, QTimer, Signal
from qtpy.QtGui import QActionGroup

from ..look.theme import menu_of
from ..slots import safe_slot

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qtpy.QtWidgets import QMenu, QWidget

    from .axis_row import AxisRow
    from .play_button import PlayButton

SPEEDS = (1, 2, 5, 10, 15, 20, 30, 60)
"""Pictures per second that can be chosen."""
_BUSY_MS = 4
_PLAYED_SECONDS = 2.0
"""Over how long the real rate is measured."""
_SAY_SECONDS = 0.5
_FRACTIONS_BELOW = 9.95
_SLOW_SHARE = 0.93
"""What is played more slowly than this share of what was asked for is said to be slow."""


class PlayMode(Enum):
    """What happens at the end of an axis."""

    LOOP = "loop"
    ONCE = "once"
    BOUNCE = "bounce"


_WORDS = {
    PlayMode.LOOP: "Loop: begin again at the end",
    PlayMode.ONCE: "Once: stop at the end",
    PlayMode.BOUNCE: "Bounce: go back and forth",
}


class PlaySpeed(NamedTuple):
    """How fast axes are played (pictures per second), and what happens at their end."""

    per_second: int = 10
    mode: PlayMode = PlayMode.LOOP

    def as_text(self) -> str:
        """What `of_text` reads."""
        return f"{self.per_second} {self.mode.value}"

    @classmethod
    def of_text(cls, text: str) -> PlaySpeed:
        """The speed in a text; the usual one if it is none."""
        per_second, _, mode = text.partition(" ")
        try:
            wanted = cls(int(per_second), PlayMode(mode))
        except ValueError:
            return cls()
        return wanted if wanted.per_second in SPEEDS else cls()


def next_step(at: int, n: int, mode: PlayMode, *, is_back: bool) -> tuple[int, bool] | None:
    """Where playing `n` values goes on from one, and whether backwards from there; None: it has ended.

    >>> next_step(3, 4, PlayMode.LOOP, is_back=False), next_step(3, 4, PlayMode.BOUNCE, is_back=False)
    ((0, False), (2, True))
    """
    if mode is PlayMode.BOUNCE and n > 1:
        is_back = at >= n - 1 or (is_back and at > 0)
        return at + (-1 if is_back else 1), is_back
    if at < n - 1:
        return at + 1, False
    return None if mode is PlayMode.ONCE else (0, False)


class Playback(QObject):
    """Steps the rows that are played, not while `busy()`: every frame is seen. GUI thread only."""

    chosen = Signal()
    """The user has chosen another speed, or another mode."""

    def __init__(self, parent: QWidget, rows: Sequence[AxisRow]) -> None:
        super().__init__(parent)
        self._panel = parent
        self._rows = rows
        self.speed = PlaySpeed()
        """How fast, and what happens at the end."""
        self.busy: Callable[[], bool] = lambda: False
        """Whether the last frame is still being read or drawn."""
        self.last = ""
        """The axis that was played last; "" at first."""
        self.menu: QMenu | None = None
        self._is_back: dict[str, bool] = {}
        self._due = self._said_at = 0.0
        self._steps: deque[float] = deque()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._on_due)
        for row in rows:
            row.playing_changed.connect(self._on_playing_changed)
            row.play.menu_wanted.connect(safe_slot(partial(self._show_menu, row.play)))

    @property
    def is_on(self) -> bool:
        """Whether any axis is played."""
        return any(row.play.isChecked() for row in self._rows)

    def choose(self, speed: PlaySpeed) -> None:
        """Play so from now on."""
        self.speed = speed
        self._begin_counting()
        self._say_rate("")

    @property
    def rate(self) -> float | None:
        """Pictures per second that were shown in the last two seconds; None while that cannot be told."""
        n = len(self._steps)
        if n < 3 or self._steps[-1] - self._steps[0] < 1 / 3:
            return None
        return (n - 1) / (self._steps[-1] - self._steps[0])

    def rate_text(self) -> str:
        """The real rate, in words: "10 fps", "4.1 fps"; "" while it is not known."""
        rate = self.rate
        if rate is None:
            return ""
        if not self.is_slow:
            return f"{self.speed.per_second} fps"
        return f"{rate:.1f} fps" if rate < _FRACTIONS_BELOW else f"{rate:.0f} fps"

    @property
    def is_slow(self) -> bool:
        """Whether fewer pictures are shown than were asked for."""
        rate = self.rate
        return rate is not None and rate < _SLOW_SHARE * self.speed.per_second

    # ---- parts -----------------------------------------------------------------------------

    def _begin_counting(self) -> None:
        self._steps.clear()
        self._said_at = time.monotonic()

    @safe_slot
    def _on_playing_changed(self) -> None:
        playing = [row for row in self._rows if row.play.isChecked()]
        for row in self._rows:
            if row not in playing:
                row.say_rate("")
        if not playing:
            self._timer.stop()
            return
        if not self._timer.isActive():
            self.last = playing[-1].axis
            self._begin_counting()
            self._is_back.clear()
            for row in playing:
                if self.speed.mode is PlayMode.ONCE and row.slider.value() == row.slider.maximum():
                    row.slider.setValue(0)
            self._due = time.monotonic() + 1 / self.speed.per_second
            self._wait()

    def _wait(self) -> None:
        self._timer.start(max(round((self._due - time.monotonic()) * 1000), 0))

    @safe_slot
    def _on_due(self) -> None:
        if self.busy():
            self._timer.start(_BUSY_MS)
            return
        now = time.monotonic()
        self._due = max(self._due + 1 / self.speed.per_second, now)  # what is late is not made up for
        self._wait()
        for row in self._rows:
            if row.play.isChecked():
                self._step(row)
        self._steps.append(now)
        while now - self._steps[0] > _PLAYED_SECONDS:
            self._steps.popleft()
        if now - self._said_at >= _SAY_SECONDS:
            self._said_at = now
            self._say_rate(self.rate_text())

    def _step(self, row: AxisRow) -> None:
        n = row.slider.maximum() + 1
        is_back = self._is_back.get(row.axis, False)
        step = next_step(row.slider.value(), n, self.speed.mode, is_back=is_back)
        if step is None:
            row.play.setChecked(False)
            return
        at, self._is_back[row.axis] = step
        row.slider.setValue(at)

    def _say_rate(self, text: str) -> None:
        wanted, is_slow = self.speed.per_second, self.is_slow
        tip = (
            f"{text} of the {wanted} that were asked for: it takes longer to show a picture"
            if is_slow
            else text
        )
        for row in self._rows:
            if row.play.isChecked():
                row.say_rate(text, tip and f"Playing: {tip}", is_slow=is_slow)

    def _show_menu(self, button: PlayButton) -> None:
        if self.menu is not None:
            self.menu.deleteLater()
        menu = self.menu = menu_of(self._panel)
        speed = self.speed
        speeds = [(f"{each} fps", speed._replace(per_second=each)) for each in SPEEDS]
        modes = [(words, speed._replace(mode=mode)) for mode, words in _WORDS.items()]
        for choices in (speeds, modes):
            group = QActionGroup(menu)
            for text, wanted in choices:
                action = menu.addAction(text)
                action.setCheckable(True)
                action.setChecked(wanted == speed)
                group.addAction(action)
                action.triggered.connect(safe_slot(lambda *_, wanted=wanted: self._on_chosen(wanted)))
            menu.addSeparator()
        menu.popup(button.mapToGlobal(QPoint(0, -menu.sizeHint().height())))  # over the row

    def _on_chosen(self, speed: PlaySpeed) -> None:
        self.choose(speed)
        self.chosen.emit()
