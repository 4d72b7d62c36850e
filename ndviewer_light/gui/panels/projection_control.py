"""The Z row when it shows more than one plane: how the stack is projected, and which part of it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal
from qtpy.QtGui import QAction, QActionGroup

from ...engine.projections import StackProjection
from ...rendering.volume_look import VOLUMES
from ..look.push_button import PushButton
from ..look.theme import heading_font, menu_of, set_role
from ..slots import safe_slot
from .window_slider import ValueRange, WindowSlider

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QWidget

CHOICES = (
    ("", "Plane", "one plane of the stack"),
    ("max", "Max", "the highest value along z"),
    ("mean", "Mean", "the mean along z"),
    ("sum", "Sum", "the sum along z"),
    ("min", "Min", "the lowest value along z"),
)
"""How a stack is projected, its name in the window, and what that is."""
_PLANE = "Z"  # what the button says while one plane is shown: the name of the axis


class ProjectionControl(QObject):
    """A button with the menu of projections, and a slider with two handles for the planes to take.

    Of a volume (`show_volume`) the menu says how it is drawn, and the slider clips it. GUI thread only.
    `changed` is for what the user does, and for `toggle`.
    """

    changed = Signal()
    method_changed = Signal(str)
    """How volumes are drawn from now on: the first of one of `VOLUMES`."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._n_z = 1
        self._projection: StackProjection | None = None
        self._as_before = StackProjection("max")  # what `toggle` shows
        self.is_volume = False
        self.part: tuple[int, int | None] = (0, None)
        """The planes of a volume that are shown, first and last; None is the last there is."""
        self.method = VOLUMES[0][0]
        """How volumes are drawn."""
        self.button = PushButton(parent=parent)
        self.button.setFont(heading_font(self.button))
        self.button.setAccessibleName("Projection along z, or how a volume is drawn")
        self.button.setAutoDefault(False)
        set_role(self.button, "chip")
        self._menu = menu_of(self.button)
        self.button.clicked.connect(self._on_clicked)  # a menu of a button waits until it is closed
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

    def show_volume(self, is_volume: bool) -> None:
        """Speak of a volume, or of planes again."""
        self.is_volume = is_volume
        self._place_range()
        self._say()

    def show_volume_so(self, method: str, part: tuple[int, int | None]) -> None:
        """Draw volumes so, and of these planes, without a signal."""
        self.method, self.part = method, part
        self._place_range()
        self._say()

    def begin_anew(self) -> None:
        """Another dataset: one plane, and all of a volume."""
        self.part = (0, None)
        self._as_before = StackProjection("max")
        self.show(None)

    def toggle(self) -> None:
        """Show the projection that was shown last, at first the maximum; or one plane again."""
        self._choose(self._as_before if self._projection is None else None)

    def resize(self, n_z: int) -> None:
        """Set how many planes there are."""
        self._n_z = max(n_z, 1)
        self._place_range()

    @property
    def planes(self) -> range:
        """The planes that the projection, or the volume, is made from."""
        if self.is_volume:
            return StackProjection("max", *self.part).planes_of(self._n_z)
        return (self._projection or StackProjection("max")).planes_of(self._n_z)

    # ---- parts -----------------------------------------------------------------------------

    def _place_range(self) -> None:
        planes = self.planes
        self.range.values = values = ValueRange()
        values.set_bounds(0, max(self._n_z - 1, 1))
        values.set_window(planes[0], planes[-1])
        self.range.update()

    def _say(self) -> None:
        choices = VOLUMES if self.is_volume else CHOICES
        names = {_opening(name) for _, name, _ in choices}  # nothing moves from one to the next
        self.button.setFixedWidth(max(map(self.button.fontMetrics().horizontalAdvance, names)) + 18)
        if self.is_volume:
            name, does = next((name, does) for each, name, does in VOLUMES if each == self.method)
            self.button.setText(_opening(name))
            self.button.setToolTip(f"Shows {does}. Click to choose how the volume is drawn")
            self.button.setAccessibleDescription(does)
            return
        how = self._projection.how if self._projection is not None else ""
        name, does = next((name, does) for each, name, does in CHOICES if each == how)
        self.button.setText(_opening(name if how else _PLANE))
        self.button.setToolTip(f"Shows {does}. Click to choose a plane or a projection (Z)")
        self.button.setAccessibleDescription(does)

    @safe_slot
    def _on_clicked(self) -> None:
        self._menu.clear()
        group = QActionGroup(self._menu)
        now = self._projection.how if self._projection is not None else ""
        now, choose = (self.method, self._choose_method) if self.is_volume else (now, self._choose_how)
        for how, name, does in VOLUMES if self.is_volume else CHOICES:
            action = QAction(f"{name}: {does}", self._menu)
            action.setCheckable(True)
            action.setChecked(how == now)
            action.triggered.connect(partial(_call, choose, how))
            group.addAction(action)
            self._menu.addAction(action)
        self._menu.popup(self.button.mapToGlobal(self.button.rect().bottomLeft()))

    def _choose_how(self, how: str) -> None:
        now = self._projection or self._as_before
        self._choose(now._replace(how=how) if how else None)

    def _choose_method(self, method: str) -> None:
        if method != self.method:
            self.method = method
            self._say()
            self.method_changed.emit(method)

    def _choose(self, projection: StackProjection | None) -> None:
        if projection != self._projection:
            self.show(projection)
            self.changed.emit()

    @safe_slot
    def _on_moved(self, first: float, last: float) -> None:
        end = None if round(last) >= self._n_z - 1 else round(last)
        if self.is_volume:
            self.part = round(first), end
            self.changed.emit()
        elif self._projection is not None:
            self._projection = self._as_before = self._projection._replace(first=round(first), last=end)
            self.changed.emit()


def _opening(name: str) -> str:
    """What a button says that opens a menu."""
    return f"{name} ▾"


@safe_slot
def _call(choose: Callable[[str], None], how: str, *_: object) -> None:
    choose(how)
