"""What is in a window of the application: the bar, the viewer below it, and what both remember."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QVBoxLayout, QWidget

from ...model import how_many
from ...storage.presentable import presentable
from ...views.view_link import place_in
from ..canvas.written import Written
from ..given_paths import format_option, is_same_place, short_name
from ..keyboard.key_bindings import KeyBindings
from ..keyboard.keys import keys_of
from ..panels.playback import PlaySpeed
from ..slots import safe_slot
from ..viewer import LightweightViewer
from .chooser import DatasetChooser
from .linked_windows import linked_windows
from .top_bar import TopBar
from .window_settings import (
    are_panels_wanted,
    keep_play_speed,
    keep_written,
    kept_play_speed,
    kept_widths,
    kept_written,
    note_opened,
    recent_paths,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qtpy.QtGui import QKeyEvent

    from ..run_status.latency import LatencyLog
    from ..side_panels import SidePanels
    from .window import LightweightMainWindow

_NOBODY_ELSE = f"link another window too ({keys_of('link')}), and both move together"


class WindowContents(QWidget):
    """The inside of `window`, whose first dataset `begin` opens. GUI thread only."""

    def __init__(
        self,
        window: LightweightMainWindow,
        first_path: str,
        storage_options: Mapping[str, str],
        *,
        latency_log: LatencyLog | None,
        scheduler: str | None,
    ) -> None:
        """`storage_options` are for what is on the same server as `first_path`; for all if there is none."""
        super().__init__()
        self._window = window
        self._storage_options = storage_options
        self._options_of = place_in(first_path)
        self.viewer = LightweightViewer(panels=True)
        self.viewer.set_follow(t=True, p=True)
        self.viewer.remember_views()
        self.viewer.latencies.log = latency_log
        self.viewer.use_cluster(scheduler)
        self.bar = TopBar(self.viewer.actions_by_name, self.viewer.contents.parts)
        self.chooser = DatasetChooser(window)
        self.chooser.chosen.connect(window.open_path)
        self.bar.open.clicked.connect(self.chooser.ask)
        self.bar.link.toggled.connect(self._on_link_toggled)
        self.bar.measure.clicked.connect(self._on_measure)
        self.bar.written.clicked.connect(self._on_written)
        self._keys = KeyBindings(
            window, {"window": window}, {"open": self.chooser.ask, "link": self._toggle_link}
        )
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.bar)
        column.addWidget(self.viewer, 1)
        self._remember()
        if self.viewer.stage is not None:
            self.viewer.contents.pages.currentChanged.connect(self._on_page_changed)
            self._on_page_changed()
            self.viewer.contents.openings.taken_back.connect(safe_slot(self._name))
        self.viewer.dataset_loaded.connect(self._on_loaded)
        self.viewer.contents.shown.connect(safe_slot(self._lead_to_picture))
        self.viewer.contents.run_place.known.connect(safe_slot(self._name))

    @property
    def side(self) -> SidePanels | None:
        """The panels left of the picture."""
        return self.viewer.contents.side

    def _remember(self) -> None:
        """Look like the window that was closed last."""
        screen = self.viewer.contents
        if self.viewer.stage is not None and screen.side is not None:
            screen.side.wanted = are_panels_wanted()
            screen.side.widths = kept_widths(3)
            self.chooser.recent = screen.chooser.recent = recent_paths
            overlay = self.viewer.stage.overlay
            overlay.set_written(Written.of_text(kept_written()))
            overlay.written_changed.connect(safe_slot(lambda: keep_written(overlay.written.as_text())))
            playback = screen.stage.sliders.playback
            playback.choose(PlaySpeed.of_text(kept_play_speed()))
            playback.chosen.connect(safe_slot(lambda: keep_play_speed(playback.speed.as_text())))

    def begin(self, path: str, *, watch: bool) -> None:
        """Open the first dataset; with `watch`, as soon as there is one."""
        if watch:
            self._name(path)
            self.viewer.watch(path, self._storage_options)
        else:
            self.open_path(path)

    def open_path(self, path: str, format_name: str = "") -> None:
        """Show the dataset at `path`; its format is recognised if none is named."""
        place = place_in(path)
        self._name(place)
        is_known = not self._options_of or is_same_place(place, self._options_of)
        options = self._storage_options if is_known else {}
        self.viewer.load_dataset(path, {**options, **format_option(format_name)})

    def press(self, event: QKeyEvent) -> bool:
        """Do what a key of the window means, with the focus nowhere; False if it means nothing."""
        return self._keys.press(event)

    @safe_slot
    def _on_page_changed(self) -> None:
        self.bar.set_has_picture(self.viewer.contents.pages.is_stage)

    @safe_slot
    def _on_measure(self) -> None:
        self.viewer.contents.tools.measuring.show_menu(self.bar.place_of(self.bar.measure))

    @safe_slot
    def _on_written(self) -> None:
        self.viewer.contents.tools.written.show(self.bar.place_of(self.bar.written))

    def _toggle_link(self) -> None:
        self.bar.link.toggle()

    @safe_slot
    def _on_link_toggled(self, linked: bool) -> None:
        if linked:
            linked_windows().link(self.viewer.contents)
            others = len(linked_windows()) - 1
            those = f"moves together with {how_many(others, 'other window')}"
            said = f"Linked: {those if others else _NOBODY_ELSE}"
        else:
            linked_windows().unlink(self.viewer.contents)
            said = "Not linked any more"
        self.viewer.contents.status.say("message", said)

    @safe_slot
    def _on_loaded(self, path: str) -> None:
        self._name(path)
        note_opened(path)

    def _lead_to_picture(self) -> None:
        """Have the keys of the picture work at once: at first Qt gives the focus to the first button."""
        focus, stage = self._window.focusWidget(), self.viewer.stage
        is_chosen = focus is not None and focus.isVisible() and not self.bar.isAncestorOf(focus)
        if stage is not None and not is_chosen:
            stage.picture.setFocus(Qt.FocusReason.OtherFocusReason)

    def _name(self, path: str) -> None:
        name = short_name(path)
        self._window.name(name)
        self.bar.name.say(name, presentable(path))

    def end(self) -> None:
        """Close the viewer, and leave the windows that go together with this one."""
        linked_windows().unlink(self.viewer.contents)
        self.viewer.close()
