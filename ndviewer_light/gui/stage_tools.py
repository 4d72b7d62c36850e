"""The tools for what is on the stage: other ways to see it, measuring, statistics, saving."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ..rendering.scene_overlays import SceneOver
from .canvas.axis_wheel import AxisWheel
from .canvas.saturation import SaturationMarks
from .channel_settings.choice_files import ChoiceFiles
from .films.film_saving import Films
from .labels.label_controls import LabelControls
from .measures.measuring import Measuring
from .orthogonal.orthogonal_view import OrthogonalView
from .saving import Snapshots
from .scene.scene_view import SceneView
from .slots import safe_slot
from .split.split_view import SplitView
from .statistics.statistics_view import StatisticsView
from .time_stamping import TimeStamping
from .written_menu import WrittenMenu

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from .background import Background
    from .panels.left_panels import LeftPanels
    from .places.places_view import PlacesView
    from .poll import Poll
    from .stage import Stage


class MoveAlong(Protocol):
    """Moves the view along axes (p, t, z); the others stay."""

    def __call__(self, **indices: int) -> None: ...


class StageTools:
    """One of each for a stage, once `make` is through. GUI thread only. `step` whenever there was a poll.

    `say(text, details)` writes into the status line.
    """

    def __init__(
        self,
        stage: Stage,
        background: Background,
        poll: Poll,
        move_along: MoveAlong,
        say: Callable[[str, str], None],
    ) -> None:
        self._stage = stage
        self._background = background
        self._poll = poll
        self._move_along = move_along
        self._say = say
        self._ends: list[Callable[[], None]] = []

    def make(self) -> Generator[None, None, None]:
        """Make them, some with each step; `end` ends those that have been made."""
        stage, background, poll, say = self._stage, self._background, self._poll, self._say
        move_along = self._move_along
        self.scene = SceneView(stage, background, poll, lambda p: move_along(p=p))
        self._ends.append(self.scene.end)
        stage.cover_comes_first = lambda: self.scene.comes_first
        self.written = WrittenMenu(stage, self.scene.canvas)
        self.times = TimeStamping(stage, background, poll)
        self._ends.append(self.times.end)
        yield
        self.labels = LabelControls(stage, background, poll)
        self._ends.append(self.labels.end)
        self.labels.show_over(self.scene)
        yield
        self.snapshots = Snapshots(stage, background, say)
        self.films = Films(stage, background, poll, say)
        self.measuring = Measuring(stage, background, poll, say)
        yield
        self.split = SplitView(stage, background, say)
        yield
        self.orthogonal = OrthogonalView(stage, background, poll, lambda z: move_along(z=z), say)
        self.saturation = SaturationMarks(stage, background, poll)
        yield
        self.statistics = StatisticsView(stage, background, poll, lambda t, p: move_along(t=t, p=p))
        self._ends.append(self.statistics.end)
        self.statistics.show_over(self.scene)
        self._connect()

    def _connect(self) -> None:
        self.snapshots.shows_overview = lambda: self.scene.is_shown
        self.films.overview_area = lambda: self.scene.area
        self.films.overview_over = self._over_fields
        self.films.name_of_view = self.snapshots.name
        self.films.labels_over = lambda: self.labels.chosen
        self.films.split_look = lambda: self.split.shown_as if self.split.is_on else None
        over = self.labels.layer, self.saturation.layer, self.measuring.layer
        self.split.draw_over(over, self.saturation.text_of)
        self._wheel = AxisWheel(self._stage.sliders)
        self.split.panes.tools += (self.measuring.hand, self._wheel)
        self._stage.canvas_set.connect(safe_slot(self._on_canvas_set))
        self.choice_files = ChoiceFiles(self._stage.channels, self._background, self._say)
        self._stage.channels.said.connect(safe_slot(lambda text: self._say(text, "")))

    def _on_canvas_set(self) -> None:
        if self._stage.canvas is not None:
            self._stage.canvas.tools.append(self._wheel)

    def show_on_maps(self, panels: LeftPanels, places: PlacesView) -> None:
        """There are maps on the left from now on."""
        places.pictures_come_first = lambda: self.scene.pictures_come_first
        self.statistics.show_on_maps(panels, places)

    def _over_fields(self, times: Sequence[int]) -> SceneOver:
        """What lies over the fields of the overview, for a film of these time points."""
        tints = self.statistics.tints_over(times) if self.scene.canvas.legend is not None else None
        return SceneOver(self.labels.chosen, tints)

    @property
    def progress(self) -> str:
        """How far what they show has been read; "" if it has been."""
        return self.scene.progress or self.orthogonal.progress

    def step(self) -> bool:
        """Go on with a dataset on the stage; whether more may happen soon."""
        is_awaited = self.labels.step()
        self.measuring.step()
        self.saturation.step()
        is_awaited |= self.orthogonal.step()
        return self.scene.step() or is_awaited

    def step_saving(self) -> bool:
        """Go on with what outlives the dataset: statistics and files; whether more may happen soon."""
        is_awaited = self.statistics.step()
        self.snapshots.step()
        self.choice_files.step()
        return is_awaited

    def cancel(self) -> bool:
        """Escape: end what is being done, or uncover the picture; False if there is nothing to end."""
        if self.measuring.cancel() or self.films.cancel():
            return True
        return (not self.scene.is_shown and self.split.leave()) or self.scene.go_back()

    def leave(self) -> None:
        """Nothing is on the stage any more."""
        self.scene.leave()
        self.scene.step()
        self.labels.step()
        self.measuring.step()
        self.split.leave()
        self.orthogonal.leave()

    def end(self) -> None:
        """The widget ends."""
        while self._ends:
            self._ends.pop()()
