"""The inside of the widget: displays what `Sessions` wants, and reports progress.

GUI thread only, except where a method says otherwise.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from ..storage.presentable import presentable
from ..views.link_scheme import is_view_link
from ..views.view_link import view_in
from .background import Background
from .canvas_start import SO_WANTED, CanvasStart
from .following.plane_finder import PlaneFinder
from .following.view_follower import ViewFollower
from .given_paths import format_option
from .interpretation.read_as import ReadAs
from .later_parts import LaterParts
from .opener import Refresher
from .openings import Openings
from .parts_ahead import part_made
from .places.place_wanted import PlaceWanted
from .places.way_to_planes import WayToPlanes
from .poll import Poll
from .run_status.dataset_status import DatasetStatus
from .run_status.latency_view import LatencyView
from .run_status.run_place import RunPlace
from .run_status.run_watch import RunWatch
from .run_status.status_row import StatusRow
from .run_status.warning_ways import WarningWays
from .runs import Runs
from .saved_views.linked_views import LinkedViews
from .saved_views.view_memory import ViewMemory
from .screen_pages import ScreenPages
from .screen_waits import ScreenWaits
from .sessions import NothingToShow, Opening, Session, Sessions, Watching
from .shown_parts import ShownParts
from .side_panels import SidePanels
from .slots import safe_slot
from .stage import Stage
from .tools_later import ToolsLater
from .waiting import short_path
from .windows.chooser import DatasetChooser
from .windows.dataset_choices import DatasetChoices
from .words import Explanation, explain

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from ..engine.dataset import Dataset
    from .canvas.display import Canvas
    from .stage_tools import StageTools

logger = logging.getLogger(__name__)


class Screen(QWidget):
    """A page (dataset or message), a choice of datasets in one file, and the status line.

    Its end, by `end` or because Qt deletes it or a parent, ends datasets, threads and processes. Creating it
    never raises; if it could not be built, it does nothing and has no `stage`. `loaded(path)` and
    `failed(path, reason)` report how an opening ended, `shown` that a dataset or run came on screen.
    """

    loaded = Signal(str)
    shown = Signal()
    failed = Signal(str, str)

    def __init__(self, *, panels: bool = False) -> None:
        """`panels`: show plate, fields and facts of the acquisition left of the picture."""
        super().__init__()
        self._with_panels = panels
        self.side: SidePanels | None = None
        """The panels left of the picture, where they are wanted."""
        self._background = Background()
        self.sessions = sessions = Sessions(self._background)
        self.runs = Runs(sessions, self._background, self.show_now)
        self.views = ViewMemory(self._background)
        self._refresher = Refresher(self._background, self._post_look)
        self._on_screen: Opening | Session | NothingToShow | None = None
        self.poll = Poll(self._step, self)
        self.poll.failed.connect(self._on_poll_failed)
        self.poll.recovered.connect(self._on_poll_recovered)
        self.openings = Openings(sessions, self._background, self.poll, self.views, self.show_now, self)
        self.openings.failed.connect(self._on_failed)
        self.openings.tried.connect(self._on_tried)
        self._row = part_made(StatusRow)
        self.status = self._row.line
        self._dataset_status = DatasetStatus(self._row)
        self._run_watch = RunWatch(self._row.run, self._background, self.poll.post)
        self.run_place = RunPlace(self)
        self.later = LaterParts(self.poll, lambda: sessions.closed)
        sessions.end_with(self)
        try:
            self._build()
            self._show_nothing_open()
        except Exception:  # hosts create us without catching exceptions
            logger.exception("the viewer could not be created")
            self.sessions.end()
            return
        self.poll.start()
        told = (lambda: sessions.closed), self._on_canvas, self.pages.show_no_display
        self._canvas_start = CanvasStart(self, self._background, self.poll, self.later, *told)
        self.stage.volume_wanted.connect(safe_slot(self._canvas_start.show_volumes))
        self.later.add(self._canvas_start.begin, *self._tools.slices, *self.stage.strips.slices)

    def _build(self) -> None:
        self.stage = Stage()
        self._tools = ToolsLater(self.stage, self.later, self._make_tools)
        self.use_cluster = self._tools.use_cluster
        self.latency = LatencyView(self.stage.overlay)
        self.follower = ViewFollower(self.stage, self._row)
        self._wanted = PlaceWanted(self.stage, self.follower)
        way = WayToPlanes(self.stage, self.follower)
        self.finder = PlaneFinder(self.stage, self._row, way, self._background, self.poll)
        self.read_as = ReadAs(self._row.read_as, self, self.views, self.open)
        self.warnings = WarningWays(self._row, way, self._tools.leave_scene, self._background, self.poll)
        self.links = LinkedViews(self.stage, lambda: self.tools.scene, self._say)
        if self._with_panels:
            self.side = SidePanels(
                self.stage, self, lambda p: self.move_along(p=p), self._path_of, self._tools.show_on_maps
            )
        self.stage.hover_text.connect(self._dataset_status.say_under_mouse)
        self.pages = ScreenPages(self.stage)
        self.pages.currentChanged.connect(self._on_page_changed)
        self.message = self.pages.message
        of_tools = self._tools.progress
        self._waits = ScreenWaits(
            self.sessions, self.openings, self._refresher, self.stage, of_tools, self.message, self.status
        )
        self.message.retry.connect(self._on_retry)
        self.message.allowed.connect(self._on_allowed)
        panels = {"panels": lambda: self.side is not None and self.side.is_shown}
        self.parts = ShownParts({**self._tools.are_shown, **panels}, lambda: self.pages.is_stage, self)
        self.message.cancelled.connect(self._on_cancelled)
        self.message.open_requested.connect(self._on_open_requested)
        self.choices = DatasetChoices()
        self.choices.chosen.connect(self._on_chosen)
        self.chooser = DatasetChooser(self)
        self.chooser.chosen.connect(self._on_path_chosen)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        for widget, stretch in ((self.pages, 1), (self.choices, 0), (self._row, 0)):
            column.addWidget(widget, stretch)

    @property
    def tools(self) -> StageTools:
        """What works on the stage; made now if it has not been made yet."""
        return self._tools.tools

    def _make_tools(self) -> Generator[StageTools, None, StageTools]:
        from .saved_views.other_views import OtherViews
        from .stage_tools import StageTools

        tools = StageTools(self.stage, self._background, self.poll, self.move_along, self._say)
        for _ in tools.make():
            yield tools
        tools.scene.is_led_by_run = lambda: "p" in self.follower.rule.followed
        tools.scene.said.connect(self._dataset_status.say_under_mouse)
        tools.scene.noted.connect(self._dataset_status.say_of_overview)
        self.views.others = self.links.others = OtherViews(tools.orthogonal, tools.split)
        return tools

    def _say(self, text: str, details: str = "") -> None:
        self.status.say("message", text, details)

    def _path_of(self, dataset: Dataset) -> str:
        """Where a dataset is, or where the host said that its run will be."""
        session = self.sessions.shown
        run = session.acquisition if session is not None and session.dataset is dataset else None
        return dataset.path if run is None else run.folder

    def toggle_panels(self) -> None:
        """Show the panels on the left, or not; nothing where the host wants none."""
        if self.side is not None:
            self._say(self.side.toggle())

    def end(self) -> None:
        """Release everything; nothing is shown or opened any more."""
        session = self.sessions.shown
        if session is not None and hasattr(self, "follower"):
            self.views.step(session, self.stage, self.follower, at_once=True)
        self.sessions.end()
        self.poll.stop()
        self.later.end()
        if hasattr(self, "parts"):
            self._tools.end()
            self._leave_stage()

    # ---- the canvas ------------------------------------------------------------------------

    def _on_canvas(self, canvas: Canvas, why_on_cpu: str) -> None:
        self.later.finish()  # the tools hear of it
        said = f"The picture is drawn without OpenGL: {why_on_cpu}" if why_on_cpu else ""
        if self._row.show_drawing(said) and why_on_cpu not in ("", SO_WANTED):
            self._say(said)
        canvas.failed.connect(self._on_canvas_failed)
        canvas.frame_shown.connect(self._on_frame_shown)
        self.stage.set_canvas(canvas)
        self._say_lacking()

    @safe_slot
    def _on_canvas_failed(self, why: str) -> None:
        self._canvas_start.fall_back(why)

    # ---- opening ---------------------------------------------------------------------------

    def open(self, path: str, options: Mapping[str, str]) -> None:
        """Open a dataset; the current one is kept until then, in case the user cancels."""
        if not self.sessions.closed:
            self.links.forget()
            self.openings.open(path, options)

    def watch(self, path: str, options: Mapping[str, str]) -> None:
        """Open a dataset as soon as there is one at the path."""
        if not self.sessions.closed:
            self.links.forget()
            self.openings.watch(path, options)

    def open_link(self, link: str) -> None:
        """Show what a link to a view says. Passwords of the dataset shown are not sent to another place."""
        try:
            path, view = view_in(link)
        except ValueError as error:
            self.refuse(Explanation(str(error), ""))
            return
        self.open(path, self.openings.options_at(path))
        self.links.expect(path, view)

    def copy_link(self) -> None:
        """Copy a link to what is shown."""
        dataset = self.stage.dataset
        self.links.copy(self._path_of(dataset) if dataset is not None else "")

    def refuse(self, why: Explanation) -> None:
        """The request cannot be opened."""
        self.openings.refuse(why)

    @safe_slot
    def _on_tried(self, reason: str) -> None:
        self._say(f"Not yet: {reason}")

    @safe_slot
    def _on_failed(self, opening: Opening, reason: str, why: Explanation) -> None:
        self.pages.explain_failure(opening, reason, why, can_go_back=self.sessions.kept is not None)
        self.status.say("message", "Failed to load dataset", is_elsewhere=True)
        self.failed.emit(opening.path, reason)

    @safe_slot
    def _on_retry(self) -> None:
        self._ask_again()

    @safe_slot
    def _on_allowed(self, option: str) -> None:
        self._ask_again(**{option: "yes"})

    def _ask_again(self, **options: str) -> None:
        self.links.forget()
        self.openings.open_again(**options)

    @safe_slot
    def _on_cancelled(self) -> None:
        self.cancel_opening()

    def cancel_opening(self) -> bool:
        """Return to what was shown before a pending or failed opening; False if there is none."""
        if hasattr(self, "parts") and (self.finder.cancel() or self._tools.cancel()):
            return True
        gave_up, back = self.sessions.go_back()
        if not gave_up:
            return False
        self.openings.take(back)
        self._put_on_screen()
        self._say("Opening cancelled")
        return True

    @safe_slot
    def _on_open_requested(self) -> None:
        self.chooser.ask()

    @safe_slot
    def _on_path_chosen(self, path: str, format_name: str) -> None:
        if is_view_link(path):
            self.open_link(path)
            return
        self.open(path, {**self.openings.options_at(path), **format_option(format_name)})

    def refresh(self) -> None:
        """Reread the dataset from disk in the background. Does nothing without one."""
        session = self.sessions.shown
        if session is not None:
            self._refresher.refresh(session)
        elif self.openings.path and self.openings.has_failed:
            self._ask_again()

    def _post_look(self, session: Session, problem: Exception | None) -> None:
        if problem is not None and session is self.sessions.shown:
            logger.warning("refreshing the dataset: %s", problem)
        self.poll.post(lambda: self._on_looked_again(session, problem))

    def _on_looked_again(self, session: Session, problem: Exception | None) -> None:
        if session is not self.sessions.shown:
            return
        self.tools.measuring.forget()
        if problem is None:
            self.tools.scene.read_anew()
            self._say_loaded(session)
        else:
            self._say(*explain(problem))

    # ---- navigation ------------------------------------------------------------------------

    def go_to(self, p: int, t: int | None = None, z: int | None = None) -> None:
        """See `PlaceWanted.go_to`; nothing without a dataset."""
        if self.sessions.shown is not None:
            self._wanted.go_to(self.sessions.shown.dataset.info, p, t, z)

    def move_along(self, **indices: int) -> None:
        """Move along axes (p, t, z) within the known sizes; the others stay, known or not."""
        self._wanted.move_along(**indices)
        if self.side is not None:
            self.side.step()

    # ---- on screen -------------------------------------------------------------------------

    def show_now(self) -> None:
        """Display what was just requested. Any thread: from another one, the poll does it soon."""
        if not self.poll.is_gui_thread():
            return
        self.poll.wake()
        try:
            self._put_on_screen()
        except Exception:  # the poll retries, and reports it
            logger.exception("showing the requested dataset")

    def _put_on_screen(self) -> None:
        asked = self.sessions.asked
        if asked is self._on_screen:
            return
        is_new = False
        if isinstance(asked, Opening):
            self._show_opening(asked)
        elif isinstance(asked, NothingToShow):
            if self.sessions.show(asked):
                self._show_empty_run()
        elif isinstance(asked, Session):
            if not self.sessions.show(asked):
                return  # something else was requested just now: the next step shows it
            if asked.acquisition is None:
                self.later.finish()  # a view that is shown again may need them
            is_new = self._show_session(asked)
        else:
            self._show_nothing_open()
        self._on_screen = asked
        if is_new and isinstance(asked, Session):
            self.run_place.begin(asked.acquisition)
            if asked.acquisition is None:
                self.loaded.emit(asked.path)
            self.shown.emit()

    @safe_slot
    def _on_page_changed(self) -> None:
        self._row.show_controls(self.pages.is_stage)

    def _show_opening(self, opening: Opening) -> None:
        self.pages.show_opening(opening)
        self.choices.offer(())
        how = "Waiting for" if isinstance(opening, Watching) else "Loading:"
        self.status.say("message", f"{how} {presentable(opening.path)}", is_elsewhere=True)

    def _show_session(self, session: Session) -> bool:
        """Whether it is new, rather than shown again after a cancelled opening."""
        self._wanted.forget()
        is_new = self.stage.dataset is not session.dataset
        if is_new:
            self._dataset_status.start_over()
            self.stage.show_dataset(session.dataset)
            self.follower.start_over(session.dataset)
            is_linked = self.links.show(session, self.views, self.follower)
            self._dataset_status.is_restored = not is_linked and self.views.restore(
                session, self.stage, self.follower
            )
        else:
            self.stage.refresh()  # it was not followed meanwhile
        if session.acquisition is not None:
            self.openings.path = ""
        self.choices.offer(session.dataset.info.choices, session.path)
        self.pages.show_stage()
        self._say_loaded(session)
        if is_new:
            self._say_lacking()
        return is_new

    def _say_lacking(self) -> None:
        """Say what was to be shown, by a link or as it was left, and cannot be."""
        if self.links.lacking:
            self._say(self.links.lacking, self.links.lacking)

    def _show_empty_run(self) -> None:
        self._leave_stage()
        self.pages.show_empty_run()

    def _show_nothing_open(self) -> None:
        self._leave_stage()
        self.pages.show_nothing_open()

    def _leave_stage(self) -> None:
        if self.stage is not None:
            self.stage.clear()
            self.follower.start_over(None)
            self.finder.step()
            self._tools.leave()
        self._row.show_disk(None, can_pause=False)
        self._dataset_status.start_over()
        self._run_watch.step(None)
        self.read_as.show(None)
        self.choices.offer(())

    @safe_slot
    def _on_frame_shown(self) -> None:
        self.poll.wake()
        session, canvas = self.sessions.shown, self.stage.canvas
        frame = canvas.frame if canvas is not None else None
        if session is not None and session.dataset is self.stage.dataset and frame is not None:
            self.latency.take_frame(session.dataset, frame)
            self.warnings.take_frame(session.dataset, frame)
            self.read_as.note_failures(plane.reason for plane in frame.planes.values() if plane.reason)
        # after a slow frame, the next one need not wait for the timer as well
        self.poll.step_if_due()

    def _step(self) -> bool:
        """One step of the poll: if it raises, it is retried with back-off. Whether more may happen soon."""
        self._put_on_screen()
        is_awaited = self._waits.say() or isinstance(self.sessions.asked, Opening)
        session = self.sessions.shown
        if session is not None:
            is_awaited |= session.acquisition is not None or self.stage.is_busy
            changes = session.dataset.take_changes()
            is_awaited |= changes.in_view or changes.info
            if changes.replaced:
                self._show_replacement(session)
            elif changes.in_view or changes.info:
                self.stage.take(changes)
            self.follower.step()
            self._run_watch.step(session, may_grow=self.follower.may_grow)
            self.run_place.step()
            self.finder.step()  # says what is missing as the row says how far the run is
            is_awaited |= self._tools.step()
            self.views.step(session, self.stage, self.follower)
            if self.side is not None:
                self.side.step()
            self._row.show_disk(session.dataset, can_pause=session.acquisition is None)
            if changes.info:
                self.read_as.show(session)
                self._dataset_status.say_warnings(session)
                self._wanted.take_info(session.dataset.info)
        is_awaited |= self._tools.step_saving()
        self.parts.step()
        self.sessions.keep_reader_ready()
        self._background.start_waiting()  # last, as it raises if no thread can be started
        return is_awaited

    def _show_replacement(self, session: Session) -> None:
        """The dataset at that path was replaced: nothing shown so far applies to it."""
        self._wanted.forget()
        self._dataset_status.is_restored = False
        self.stage.show_dataset(session.dataset)
        self.tools.labels.start_over()
        self.follower.start_over(session.dataset)
        self.choices.offer(session.dataset.info.choices, session.path)
        is_same = session.dataset.info.is_completed
        what = "has changed and is shown as it is now" if is_same else "was replaced by another dataset"
        self._say(f"{short_path(session.path)} {what}")

    @safe_slot
    def _on_poll_failed(self, reason: str) -> None:
        self.status.say("trouble", f"Not up to date: {reason}. Retrying…")

    @safe_slot
    def _on_poll_recovered(self) -> None:
        self.status.say("trouble", "")
        if self.sessions.shown is not None:
            self.stage.refresh()  # changes that happened meanwhile

    @safe_slot
    def _on_chosen(self, path: str) -> None:
        self.links.forget()
        self.openings.open_other(path)

    def _say_loaded(self, session: Session) -> None:
        self.read_as.show(session)
        self._dataset_status.say_loaded(session)
