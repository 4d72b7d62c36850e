"""Labels over the picture of one stage: what is asked for, drawn, and said of the pixel under the mouse.

GUI thread only; a `LabelReader` reads.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject

from ...engine.label_planes import PictureArea
from ...rendering.label_picture import LabelsChosen
from ..slots import safe_slot
from .label_layer import LabelLayer
from .label_panel import LabelPanel
from .label_reader import LabelReader, LabelsWanted, facts_of

if TYPE_CHECKING:
    from ...engine.dataset import Dataset
    from ..background import Background
    from ..poll import Poll
    from ..scene.scene_view import SceneView
    from ..stage import Stage
    from .label_reader import LabelsShown

_ALL_OF_IT = PictureArea(0.0, 0.0, 1.0, 1.0)
_ALSO_LOOKED_AT = 16
"""For the overview, the names of labels come from so many positions at most, if that in view has none."""
_LABELS_AGAIN_SECONDS = 5.0
"""How often a run is asked for labels as long as it has none."""


class LabelControls(QObject):
    """`step` whenever the dataset is polled."""

    def __init__(self, stage: Stage, background: Background, poll: Poll) -> None:
        super().__init__(stage)
        self._stage = stage
        self._poll = poll
        self._reader = LabelReader(background, lambda shown: poll.post(lambda: self._take(shown)))
        self._reader.end_with(self)
        self._dataset: Dataset | None = None
        self._asked: LabelsWanted | None = None
        self._asked_at = float("-inf")  # time.monotonic
        self._shown: LabelsShown | None = None
        self.panel = LabelPanel()
        self.panel.changed.connect(self._on_changed)
        self.layer = LabelLayer(stage.picture)
        stage.splitter.add_below_channels(self.panel)
        stage.also_under_mouse = self.text_at
        self._scene: SceneView | None = None
        stage.canvas_set.connect(self._on_canvas_set)
        stage.plane_moved.connect(self._on_moved)

    def show_over(self, scene: SceneView) -> None:
        """Draw the labels that are chosen over the fields of the overview as well."""
        self._scene = scene
        scene.labels_chosen = lambda: LabelsChosen(self.panel.chosen, self.panel.style_chosen)
        scene.say_of_labels = self.panel.say

    @property
    def _is_covered(self) -> bool:
        """Whether the overview is shown, which draws labels itself."""
        return self._scene is not None and self._scene.is_shown

    def step(self) -> bool:
        """Ask for what is in view, unless it is there; whether something is being read."""
        dataset = self._stage.dataset
        if dataset is not self._dataset:
            self._dataset = dataset
            self._leave()
        self._ask(again=self._reader.has_changed())
        return self._reader.is_busy

    def start_over(self) -> None:
        """Another dataset has taken the place of the one on screen."""
        self._dataset = None

    def toggle(self) -> None:
        """Draw labels over the picture, or no longer."""
        self.panel.toggle()

    def end(self) -> None:
        """Close the labels."""
        self._reader.end()

    @property
    def chosen(self) -> LabelsChosen | None:
        """Which labels are to be drawn, and how; None for none."""
        return LabelsChosen(self.panel.chosen, self.panel.style_chosen) if self.panel.chosen else None

    @property
    def shown(self) -> LabelsShown | None:
        """What is drawn, or why nothing is; None before anything was asked."""
        return self._shown

    def text_at(self, row: int, column: int) -> str:
        """What is said of a pixel of the image: "cells 17 (class nucleus)"; "" where no labels are drawn."""
        shown = self._shown
        value = shown.value_at(row, column) if shown is not None and self.panel.chosen else None
        if not value or shown is None:
            return ""
        said = shown.facts.text_of(value)
        return f"{shown.wanted.name} {value}{f' ({said})' if said else ''}"

    # ---- parts -----------------------------------------------------------------------------

    def _leave(self) -> None:
        self._asked = self._shown = None
        self._reader.forget()
        self.panel.offer(())
        self.panel.say("")
        self._draw(None)

    def _draw(self, shown: LabelsShown | None) -> None:
        """Draw labels over the plane or volume on screen; None: nothing."""
        canvas = self._stage.canvas
        if shown is None:
            self.layer.show_picture(None, None)
        else:
            self.layer.show_picture(shown.picture, shown.wanted.area)
        if canvas is not None:
            canvas.show_surface(shown.surface if shown is not None else None)

    def _area(self) -> PictureArea | None:
        """What is seen of the picture, in pixels of the image."""
        canvas, shown = self._stage.canvas, self._stage.plane_shown_by
        frame = canvas.frame if canvas is not None else None
        area = shown.visible_area() if shown is not None else None
        if area is None or frame is None or frame.image is None:
            return None
        y, x = facts_of(frame.image)
        if not (area.x[1] > area.x[0] and area.y[1] > area.y[0]):
            return None
        return PictureArea(area.x[0] / x, area.y[0] / y, area.x[1] / x, area.y[1] / y)

    def _wanted(self) -> LabelsWanted | None:
        if self._is_covered:
            return self._wanted_of_names()
        area, canvas, shown = self._area(), self._stage.canvas, self._stage.plane_shown_by
        self.layer.show_area(area)
        frame = canvas.frame if canvas is not None else None
        if frame is None or self._dataset is None:
            return None
        at = frame.view  # what is on screen, not what is wanted next
        if at.p >= len(self._dataset.info.positions):
            return None
        which = self._dataset, at.p, at.t, at.z, self.panel.chosen, self.panel.style_chosen
        if at.is_volume and frame.image is not None:
            return LabelsWanted(*which, PictureArea(0, 0, 0, 0), 0, 0, at.planes_of(frame.image.n_z))
        if area is None:
            return None
        size = shown.surface.size() if shown is not None and shown.surface is not None else self.layer.size()
        return LabelsWanted(*which, area, max(size.height(), 1), max(size.width(), 1))

    def _wanted_of_names(self) -> LabelsWanted | None:
        """For the overview: which labels there are."""
        dataset, view = self._dataset, self._stage.view
        n = len(dataset.info.positions) if dataset is not None else 0
        if dataset is None or view.p >= n:
            return None
        if self._scene is not None and self._scene.is_appearing:
            return None  # pictures come first
        others = tuple(range(0, n, -(-n // _ALSO_LOOKED_AT)))
        style = self.panel.style_chosen
        return LabelsWanted(dataset, view.p, view.t, view.z, "", style, _ALL_OF_IT, 1, 1, others=others)

    def _has_nothing_to_do(self) -> bool:
        """Whether nothing is drawn, and it is known which labels there are; a few microseconds."""
        dataset, canvas, asked = self._dataset, self._stage.canvas, self._asked
        frame = canvas.frame if canvas is not None else None
        if dataset is None or (frame is None and not self._is_covered):
            return True
        if self._may_come(dataset):
            return False
        if self._is_covered:
            return asked is not None and bool(asked.others) and asked.p == self._stage.view.p
        assert frame is not None
        return not self.panel.chosen and asked is not None and not asked.name and asked.p == frame.view.p

    def _may_come(self, dataset: Dataset) -> bool:
        """Whether it is time to ask again for labels of a run that had none."""
        has_any = self._shown is not None and bool(self._shown.names)
        return dataset.live and not has_any and time.monotonic() - self._asked_at >= _LABELS_AGAIN_SECONDS

    def _ask(self, *, again: bool = False) -> None:
        if self._has_nothing_to_do():
            return
        wanted = self._wanted()
        if wanted is None:
            if self._stage.strips.is_3d():
                self._draw(None)
                self._asked = None
            return
        if self._shown is not None and self._shown.wanted.plane != wanted.plane:
            self._shown = None  # labels of one plane are never shown over another
            self._draw(None)
        asked = self._asked
        if asked is not None and not again and not self._may_come(wanted.dataset):
            if asked == wanted:
                return
            if not wanted.name and wanted.plane == asked.plane:
                return  # nothing is drawn: it does not matter where one looks
        if self._reader.ask(wanted):
            self._asked, self._asked_at = wanted, time.monotonic()
            self._poll.wake()

    def _take(self, shown: LabelsShown) -> None:
        wanted = self._wanted()
        if wanted is None or wanted.dataset is not shown.wanted.dataset or wanted.p != shown.wanted.p:
            self._ask()
            return
        self.panel.offer(shown.names)
        wants_them = bool(wanted.name) and shown.wanted.plane == wanted.plane
        if shown.has_any or not shown.is_expected:  # else what was shown of this plane stays
            self._shown = shown
            self._draw(shown if wants_them else None)
        if not self._is_covered:
            self.panel.say(shown.problem if wants_them else "")
        self._ask()  # what has become wanted meanwhile
        self._stage.say_under_mouse()

    @safe_slot
    def _on_changed(self) -> None:
        if not self.panel.chosen:
            self._draw(None)
            self.panel.say("")
        self._ask()
        self._poll.wake()  # for the overview

    @safe_slot
    def _on_canvas_set(self) -> None:
        self.layer.stackUnder(self._stage.overlay)

    @safe_slot
    def _on_moved(self) -> None:
        if self._dataset is not None and self._dataset is self._stage.dataset:
            self._ask()
