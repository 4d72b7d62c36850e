"""`LightweightViewer`: the widget that hosts embed, and everything a host may call on it.

Calls are passed to the `Screen` inside, which shows, opens and ends. Nothing here reads a disk.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, Qt, Signal
from qtpy.QtWidgets import QApplication, QVBoxLayout, QWidget

from ..live.acquisition import announce_6d, announce_files, announce_per_fov, counts_given, texts_given
from ..live.run_handle import RunHandle
from ..views.link_scheme import is_view_link
from ..views.view_link import view_in
from .ends import delete_at_exit, delete_garbage
from .following.follow import Axis, FollowMode
from .given_paths import not_a_path, path_followed, path_given
from .given_values import (
    WrongValueError,
    ignores_wrong_values,
    index_given,
    options_given,
    switch_given,
    text_given,
)
from .keyboard.key_bindings import KeyBindings
from .keyboard.tab_order import arrange_tabs
from .screen import Screen
from .slots import safe_slot
from .words import Explanation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from qtpy.QtGui import QCloseEvent, QKeyEvent
    from qtpy.QtWidgets import QLabel

    from ..engine.dataset import Dataset
    from .keyboard.keys import Place
    from .run_status.latency import Latencies
    from .stage import Stage

logger = logging.getLogger(__name__)

_AXIS_OF = {
    "t": "t", "time": "t",
    "p": "p", "fov": "p", "position": "p",
    "z": "z", "z_level": "z",
    "c": "c", "channel": "c",
}  # fmt: skip


class LightweightViewer(QWidget):
    """Shows n-dimensional microscopy data, live or from disk.

    Methods are for the GUI thread, except `run`, `notify_zarr_frame`, `register_image`, `start_*` and
    `end_*`, which any thread may call. None of them waits for a disk. The constructor never raises.
    Whatever is requested last is shown in the end, in whichever order things finish.

    Closing the widget, or deleting it or a parent, ends its datasets, threads and processes.

    Signals: `dataset_loaded(path)` and `dataset_failed(path, reason)` report how `load_dataset` ended.
    """

    dataset_loaded = Signal(str)
    dataset_failed = Signal(str, str)

    def __init__(self, dataset_path: str = "", *, panels: bool = False) -> None:
        """`panels`: show plate, fields of the well and facts of the acquisition left of the picture."""
        super().__init__()
        delete_at_exit(self)
        self._screen = Screen(panels=panels)
        self._sessions = self._screen.sessions
        self._screen.loaded.connect(self.dataset_loaded)
        self._screen.failed.connect(self.dataset_failed)
        self._keys: KeyBindings | None = None
        self._actions: dict[str, Callable[[], object]] = {}
        if self.stage is not None:
            self._screen.later.add(self._bind_keys)
            self._screen.loaded.connect(self._on_loaded)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._screen)
        if dataset_path:
            self.load_dataset(dataset_path)

    def __del__(self) -> None:
        delete_garbage(self)

    def _bind_keys(self) -> None:
        from .keyboard.actions import Actions

        if self.stage is not None:
            self._actions = Actions(self._screen).by_name
            places: dict[Place, QWidget] = {"viewer": self, "picture": self.stage.picture}
            self._keys = KeyBindings(self, places, self._actions)

    @property
    def ndv_viewer(self) -> Any:
        """What draws the picture with ndv (without OpenGL, what paints it); None while there is none."""
        canvas = self.stage.canvas if self.stage is not None else None
        return canvas.viewer if canvas is not None else None

    @property
    def dataset(self) -> Dataset | None:
        """The dataset on screen; None while there is none."""
        session = self._sessions.shown
        return session.dataset if session is not None else None

    @property
    def dataset_path(self) -> str:
        """The path or URL that was opened last, "" for a run."""
        return self._screen.openings.path

    @property
    def stage(self) -> Stage | None:
        """Canvas, sliders and channel strips; None if the widget could not be created."""
        return getattr(self._screen, "stage", None)

    @property
    def contents(self) -> Screen:
        """What it shows, with all its parts: for the window around it, not for hosts."""
        return self._screen

    @property
    def actions_by_name(self) -> Mapping[str, Callable[[], object]]:
        """What the keys do, by the names in `keys`, for buttons; empty if the widget could not be created."""
        self._screen.later.finish()
        return self._actions

    @property
    def latencies(self) -> Latencies:
        """How long frames take from the disk to the screen."""
        return self._screen.latency.latencies

    @property
    def status_label(self) -> QLabel:
        """The line below the picture."""
        return self._screen.status

    # ---- opening ---------------------------------------------------------------------------

    def load_dataset(self, path: str, storage_options: Mapping[str, str] | None = None) -> None:
        """Open the dataset at a path, URL or link to a view in the background; says how far it is.

        Returns at once and never raises; `dataset_loaded` or `dataset_failed` is emitted later. What was
        shown before, even a run, is closed, unless the user cancels the opening.
        """
        self._ask_for(path, storage_options, self._screen.open)

    def watch(self, path: str, storage_options: Mapping[str, str] | None = None) -> None:
        """Show the dataset at a path or URL as soon as there is one, however long that takes.

        Like `load_dataset` otherwise: what grows is followed in both.
        """
        self._ask_for(path, storage_options, self._screen.watch)

    def follow(self, source: object) -> None:
        """Show what a writer writes: `watch` its path, and let the view follow the newest planes.

        `source` is a path or URL, an ome-writers stream or its settings, or any object with a path in
        `output_path`, `root_path` or `path`. Same as `watch` with ``set_follow(t=True, p=True)``.
        """
        self.set_follow(t=True, p=True)
        self._ask_for(path_followed(source), None, self._screen.watch)

    def _ask_for(
        self,
        path: object,
        storage_options: Mapping[str, str] | None,
        show: Callable[[str, Mapping[str, str]], None],
    ) -> None:
        try:
            wanted = path_given(path)
        except (TypeError, ValueError) as error:  # for example an array
            self._screen.refuse(Explanation(not_a_path(path), str(error)))
            return
        try:
            options = options_given(storage_options)
        except WrongValueError as error:
            self._screen.refuse(
                Explanation("storage_options must be a dict of names and values.", str(error))
            )
            return
        if not wanted:
            return
        if not is_view_link(wanted):
            show(wanted, options)
            return
        try:
            place, view = view_in(wanted)
        except ValueError as error:
            self._screen.refuse(Explanation(str(error), ""))
            return
        show(place, options)
        self._screen.links.expect(place, view)

    @safe_slot
    def _on_loaded(self) -> None:
        """A host's Tab leads in. No lambda: PyQt would keep for it what it refers to, all of the viewer."""
        arrange_tabs(self)

    def focusNextPrevChild(self, forward: bool) -> bool:
        """Tab and Shift Tab go through the controls as they are on screen.

        Qt asks for the next one as well where what has the focus is hidden or disabled: then it is the
        picture, whose keys work on; the next one would be some button, which Space presses.
        """
        focus, stage = QApplication.focusWidget(), self.stage
        is_gone = focus is not None and not (focus.isVisible() and focus.isEnabled())
        if is_gone and stage is not None and stage.picture.isVisible():
            stage.picture.setFocus(Qt.FocusReason.OtherFocusReason)
            return True
        arrange_tabs(self)
        return bool(super().focusNextPrevChild(forward))

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Keys that no widget in here has taken, or that a host passes on; Escape cancels an opening."""
        if event is None:
            return
        place = self._place_of_focus()
        if event.key() == Qt.Key.Key_Escape and (
            self._screen.cancel_opening() or (place == "beside" and self._give_keys_back())
        ):
            return
        self._screen.later.finish()
        if self._keys is None or not self._keys.press(event, place):
            super().keyPressEvent(event)

    def event(self, event: QEvent | None) -> bool:
        """In the picture, keys are ours, also where a host has a shortcut with the same ones."""
        is_asked = event is not None and event.type() == QEvent.Type.ShortcutOverride
        if is_asked and event is not None and self._keys is not None and self._place_of_focus() == "picture":
            event.setAccepted(self._keys.takes(event))
            return event.isAccepted()
        return bool(super().event(event))

    def _place_of_focus(self) -> Place:
        """Where in the viewer the focus is; "window" where it is elsewhere."""
        focus, stage = QApplication.focusWidget(), self.stage
        if focus is None or stage is None or not self.isAncestorOf(focus):
            return "window"
        return "picture" if focus is stage.picture or stage.picture.isAncestorOf(focus) else "beside"

    def _give_keys_back(self) -> bool:
        """Let keys go to the picture again; False if there is none."""
        picture = self.stage.picture if self.stage is not None else None
        if picture is None or not picture.isVisible():
            return False
        picture.setFocus(Qt.FocusReason.OtherFocusReason)
        return True

    @ignores_wrong_values(None)
    def remember_views(self, remember: bool = True) -> None:
        """Show datasets that are opened from now on as they were left, by this viewer or another one.

        What is kept, by path, in the user's cache folder: indices, which axes follow, channels, fixed
        contrast and zoom. Off by default: a host decides what is shown. Announced runs always begin anew.
        """
        self._screen.views.enabled = switch_given("remember", remember)

    def use_cluster(self, scheduler: object) -> None:
        """Let a cluster of dask make the small pictures of the overview, of finished datasets opened by path.

        `scheduler`: an address ("tcp://host:8786"), or a `dask.distributed.Client`, which stays yours; None
        for none. Its workers open the dataset at the same path. Holds for what is opened from now on. Where
        the cluster cannot make them, the status line says why, and they are made here.
        """
        if self.stage is not None:
            self._screen.use_cluster(scheduler)

    def refresh(self) -> None:
        """Reread the dataset from disk in the background. Does nothing without one."""
        self._screen.refresh()

    # ---- announced runs --------------------------------------------------------------------

    def start_acquisition(
        self, channels: Sequence[str], num_z: int, height: int, width: int, fov_labels: Sequence[str]
    ) -> None:
        """Start a run that writes TIFF (or PNG, BMP) files, which `register_image` will name.

        `fov_labels` are "<region>:<fov>", in the order of the position index; height and width
        in pixels. Does not access the disk. Any thread.
        """
        self._screen.runs.start(announce_files(channels, num_z, height, width, fov_labels))

    def register_image(
        self, t: int, fov_idx: int, z: int, channel: str, filepath: str, page_idx: int = 0
    ) -> None:
        """Tell where a plane of the run is, or soon will be: page `page_idx` of this file.

        Any thread, in any order, any number of times, about a microsecond. The file need not exist: it
        is looked for while the plane is in view; if the run is not saved as one file
        per plane, the plane is found anyway. Raises `ValueError` for a negative page; indices of no
        plane of the run are ignored and counted.
        """
        try:
            is_negative = page_idx < 0
        except Exception:  # noqa: BLE001  no number: the run ignores it
            is_negative = False
        if is_negative is True:
            raise ValueError(f"page_idx is {page_idx}: must be 0 or larger")
        acquisition = self._sessions.acquisition  # called in the writer's threads: no detours
        if acquisition is not None:
            acquisition.register(t, fov_idx, z, channel, filepath, page_idx)

    def start_zarr_acquisition(
        self,
        fov_paths: Sequence[str],
        channels: Sequence[str],
        num_z: int,
        fov_labels: Sequence[str],
        height: int,
        width: int,
    ) -> None:
        """Start a run that writes one OME-Zarr group (T, C, Z, Y, X) per field of view.

        The paths need not exist yet; height and width in pixels. `fov_labels` are "<region>:<fov>".
        Raises `ValueError` for empty `fov_paths`, changing nothing; if the lengths differ, the longer
        list is cut. Does not access the disk. Any thread.
        """
        self._screen.runs.start(announce_per_fov(fov_paths, channels, num_z, fov_labels, height, width))

    def start_zarr_acquisition_6d(
        self,
        region_paths: Sequence[str],
        channels: Sequence[str],
        num_z: int,
        fovs_per_region: Sequence[int],
        height: int,
        width: int,
        region_labels: Sequence[str] | None = None,
    ) -> None:
        """Start a run that writes one store (FOV, T, C, Z, Y, X) per region, the array at the path itself.

        Raises `ValueError` without regions, for a count that is not positive and if the lengths differ,
        changing nothing. Does not access the disk. Any thread.
        """
        run = announce_6d(region_paths, channels, num_z, fovs_per_region, height, width, region_labels)
        self._screen.runs.start(run, counts_given(fovs_per_region))

    def notify_zarr_frame(self, t: int, fov_idx: int, z: int, channel: str, region_idx: int = 0) -> None:
        """Notify that a plane of the run is on disk. Any thread, in any order, any number of times.

        `fov_idx` counts over the whole run, or within region `region_idx` in a 6-D run. Takes about a
        microsecond and never raises; indices of no plane of the run are ignored and counted.
        """
        acquisition = self._sessions.acquisition  # called in the writer's threads: no detours
        if acquisition is not None:
            acquisition.notify(t, fov_idx, z, channel, region_idx)

    def run(
        self,
        paths: Sequence[str],
        channels: Sequence[str],
        height: int,
        width: int,
        num_z: int = 1,
        labels: Sequence[str] | None = None,
    ) -> RunHandle:
        """Start a run like `start_zarr_acquisition`, for a ``with`` block in which it is notified of planes.

        Leaving the block ends the run, see `RunHandle`. `paths` may be path objects; without `labels`
        positions are numbered. Raises `ValueError` for empty `paths`, changing nothing. Any thread.
        """
        places = texts_given("paths", paths)
        names = [str(p) for p in range(len(places))] if labels is None else labels
        announced = announce_per_fov(places, channels, num_z, names, height, width)
        return RunHandle(self._screen.runs.start(announced))

    def end_zarr_acquisition(self) -> None:
        """End the run: the last planes are read and shown. Idempotent, needs no start. Any thread."""
        self._screen.runs.end()

    def end_acquisition(self) -> None:
        """Same as `end_zarr_acquisition`: hosts call both at the end of every run."""
        self.end_zarr_acquisition()

    def is_push_mode_active(self) -> bool:
        """Whether an announced run is shown, also after its end."""
        return self._screen.runs.wanted is not None

    def is_zarr_push_mode_active(self) -> bool:
        """Like `is_push_mode_active`, for runs announced as stores."""
        acquisition = self._screen.runs.wanted
        return acquisition is not None and not acquisition.run.names_files

    # ---- navigation ------------------------------------------------------------------------

    @ignores_wrong_values(None)
    def set_follow(
        self,
        t: bool | None = None,
        p: bool | None = None,
        z: bool | None = None,
        *,
        wait_for_channels: bool | None = None,
    ) -> None:
        """Let the view follow the newest planes along these axes, or pin it; None leaves an axis as it is.

        Holds at once, and for every run and dataset from now on. By default nothing is followed. A user who
        moves a slider, and a host that calls `load_fov`, `go_to_well_fov` or `set_current_index`, pins the
        axes that were moved, until somebody follows again (the button, F, or this call) or the next run
        starts.

        What is shown is the newest time point and position whose visible channels are all there; without
        `wait_for_channels`, any one of them. GUI thread; never raises.
        """
        asked: dict[Axis, bool | None] = {"t": t, "p": p, "z": z}
        follower = getattr(self._screen, "follower", None)
        if follower is None or self._sessions.closed:
            return
        modes = {axis: switch_given(axis, on) for axis, on in asked.items() if on is not None}
        waits = None if wait_for_channels is None else switch_given("wait_for_channels", wait_for_channels)
        follower.set_default(
            {axis: FollowMode.NEWEST if on else FollowMode.PINNED for axis, on in modes.items()}
        )
        if waits is not None:
            follower.set_waits_for_channels(waits)

    @ignores_wrong_values(None)
    def load_fov(self, fov: int, t: int | None = None, z: int | None = None) -> None:
        """Show field of view `fov` (index into the run's labels), at time `t` and `z` if given.

        Indices outside the dataset, and what is no index, do not move the view. While a run has not written
        anything, its number of time points is unknown: then the view moves to `t` and `z` as soon as it is
        known.
        """
        self._screen.go_to(
            index_given("fov", fov),
            None if t is None else index_given("t", t),
            None if z is None else index_given("z", z),
        )

    @ignores_wrong_values(answer=False)
    def go_to_well_fov(self, well_id: str, fov_index: int) -> bool:
        """Show the field of view labelled ``"<well_id>:<fov_index>"``; False if there is none."""
        session = self._sessions.shown
        if session is None:
            return False
        label = f"{text_given('well_id', well_id)}:{text_given('fov_index', fov_index)}"
        for p, position in enumerate(session.dataset.info.positions):
            if position.label == label:
                self._screen.move_along(p=p)
                return True
        return False

    @ignores_wrong_values(answer=False)
    def set_current_index(self, dim: str, value: int) -> bool:
        """Move to index `value` along `dim` (time, fov, z or channel), clamped to its size.

        Returns False if there is no such dimension, no dataset, or `value` is no index. A channel is made
        visible.
        """
        session, axis = self._sessions.shown, _AXIS_OF.get(dim) if isinstance(dim, str) else None
        if session is None or axis is None:
            return False
        index = max(0, min(index_given("value", value), session.dataset.info.sizes[axis] - 1))
        if axis == "c":
            self._screen.stage.show_channel(index)
        else:
            self._screen.move_along(**{axis: index})
        return True

    def get_fov_list(self) -> list[dict[str, Any]]:
        """``[{"region": …, "fov": …}, …]`` in the order of the "fov" dimension; [] without a dataset."""
        session = self._sessions.shown
        if session is None:
            return []
        return [{"region": p.region, "fov": p.fov} for p in session.dataset.info.positions]

    def has_fov_dimension(self) -> bool:
        """Whether a dataset opened from disk is shown, so that `set_current_index("fov", i)` works."""
        return self._sessions.shown is not None and self._screen.runs.wanted is None

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Release everything; later calls do nothing."""
        try:
            self._screen.end()
        except Exception:
            logger.exception("closing the viewer")
        super().closeEvent(event)
