"""`LightweightViewer`: the widget hosts embed, and everything a host may call on it.

One timer polls the dataset on the GUI thread; that is the only way anything from another thread
reaches a widget. Nothing here reads a disk: datasets are opened by a thread, planes are read by a
process of their own.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QThread, QTimer, Signal
from qtpy.QtWidgets import QComboBox, QSizePolicy, QStackedWidget, QVBoxLayout, QWidget

from ..engine.dataset import Dataset
from ..errors import NDViewerError
from ..isolation.client import IsolatedSource
from ..live.acquisition import (
    Acquisition,
    announce_6d,
    announce_files,
    announce_per_fov,
)
from ..live.registered_files import RegisteredFiles
from ..model import announced_info
from ..storage.bytes import split_inner
from .message_page import MessagePage
from .slots import safe_slot
from .stage import Stage, plain_label

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from qtpy.QtGui import QCloseEvent

    from ..model import AnnouncedRun

logger = logging.getLogger(__name__)

POLL_INTERVAL_MS = 16

_AXIS_OF = {
    "t": "t", "time": "t",
    "p": "p", "fov": "p", "position": "p",
    "z": "z", "z_level": "z",
    "c": "c", "channel": "c",
}  # fmt: skip


@dataclass(frozen=True)
class _Session:
    """What the widget shows: a dataset, and the run that is writing it if a host announced one."""

    dataset: Dataset
    path: str
    acquisition: Acquisition | None = None


class LightweightViewer(QWidget):
    """Shows n-dimensional microscopy data, live or from disk.

    Methods are for the GUI thread, except `notify_zarr_frame`, `register_image`, `start_*` and `end_*`,
    which any thread may call. None of them waits for a disk. The constructor never raises.

    Signals: `dataset_loaded(path)` and `dataset_failed(path, reason)` tell how `load_dataset` ended.
    """

    dataset_loaded = Signal(str)
    dataset_failed = Signal(str, str)

    def __init__(self, dataset_path: str = "") -> None:
        super().__init__()
        self.dataset_path = ""
        self._storage_options: dict[str, str] = {}
        self.status_label = plain_label()
        self._session: _Session | None = None
        self._acquisition: Acquisition | None = None
        self._mailbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._opening: IsolatedSource | None = None
        self._go_when_known: tuple[int, int | None, int | None] | None = None
        self._closed = False
        self._no_display = ""  # why the canvas cannot be shown, "" if it can
        self._stage: Stage | None = None
        self._polled = 0.0
        self._poll = QTimer(self)
        self._poll.setInterval(POLL_INTERVAL_MS)
        self._poll.timeout.connect(self._on_poll)
        try:
            self._build()
            if dataset_path:
                self.load_dataset(dataset_path)
        except Exception:
            logger.exception("the viewer could not be built")

    def _build(self) -> None:
        self._message = MessagePage()
        self._message.retry.connect(self._on_retry)
        self._pages = QStackedWidget()
        self._pages.addWidget(self._message)
        self._chooser = QComboBox()
        self._chooser.setAccessibleName("Datasets in this file")
        self._chooser.setToolTip("This file holds several datasets")
        self._chooser.hide()
        self._chooser.activated.connect(self._on_chosen)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._pages, 1)
        self.status_label.setContentsMargins(8, 1, 8, 2)
        # text that comes and goes must not move the canvas, nor a long one widen the window
        self.status_label.setFixedHeight(self.status_label.fontMetrics().height() + 6)
        self.status_label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        column.addWidget(self._chooser)
        column.addWidget(self.status_label)
        self._message.show_message("info", "No dataset open", "Open a dataset, or start an acquisition.")
        self._stage = Stage()
        self._stage.hover_text.connect(self.status_label.setText)
        self._pages.addWidget(self._stage)
        self._poll.start()
        threading.Thread(target=self._import_display, name="ndviewer-import").start()

    # ---- ndv, imported off the GUI thread --------------------------------------------------

    def _import_display(self) -> None:
        try:
            from .icon_files import use_bundled_icons

            use_bundled_icons()
            _check_ndv()
            from .canvas import display
        except ImportError as error:
            reason = f"{error}. Install it with: pip install 'ndv>=0.5,<0.6' vispy pyopengl"
            self._mailbox.put(lambda: self._on_no_display(reason))
        else:
            self._mailbox.put(lambda: self._on_display(display.Canvas))

    def _on_display(self, canvas_class: type[QWidget]) -> None:
        if self._stage is not None and not self._closed:
            canvas = canvas_class()
            canvas.frame_shown.connect(self._on_frame_shown)  # type: ignore[attr-defined]
            self._stage.set_canvas(canvas)  # type: ignore[arg-type]

    def _on_no_display(self, reason: str) -> None:
        if not self._no_display:
            logger.error("the canvas cannot be shown: %s", reason)
        self._no_display = reason
        self._message.show_message("error", "The canvas cannot be shown", reason)
        self._pages.setCurrentWidget(self._message)

    @property
    def ndv_viewer(self) -> Any:
        """The ndv viewer that draws the canvas; None while there is nothing to draw."""
        canvas = self._stage.canvas if self._stage is not None else None
        return canvas.viewer if canvas is not None else None

    @property
    def dataset(self) -> Dataset | None:
        """The dataset on screen, None while there is none."""
        return self._session.dataset if self._session is not None else None

    @property
    def stage(self) -> Stage | None:
        """Canvas, sliders and channel strips; None if the widget could not be built."""
        return self._stage

    # ---- opening ---------------------------------------------------------------------------

    def load_dataset(self, path: str, storage_options: Mapping[str, str] | None = None) -> None:
        """Open the dataset at a path or URL in the background; the widget shows progress, or why it failed.

        Returns at once and never raises; `dataset_loaded` or `dataset_failed` is emitted later. A run
        that was being shown is left.
        """
        path = os.fspath(path) if path else ""
        if self._closed or not path:
            return
        self._leave()
        self.dataset_path = path
        self._storage_options = dict(storage_options or {})
        self._show_message("Opening", path)
        reader = self._opening = IsolatedSource(path, options=self._storage_options)
        threading.Thread(target=self._open, args=(path, reader), name="ndviewer-open").start()

    def _open(self, path: str, reader: IsolatedSource) -> None:
        try:
            reader.start()
            dataset = Dataset(reader, path=path, storage_options=reader.options)
            session = _Session(dataset, path)
        except Exception as error:
            if not isinstance(error, NDViewerError):
                logger.exception("opening %s", path)
            reader.close()
            reason = str(error) or type(error).__name__
            self._mailbox.put(lambda: self._on_failed(path, reader, reason))
        else:
            self._mailbox.put(lambda: self._on_opened(session, reader))

    def _give_up_opening(self) -> None:
        """Whatever is being opened is not wanted any more; ends its reader, however deep it hangs."""
        reader, self._opening = self._opening, None
        if reader is not None:
            reader.close()

    def _on_opened(self, session: _Session, reader: IsolatedSource) -> None:
        if reader is not self._opening or self._closed:
            _close_later(session)
            return
        self._opening = None
        self._show(session)
        self._say(_loaded(session))
        self.dataset_loaded.emit(session.path)

    def _on_failed(self, path: str, reader: IsolatedSource, reason: str) -> None:
        if reader is not self._opening or self._closed:
            return
        self._opening = None
        logger.warning("%s could not be opened: %s", path, reason)
        self._message.show_message("error", "This dataset could not be opened", reason, retry=True)
        self._say("Failed to load dataset")
        self.dataset_failed.emit(path, reason)

    @safe_slot
    def _on_retry(self) -> None:
        self.load_dataset(self.dataset_path, self._storage_options)

    def refresh(self) -> None:
        """Look at the dataset on disk again, in the background. Does nothing without one."""
        session = self._session
        if session is not None:
            threading.Thread(target=self._look_again, args=(session,), name="ndviewer-refresh").start()
        elif self.dataset_path and self._opening is None:
            self.load_dataset(self.dataset_path, self._storage_options)

    def _look_again(self, session: _Session) -> None:
        try:
            session.dataset.refresh()
            outcome = _loaded(session)
        except (NDViewerError, OSError) as error:
            logger.warning("looking at the dataset again: %s", error)
            outcome = str(error)
        self._mailbox.put(lambda: self._on_looked_again(session, outcome))

    def _on_looked_again(self, session: _Session, outcome: str) -> None:
        if session is self._session:
            self._say(outcome)

    # ---- runs a host announces -------------------------------------------------------------

    def start_acquisition(
        self, channels: Sequence[str], num_z: int, height: int, width: int, fov_labels: Sequence[str]
    ) -> None:
        """A run begins that writes TIFF (or PNG, BMP) files; `register_image` names them.

        `fov_labels` are "<region>:<fov>", in the order by which positions are counted; height and width
        in pixels. Touches no disk. Any thread.
        """
        self._start(announce_files(channels, num_z, height, width, fov_labels))

    def register_image(
        self, t: int, fov_idx: int, z: int, channel: str, filepath: str, page_idx: int = 0
    ) -> None:
        """A plane of the running acquisition is, or soon will be, page `page_idx` of this file.

        Any thread, in any order, as often as you like, about a microsecond. The file need not exist: it
        is looked for while the plane is in view; where the run is saved in another way than by one file
        per plane, it is found there. Raises `ValueError` for a negative page; indices that name no
        plane of the run are ignored and counted.
        """
        if page_idx < 0:
            raise ValueError(f"page_idx is {page_idx}: pages are counted from 0")
        acquisition = self._acquisition
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
        """A run begins that writes one OME-Zarr group (T, C, Z, Y, X) per field of view.

        The paths need not exist yet; height and width in pixels. `fov_labels` are "<region>:<fov>".
        Raises `ValueError` for empty `fov_paths`, changing nothing; if the lengths differ, the longer
        list is cut. Touches no disk. Any thread.
        """
        self._start(announce_per_fov(fov_paths, channels, num_z, fov_labels, height, width))

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
        """A run begins that writes one store (FOV, T, C, Z, Y, X) per region, the array at the path itself.

        Raises `ValueError` without regions, for a count that is not positive and if the lengths differ,
        changing nothing. Touches no disk. Any thread.
        """
        run = announce_6d(region_paths, channels, num_z, fovs_per_region, height, width, region_labels)
        self._start(run, fovs_per_region)

    def _start(self, run: AnnouncedRun, fovs_per_region: Sequence[int] | None = None) -> None:
        if self._closed:
            return
        if not (run.positions and run.channels and run.n_z > 0):
            self._acquisition = None
            self._on_gui(self._show_empty_run)
            return
        files = RegisteredFiles(run)
        reader = IsolatedSource(run, announced_info(run), files)
        dataset = Dataset(reader, live=True)
        acquisition = Acquisition(dataset, run, files, fovs_per_region)
        self._acquisition = acquisition
        self._give_up_opening()
        session = _Session(dataset, "", acquisition)
        self._on_gui(lambda: self._show_run(session))
        # last: while it starts a process, it would keep the interpreter from us, whom the host waits for
        threading.Thread(target=_start_reader, args=(reader,), name="ndviewer-reader-start").start()

    def _show_empty_run(self) -> None:
        if self._closed or self._acquisition is not None:
            return
        self._leave()
        self._message.show_message(
            "info", "Nothing to show", "The acquisition was announced without positions, channels or planes."
        )
        self._pages.setCurrentWidget(self._message)

    def _show_run(self, session: _Session) -> None:
        if session.acquisition is not self._acquisition or self._closed:
            _close_later(session)
            return
        self.dataset_path = ""
        self._show(session)

    def notify_zarr_frame(self, t: int, fov_idx: int, z: int, channel: str, region_idx: int = 0) -> None:
        """A plane of the running acquisition is on disk. Any thread, in any order, as often as you like.

        `fov_idx` counts through the whole run, or within region `region_idx` in a 6-D run. Costs about a
        microsecond and never raises; indices that name no plane of the run are ignored and counted.
        """
        acquisition = self._acquisition
        if acquisition is not None:
            acquisition.notify(t, fov_idx, z, channel, region_idx)

    def end_zarr_acquisition(self) -> None:
        """The run is over: the last planes are read and shown. Idempotent, needs no start. Any thread."""
        acquisition = self._acquisition
        if acquisition is not None:
            acquisition.end()

    def end_acquisition(self) -> None:
        """As `end_zarr_acquisition`: hosts call both at the end of every run."""
        self.end_zarr_acquisition()

    def is_push_mode_active(self) -> bool:
        """Whether what is shown is a run that a host announced, also after its end."""
        return self._acquisition is not None

    def is_zarr_push_mode_active(self) -> bool:
        """As `is_push_mode_active`, for a run of which stores were announced."""
        acquisition = self._acquisition
        return acquisition is not None and not acquisition.run.names_files

    # ---- where to look ---------------------------------------------------------------------

    def load_fov(self, fov: int, t: int | None = None, z: int | None = None) -> None:
        """Show field of view `fov` (index into the run's labels), at time `t` and `z` where given.

        Indices outside the dataset leave the view where it is. While a run has not written anything
        its number of time points is not known: then `t` and `z` are gone to as soon as it is.
        """
        session = self._session
        if session is None or self._stage is None:
            return
        self._go_when_known = None
        info = session.dataset.info
        wanted = {"p": fov, "t": t, "z": z}
        outside = [axis for axis, i in wanted.items() if i is not None and not 0 <= i < info.sizes[axis]]
        if not outside:
            self._stage.go_to(t=t, p=fov, z=z)
        elif "p" not in outside and info.dtype is None:
            self._stage.go_to(p=fov)
            self._go_when_known = (fov, t, z)
        else:
            logger.warning("there is no plane at fov %s, t %s, z %s: the view stays where it is", fov, t, z)

    def go_to_well_fov(self, well_id: str, fov_index: int) -> bool:
        """Show the field of view labelled ``"<well_id>:<fov_index>"``; False if there is none."""
        session = self._session
        if session is None or self._stage is None:
            return False
        label = f"{well_id}:{fov_index}"
        for p, position in enumerate(session.dataset.info.positions):
            if position.label == label:
                self._stage.go_to(p=p)
                return True
        return False

    def set_current_index(self, dim: str, value: int) -> bool:
        """Move to index `value` along `dim` (time, fov, z or channel); clamped to what there is.

        False if there is no such dimension or no dataset. A channel is made visible.
        """
        session, axis = self._session, _AXIS_OF.get(dim)
        if session is None or self._stage is None or axis is None:
            return False
        index = max(0, min(int(value), session.dataset.info.sizes[axis] - 1))
        if axis == "c":
            self._stage.show_channel(index)
        else:
            self._stage.go_to(**{axis: index})
        return True

    def get_fov_list(self) -> list[dict[str, Any]]:
        """``[{"region": …, "fov": …}, …]`` in the order of the "fov" dimension; [] without a dataset."""
        session = self._session
        if session is None:
            return []
        return [{"region": p.region, "fov": p.fov} for p in session.dataset.info.positions]

    def has_fov_dimension(self) -> bool:
        """Whether a dataset opened from disk is shown, so that `set_current_index("fov", i)` works."""
        return self._session is not None and self._acquisition is None

    # ---- sessions --------------------------------------------------------------------------

    def _show(self, session: _Session) -> None:
        """Swap what is shown; the one before is closed in the background."""
        before, self._session = self._session, session
        self._go_when_known = None
        if session.acquisition is None:
            self._acquisition = None
        assert self._stage is not None
        self._stage.show_dataset(session.dataset)
        self._offer_choices(session.dataset.info.choices)
        self._pages.setCurrentWidget(self._stage)
        if self._no_display:
            self._on_no_display(self._no_display)
        self._say("")
        if before is not None:
            _close_later(before)

    def _leave(self) -> None:
        """Show nothing, forget the run."""
        before, self._session = self._session, None
        self._acquisition = None
        self._give_up_opening()
        if self._stage is not None:
            self._stage.clear()
        self._offer_choices(())
        if before is not None:
            _close_later(before)

    def _show_message(self, headline: str, detail: str) -> None:
        self._message.show_message("busy", headline, detail)
        self._pages.setCurrentWidget(self._message)
        self._say(f"Loading: {detail}")

    def _say(self, text: str) -> None:
        self.status_label.setText(text)

    def _on_gui(self, do: Callable[[], None]) -> None:
        if QThread.currentThread() is self.thread():
            do()
        else:
            self._mailbox.put(do)

    @safe_slot
    def _on_frame_shown(self) -> None:
        # after a frame that took long to draw, the next one need not wait for the timer as well
        if time.monotonic() - self._polled >= POLL_INTERVAL_MS / 1000:
            self._on_poll()

    @safe_slot
    def _on_poll(self) -> None:
        self._polled = time.monotonic()
        while True:
            try:
                do = self._mailbox.get_nowait()
            except queue.Empty:
                break
            do()
        session = self._session
        if session is None or self._stage is None:
            return
        changes = session.dataset.take_changes()
        if changes.info:
            self._say_warnings(session)
        if changes.in_view or changes.info:
            self._stage.take(changes)
        if changes.info and self._go_when_known is not None:
            self.load_fov(*self._go_when_known)

    def _offer_choices(self, choices: Sequence[str]) -> None:
        self._chooser.clear()
        for path in choices:
            self._chooser.addItem(split_inner(path)[1] or path, path)
        self._chooser.setVisible(len(choices) > 1)

    @safe_slot
    def _on_chosen(self, index: int) -> None:
        path = self._chooser.itemData(index)
        if path and index != 0:
            self.load_dataset(path, self._storage_options)

    def _say_warnings(self, session: _Session) -> None:
        warnings = session.dataset.info.warnings
        if warnings:
            self._say(warnings[-1])
            self.status_label.setToolTip("\n".join(warnings))

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Let go of everything; calls that come later do nothing."""
        try:
            self._closed = True
            self._poll.stop()
            self._leave()
        except Exception:
            logger.exception("closing the viewer")
        super().closeEvent(event)


def _check_ndv() -> None:
    """Raise `ImportError` if ndv is older than we can use, as pip may leave it beside an old numpy."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        found = version("ndv")
    except PackageNotFoundError:  # frozen applications leave it out; importing ndv tells if it is there
        return
    if [int(part) for part in found.split(".")[:2] if part.isdecimal()] < [0, 5]:
        raise ImportError(f"ndv {found} is too old")


def _loaded(session: _Session) -> str:
    name = os.path.basename(session.path.rstrip(os.sep))
    return f"Loaded: {name}" if name else ""


def _start_reader(reader: IsolatedSource) -> None:
    try:
        reader.start()
    except (NDViewerError, OSError) as error:
        if not reader.closed:  # else the next run began meanwhile
            logger.warning("the reader process did not start, the first read tries again: %s", error)


def _close_later(session: _Session) -> None:
    """Close in a thread: workers are joined, and the GUI thread never waits."""
    threading.Thread(target=session.dataset.close, name="ndviewer-close").start()
