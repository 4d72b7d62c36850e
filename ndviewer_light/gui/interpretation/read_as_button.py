"""The button in the status row that offers other ways to understand what is open."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtGui import QActionGroup

from ..look.push_button import PushButton
from ..look.theme import menu_of, set_role
from ..slots import safe_slot

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qtpy.QtWidgets import QWidget

    from ...model import Interpretation

AS_FOUND = "As found"
OTHER = "Other…"
ALLOW_TEXT = "Allow the other files that it names"
ALLOW_TIP = "Read the other files that this dataset names. Only if you trust where it comes from."


class ReadAsButton(PushButton):
    """`chosen`: the options of one way ({}: as found); `other_wanted`: to type one. GUI thread only."""

    chosen = Signal(dict)
    other_wanted = Signal()
    allowed = Signal(str)
    """The storage option that allows the dataset to name other files."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Read as…", parent)
        self.setToolTip("It is uncertain what its axes or file names mean: choose the right reading")
        self.setAccessibleName("Read as: choose what the axes or the file names mean")
        set_role(self, "bar")
        self._menu = menu_of(self)
        self.setMenu(self._menu)
        self._offered: tuple[object, ...] = ()
        self.hide()

    def offer(
        self, ways: Sequence[Interpretation], now: Mapping[str, str], permission: str, found: str = ""
    ) -> None:
        """Offer other ways, `now` being the options of the present one; `permission` an option to allow.

        `found`: what the dataset is in words without options, if that is known.
        """
        offered = tuple(ways), tuple(now.items()), permission, found
        if offered == self._offered:
            return
        self._offered = offered
        self._menu.clear()
        group = QActionGroup(self._menu)
        options: list[tuple[str, dict[str, str]]] = [(f"{AS_FOUND}: {found}" if found else AS_FOUND, {})]
        options += [(way.text, dict(way.options)) for way in ways]
        if now and all(each != dict(now) for _, each in options):
            options.append((" ".join(now.values()), dict(now)))
        if len(options) > 1:
            for text, each in options:
                action = self._menu.addAction(text.replace("&", "&&"))
                action.setCheckable(True)
                action.setChecked(each == dict(now))
                group.addAction(action)
                action.triggered.connect(partial(self._on_chosen, each))
            self._menu.addAction(OTHER).triggered.connect(self._on_other)
        if permission:
            if len(options) > 1:
                self._menu.addSeparator()
            allow = self._menu.addAction(ALLOW_TEXT)
            allow.setToolTip(ALLOW_TIP)
            allow.triggered.connect(partial(self._on_allowed, permission))
        self.setVisible(bool(self._menu.actions()))

    @safe_slot
    def _on_chosen(self, options: dict[str, str], *_: object) -> None:
        self.chosen.emit(options)

    @safe_slot
    def _on_other(self, *_: object) -> None:
        self.other_wanted.emit()

    @safe_slot
    def _on_allowed(self, option: str, *_: object) -> None:
        self.allowed.emit(option)
