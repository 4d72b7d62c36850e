"""Shapes on one stage, and what lies below the selected one: read in a thread, plotted, exported.

GUI thread only, except where a method says otherwise; no plane is read in it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from qtpy.QtCore import QObject, QPoint, Qt

from ...engine.shape_values import box_series, length_of, line_profiles
from ...engine.shapes import box_of
from ...storage.whole_files import whole_file
from ..keyboard.keys import keys_of
from ..look.plots import begin_import
from ..look.save_dialog import SaveDialog
from ..look.theme import menu_of
from ..slots import safe_slot
from .drawn_shapes import DrawnShapes, ShapeKind
from .measure_panel import MeasurePanel
from .shape_hand import ShapeHand
from .shape_layer import ShapeLayer

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from qtpy.QtWidgets import QMenu, QWidget

    from ...engine.dataset import Dataset
    from ...engine.projections import StackProjection
    from ...engine.shape_values import SeriesAxis
    from ...model import ImageInfo, Region
    from ..background import Background
    from ..canvas.view_frames import Frame
    from ..poll import Poll
    from ..stage import Stage
    from .drawn_shapes import DrawnShape
    from .measured import Measured

logger = logging.getLogger(__name__)

_MEASURE_EVERY_SECONDS = 0.1
"""The shortest time between two readings of what changes all the time."""
_GAPS_SECONDS = 1.0
"""How soon gaps in a dataset that is being written are looked at again."""
_PROGRESS_SECONDS = 0.2


class _Wanted(NamedTuple):
    """What is to be measured, and so what a result holds for."""

    dataset: Dataset
    shape: DrawnShape
    along: str
    t: int
    p: int
    z: int
    projection: StackProjection | None
    channels: tuple[int, ...]

    @property
    def series(self) -> tuple[object, ...]:
        """What must stay the same for values of other time points and planes to hold."""
        fixed = self.of_stack if self.along == "t" else self.t
        return self.dataset, self.shape, self.along, self.p, fixed

    @property
    def of_stack(self) -> int | StackProjection:
        """The plane, or the projection, that is in view."""
        return self.z if self.projection is None else self.projection


class _ShapeReading:
    """One reading of it, in a thread."""

    def __init__(self, wanted: _Wanted, known: dict[tuple[int, int], float], anew: frozenset[int]) -> None:
        self.wanted = wanted
        self.known = known
        self.anew = anew
        self.cancelled = threading.Event()


class Measuring(QObject):
    """Measures for one stage. `step` whenever the dataset is polled."""

    def __init__(
        self, stage: Stage, background: Background, poll: Poll, say: Callable[[str, str], None]
    ) -> None:
        super().__init__(stage)
        self._stage = stage
        self._background = background
        self._poll = poll
        self._say = say
        self.shapes = DrawnShapes()
        self.layer = ShapeLayer(stage.picture, self.shapes, stage.overlay.bar_plate_in)
        self.hand = ShapeHand(self.shapes, lambda: stage.plane_shown_by, self)
        self.panel = MeasurePanel()
        stage.splitter.add_below(self.panel)
        self._along: SeriesAxis = "t"
        self._dataset: Dataset | None = None
        self._job: _ShapeReading | None = None
        self._has_plots = self._asked_for_plots = False
        self._known: tuple[tuple[object, ...], dict[tuple[int, int], float]] = ((), {})
        self._done: _Wanted | None = None
        self._seen: tuple[object, ...] = ()
        self._read_at = float("-inf")
        self._menu: QMenu | None = None
        self._dialog: SaveDialog | None = None
        self.hand.changed.connect(self._on_changed)
        self.hand.drawn.connect(self._on_drawn)
        self.panel.along_chosen.connect(self._on_along)
        self.panel.export_clicked.connect(self._on_export)
        self.panel.close_clicked.connect(self._on_close)
        stage.canvas_set.connect(self._on_canvas_set)
        stage.plane_moved.connect(self._on_moved)
        if stage.canvas is not None:
            self._on_canvas_set()

    # ---- what the user does ----------------------------------------------------------------

    def begin(self, kind: ShapeKind) -> None:
        """Let the next drag in the picture draw a shape; nothing in a volume."""
        if self._stage.dataset is None:
            return
        if not self._is_flat():
            how = self._stage.picture.way_back or "choose 2D"
            self._say(f"Shapes are drawn on a single plane: {how} first", "")
            return
        surface = self._stage.plane_shown_by.surface
        if self.hand.kind is kind and surface is not None:
            self.hand.place_in_middle(surface.width(), surface.height())
            return
        self.hand.begin(kind)
        how = "click in" if kind is ShapeKind.POINT else "drag over"
        again = f"{keys_of(MEASURE_ACTIONS[kind])} again: in its middle"
        self._say(f"{kind.value}: {how} the picture ({again}; Esc cancels)", "")
        if surface is not None:
            surface.setFocus(Qt.FocusReason.ShortcutFocusReason)  # keys that move the shape work there

    def nudge(self, right: int, down: int, *, end_only: bool = False) -> None:
        """Move the selected shape a little in that direction (-1, 0 or 1 along each), or one end only."""
        self.hand.nudge(right, down, end_only=end_only)

    def select_next(self) -> None:
        """Select the next shape, the first after the last."""
        self.shapes.select_next()
        self._on_changed()

    def cancel(self) -> bool:
        """Draw nothing after all; False if nothing was to be drawn."""
        if self.hand.kind is None:
            return False
        self.hand.begin(None)
        self._say("", "")
        return True

    def remove_selected(self) -> None:
        """Remove the selected shape."""
        selected = self.shapes.selected
        if selected is not None:
            self.shapes.remove(selected.number)
            self._on_changed()

    def clear(self) -> None:
        """Remove all shapes."""
        self.shapes.clear()
        self._on_changed()

    def show_menu(self, below: QWidget | None = None) -> None:
        """Offer everything that measures in a menu, below a widget or over the picture."""
        if self._menu is not None:
            self._menu.deleteLater()
        place = below if below is not None else self._stage.picture
        menu = self._menu = menu_of(place.parentWidget() or place)
        is_flat = self._is_flat()
        for kind, action in MEASURE_ACTIONS.items():
            each = menu.addAction(f"{kind.value}\t{keys_of(action)}")
            each.setEnabled(is_flat)
            each.triggered.connect(safe_slot(partial(self.begin, kind)))
        menu.addSeparator()
        for text, act, is_on in (
            (f"Remove selected\t{keys_of('measure_remove')}", self.remove_selected, self.shapes.selected),
            ("Remove all", self.clear, len(self.shapes)),
            ("Save values as CSV…", self._on_export, self.panel.measured),
        ):
            each = menu.addAction(text)
            each.setEnabled(bool(is_on))
            each.triggered.connect(safe_slot(act))
        menu.popup(place.mapToGlobal(QPoint(0, place.height()) if below is not None else QPoint(12, 44)))

    def _is_flat(self) -> bool:
        """Whether a single plane is in view, on which shapes can be drawn."""
        shown = self._stage.plane_shown_by
        return shown is not None and shown.projection() is not None

    @property
    def _stays_closed(self) -> bool:
        """The plot makes the picture smaller when it opens: not below a mouse that holds a shape."""
        return self.hand.is_held and self.panel.measured is None

    # ---- what is shown ---------------------------------------------------------------------

    def step(self) -> None:
        """Read what has changed below the selected shape; a few microseconds without one."""
        dataset = self._stage.dataset
        if dataset is not self._dataset:
            self._begin_with(dataset)
        if dataset is None or not len(self.shapes):
            return
        wanted = self._wanted()
        if wanted is None:
            self._end_job()
            if self.panel.measured is not None:
                self.panel.clear()
            return
        self._show_layer()
        if self._stays_closed:
            return
        if self._prepare_plots() and self._job is None:
            self._read(wanted)
        elif self._job is not None and self._job.wanted != wanted:
            self._job.cancelled.set()

    def forget(self) -> None:
        """Everything may have changed: read all of it again."""
        self._known = (), {}
        self._done = None

    def end(self) -> None:
        """Read nothing more."""
        self._end_job()

    def export_to(self, path: str) -> None:
        """Write what is plotted to a file, in a thread."""
        measured = self.panel.measured
        if measured is not None:
            from .measured import table_of

            text = table_of(measured)
            self._background.run("ndviewer-measure-export", lambda: self._export(path, text))

    # ---- parts -----------------------------------------------------------------------------

    def _begin_with(self, dataset: Dataset | None) -> None:
        self._dataset = dataset
        self._end_job()
        self.forget()
        self.shapes.clear()
        if self.hand.kind is not None:
            self.hand.begin(None)
        self.panel.clear()
        self._show_layer()

    def _end_job(self) -> None:
        job, self._job = self._job, None
        if job is not None:
            job.cancelled.set()

    def _wanted(self) -> _Wanted | None:
        shape, dataset = self.shapes.selected, self._stage.dataset
        if shape is None or dataset is None:
            return None
        if not shape.kind.is_plotted and self.panel.measured is None:
            return (
                None  # once there is a plot it stays: the picture is not to jump when a distance is selected
            )
        t, p, z = self._stage.view[:3]
        projection = self._stage.view.projection
        along = "line" if shape.kind.is_line else self._along_of(dataset, p)
        return _Wanted(dataset, shape, along, t, p, z, projection, self._stage.visible_channels())

    def _along_of(self, dataset: Dataset, p: int) -> SeriesAxis:
        """The axis that was chosen, or the other one where that has only one index."""
        other: SeriesAxis = "z" if self._along == "t" else "t"
        is_short = length_of(dataset, p, self._along) < 2 <= length_of(dataset, p, other)
        return other if is_short else self._along

    def _prepare_plots(self) -> bool:
        """Import what draws plots, in a thread; whether that is done."""
        if not self._asked_for_plots:
            self._asked_for_plots = True
            begin_import(self._background, lambda reason: self._poll.post(lambda: self._on_plots(reason)))
        return self._has_plots

    def _on_plots(self, reason: str) -> None:
        self._has_plots = not reason
        if reason:
            self._say(f"Plots cannot be drawn: {reason}", "")

    def _read(self, wanted: _Wanted) -> None:
        """Start reading if there is anything to read that may differ from what is shown."""
        now = time.monotonic()
        frame = self._stage.canvas.frame if self._stage.canvas is not None else None
        seen = (id(frame), wanted.dataset.announced[0], wanted.dataset.info)
        is_due = seen != self._seen and now - self._read_at >= _MEASURE_EVERY_SECONDS
        measured = self.panel.measured
        has_gaps = measured is not None and measured.n_gaps > 0 and wanted.along != "line"
        is_due |= has_gaps and wanted.dataset.is_being_written and now - self._read_at >= _GAPS_SECONDS
        if wanted == self._done and not is_due:
            return
        self._seen, self._read_at = seen, now
        if self._known[0] != wanted.series:
            self._known = wanted.series, {}
        anew = frozenset({wanted.t if wanted.along == "t" else wanted.z}) if is_due else frozenset()
        job = self._job = _ShapeReading(wanted, dict(self._known[1]), anew)
        self._background.run("ndviewer-measure", lambda: self._run(job))

    def _run(self, job: _ShapeReading) -> None:
        """In a thread: read, and hand over what was found."""
        found: Measured | None = None
        try:
            found = self._measure(job)
        except Exception:  # the next change is another try
            logger.exception("measuring below a shape")
        self._poll.post(lambda: self._on_read(job, found))

    def _measure(self, job: _ShapeReading) -> Measured | None:
        """In a thread."""
        wanted = job.wanted
        dataset, shape, along, t, p = wanted[:5]
        if along == "line":
            at = (t, p, wanted.of_stack)
            return _as_measured(wanted, line_profiles(dataset, at, wanted.channels, shape.line))
        image = _image(dataset, p)
        box = box_of(shape.a, shape.b, image.height, image.width) if image is not None else None
        if box is None:
            return _as_measured(wanted, {})
        said = time.monotonic()

        def progress(values: dict[int, np.ndarray]) -> None:
            nonlocal said
            if time.monotonic() > said + _PROGRESS_SECONDS:
                said = time.monotonic()
                part = _as_measured(wanted, {c: each.copy() for c, each in values.items()})
                self._poll.post(lambda: self._on_part(job, part))

        return _as_measured(wanted, self._series(job, box, progress))

    def _series(
        self, job: _ShapeReading, box: Region, progress: Callable[[dict[int, np.ndarray]], None]
    ) -> dict[int, np.ndarray]:
        """In a thread."""
        wanted = job.wanted
        return box_series(
            wanted.dataset,
            (wanted.t, wanted.p, wanted.of_stack),
            wanted.channels,
            box,
            "t" if wanted.along == "t" else "z",
            known=job.known,
            anew=job.anew,
            cancelled=job.cancelled.is_set,
            progress=progress,
        )

    def _on_part(self, job: _ShapeReading, measured: Measured) -> None:
        if job is self._job and not job.cancelled.is_set():
            self._show(measured)

    def _on_read(self, job: _ShapeReading, measured: Measured | None) -> None:
        if job is not self._job:
            return
        self._job = None
        if self._known[0] == job.wanted.series:
            self._known = self._known[0], job.known
        if job.cancelled.is_set() or self._stage.dataset is not job.wanted.dataset or self._stays_closed:
            return
        self._done = job.wanted
        if measured is not None:
            self._show(measured)

    def _show(self, measured: Measured) -> None:
        _, p, _ = measured.at
        dataset, strips = self._stage.dataset, self._stage.strips
        if dataset is None or self._stays_closed:
            return
        has_both = min(length_of(dataset, p, "t"), length_of(dataset, p, "z")) > 1
        colors = {c: strips.color_of(c) for c in measured.values}
        self.panel.show_values(measured, colors, has_both=has_both)
        self.panel.show()

    def _show_layer(self) -> None:
        canvas, shown = self._stage.canvas, self._stage.plane_shown_by
        frame: Frame | None = canvas.frame if canvas is not None else None
        self.layer.show_in(
            shown.projection() if shown is not None else None, frame.image if frame is not None else None
        )

    def _export(self, path: str, text: str) -> None:
        """In a thread."""
        name = os.path.basename(path)
        try:
            with whole_file(path) as part, open(part, "w", encoding="utf-8-sig", newline="") as file:
                file.write(text)  # with a mark for spreadsheets
        except OSError as error:
            reason = error.strerror or str(error)
            self._poll.post(lambda: self._say(f"{name} could not be written: {reason}", path))
        else:
            self._poll.post(lambda: self._say(f"Saved {name}", path))

    # ---- slots -----------------------------------------------------------------------------

    @safe_slot
    def _on_canvas_set(self) -> None:
        canvas = self._stage.canvas
        assert canvas is not None
        canvas.tools.insert(0, self.hand)
        self.layer.raise_()

    @safe_slot
    def _on_moved(self) -> None:
        if len(self.shapes):
            self._show_layer()

    @safe_slot
    def _on_drawn(self) -> None:
        self._say("", "")
        self._on_changed()

    @safe_slot
    def _on_changed(self) -> None:
        """A shape was drawn, moved, selected or removed."""
        self._show_layer()
        self.layer.refresh()
        self._poll.wake()
        if not len(self.shapes):
            self._end_job()
            self.panel.clear()

    @safe_slot
    def _on_along(self, along: str) -> None:
        self._along = "z" if along == "z" else "t"
        self._poll.wake()

    @safe_slot
    def _on_close(self) -> None:
        """Close the plot: nothing is selected until a shape is clicked."""
        self.shapes.select(None)
        self._end_job()
        self._done = None
        self.panel.clear()
        self.layer.refresh()

    @safe_slot
    def _on_export(self) -> None:
        measured = self.panel.measured
        if measured is None:
            return
        name = "profile" if measured.along == "line" else f"intensity over {measured.along}"
        dialog = self._dialog = SaveDialog(
            self._stage.window(), "Save measured values", {"Tables (*.csv)": ".csv"}, name
        )
        dialog.chosen.connect(safe_slot(self.export_to))
        dialog.open()


MEASURE_ACTIONS = {
    ShapeKind.PROFILE: "measure_line",
    ShapeKind.DISTANCE: "measure_distance",
    ShapeKind.BOX: "measure_box",
    ShapeKind.POINT: "measure_point",
}
"""The action in `keyboard.keys` that begins each kind of shape."""


def _image(dataset: Dataset, p: int) -> ImageInfo | None:
    """What a position contains; may block on disk."""
    with contextlib.suppress(IndexError):
        return dataset.known_image(p) or dataset.info.image(p)
    return None


def _as_measured(wanted: _Wanted, values: dict[int, np.ndarray]) -> Measured:
    from .measured import Measured

    info = wanted.dataset.info
    title = info.positions[wanted.p].title if wanted.p < len(info.positions) else ""
    names = [channel.name for channel in info.channels]
    at = (wanted.t, wanted.p, wanted.z)
    image = _image(wanted.dataset, wanted.p)
    return Measured(wanted.shape, wanted.along, at, title, names, image, values, wanted.projection)
