"""Shows the statistics of a run: colours the maps on the left, fills the panel, measures when told to.

GUI thread only; nothing is read or worked out here: they come from `KnownStatistics`, where reads leave them.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject
from qtpy.QtGui import QColor

from ...errors import DatasetError
from ...model import PlaneState, channel_in, how_many
from ...rendering.field_statistics import (
    ACQUIRED,
    FieldStatistic,
    color_table,
    ends_of,
    planes_of_fields,
    scale_colors,
    shares_of,
    span_of,
    text_of,
    tints_of,
    values_of_positions,
)
from ...rendering.place_words import name_of
from ..look.plots import begin_import
from ..scene.scene_painting import ValueLegend
from ..slots import safe_slot
from .plotted_statistics import MOST_PLOTTED, in_order, median, over_time, values_of_wells
from .statistics_job import StatisticsJob, keys_of_run
from .statistics_panel import StatisticsPanel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ...engine.dataset import Dataset
    from ...model import DatasetInfo
    from ...rendering.scene_overlays import FieldTints
    from ..background import Background
    from ..panels.left_panels import LeftPanels
    from ..places.places_view import PlacesView
    from ..poll import Poll
    from ..scene.scene_canvas import SceneCanvas
    from ..scene.scene_view import SceneView
    from ..stage import Stage
    from .acquired_times import AcquiredTimes

logger = logging.getLogger(__name__)

_NUMBERS_EVERY_SECONDS = 0.5
"""Between two drawings of statistics that keep arriving."""

_WORDS = {
    PlaneState.ABSENT: "missing",
    PlaneState.PENDING: PlaneState.PENDING.value,
    PlaneState.UNREADABLE: "unreadable",
}


class StatisticsView(QObject):
    """For one stage. `step` whenever the dataset is polled, `go_to(t, p)` moves the view."""

    def __init__(
        self, stage: Stage, background: Background, poll: Poll, go_to: Callable[[int, int], None]
    ) -> None:
        super().__init__(stage)
        self._stage = stage
        self._background = background
        self._poll = poll
        self._go_to = go_to
        self._panels: LeftPanels | None = None
        self._places: PlacesView | None = None
        self._scene: SceneView | None = None
        self.panel = StatisticsPanel()
        stage.splitter.add_below(self.panel)
        self.job: StatisticsJob | None = None
        self.values: list[float] = []
        """Of each position, as the maps show them."""
        self._dataset: Dataset | None = None
        self._times: AcquiredTimes | None = None
        self._has_plots = False
        self._left = threading.Event()  # set when the dataset on screen is another one
        self._shown: tuple[object, ...] = ()
        self._drawn_at = float("-inf")
        self._offered: tuple[object, ...] = ()
        self.panel.chosen.connect(self._on_chosen)
        self.panel.measure_asked.connect(self._on_measure)
        self.panel.stop_asked.connect(self._on_stop)
        self.panel.close_clicked.connect(self._on_close)
        self.panel.plot.picked.connect(self._on_picked)

    def show_on_maps(self, panels: LeftPanels, places: PlacesView) -> None:
        """Colour the maps on the left as well."""
        self._panels, self._places = panels, places
        places.more_words = self._words_of

    def show_over(self, scene: SceneView) -> None:
        """Colour the fields of the overview as well."""
        self._scene = scene
        scene.more_words = lambda p: self._words_of((p,)).strip()

    # ---- open and close --------------------------------------------------------------------

    @property
    def is_shown(self) -> bool:
        """Whether its panel is."""
        return not self.panel.isHidden()

    def toggle(self) -> None:
        """Show the statistics, or no longer; nothing without a dataset."""
        if not self.panel.isHidden():
            self.close()
        elif self._stage.dataset is not None:
            self.panel.show()
            self._import_plots()
            self._take_dataset()
            self.step()

    def close(self) -> None:
        """Hide the panel, and show states on the maps again; measuring continues."""
        self.panel.hide()
        self.values = []
        self._shown = ()
        self._color_maps(None)

    def end(self) -> None:
        """The viewer ends: nothing is measured any more."""
        self._left.set()
        if self.job is not None:
            self.job.cancel()

    def _import_plots(self) -> None:
        if not self._has_plots:
            begin_import(self._background, lambda reason: self._poll.post(lambda: self._on_plots(reason)))

    def _on_plots(self, reason: str) -> None:
        self._has_plots = not reason
        self._shown = ()

    def _take_dataset(self) -> None:
        """Another dataset is on screen: what was measured of it before is looked up on disk."""
        dataset = self._stage.dataset
        if dataset is self._dataset:
            return
        self.end()
        self.job, self._dataset, self._left = None, dataset, threading.Event()
        self._offered = self._shown = ()
        self._times = None
        if dataset is not None:
            left = self._left
            from .acquired_times import AcquiredTimes

            self._times = AcquiredTimes(dataset, left)
            self._background.run("ndviewer-recall", lambda: _recall(dataset, left))

    # ---- showing ---------------------------------------------------------------------------

    def step(self) -> bool:
        """Show what is known by now; a few microseconds if nothing is new. Whether more is expected."""
        if self._dataset is not None and self._stage.dataset is not self._dataset:
            self.end()
            self.job = None
            if self.panel.isHidden():
                self._dataset = None
        if self.panel.isHidden():
            return self.job is not None and not self.job.finished.is_set()
        self._take_dataset()
        dataset = self._dataset
        if dataset is None:
            self.close()
            return False
        info = dataset.info
        self._offer(info)
        c = self.panel.c
        if c is None:
            return False
        if self.panel.name == ACQUIRED and self._times is not None:
            self._times.keep_up(self._background)
        view, now = self._stage.view, time.monotonic()
        seen = (
            view,
            info,
            c,
            self.panel.name,
            self.panel.is_over_time,
            self._has_plots,
            self._state_of_job(),
            self._is_legend_on_overview,
        )
        state = (*seen, dataset.statistics.changes)
        is_due = seen != self._shown[:-1] or now - self._drawn_at >= _NUMBERS_EVERY_SECONDS
        if state != self._shown and is_due:
            self._shown, self._drawn_at = state, now
            self._show(dataset, info, c)
        is_looking = self._times is not None and self._times.is_looking
        return is_looking or (self.job is not None and not self.job.finished.is_set())

    def _state_of_job(self) -> tuple[object, ...]:
        job = self.job
        return (
            ()
            if job is None
            else (job.done, job.is_waiting, job.finished.is_set(), tuple(job.failed.items()))
        )

    def _offer(self, info: DatasetInfo) -> None:
        view, image = self._stage.view, self._stage.image
        offered = (info, image, view.t, view.z, self.panel.c)
        if offered == self._offered:
            return
        channels = list(enumerate(channel.name for channel in info.channels))
        visible = self._stage.visible_channels()
        self.panel.offer_channels(channels, visible[0] if visible else 0)
        self.panel.offer_axes(info.n_t, len(info.positions))
        c = self.panel.c
        n_run = sum(
            image.n_t * len(image.channels) * image.n_z
            for image in (info.image(p) for p in range(len(info.positions)))
        )
        n_map = len(info.positions)
        if c is not None and info.images:
            n_map = len(planes_of_fields(info, view.t, c, view.z))
        self.panel.offer_measuring(n_map, n_run)
        self._offered = (info, image, view.t, view.z, c)

    def _show(self, dataset: Dataset, info: DatasetInfo, c: int) -> None:
        view, name = self._stage.view, self.panel.name
        self.values = values_of_positions(dataset.statistics, info, name, view.t, c, view.z)
        span = span_of(self.values)
        ends = ends_of(span, name)
        self._color_maps(span, ends)
        is_explained = len(self.values) == 1 or self._is_legend_on_overview
        self.panel.legend.show_ends(*(("", "") if is_explained else ends))
        self._say(info, c)
        if self._has_plots:
            self._plot(dataset, info)

    @property
    def _is_legend_on_overview(self) -> bool:
        """Whether the overview is in view and says what the colours mean."""
        return self._scene is not None and self._scene.is_shown and self._scene.canvas.legend is not None

    def _color_maps(self, span: tuple[float, float] | None, ends: tuple[str, str] = ("", "")) -> None:
        if self._scene is not None:
            self._color_scene(self._scene.canvas, span, ends)
        if self._panels is None or self._places is None:
            return
        is_shown = not self.panel.isHidden()
        self._panels.show_statistics(is_shown)
        if not is_shown:
            self._panels.field_map.show_values(None)
            self._panels.plate_map.show_values(None)
            return
        self._panels.field_map.show_values(_colors(shares_of(self.values, span)))
        wells = self._places.wells
        if wells.n_positions == len(self.values):
            self._panels.plate_map.show_values(_colors(shares_of(values_of_wells(self.values, wells), span)))

    def _color_scene(
        self, canvas: SceneCanvas, span: tuple[float, float] | None, ends: tuple[str, str]
    ) -> None:
        if self.panel.isHidden() or len(self.values) < 2:
            canvas.show_values(None)
            return
        c, dataset = self.panel.c, self._dataset
        channel = dataset.info.channels[c].name if c is not None and dataset is not None else ""
        title = f"{self.panel.title}, {channel}" if channel else self.panel.title
        colors = tuple(QColor(*each) for each in scale_colors(ends)[::15])
        canvas.show_values(_colors(shares_of(self.values, span)), ValueLegend(title, *ends, colors))

    def tints_over(self, times: Sequence[int]) -> FieldTints | None:
        """The colours of fields at each of these time points, for a film: on one scale, of what is known now.

        None where none are shown. They are looked up when they are asked for, in any thread.
        """
        dataset, c, name = self._dataset, self.panel.c, self.panel.name
        if dataset is None or c is None or self.panel.isHidden():
            return None
        return tints_of(dataset, FieldStatistic(name, c, self._stage.view.z), times)

    def _plot(self, dataset: Dataset, info: DatasetInfo) -> None:
        view, name, n_p = self._stage.view, self.panel.name, len(info.positions)
        image = self._stage.image
        own = [c for c in range(len(info.channels)) if _has(info, view.p, c)]
        shown = [c for c in self._stage.visible_channels() if c in own] or own
        if self.panel.is_over_time:
            n_t = info.n_t if image is None else max(image.n_t, 1)
            series = {c: over_time(dataset.statistics, name, n_t, view.p, c, view.z) for c in shown}
            where = name_of(info.positions[view.p]) if view.p < n_p else ""
            step = -(-n_t // MOST_PLOTTED) or 1
            x_name = f"Time point at {where}" if step == 1 else f"Every {step}th time point at {where}"
            now = view.t // step
        else:
            series = {c: in_order(dataset.statistics, name, info.n_t, n_p, view.t, c, view.z) for c in shown}
            x_name = (
                "Position, in order of acquisition" if info.n_t == 1 else "Plane, in order of acquisition"
            )
            places = next(iter(series.values())).places if series else ()
            now = view.p if len(places) == n_p else view.t * n_p + view.p
        colors = {c: channel.color for c, channel in enumerate(info.channels)}
        self.panel.plot.show_series(series, colors, x_name=x_name, y_name=self.panel.title, now=now)

    def _say(self, info: DatasetInfo, c: int) -> None:
        known = sum(not math.isnan(value) for value in self.values)
        said = f"{known:,} of {len(self.values):,} fields known"
        if len(self.values) == 1:
            said = (
                f"{self.panel.title} of {info.channels[c].name}: {text_of(self.values[0], self.panel.name)}"
            )
        job = self.job
        is_measuring = job is not None and not job.finished.is_set()
        if job is not None:
            failed = ", ".join(f"{n:,} {_WORDS[state]}" for state, n in job.failed.items() if state in _WORDS)
            if is_measuring and job.is_waiting:
                said = f"measured; waiting for planes that are not there yet{f': {failed}' if failed else ''}"
            elif is_measuring:
                said = f"measuring {job.done:,} of {job.expected:,}{f', {failed}' if failed else ''}"
            elif failed:
                said = f"{said}; {failed}"
        tip = f"{info.channels[c].name}, time point {self._stage.view.t + 1}: {said}"
        self.panel.say(said, tip, is_measuring=is_measuring)

    def _words_of(self, fields: Sequence[int]) -> str:
        """What is said of a well or field under the mouse."""
        if self.panel.isHidden() or not self.values or max(fields, default=0) >= len(self.values):
            return ""
        known = [self.values[p] for p in fields if not math.isnan(self.values[p])]
        of = f" (median of {how_many(len(known), 'field')})" if len(fields) > 1 and known else ""
        return f"\n{self.panel.title}: {text_of(median(known), self.panel.name)}{of}"

    # ---- slots -----------------------------------------------------------------------------

    @safe_slot
    def _on_chosen(self) -> None:
        self._shown = ()
        self.step()

    @safe_slot
    def _on_measure(self, what: str) -> None:
        dataset, view, c = self._dataset, self._stage.view, self.panel.c
        if dataset is None or c is None:
            return
        if self.job is not None:
            self.job.cancel()
        t, z = view.t, view.z
        self.job = StatisticsJob(
            dataset, keys_of_run if what == "run" else lambda info: planes_of_fields(info, t, c, z)
        )
        self.job.start(self._background)
        self._poll.wake()
        self.step()

    @safe_slot
    def _on_stop(self) -> None:
        if self.job is not None:
            self.job.cancel()

    @safe_slot
    def _on_close(self) -> None:
        self.close()

    @safe_slot
    def _on_picked(self, t: int, p: int) -> None:
        self._go_to(t, p)


def _recall(dataset: Dataset, left: threading.Event) -> None:
    try:
        dataset.recall_statistics(left.is_set)
    except DatasetError as error:  # the dataset says so itself
        logger.debug("looking up statistics: %s", error)


def _has(info: DatasetInfo, p: int, c: int) -> bool:
    return p >= len(info.positions) or channel_in(info.image(p).channels, info.channels, c) is not None


def _colors(shares: Sequence[float | None]) -> list[QColor | None]:
    table = color_table()
    return [None if share is None else QColor(*table[round(share * 255)]) for share in shares]
