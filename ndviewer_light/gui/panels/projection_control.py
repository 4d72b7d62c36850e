"""The Z row when it shows more than one plane: how the stack is projected, and which part of it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal
from qtpy.QtGui import QAction, QActionGroup
from qtpy.QtWidgets import QMenu, QPushButton, QWidget

from ...engine.projections import StackProjection
from ..look.theme import heading_font, set_role
from ..slots import safe_slot
from .window_slider import ValueRange, WindowSlider

if TYPE_CHECKING:
    from collections.abc import Callable

CHOICES = (
    ("", "Plane", "one plane of the stack"),
    ("max", "Max", "the highest value along z"),
    ("mean", "Mean", "the mean along z"),
    ("sum", "Sum", "the sum along z"),
    ("min", "Min", "the lowest value along z"),
)
"""How a stack is projected, its name in the menu, and what that is."""
_SHORT = {"": "Z", "max": "Z max", "mean": "Z mean", "sum": "Z sum", "min": "Z min"}


class ProjectionControl(QObject):
    """A button with the menu of projections, and a slider with two handles for the planes to take.

    GUI thread only. `changed` is for what the user does, and for `toggle`.
    """

    changed = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._n_z = 1
        self._projection: StackProjection | None = None
        self._as_before = StackProjection("max")  # what `toggle` shows
        self.button = QPushButton(parent)
        self.button.setFont(heading_font(self.button))
        self.button.setAccessibleName("StackProjection along z")
        self.button.setAutoDefault(False)
        set_role(self.button, "chip")
        self._menu = QMenu(self.button)
        self._menu.aboutToShow.connect(self._fill)
        self.button.setMenu(self._menu)
        metrics = self.button.fontMetrics()
        self.button.setFixedWidth(max(map(metrics.horizontalAdvance, _SHORT.values())) + 26)
        self.button.setFixedHeight(24)
        self.range = WindowSlider(ValueRange(), parent)
        self.range.setAccessibleName("Planes of the projection")
        self.range.setToolTip("Planes that the projection is made from: drag an end, or what is between them")
        self.range.moved.connect(self._on_moved)
        self.range.hide()
        self._say()

    @property
    def projection(self) -> StackProjection | None:
        """How the stack is projected; None: one plane is shown."""
        return self._projection

    def show(self, projection: StackProjection | None) -> None:
        """Project the stack so, without a signal."""
        self._projection = projection
        if projection is not None:
            self._as_before = projection
        self._place_range()
        self._say()

    def toggle(self) -> None:
        """Show the projection that was shown last, at first the maximum; or one plane again."""
        self._choose(self._as_before if self._projection is None else None)

    def resize(self, n_z: int) -> None:
        """Set how many planes there are."""
        self._n_z = max(n_z, 1)
        self._place_range()

    @property
    def planes(self) -> range:
        """The planes that the projection is made from."""
        return (self._projection or StackProjection("max")).planes_of(self._n_z)

    # ---- parts -----------------------------------------------------------------------------

    def _place_range(self) -> None:
        planes = self.planes
        self.range.values = values = ValueRange()
        values.set_bounds(0, max(self._n_z - 1, 1))
        values.set_window(planes[0], planes[-1])
        self.range.update()

    def _say(self) -> None:
        how = self._projection.how if self._projection is not None else ""
        self.button.setText(_SHORT[how])
        does = next(does for each, _, does in CHOICES if each == how)
        self.button.setToolTip(f"Shows {does}. Click to choose a plane or a projection (Z)")
        self.button.setAccessibleDescription(does)

    def _fill(self) -> None:
        self._menu.clear()
        group = QActionGroup(self._menu)
        for how, name, does in CHOICES:
            action = QAction(f"{name}: {does}", self._menu)
            action.setCheckable(True)
            action.setChecked(how == (self._projection.how if self._projection is not None else ""))
            action.triggered.connect(partial(_call, self._choose_how, how))
            group.addAction(action)
            self._menu.addAction(action)

    def _choose_how(self, how: str) -> None:
        now = self._projection or self._as_before
        self._choose(now._replace(how=how) if how else None)

    def _choose(self, projection: StackProjection | None) -> None:
        if projection != self._projection:
            self.show(projection)
            self.changed.emit()

    @safe_slot
    def _on_moved(self, first: float, last: float) -> None:
        if self._projection is not None:
            end = None if round(last) >= self._n_z - 1 else round(last)
            self._projection = self._as_before = self._projection._replace(first=round(first), last=end)
            self.changed.emit()


@safe_slot
def _call(choose: Callable[[str], None], how: str, *_: object) -> None:
    choose(how)
