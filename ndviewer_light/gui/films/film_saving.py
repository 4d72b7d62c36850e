"""Films of what is shown, over time, z, fields or a turn of a volume: written in a thread, with progress.

GUI thread only, except where a method says otherwise.
"""

from __future__ import annotations

import math
import os
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

from ...errors import NDViewerError
from ...model import how_many
from ...rendering.scene_overlays import SceneOver
from ...rendering.volume_look import TURN_FRAMES
from ..canvas.canvas_view import MAX_CHANNELS_SHOWN
from ..look.save_dialog import SaveDialog
from ..slots import safe_slot
from ..words import reason_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from PIL import Image

    from ...engine.dataset import Dataset
    from ...rendering.contrast import FixedLimits
    from ...rendering.label_picture import LabelsChosen
    from ...rendering.labels_over import LabelsOver
    from ...rendering.pane_pictures import PanePictures
    from ...rendering.view_picture import LayerLook, SeenPart, ShownPlace, ViewPictures
    from ...views.split_look import SplitLook
    from ...views.visible_area import VisibleArea
    from ..background import Background
    from ..poll import Poll
    from ..stage import Stage
    from .film_dialog import FilmDialog, FilmPlan

_LONGEST_PX = 1024
_GIF_PIXELS = 256 * 1024**2
"""Of all frames of a GIF together: they are in memory until it is written."""
_SAID_SECONDS = 0.2


class _FilmEndedError(Exception):
    """The user has ended it."""


class _Progress:
    """Says how far a film is, and ends it where the user wants that. For the thread that writes it."""

    def __init__(self, path: str, n: int, cancelled: threading.Event, say: Callable[[str], None]) -> None:
        self._name, self._n = os.path.basename(path), n
        self.cancelled = cancelled
        self._say = say
        self._said = time.monotonic()
        self._done = self._read = 0

    def frame(self, done: int) -> None:
        """So many frames are written."""
        self._done, self._read = done, 0
        self._step()

    def plane(self) -> None:
        """A plane of the stack that the next frame shows is read."""
        self._read += 1
        self._step()

    def _step(self) -> None:
        if self.cancelled.is_set():
            raise _FilmEndedError
        if time.monotonic() > self._said + _SAID_SECONDS:
            self._said = time.monotonic()
            reading = f", reading plane {self._read:,} of a stack" if self._read else ""
            self._say(
                f"Saving {self._name}: {self._done:,} of {how_many(self._n, 'frame')}{reading} (Esc cancels)"
            )


