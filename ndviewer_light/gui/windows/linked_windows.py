"""Windows that go together: where one of them goes, at which time, z and zoom, the others go as well.

Positions are the same by their label, time points and planes by their index, what is seen by its place in µm.
GUI thread only.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from qtpy.QtCore import QCoreApplication, QObject, QTimer, Signal

from ..slots import safe_slot

if TYPE_CHECKING:
    from ...engine.projections import StackProjection
    from ...views.visible_area import VisibleArea
    from ..screen import Screen

INTERVAL_MS = 50
_SAME = 0.005
"""Of what is seen of a picture: windows of other proportions do not show exactly the same."""


class LinkedView(NamedTuple):
    """What linked windows share; `center` (x, y) and `width` of what is seen are in µm, None in a volume."""

    t: int
    position: str
    z: int
    projection: StackProjection | None
    center: tuple[float, float] | None
    width: float


def is_moved(a: LinkedView, b: LinkedView) -> bool:
    """Whether two views differ by more than what cannot be avoided."""
    if a[:4] != b[:4]:
        return True
    if a.center is None or b.center is None:
        return False
    off = math.dist(a.center, b.center)
    return off > _SAME * max(a.width, b.width) or abs(a.width - b.width) > _SAME * max(a.width, b.width)


def view_of_screen(screen: Screen) -> LinkedView | None:
    """What a window shows; None while there is no picture."""
    stage = screen.stage
    dataset, shown = stage.dataset, stage.plane_shown_by
    if dataset is None or shown is None or not stage.has_picture:
        return None
    view, area = stage.view, shown.visible_area()
    positions = dataset.info.positions
    label = positions[view.p].label if view.p < len(positions) else ""
    center = None if area is None else area.center
    width = 0.0 if area is None else area.x[1] - area.x[0]
    return LinkedView(view.t, label, view.z, view.projection, center, width)


class LinkedWindows(QObject):
    """The screens that are linked, of all windows of the program.

    `changed` is emitted when one is added or removed.
    """

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._seen: dict[Screen, LinkedView | None] = {}
        self._timer = QTimer(self)
        self._timer.setInterval(INTERVAL_MS)
        self._timer.timeout.connect(self._step)

    def __contains__(self, screen: Screen) -> bool:
        return screen in self._seen

    def __len__(self) -> int:
        return len(self._seen)

    def link(self, screen: Screen) -> None:
        """Add a screen; it goes where the others are."""
        view = next((view_of_screen(each) for each in self._seen), None)
        self._seen[screen] = view_of_screen(screen)
        if view is not None:
            self._show(screen, view)
        self._timer.start()
        self.changed.emit()

    def unlink(self, screen: Screen) -> None:
        """Let a screen go its own way; also for one that ends."""
        if screen in self._seen:
            del self._seen[screen]
            if not self._seen:
                self._timer.stop()
            self.changed.emit()

    # ---- parts -----------------------------------------------------------------------------

    @safe_slot
    def _step(self) -> None:
        """Whoever has moved leads; if several have, the window that is active."""
        now = {screen: view_of_screen(screen) for screen in self._seen}
        moved = [
            screen
            for screen, view in now.items()
            if view is not None and (before := self._seen[screen]) is not None and is_moved(view, before)
        ]
        for screen, view in now.items():
            if self._seen[screen] is None:
                self._seen[screen] = view
        if not moved:
            return
        leader = next((screen for screen in moved if screen.isActiveWindow()), moved[0])
        view = self._seen[leader] = now[leader]
        assert view is not None
        for screen in self._seen:
            if screen is not leader:
                self._show(screen, view)

    def _show(self, screen: Screen, view: LinkedView) -> None:
        """Show the same there, as far as its dataset has it."""
        stage = screen.stage
        dataset, own = stage.dataset, view_of_screen(screen)
        if dataset is None or own is None:
            return
        info = dataset.info
        wanted: dict[str, int] = {}
        if view.position != own.position:
            p = next((i for i, each in enumerate(info.positions) if each.label == view.position), None)
            if p is not None:
                wanted["p"] = p
        if view.t != own.t and view.t < info.n_t:
            wanted["t"] = view.t
        if view.z != own.z and view.z < info.n_z:
            wanted["z"] = view.z
        if wanted:
            screen.move_along(**wanted)
        stage.show_projection(view.projection)
        area, shown = _area(view, screen), stage.plane_shown_by
        if area is not None and shown is not None:
            shown.show_area(area)
        self._seen[screen] = view_of_screen(screen)


def linked_windows() -> LinkedWindows:
    """Those of this program; they end with its application."""
    application = QCoreApplication.instance()
    known = application.findChild(LinkedWindows) if application is not None else None
    return known if known is not None else LinkedWindows(application)


def _area(view: LinkedView, screen: Screen) -> VisibleArea | None:
    """What is seen of the picture there: the same middle and width, in the proportions of that window."""
    shown = screen.stage.plane_shown_by
    area = shown.visible_area() if shown is not None else None
    if area is None or view.center is None or not view.width:
        return None
    x, y = view.center
    height = view.width * (area.y[1] - area.y[0]) / max(area.x[1] - area.x[0], 1e-12)
    return area._replace(x=(x - view.width / 2, x + view.width / 2), y=(y - height / 2, y + height / 2))
