"""What can be done with a key or a button, by name: the right-hand side of the table in `keys`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtGui import QCursor
from qtpy.QtWidgets import QApplication, QPushButton

from ...views.link_scheme import is_view_link
from ..look.theme import menu_of
from ..measures.measuring import MEASURE_ACTIONS
from ..places.places_typed import hint_of, typed_place
from ..places.wells import Wells
from ..scene.scene_canvas import SceneCanvas
from ..slots import safe_slot
from .keys import keys_of
from .no_effect import why_no_effect

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QMenu

    from ...model import DatasetInfo
    from ..canvas.display import Canvas
    from ..screen import Screen
    from ..split.channel_panes import ChannelPanes
    from .key_sheet import KeySheet

_ZOOM_STEP = 1.5
_ARROWS = {"Left": (-1, 0), "Right": (1, 0), "Up": (0, -1), "Down": (0, 1)}
"""To the right and down."""


class Actions:
    """Does things on one screen. GUI thread; each does nothing where it does not apply."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._wells: tuple[DatasetInfo, Wells] | None = None
        self.sheet: KeySheet | None = None
        self._said = ""  # in the status line, by the last one
        self._save_menu: QMenu | None = None
        screen.stage.go_box.asked.connect(self._on_asked)

    @property
    def by_name(self) -> dict[str, Callable[[], object]]:
        """Every action by its name in `keys`; where one has no effect, it is said why.

        What one has said is no longer said after the next, unless it was what to do with the mouse.
        """
        return {name: partial(self._do, name, act) for name, act in self._actions().items()}

    def _do(self, name: str, act: Callable[[], object]) -> None:
        why = why_no_effect(self._screen, name.partition(" ")[0])
        status, n_said = self._screen.status, self._screen.status.n_messages
        if why:
            status.say("message", why)
        else:
            act()
        if status.n_messages > n_said:
            self._said = status.said("message")
        elif self._said and self._screen.tools.measuring.hand.kind is None:
            if status.said("message") == self._said:
                status.say("message", "")
            self._said = ""

    def _actions(self) -> dict[str, Callable[[], object]]:
        screen, tools = self._screen, self._screen.tools
        return {
            "fit": lambda: self._on_canvas(lambda canvas: canvas.reset_view(), SceneCanvas.fit),
            "one_to_one": lambda: self._on_canvas(
                lambda canvas: canvas.show_one_to_one(), SceneCanvas.show_one_to_one
            ),
            "zoom_in": lambda: self._zoom(_ZOOM_STEP),
            "zoom_out": lambda: self._zoom(1 / _ZOOM_STEP),
            **{f"pan Alt+{key}": partial(self._pan, *way) for key, way in _ARROWS.items()},
            "previous_time": lambda: self._step("t", -1),
            "next_time": lambda: self._step("t", 1),
            "previous_z": lambda: self._step("z", -1),
            "next_z": lambda: self._step("z", 1),
            "play": lambda: screen.stage.sliders.toggle_play(),
            "projection": lambda: screen.stage.sliders.toggle_projection(),
            "volume": lambda: screen.stage.strips.toggle_3d(),
            "previous_field": lambda: self._go_to_field(lambda wells, p: wells.field_after(p, -1)),
            "next_field": lambda: self._go_to_field(lambda wells, p: wells.field_after(p, 1)),
            "previous_well": lambda: self._go_to_field(lambda wells, p: wells.well_after(p, -1)),
            "next_well": lambda: self._go_to_field(lambda wells, p: wells.well_after(p, 1)),
            **{f"solo_channel {i + 1}": partial(self._solo_channel, i) for i in range(9)},
            "previous_channel": lambda: screen.stage.strips.step_alone(-1),
            "next_channel": lambda: screen.stage.strips.step_alone(1),
            "gray": self._toggle_gray,
            "written": lambda: tools.written.show(),
            "scale_bar": lambda: tools.written.next_bar(),
            "position_label": lambda: tools.written.toggle_position(),
            "time_stamp": lambda: tools.written.toggle_time(),
            "saturated": lambda: tools.saturation.toggle(),
            "follow": lambda: screen.follower.follow_again(),
            "next_missing": lambda: screen.finder.next_missing(),
            "next_unreadable": lambda: screen.finder.next_unreadable(),
            "split": self._toggle_split,
            "split_gray": lambda: tools.split.is_shown and tools.split.toggle_gray(),
            "orthogonal": lambda: tools.orthogonal.toggle(),
            "overview": lambda: tools.scene.toggle(),
            "labels": lambda: tools.labels.toggle(),
            "warnings": lambda: screen.warnings.list_all(),
            "latency": lambda: screen.latency.toggle(),
            "go_to": self._ask_where,
            "measures": lambda: tools.measuring.show_menu(),
            **{action: partial(tools.measuring.begin, kind) for kind, action in MEASURE_ACTIONS.items()},
            **{
                f"measure_move Ctrl+{key}": partial(tools.measuring.nudge, *way)
                for key, way in _ARROWS.items()
            },
            **{
                f"measure_resize Ctrl+Shift+{key}": partial(tools.measuring.nudge, *way, end_only=True)
                for key, way in _ARROWS.items()
            },
            "measure_next": lambda: tools.measuring.select_next(),
            "measure_remove": lambda: tools.measuring.remove_selected(),
            "statistics": lambda: tools.statistics.toggle(),
            "save": lambda: tools.snapshots.save(),
            "copy": lambda: tools.snapshots.copy(),
            "film": lambda: tools.films.ask(),
            "save_menu": self._show_save_menu,
            "copy_link": lambda: screen.copy_link(),
            "panels": screen.toggle_panels,
            "cancel": screen.cancel_opening,
            "keys": self.show_keys,
        }

    def show_keys(self) -> None:
        """Show what all keys do; a second time: no longer."""
        sheet, self.sheet = self.sheet, None
        if sheet is not None:
            sheet.close()
            return
        from .key_sheet import KeySheet

        self.sheet = KeySheet(self._screen.window() or self._screen)
        self.sheet.finished.connect(self._on_sheet_closed)
        self.sheet.show()

    def _on_sheet_closed(self) -> None:
        self.sheet = None

    def _ask_where(self) -> None:
        session, sliders = self._screen.sessions.shown, self._screen.stage.sliders
        if session is not None:
            n_channels = len(self._screen.stage.strips.shown())
            hint = hint_of(session.dataset.info, sliders.size("t"), sliders.size("z"), n_channels)
            self._screen.stage.go_box.ask(hint)

    @safe_slot
    def _on_asked(self, text: str) -> None:
        """Go where was typed; what does not exist is said in the box, which stays open."""
        stage, session = self._screen.stage, self._screen.sessions.shown
        if session is None:
            return
        if is_view_link(text):
            stage.go_box.leave()
            self._screen.open_link(text)
            return
        n_channels = len(stage.strips.shown())
        place = typed_place(text, session.dataset.info, stage.image, stage.view.p, n_channels)
        if place.problem:
            stage.go_box.refuse(place.problem)
            return
        wanted = {axis: index for axis, index in zip("tpz", place[:3], strict=True) if index is not None}
        if wanted:
            self._screen.move_along(**wanted)
        if place.c is not None and place.c < len(shown := stage.strips.shown()):
            stage.strips.show_alone(shown[place.c])
        stage.go_box.leave()

    def _zoom(self, factor: float) -> None:
        self._on_canvas(lambda canvas: canvas.zoom(factor), lambda overview: overview.zoom(factor))

    def _pan(self, right: int, down: int) -> None:
        self._on_canvas(lambda canvas: canvas.pan(right, down), lambda overview: overview.pan(right, down))

    def _toggle_split(self) -> None:
        tools = self._screen.tools
        if tools.scene.is_shown:
            tools.scene.leave()
            if tools.split.is_shown:
                return
        tools.split.toggle()

    def _on_canvas(
        self, act: Callable[[Canvas | ChannelPanes], None], act_on_overview: Callable[[SceneCanvas], None]
    ) -> None:
        canvas, tools = self._screen.stage.canvas, self._screen.tools
        if tools.scene.is_shown:
            act_on_overview(tools.scene.canvas)
        elif tools.split.is_shown:
            act(tools.split.panes)
        elif canvas is not None:
            act(canvas)

    def _show_save_menu(self) -> None:
        """Offer all that can be saved or copied, below the button that was pressed, else at the mouse."""
        if self._save_menu is not None:
            self._save_menu.deleteLater()
        menu = self._save_menu = menu_of(self._screen)
        for text, action in (
            ("Picture or planes…", "save"),
            ("Film…", "film"),
            ("Copy picture", "copy"),
            ("Copy link to this view", "copy_link"),
        ):
            each = menu.addAction(f"{text}\t{keys_of(action)}")
            each.setEnabled(self._screen.sessions.shown is not None)
            each.triggered.connect(safe_slot(self.by_name[action]))
        button = QApplication.focusWidget()
        is_button = isinstance(button, QPushButton) and button.window() is self._screen.window()
        menu.popup(button.mapToGlobal(button.rect().bottomLeft()) if is_button else QCursor.pos())

    def _solo_channel(self, i: int) -> None:
        """Of the channels that the position in view has, the one at place `i`."""
        strips = self._screen.stage.strips
        shown = strips.shown()
        if i < len(shown):
            strips.solo(shown[i])

    def _toggle_gray(self) -> None:
        contrast = self._screen.stage.strips.contrast
        contrast.set_gray(not contrast.is_gray)
        how = "in gray" if contrast.is_gray else "in its colour"
        self._screen.status.say("message", f"A channel that is alone (1 … 9) is shown {how} from now on")

    def _step(self, axis: str, step: int) -> None:
        sliders = self._screen.stage.sliders
        to = min(max(sliders.index(axis) + step, 0), sliders.size(axis) - 1)
        if self._screen.sessions.shown is not None and to != sliders.index(axis):
            self._screen.move_along(**{axis: to})

    def _go_to_field(self, where: Callable[[Wells, int], int]) -> None:
        session = self._screen.sessions.shown
        if session is None:
            return
        now = self._screen.stage.view.p
        to = where(self._wells_of(session.dataset.info), now)
        if to != now:
            self._screen.move_along(p=to)

    def _wells_of(self, info: DatasetInfo) -> Wells:
        if self._wells is None or self._wells[0].positions is not info.positions:
            self._wells = info, Wells(info.positions)
        return self._wells[1]
