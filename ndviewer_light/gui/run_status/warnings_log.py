"""The warnings of the dataset on screen: a button while there are any, which lists all of them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from qtpy.QtCore import Signal

from ...model import how_many
from ..look.icon_files import BESIDE_TEXT, icon
from ..look.push_button import PushButton
from ..look.theme import plain_tooltip, set_role
from ..slots import safe_slot

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qtpy.QtWidgets import QWidget

    from ...model import WarningPlace
    from ..look.theme import PanelColors
    from .warnings_panel import WarningsPanel

_MOST_KEPT = 1000


class Noted(NamedTuple):
    """When a warning was noticed last, and how many times: it may have been untrue in between."""

    when: str
    n: int


class WarningsButton(PushButton):
    """Says how many warnings there are, the last one on hover; a click lists all. GUI thread only.

    `place_chosen` is where a warning leads (`WarningPlace`) that was clicked or chosen by keyboard.
    """

    place_chosen = Signal(object)
    file_chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent=parent)
        self._warnings: tuple[str, ...] = ()
        self._of_dataset: tuple[str, ...] = ()
        self._of_planes: tuple[str, ...] = ()
        self._noted: dict[str, Noted] = {}  # in the order of time
        self.panel: WarningsPanel | None = None
        self.name_of: Callable[[WarningPlace], str] = lambda place: place.file
        """What the place is called that a warning leads to."""
        self.dataset_file = ""
        """The file or folder of the dataset on this computer; "" if it is elsewhere."""
        self.setFlat(True)
        self.setIconSize(BESIDE_TEXT)
        set_role(self, "bar")
        self.clicked.connect(self._on_clicked)
        self.hide()

    @property
    def noted(self) -> tuple[str, ...]:
        """All warnings since the dataset was opened, also those that are no longer true."""
        return tuple(self._noted)

    def start_over(self) -> None:
        """Another dataset is on screen."""
        self._noted.clear()
        self._of_planes = ()
        self.show_warnings(())

    def show_warnings(self, warnings: Sequence[str]) -> list[str]:
        """These hold now of the dataset. Returns those that did not before, also if they once did."""
        is_new = [each for each in warnings if each not in self._of_dataset]
        self._of_dataset = tuple(warnings)
        self._show()
        return is_new

    def show_planes(self, warnings: Sequence[str]) -> None:
        """These hold now of planes that were in view."""
        self._of_planes = tuple(warnings)
        self._show()

    def _show(self) -> None:
        warnings = (*self._of_planes, *self._of_dataset)
        now = datetime.now().astimezone().strftime("%H:%M:%S")
        for warning in dict.fromkeys(warnings):
            if warning not in self._warnings and (len(self._noted) < _MOST_KEPT or warning in self._noted):
                before = self._noted.pop(warning, None)
                self._noted[warning] = Noted(now, 1 if before is None else before.n + 1)
        if warnings == self._warnings:
            return
        self._warnings = warnings
        n = len(warnings)
        self.setText(how_many(n, "warning"))
        self.setToolTip(plain_tooltip(f"{warnings[-1]}\nClick to see all" if n else ""))
        self.setVisible(n > 0)
        if self.panel is not None:
            self._tell_panel(self.panel)

    def draw(self, colors: PanelColors) -> None:
        """Draw its icon in these colours."""
        self.setIcon(icon("warning", colors.warning, beside_text=True))

    def list_all(self) -> None:
        """Show the panel with all warnings, the last one selected; nothing if there never was one."""
        if not self._noted:
            return
        if self.panel is None:
            from .warnings_panel import WarningsPanel

            self.panel = WarningsPanel(self.window() or self, lambda place: self.name_of(place))
            self.panel.finished.connect(self._on_closed)
            self.panel.place_chosen.connect(self.place_chosen)
            self.panel.file_chosen.connect(self.file_chosen)
        self._tell_panel(self.panel)
        self.panel.show()
        self.panel.raise_()
        self.panel.activateWindow()
        self.panel.list.setFocus()

    def _tell_panel(self, panel: WarningsPanel) -> None:
        panel.dataset_file = self.dataset_file
        panel.show_warnings(self._noted, self._warnings)

    @safe_slot
    def _on_clicked(self) -> None:
        self.list_all()

    @safe_slot
    def _on_closed(self) -> None:
        self.panel = None