def _frames_of_seen(
    pictures: ViewPictures | PanePictures,
    places: Sequence[ShownPlace],
    made: Callable[[list[str], Callable[[int], None]], Iterator[Image.Image]],
    missing: list[str],
    progress: Callable[[int], None],
) -> Iterator[Image.Image]:
    """The frames, after some of them have decided about the contrast of channels without limits. Reads."""
    pictures.see(places)
    yield from made(missing, progress)


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
        self.split_look: Callable[[], SplitLook | None] = lambda: None
        """How channels are shown side by side; None: together."""
        self._cancelled: threading.Event | None = None
        self.dialog: FilmDialog | None = None
        self.file_dialog: SaveDialog | None = None

    def ask(self) -> None:
        """Ask what a film is to show, and where it is saved."""
        dataset, stage = self._stage.dataset, self._stage
        is_overview, is_volume = self.overview_area() is not None, stage.view.is_volume
        sizes = [each for each in self._sizes(dataset) if each[2] > 1] if dataset is not None else []
        if is_overview:
            sizes = [each for each in sizes if each[0] == "t"]
            if not sizes:
                self._say("There is only one time point: a film of the overview needs several", "")
                return
        if dataset is None or not sizes:
            self._say("There is only one plane: a film needs several", "")
            return
        if self._cancelled is not None:
            self._say("A film is being saved: Esc cancels it", "")
            return
        from .film_dialog import FilmDialog

        dialog = self.dialog = FilmDialog(
            stage.window(),
            sizes,
            stage.overlay.written,
            is_part=not is_overview and self._is_part_seen(),
            wants_part=not is_volume,
            channels=[channel.name for channel in dataset.info.channels[:MAX_CHANNELS_SHOWN]],
            shown=stage.channels_on(),
            can_split=not is_overview,
            is_split=self.split_look() is not None,
            has_scale=any(image.pixel_size_um is not None for image in dataset.info.groups),
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
        from ...rendering.film_frames import frames
        from ...rendering.scene_film import SceneFilm, scene_frames

        dataset, stage = self._stage.dataset, self._stage
        if dataset is None:
            return
        channels = stage.channels_on() if plan.channels is None else plan.channels
        places = self._places(dataset, plan.axis)
        cancelled = self._cancelled = threading.Event()
        say = partial(self._say_later, path)
        progress = _Progress(path, len(places), cancelled, say)
        longest = _LONGEST_PX
        if path.lower().endswith(".gif"):
            longest = max(32, min(longest, math.isqrt(_GIF_PIXELS // len(places))))
        limits, looks = self._limits_and_looks(dataset, channels)
        area, labels = self.overview_area(), None
        if area is None:
            labels = self._labels(dataset)
            pictures = self._pictures(dataset, plan, channels, limits, looks, longest, labels, progress)
            made = partial(frames, dataset, pictures, places, plan.inscription)
            if not limits.has(channels, dataset.info.other_dtypes):  # of one that was never shown
                made = partial(_frames_of_seen, pictures, places, made)
        else:
            edges = area.x[0], area.y[0], area.x[1], area.y[1]
            times = [place.t for place in places]
            film = SceneFilm(looks, limits, places[0].z, longest, edges, self.overview_over(times))
            made = partial(scene_frames, dataset, film, times, plan.inscription)
        self._say(f"Saving {os.path.basename(path)}…", path)

        def write() -> None:
            try:
                self._write(path, plan, made, len(places), progress)
            finally:
                if labels is not None:
                    labels.close()

        self._background.run("ndviewer-film", write)

    # ---- parts -----------------------------------------------------------------------------

    def _limits_and_looks(
        self, dataset: Dataset, channels: Sequence[int]
    ) -> tuple[FixedLimits, dict[int, LayerLook]]:
        """How channels are drawn on screen, as far as they have been."""
        from ...rendering.colormaps import chosen_colormap, colormap_of
        from ...rendering.contrast import FixedLimits
        from ...rendering.view_picture import LayerLook

        contrasts, strips = self._stage.channels.contrasts, self._stage.strips
        limits = {
            (c, other): each
            for c in channels
            for other in ("", *dataset.info.other_dtypes)
            if (each := contrasts.limits(c, other)) is not None
        }
        looks = {}
        for c in channels:
            chosen = strips.chosen_color(c)
            table = chosen_colormap(chosen) if chosen else colormap_of(dataset.info.channels[c])
            looks[c] = LayerLook(table, strips.gamma_of(c))
        return FixedLimits(of_type=limits), looks

    def _labels(self, dataset: Dataset) -> LabelsOver | None:
        from ...rendering.labels_over import LabelsOver

        chosen = self.labels_over()
        if chosen is None:
            return None
        name, style = chosen
        return LabelsOver(dataset, name, style, isolate=True, where_there_are_any=True)

    def _pictures(
        self,
        dataset: Dataset,
        plan: FilmPlan,
        channels: Sequence[int],
        limits: FixedLimits,
        looks: dict[int, LayerLook],
        longest: int,
        labels: LabelsOver | None,
        progress: _Progress,
    ) -> ViewPictures | PanePictures:
        """What makes the frames of a film of the main view."""
        from ...rendering.pane_pictures import PanePictures
        from ...rendering.view_picture import ViewPictures
        from ...rendering.volume_picture import VolumePictures

        stage = self._stage
        if plan.side_by_side:
            longest = -(-longest // PanePictures.columns(len(channels)))
        if stage.view.is_volume:
            sight = stage.canvas.volume_sight(of_part=plan.of_part) if stage.canvas is not None else None
            pictures: ViewPictures = VolumePictures(
                dataset,
                channels,
                stage.volume_look,
                *(() if sight is None else (sight,)),
                turns=plan.axis == "turn",
                limits=limits,
                longest=longest,
                labels=labels,
                looks=looks,
                going_on=progress.plane,
            )
        else:
            part = self._part() if plan.of_part else None
            pictures = ViewPictures(
                dataset,
                channels,
                limits=limits,
                longest=longest,
                looks=looks,
                labels=labels,
                part=part,
                legible=plan.side_by_side or plan.inscription.is_any,
            )
        if not plan.side_by_side:
            return pictures
        look = self.split_look()
        names = [dataset.info.channels[c].name for c in channels]
        return PanePictures(pictures, names, in_gray=look is not None and look.value == "gray")

    def _is_part_seen(self) -> bool:
        canvas = self._stage.canvas
        if self._stage.view.is_volume:
            return canvas is not None and not canvas.is_fitting
        return self._part() is not None

    def _part(self) -> SeenPart | None:
        """What is seen of the picture; None for all of it."""
        from ...rendering.view_picture import SeenPart

        shown = self._stage.plane_shown_by
        scene = shown.scene() if shown is not None else None
        area = shown.visible_area() if shown is not None else None
        if scene is None or area is None or scene.is_fitting(area):
            return None
        width, height = scene.width_um, scene.height_um
        return SeenPart(area.x[0] / width, area.y[0] / height, area.x[1] / width, area.y[1] / height)

    def _sizes(self, dataset: Dataset) -> list[tuple[str, str, int]]:
        sliders, view = self._stage.sliders, self._stage.view
        if view.is_volume:
            return [
                ("turn", "One turn", TURN_FRAMES),
                ("t", "Time", sliders.size("t")),
                ("p", "Fields", len(dataset.info.positions)),
            ]
        return [
            ("t", "Time", sliders.size("t")),
            ("z", "z", sliders.size("z") if view.projection is None else 1),
            ("p", "Fields", len(dataset.info.positions)),
        ]

    def _places(self, dataset: Dataset, axis: str) -> list[ShownPlace]:
        from ...rendering.view_picture import ShownPlace
        from .film_dialog import MOST_FRAMES

        view = self._stage.view
        here = ShownPlace(view.t, view.p, view.z if view.projection is None else str(view.projection))
        n = min(next(size for each, _, size in self._sizes(dataset) if each == axis), MOST_FRAMES)
        if axis == "turn":
            return [here._replace(turn=360 * i / n) for i in range(n)]
        return [here._replace(**{axis: i}) for i in range(n)]

    def _write(
        self,
        path: str,
        plan: FilmPlan,
        made: Callable[[list[str], Callable[[int], None]], Iterator[Image.Image]],
        n: int,
        progress: _Progress,
    ) -> None:
        """In a thread."""
        from ...rendering.movies import write_movie

        name, missing = os.path.basename(path), list[str]()
        try:
            write_movie(path, made(missing, progress.frame), plan.fps)
        except _FilmEndedError:
            words = f"{name} was not saved: cancelled"
        except (NDViewerError, OSError, ValueError, IndexError) as error:
            words = f"{name} could not be saved: {reason_of(error)}"
        except Exception as error:  # noqa: BLE001  of encoders, which have exceptions of their own
            words = f"{name} could not be saved: {type(error).__name__}: {error}"
        else:
            left_out = f"; {how_many(len(missing), 'plane')} not stored" if missing else ""
            words = f"Saved {name}, {how_many(n, 'frame')}{left_out}"
        self._poll.post(lambda: self._on_written(words, path, progress.cancelled))

    def _say_later(self, path: str, text: str) -> None:
        """Any thread."""
        self._poll.post(lambda: self._say(text, path))

    def _on_written(self, words: str, path: str, cancelled: threading.Event) -> None:
        if self._cancelled is cancelled:
            self._cancelled = None
        self._say(words, path)
        self.ended.emit()

    @safe_slot
    def _on_planned(self) -> None:
        from .film_dialog import can_write_mp4

        assert self.dialog is not None
        plan = self.dialog.plan
        endings = [".mp4", ".gif"] if can_write_mp4() else [".gif"]
        kinds = {f"{ending[1:].upper()} film (*{ending})": ending for ending in endings}
        dialog = self.file_dialog = SaveDialog(
            self._stage.window(), "Save a film", kinds, self.name_of_view()
        )
        dialog.chosen.connect(safe_slot(lambda path: self.save_to(path, plan)))
        dialog.open()
