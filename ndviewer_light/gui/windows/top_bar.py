"""The bar over our own windows: opening, the way back, where to go, the name of what is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QSizePolicy, QWidget

from ..keyboard.keys import keys_of
from ..look.menu_key import MenuKey
from ..look.one_line_label import OneLineLabel
from ..look.push_button import PushButton
from ..look.theme import Panel, menu_of, plain_tooltip, set_role
from ..slots import safe_slot

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from qtpy.QtGui import QResizeEvent

    from ..shown_parts import ShownParts

_GIVE_WAY = ("link", "written", "statistics", "split", "orthogonal", "overview", "one_to_one", "measures")
"""Actions whose buttons are in the menu of *»* where a window is too narrow for them, the first one first."""
_OF_PICTURE = ("fit", "one_to_one", "go_to", "save_menu", "split", "orthogonal", "overview", "statistics")
"""Actions that do nothing while no dataset is on screen."""


class TopBar(Panel):
    """Buttons, and the name of the dataset with its path on hover. GUI thread only."""

    def __init__(
        self, actions: Mapping[str, Callable[[], object]], shown: ShownParts, parent: QWidget | None = None
    ) -> None:
        """`shown`: the parts of the window whose buttons look pressed."""
        super().__init__(parent)
        self._shown = shown
        self.showing: dict[str, QPushButton] = {}
        """The buttons that show and hide a part, by their action."""
        shown.changed.connect(self._say_shown)
        self._buttons: dict[str, QPushButton] = {}  # by their action
        self.open = self._button("Open…", "Open a folder, a file or an address", "open")
        self.measure = self._button("Measure…", "Draw lines, rectangles and points", "measures")
        self.written = self._button(
            "Scale bar…", "What is written on the picture: scale bar, time, position", "written"
        )
        self._of_picture = [self.measure, self.written]
        self.link = self._button(
            "Link windows",
            "Move with the other linked windows: position, time, z, projection and zoom",
            "link",
        )
        self.link.setCheckable(True)
        self.name = OneLineLabel(Qt.TextElideMode.ElideMiddle)
        self.name.setAlignment(Qt.AlignmentFlag.AlignCenter)
        set_role(self.name, "dim")
        row = QHBoxLayout(self)
        row.setContentsMargins(6, 5, 6, 5)
        row.setSpacing(5)
        row.addWidget(self.open)
        for text, tip, action in (
            ("Fit", "Fit the picture to the window", "fit"),
            ("1:1", "Show one pixel of the data on one pixel of the screen", "one_to_one"),
            ("Go to…", "Go to what is typed: D7:4, t12, z5, c3", "go_to"),
            ("Save…", "Save picture, planes or a film; copy the picture, or a link", "save_menu"),
        ):
            row.addWidget(self._acting(text, tip, action, actions))
        row.addWidget(self.measure)
        row.addWidget(self.written)
        row.addWidget(self.name, 1)
        row.addWidget(self.link)
        for text, tip, action in (
            ("Side by side", "Show each channel in a pane of its own, or all together again", "split"),
            ("Ortho", "Show or hide sections along z (XZ, YZ) beside the picture", "orthogonal"),
            ("Overview", "Show all fields at their places, or the one in view again", "overview"),
            (
                "Statistics",
                "Brightness, saturation, focus of all planes, on the maps and in a plot",
                "statistics",
            ),
            ("Panels", "Show or hide the panels on the left", "panels"),
            ("Keys", "Keyboard and mouse shortcuts", "keys"),
        ):
            button = self._acting(text, tip, action, actions)
            row.addWidget(button)
            if action != "keys":
                self.showing[action] = button
                button.setCheckable(True)
                button.clicked.connect(self._on_clicked)
        self._giving_way = [self._buttons[action] for action in _GIVE_WAY]
        self.more = self._make_more()
        row.addWidget(self.more)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def set_has_picture(self, has_picture: bool) -> None:
        """Whether there is something that the buttons of the picture can act on."""
        for button in self._of_picture:
            button.setEnabled(has_picture)

    @safe_slot
    def _on_clicked(self) -> None:
        """What was clicked may have been refused: it looks pressed if its part is shown."""
        self._shown.step()
        self._say_shown()

    @safe_slot
    def _say_shown(self) -> None:
        for action, button in self.showing.items():
            button.setChecked(action in self._shown.names)

    def place_of(self, button: QPushButton) -> QPushButton:
        """Where a menu of this button opens: below it, or below the one whose menu it is in."""
        return button if button.isVisibleTo(self) else self.more

    def _make_more(self) -> QPushButton:
        more = PushButton("»", self)
        more.setAutoDefault(False)
        more.setAccessibleName("More buttons")
        set_role(more, "bar")
        more.clicked.connect(self._on_more)
        MenuKey(more, self._on_more)
        more.hide()
        return more

    @safe_slot
    def _on_more(self, *_: object) -> None:
        """Offer the buttons for which there is no room, as they are now."""
        menu = menu_of(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for button, keys in self._left_out():
            entry = menu.addAction(f"{button.text()}\t{keys}")
            entry.setEnabled(button.isEnabled())
            entry.setCheckable(button.isCheckable())
            entry.setChecked(button.isChecked())
            entry.triggered.connect(safe_slot(lambda *_, button=button: button.click()))
        corner = self.more.mapToGlobal(self.more.rect().bottomRight())
        corner.setX(corner.x() + 1 - menu.sizeHint().width())
        menu.popup(corner)

    def _left_out(self) -> list[tuple[QPushButton, str]]:
        """Those in the menu, with their keys, in the order in which they are in the bar."""
        left_out = [(each, keys_of(action)) for action, each in self._buttons.items() if action in _GIVE_WAY]
        left_out = [(each, keys) for each, keys in left_out if not each.isVisibleTo(self)]
        return sorted(left_out, key=lambda each: self.layout().indexOf(each[0]))

    def minimumSizeHint(self) -> QSize:
        width = self._width_of([*self._least_buttons(), self.more])
        return QSize(width, super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """In a narrow window, some of the buttons that have keys are in a menu instead."""
        super().resizeEvent(event)
        shown, may_be_shown = self._least_buttons(), self._giving_way
        has_room = self._width_of([*shown, *may_be_shown]) <= self.width()
        self.more.setVisible(not has_room)
        if not has_room:
            shown.append(self.more)
        fits = True
        for button in reversed(may_be_shown):  # after the first that does not fit none: they come in order
            shown.append(button)
            fits = fits and self._width_of(shown) <= self.width()
            button.setVisible(fits)
        self.layout().activate()  # now: nothing is painted squeezed
        said = ", ".join(each.text().rstrip("…") for each, _ in self._left_out())
        self.more.setToolTip(plain_tooltip(f"More: {said}"))

    def _least_buttons(self) -> list[QPushButton]:
        hiding = {*self._giving_way, self.more}
        return [button for button in self.findChildren(QPushButton) if button not in hiding]

    def _width_of(self, buttons: list[QPushButton]) -> int:
        row = self.layout()
        margins = row.contentsMargins()
        spaces = (len(buttons) + 1) * row.spacing()
        return (
            sum(button.sizeHint().width() for button in buttons) + spaces + margins.left() + margins.right()
        )

    def _button(self, text: str, tip: str, action: str) -> QPushButton:
        button = PushButton(text, self)
        button.setAutoDefault(False)
        self._buttons[action] = button
        keys = keys_of(action) if action != "save_menu" else ""
        button.setToolTip(f"{tip} ({keys})" if keys else tip)
        set_role(button, "bar")
        return button

    def _acting(
        self, text: str, tip: str, action: str, actions: Mapping[str, Callable[[], object]]
    ) -> QPushButton:
        button = self._button(text, tip, action)
        button.clicked.connect(safe_slot(actions[action]))
        if action in _OF_PICTURE:
            self._of_picture.append(button)
        return button
