"""Films of what is shown, over time, z or fields: asked for in a dialog, written in a thread, with progress.

GUI thread only, except where a method says otherwise.
"""

from __future__ import annotations

import importlib.util
import math
import os
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from ..errors import NDViewerError
from ..rendering.scene_overlays import SceneOver
from .look.theme import Panel, set_role
from .slots import safe_slot
from .words import reason_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from PIL import Image

    from ..engine.dataset import Dataset
    from ..rendering.film_frames import Inscription
    from ..rendering.label_picture import LabelsChosen
    from ..rendering.view_picture import SeenPart, ShownPlace
    from .background import Background
    from .canvas.written import Written
    from .canvas.zoom import VisibleArea
    from .poll import Poll
    from .stage import Stage

MOST_FRAMES = 10_000
_LONGEST_PX = 1024
_GIF_PIXELS = 256 * 1024**2
"""Of all frames of a GIF together: they are in memory until it is written."""
_SAID_SECONDS = 0.2


class FilmPlan(NamedTuple):
    """What a film shows: along "t", "z" or "p", and how."""

    axis: str
    fps: int
    inscription: Inscription
    of_part: bool = True
    """Of the part of the picture that is seen, rather than of all of it."""


class _FilmEndedError(Exception):
    """The user has ended it."""


class FilmDialog(QDialog):
    """Asks what a film shows; `accepted` once that is said."""

    def __init__(
        self,
        parent: QWidget | None,
        sizes: Sequence[tuple[str, str, int]],
        written: Written,
        *,
        is_part: bool = False,
    ) -> None:
        """`sizes`: the axes there are, as (axis, name, number of frames). `written`: on the picture now.

        `is_part`: only a part of it is seen.
        """
        super().__init__(parent)
        self._bar = written.bar if written.bar.share else written.bar._replace(size="small")
        self.setWindowTitle("Save a film")
        if parent is not None:
            self.setPalette(parent.palette())
        self.axis = QComboBox()
        for axis, name, n in sizes:
            self.axis.addItem(f"{name} ({min(n, MOST_FRAMES):,} frames)", axis)
        self.part = QCheckBox("Only what is seen", self)
        self.part.setChecked(True)
        self.part.setVisible(is_part)
        self.fps = QSpinBox()
        self.fps.setRange(1, 60)
        self.fps.setValue(10)
        self.scale_bar, self.time, self.label = (
            QCheckBox("Scale bar"),
            QCheckBox("Time"),
            QCheckBox("Position"),
        )
        page = Panel(self)
        form = QFormLayout(page)
        form.setContentsMargins(14, 14, 14, 12)
        form.setVerticalSpacing(8)
        for name, widget, tip in (
            ("Over", self.axis, "What changes from frame to frame; all else is as shown"),
            ("Part", self.part, "The part of the picture that is seen now, rather than all of the field"),
            ("Frames per second", self.fps, "How fast it is played"),
            ("Written on it", self.scale_bar, "A scale bar at the lower right"),
            ("", self.time, "The time, or the number of the time point, at the upper left"),
            ("", self.label, "The name of the field at the upper left"),
        ):
            widget.setToolTip(tip)
            widget.setAccessibleName(name or tip)
            if widget is not self.part or is_part:
                form.addRow(name, widget)
        self.scale_bar.setChecked(written.bar.share > 0)
        self.time.setChecked(True)
        self.label.setChecked(written.position)
        kind = "MP4 or GIF" if can_write_mp4() else "GIF (MP4 with: pip install 'ndviewer_light[movies]')"
        form.addRow("As", QLabel(kind))
        self.save_button, self.cancel_button = QPushButton("Save…"), QPushButton("Cancel")
        row = QHBoxLayout()
        row.addStretch(1)
        for button, tip, slot in (
            (self.cancel_button, "Save no film", self.reject),
            (self.save_button, "Choose where it is saved", self.accept),
        ):
            button.setAutoDefault(False)
            button.setToolTip(tip)
            set_role(button, "chip")
            button.clicked.connect(slot)
            row.addWidget(button)
        self.save_button.setDefault(True)
        form.addRow(row)
        for field in (self.axis, self.fps):
            field.setPalette(self.palette())  # below a stylesheet it would have the application's
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(page)

    @property
    def plan(self) -> FilmPlan:
        """What was said."""
        from ..rendering.film_frames import Inscription  # not needed before the window is shown

        label, time, bar = (box.isChecked() for box in (self.label, self.time, self.scale_bar))
        written = Inscription(label, time, bar, self._bar)
        return FilmPlan(str(self.axis.currentData()), self.fps.value(), written, self.part.isChecked())


def can_write_mp4() -> bool:
    """Whether what encodes MP4 is installed."""
    return importlib.util.find_spec("av") is not None


class Films(QObject):
    """Saves films of what a stage shows, one at a time. `ended` once one was written, or was not."""

    ended = Signal()

    def __init__(
        self, stage: Stage, background: Background, poll: Poll, say: Callable[[str, str], None]
    ) -> None:
        super().__init__(stage)
        self._stage = stage
        self._background = background
        self._poll = poll
        self._say = say
        self.overview_area: Callable[[], VisibleArea | None] = lambda: None
        """What is seen of the overview; None while the main view is shown."""
        self.overview_over: Callable[[Sequence[int]], SceneOver] = lambda times: SceneOver()
        """What lies over the fields of the overview, for a film of these time points."""
        self.name_of_view: Callable[[], str] = lambda: "film"
        """A name for a file of what is shown."""
        self.labels_over: Callable[[], LabelsChosen | None] = lambda: None
        """The labels that are drawn over the picture."""
        self._cancelled: threading.Event | None = None
        self.dialog: FilmDialog | None = None
        self.file_dialog: QFileDialog | None = None

    def ask(self) -> None:
        """Ask what a film is to show, and where it is saved."""
        dataset = self._stage.dataset
        sizes = [each for each in self._sizes(dataset) if each[2] > 1] if dataset is not None else []
        if self.overview_area() is not None:
            sizes = [each for each in sizes if each[0] == "t"]
            if not sizes:
                self._say("There is only one time point: nothing to make a film of the overview of", "")
                return
        elif self._stage.view.is_volume:
            self._say("Films are of planes and projections, not of volumes: choose 2D first", "")
            return
        if not sizes:
            self._say("There is only one plane: nothing to make a film of", "")
            return
        if self._cancelled is not None:
            self._say("A film is being saved: Esc cancels it", "")
            return
        is_part = self.overview_area() is None and self._part() is not None
        dialog = self.dialog = FilmDialog(
            self._stage.window(), sizes, self._stage.overlay.written, is_part=is_part
        )
        dialog.accepted.connect(self._on_planned)
        dialog.open()

    def cancel(self) -> bool:
        """End the film that is being saved; False if there is none."""
        cancelled, self._cancelled = self._cancelled, None
        if cancelled is None:
            return False
        cancelled.set()
        return True

    def save_to(self, path: str, plan: FilmPlan) -> None:
        """Write a film of what is shown, in a thread."""
        from ..rendering.colormaps import chosen_colormap, colormap_of
        from ..rendering.film_frames import frames
        from ..rendering.labels_over import LabelsOver
        from ..rendering.scene_film import SceneFilm, scene_frames
        from ..rendering.view_picture import LayerLook, ViewPictures

        dataset, stage = self._stage.dataset, self._stage
        if dataset is None:
            return
        places = self._places(dataset, plan.axis)
        longest = _LONGEST_PX
        if path.lower().endswith(".gif"):
            longest = max(32, min(longest, math.isqrt(_GIF_PIXELS // len(places))))
        channels = stage.visible_channels()
        contrasts, strips = stage.channels.contrasts, stage.strips
        limits = {c: each for c in channels if (each := contrasts.limits(c)) is not None}
        looks = {}
        for c in channels:
            chosen = strips.chosen_color(c)
            table = chosen_colormap(chosen) if chosen else colormap_of(dataset.info.channels[c])
            looks[c] = LayerLook(table, strips.gamma_of(c))
        area, labels = self.overview_area(), None
        if area is None:
            if (chosen_labels := self.labels_over()) is not None:
                name, style = chosen_labels
                labels = LabelsOver(dataset, name, style, isolate=True, where_there_are_any=True)
            pictures = ViewPictures(
                dataset,
                channels,
                limits=limits,
                longest=longest,
                looks=looks,
                labels=labels,
                part=self._part() if plan.of_part else None,
            )
            made = partial(frames, dataset, pictures, places, plan.inscription)
        else:
            edges = area.x[0], area.y[0], area.x[1], area.y[1]
            times = [place.t for place in places]
            over = self.overview_over(times)
            film = SceneFilm(looks, limits, places[0].z, longest, edges, over)
            made = partial(scene_frames, dataset, film, times, plan.inscription)
        cancelled = self._cancelled = threading.Event()
        self._say(f"Saving {os.path.basename(path)}…", path)

        def write() -> None:
            try:
                self._write(path, plan, made, len(places), cancelled)
            finally:
                if labels is not None:
                    labels.close()

        self._background.run("ndviewer-film", write)

    # ---- parts -----------------------------------------------------------------------------

    def _part(self) -> SeenPart | None:
        """What is seen of the picture; None for all of it."""
        from ..rendering.view_picture import SeenPart

        shown = self._stage.plane_shown_by
        scene = shown.scene() if shown is not None else None
        area = shown.visible_area() if shown is not None else None
        if scene is None or area is None or scene.is_fitting(area):
            return None
        width, height = scene.width_um, scene.height_um
        return SeenPart(area.x[0] / width, area.y[0] / height, area.x[1] / width, area.y[1] / height)

    def _sizes(self, dataset: Dataset) -> list[tuple[str, str, int]]:
        sliders = self._stage.sliders
        return [
            ("t", "Time", sliders.size("t")),
            ("z", "z", sliders.size("z") if self._stage.view.projection is None else 1),
            ("p", "Fields", len(dataset.info.positions)),
        ]

    def _places(self, dataset: Dataset, axis: str) -> list[ShownPlace]:
        from ..rendering.view_picture import ShownPlace

        view = self._stage.view
        here = ShownPlace(view.t, view.p, view.z if view.projection is None else str(view.projection))
        n = min(next(size for each, _, size in self._sizes(dataset) if each == axis), MOST_FRAMES)
        return [here._replace(**{axis: i}) for i in range(n)]

    def _write(
        self,
        path: str,
        plan: FilmPlan,
        made: Callable[[list[str], Callable[[int], None]], Iterator[Image.Image]],
        n: int,
        cancelled: threading.Event,
    ) -> None:
        """In a thread."""
        from ..rendering.movies import write_movie

        name, said, missing = os.path.basename(path), time.monotonic(), list[str]()

        def progress(done: int) -> None:
            nonlocal said
            if cancelled.is_set():
                raise _FilmEndedError
            if time.monotonic() > said + _SAID_SECONDS:
                said = time.monotonic()
                text = f"Saving {name}: {done:,} of {n:,} frames (Esc cancels)"
                self._poll.post(lambda: self._say(text, path))

        try:
            write_movie(path, made(missing, progress), plan.fps)
        except _FilmEndedError:
            words = f"{name} was not saved: ended"
        except (NDViewerError, OSError, ValueError, IndexError) as error:
            words = f"{name} could not be saved: {reason_of(error)}"
        except Exception as error:  # noqa: BLE001  of encoders, which have exceptions of their own
            words = f"{name} could not be saved: {type(error).__name__}: {error}"
        else:
            left_out = f"; of {len(missing):,} planes nothing is stored" if missing else ""
            words = f"Saved {name}, {n:,} frames{left_out}"
        self._poll.post(lambda: self._on_written(words, path, cancelled))

    def _on_written(self, words: str, path: str, cancelled: threading.Event) -> None:
        if self._cancelled is cancelled:
            self._cancelled = None
        self._say(words, path)
        self.ended.emit()

    @safe_slot
    def _on_planned(self) -> None:
        assert self.dialog is not None
        plan = self.dialog.plan
        dialog = self.file_dialog = QFileDialog(self._stage.window(), "Save a film")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        kinds = ["mp4", "gif"] if can_write_mp4() else ["gif"]
        dialog.setNameFilters([f"{kind.upper()} film (*.{kind})" for kind in kinds])
        dialog.setDefaultSuffix(kinds[0])
        dialog.selectFile(f"{self.name_of_view()}.{kinds[0]}")
        dialog.filterSelected.connect(lambda text: dialog.setDefaultSuffix(text[-4:-1]))
        dialog.fileSelected.connect(safe_slot(lambda path: self.save_to(path, plan)))
        dialog.open()
