"""The inside of the widget: displays what `Sessions` wants, and reports progress.

GUI thread only, except where a method says otherwise.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QStackedWidget, QVBoxLayout, QWidget

from ..storage.presentable import presentable
from .background import Background
from .canvas.saturation import SaturationMarks
from .canvas_start import SO_WANTED, CanvasStart
from .channel_settings.choice_files import ChoiceFiles
from .film_saving import Films
from .following.plane_finder import PlaneFinder
from .following.view_follower import ViewFollower
from .given_paths import format_option, is_same_place
from .interpretation.read_as import ReadAs
from .interpretation.reading_options import permission_missing
from .labels.label_controls import LabelControls
from .measures.measuring import Measuring
from .numbers.numbers_view import NumbersView
from .opener import Opener, Refresher
from .orthogonal.orthogonal_view import OrthogonalView
from .places.place_wanted import PlaceWanted
from .poll import Poll
from .run_status.latency import Latencies
from .run_status.run_watch import RunWatch
from .run_status.status_row import StatusRow
from .runs import Runs
from .saved_views.linked_views import LinkedViews
from .saved_views.view_link import is_view_link, view_in
from .saved_views.view_memory import ViewMemory
from .saving import Snapshots
from .scene.scene_view import SceneView
from .sessions import NothingToShow, Opening, Session, Sessions, Watching
from .side_panels import SidePanels
from .slots import safe_slot
from .split.split_view import SplitView
from .stage import Stage
from .waiting import Wait, short_path
from .windows.chooser import DatasetChooser
from .windows.dataset_choices import DatasetChoices
from .windows.message_page import MessagePage
from .words import Explanation, explain
from .written_menu import WrittenMenu

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..engine.dataset import Dataset
    from .canvas.display import Canvas

logger = logging.getLogger(__name__)


class Screen(QWidget):
    """A page (dataset or message), a choice of datasets in one file, and the status line.

    Its end, by `end` or because Qt deletes it or a parent, ends datasets, threads and processes. Creating it
    never raises; if it could not be built, it does nothing and has no `stage`.
    `loaded(path)` and `failed(path, reason)` report how an opening ended.
    """

    loaded = Signal(str)
    failed = Signal(str, str)

    def __init__(self, *, panels: bool = False) -> None:
        """`panels`: show plate, fields and facts of the acquisition left of the picture."""
        super().__init__()
        self._with_panels = panels
        self.side: SidePanels | None = None
        """The panels left of the picture, where they are wanted."""
        self.path = ""
        """Of the dataset that is shown, being opened, or could not be."""
        self._options: dict[str, str] = {}
        self._background = Background()
        self.sessions = sessions = Sessions(self._background)
        self.runs = Runs(sessions, self._background, self.show_now)
        self.views = ViewMemory(self._background)
        self._opener = Opener(
            sessions,
            self._background,
            self._post_failure,
            self._post_try,
            self.views.find,
            self.views.find_reading,
        )
        self._refresher = Refresher(self._background, self._post_look)
        self._on_screen: Opening | Session | NothingToShow | None = None
        self._failed_opening: Opening | None = None
        self._is_restored = False  # whether the dataset shown came back as it was left
        self._no_display = ""  # why the canvas cannot be displayed, "" if it can
        self.poll = Poll(self._step, self)
        self._warning = ""  # of the dataset shown, as the status line says it
        self.poll.failed.connect(self._on_poll_failed)
        self.poll.recovered.connect(self._on_poll_recovered)
        self.latencies = Latencies()
        self._shows_latency = False
        self._row = StatusRow()
        self.status = self._row.line
        self._run_watch = RunWatch(self._row.run, self._background, self.poll.post)
        sessions.end_with(self)
        try:
            self._build()
            self._show_nothing_open()
        except Exception:  # hosts create us without catching exceptions
            logger.exception("the viewer could not be created")
            self.sessions.end()
            return
        self.poll.start()
        self._canvas_start = CanvasStart(
            self,
            self._background,
            self.poll,
            lambda: sessions.closed,
            self._on_canvas,
            self._on_no_display,
        )
        self._canvas_start.begin()

    def _build(self) -> None:
        self.stage = Stage()
        self.follower = ViewFollower(self.stage, self._row)
        self._wanted = PlaceWanted(self.stage, self.follower)
        self.finder = PlaneFinder(self.stage, self._row, self.follower, self._background, self.poll)
        self.read_as = ReadAs(self._row.read_as, self, self.views, self.open)
        self.scene = SceneView(self.stage, self._background, self.poll, lambda p: self.move_along(p=p))
        self.scene.said.connect(self._on_hover_text)
        self.scene.noted.connect(self._on_noted)
        self.written = WrittenMenu(self.stage, self.scene.canvas)
        self.labels = LabelControls(self.stage, self._background, self.poll)
        self.snapshots = Snapshots(
            self.stage, self._background, lambda text, details: self.status.say("message", text, details)
        )
        self.films = Films(
            self.stage,
            self._background,
            self.poll,
            lambda text, details: self.status.say("message", text, details),
        )
        self.films.overview_area = lambda: self.scene.area
        self.links = LinkedViews(
            self.stage, self.scene, lambda text, details: self.status.say("message", text, details)
        )
        self.measuring = Measuring(
            self.stage,
            self._background,
            self.poll,
            lambda text, details: self.status.say("message", text, details),
        )
        self.split = SplitView(
            self.stage,
            self._background,
            self.poll,
            lambda text, details: self.status.say("message", text, details),
        )
        self.orthogonal = OrthogonalView(
            self.stage,
            self._background,
            self.poll,
            lambda z: self.move_along(z=z),
            lambda text, details: self.status.say("message", text, details),
        )
        self.saturation = SaturationMarks(self.stage, self._background, self.poll)
        self.numbers = NumbersView(
            self.stage, self._background, self.poll, lambda t, p: self.move_along(t=t, p=p)
        )
        self.numbers.show_over(self.scene)
        self.choice_files = ChoiceFiles(
            self.stage.channels,
            self._background,
            lambda text, details: self.status.say("message", text, details),
        )
        if self._with_panels:
            self.side = SidePanels(
                self.stage,
                self,
                lambda p: self.move_along(p=p),
                self._path_of,
                self.numbers.show_on_maps,
            )
        self.stage.hover_text.connect(self._on_hover_text)
        self.message = MessagePage()
        self.message.retry.connect(self._on_retry)
        self.message.allowed.connect(self._on_allowed)
        self.message.cancelled.connect(self._on_cancelled)
        self.message.open_requested.connect(self._on_open_requested)
        self.pages = QStackedWidget()
        self.pages.addWidget(self.message)
        self.pages.addWidget(self.stage)
        self.pages.currentChanged.connect(self._on_page_changed)
        self.choices = DatasetChoices()
        self.choices.chosen.connect(self._on_chosen)
        self.chooser = DatasetChooser(self)
        self.chooser.chosen.connect(self._on_path_chosen)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.pages, 1)
        column.addWidget(self.choices)
        column.addWidget(self._row)

    def _path_of(self, dataset: Dataset) -> str:
        """Where a dataset is, or where the host said that its run will be."""
        session = self.sessions.shown
        if session is None or session.dataset is not dataset or session.acquisition is None:
            return dataset.path
        return session.acquisition.run.folder

    def toggle_panels(self) -> None:
        """Show the panels on the left, or not; nothing where the host wants none."""
        if self.side is not None:
            self.side.toggle()

    def end(self) -> None:
        """Release everything; nothing is shown or opened any more."""
        session = self.sessions.shown
        if session is not None and hasattr(self, "follower"):
            self.views.step(session, self.stage, self.follower, at_once=True)
        self.sessions.end()
        self.poll.stop()
        if hasattr(self, "follower"):
            self.labels.end()
            self.scene.end()
            self.numbers.end()
            self._leave_stage()

    # ---- the canvas ------------------------------------------------------------------------

    def _on_canvas(self, canvas: Canvas, why_on_cpu: str) -> None:
        said = f"{canvas.why_flat}: {why_on_cpu}" if why_on_cpu else ""
        self._row.show_drawing(said)
        if why_on_cpu not in ("", SO_WANTED):
            self.status.say("message", said)
        canvas.failed.connect(self._on_canvas_failed)
        canvas.frame_shown.connect(self._on_frame_shown)
        self.stage.set_canvas(canvas)
        self.labels.watch(canvas)

    @safe_slot
    def _on_canvas_failed(self, why: str) -> None:
        self._canvas_start.fall_back(why)

    def _on_no_display(self, reason: str) -> None:
        self._no_display = reason
        self.message.show_message("error", "The canvas cannot be displayed", reason)
        self.pages.setCurrentWidget(self.message)

    # ---- opening ---------------------------------------------------------------------------

    def open(self, path: str, options: Mapping[str, str]) -> None:
        """Open a dataset; the current one is kept until then, in case the user cancels."""
        if self.sessions.closed:
            return
        self.path, self._options = path, dict(options)
        self.links.forget()
        self._opener.open(path, options)
        self.show_now()

    def watch(self, path: str, options: Mapping[str, str]) -> None:
        """Open a dataset as soon as there is one at the path."""
        if self.sessions.closed:
            return
        self.path, self._options = path, dict(options)
        self.links.forget()
        self._opener.watch(path, options)
        self.show_now()

    def open_link(self, link: str) -> None:
        """Show what a link to a view says. Passwords of the dataset shown are not sent to another place."""
        try:
            path, view = view_in(link)
        except ValueError as error:
            self.refuse(Explanation(str(error), ""))
            return
        self.open(path, self._options if is_same_place(path, self.path) else {})
        self.links.expect(path, view)

    def copy_link(self) -> None:
        """Copy a link to what is shown."""
        dataset = self.stage.dataset
        self.links.copy(self._path_of(dataset) if dataset is not None else "")

    def refuse(self, why: Explanation) -> None:
        """The request cannot be opened."""
        self._opener.refuse(why)
        self.show_now()

    def _post_try(self, opening: Opening, reason: str) -> None:
        self.poll.post(lambda: self._on_tried(opening, reason))

    def _on_tried(self, opening: Opening, reason: str) -> None:
        if opening is self.sessions.asked:
            self.status.say("message", f"Not yet: {reason}")

    def _post_failure(self, opening: Opening, reason: str, why: Explanation) -> None:
        self.poll.post(lambda: self._on_failed(opening, reason, why))

    def _on_failed(self, opening: Opening, reason: str, why: Explanation) -> None:
        if opening is not self.sessions.asked:
            return
        self._put_on_screen()
        self._failed_opening = opening
        place = presentable(opening.path)
        if place:
            logger.warning("%s could not be opened: %s", place, reason)
        else:
            logger.warning("nothing was opened: %s", reason)
        self.message.show_message(
            "error",
            "This dataset could not be opened" if place else "Nothing was opened",
            why.sentence if place in why.sentence else f"{why.sentence}\n{place}",
            details=why.details,
            retry=bool(opening.path),
            can_open=True,
            permission=permission_missing((reason, why.details)),
            cancel="Back" if self.sessions.kept is not None else "",
        )
        self.status.say("message", "Failed to load dataset")
        self.failed.emit(opening.path, reason)

    @safe_slot
    def _on_retry(self) -> None:
        self.open(self.path, self._options)

    @safe_slot
    def _on_allowed(self, option: str) -> None:
        self.open(self.path, {**self._options, option: "yes"})

    @safe_slot
    def _on_cancelled(self) -> None:
        self.cancel_opening()

    def _leave_cover(self) -> bool:
        return self.scene.go_back() or (not self.scene.is_shown and self.split.leave())

    def cancel_opening(self) -> bool:
        """Return to what was shown before a pending or failed opening; False if there is none."""
        if hasattr(self, "finder") and (
            self.measuring.cancel() or self.finder.cancel() or self.films.cancel() or self._leave_cover()
        ):
            return True
        gave_up, back = self.sessions.go_back()
        if not gave_up:
            return False
        self.path = back.path if back is not None else ""
        self._options = dict(back.dataset.storage_options) if back is not None else {}
        self._put_on_screen()
        self.status.say("message", "Opening cancelled")
        return True

    @safe_slot
    def _on_open_requested(self) -> None:
        self.chooser.ask()

    @safe_slot
    def _on_path_chosen(self, path: str, format_name: str) -> None:
        if is_view_link(path):
            self.open_link(path)
            return
        # never send the passwords of this place elsewhere
        options = self._options if is_same_place(path, self.path) else {}
        self.open(path, {**options, **format_option(format_name)})

    def refresh(self) -> None:
        """Reread the dataset from disk in the background. Does nothing without one."""
        session = self.sessions.shown
        if session is not None:
            self._refresher.refresh(session)
        elif self.path and self._failed_opening is not None and self._failed_opening is self.sessions.asked:
            self.open(self.path, self._options)

    def _post_look(self, session: Session, problem: Exception | None) -> None:
        if problem is not None:
            logger.warning("refreshing the dataset: %s", problem)
        self.poll.post(lambda: self._on_looked_again(session, problem))

    def _on_looked_again(self, session: Session, problem: Exception | None) -> None:
        if session is not self.sessions.shown:
            return
        self.measuring.forget()
        if problem is None:
            self.scene.read_anew()
            self._say_loaded(session)
        else:
            self.status.say("message", *explain(problem))

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
            is_new = self._show_session(asked) and asked.acquisition is None
        else:
            self._show_nothing_open()
        self._on_screen = asked
        if is_new:
            self.loaded.emit(asked.path)

    @safe_slot
    def _on_page_changed(self) -> None:
        self._row.show_controls(self.pages.currentWidget() is self.stage)

    def _show_opening(self, opening: Opening) -> None:
        self._failed_opening = None
        place, watches = presentable(opening.path), isinstance(opening, Watching)
        headline = "Waiting for a dataset" if watches else "Opening"
        self.message.show_message("busy", headline, place, cancel="Cancel")
        self.pages.setCurrentWidget(self.message)
        self.choices.offer(())
        self.status.say("message", f"{'Waiting for' if watches else 'Loading:'} {place}")

    def _show_session(self, session: Session) -> bool:
        """Whether it is new, rather than shown again after a cancelled opening."""
        self._wanted.forget()
        is_new = self.stage.dataset is not session.dataset
        if is_new:
            self._row.warnings.start_over()
            self.stage.show_dataset(session.dataset)
            self.follower.start_over(session.dataset)
            is_linked = self.links.show(session, self.views, self.follower)
            self._is_restored = not is_linked and self.views.restore(session, self.stage, self.follower)
        else:
            self.stage.refresh()  # it was not followed meanwhile
        if session.acquisition is not None:
            self.path = ""
        self.choices.offer(session.dataset.info.choices)
        self.pages.setCurrentWidget(self.stage)
        if self._no_display:
            self._on_no_display(self._no_display)
        self._say_loaded(session)
        if is_new and self.links.lacking:
            self.status.say("message", self.links.lacking, presentable(session.path))
        return is_new

    def _show_empty_run(self) -> None:
        self._leave_stage()
        self.message.show_message(
            "info", "Nothing to show", "The acquisition was announced without positions, channels or planes."
        )
        self.pages.setCurrentWidget(self.message)

    def _show_nothing_open(self) -> None:
        self._leave_stage()
        self.message.show_message(
            "info", "No dataset open", "Open a dataset, or start an acquisition.", can_open=True
        )
        self.pages.setCurrentWidget(self.message)

    def _leave_stage(self) -> None:
        if self.stage is not None:
            self.stage.clear()
            self.scene.step()
            self.follower.start_over(None)
            self.finder.step()
            self.labels.step()
            self.measuring.step()
            self.split.leave()
            self.orthogonal.leave()
        self._row.show_disk(None, can_pause=False)
        self._row.warnings.start_over()
        self._run_watch.step(None)
        self.read_as.show(None)
        self.choices.offer(())

    def toggle_latency(self) -> None:
        """Say over the picture how long frames take from the disk to the screen, or no longer."""
        self._shows_latency = not self._shows_latency
        self._say_latency()

    def _say_latency(self) -> None:
        self.stage.overlay.set_latency(self.latencies.text() if self._shows_latency else "")

    @safe_slot
    def _on_frame_shown(self) -> None:
        self.poll.wake()
        session, canvas = self.sessions.shown, self.stage.canvas
        frame = canvas.frame if canvas is not None else None
        is_shown = session is not None and session.dataset is self.stage.dataset
        if is_shown and frame is not None and self.latencies.drawn(session.dataset, frame) is not None:
            self._say_latency()
        if is_shown and frame is not None:
            self.read_as.note_failures(plane.reason for plane in frame.planes.values() if plane.reason)
        # after a slow frame, the next one need not wait for the timer as well
        self.poll.step_if_due()

    def _step(self) -> bool:
        """One step of the poll: if it raises, it is retried with back-off. Whether more may happen soon."""
        self._put_on_screen()
        is_awaited = self._say_waits() or isinstance(self.sessions.asked, Opening)
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
            self.finder.step()
            is_awaited |= self.labels.step()
            self.measuring.step()
            self.saturation.step()
            is_awaited |= self.orthogonal.step()
            is_awaited |= self.scene.step()
            self.views.step(session, self.stage, self.follower)
            if self.side is not None:
                self.side.step()
            self._row.show_disk(session.dataset, can_pause=session.acquisition is None)
            self._run_watch.step(session, may_grow=self.follower.may_grow)
            if changes.info:
                self._say_warnings(session)
                self._wanted.take_info(session.dataset.info)
        is_awaited |= self.numbers.step()
        self.snapshots.step()
        self.choice_files.step()
        self._background.start_waiting()  # last, as it raises if no thread can be started
        return is_awaited

    def _show_replacement(self, session: Session) -> None:
        """The dataset at that path was replaced: nothing shown so far applies to it."""
        self._wanted.forget()
        self._is_restored = False
        self.stage.show_dataset(session.dataset)
        self.labels.start_over()
        self.follower.start_over(session.dataset)
        self.choices.offer(session.dataset.info.choices)
        self.status.say("message", f"{short_path(session.path)} was replaced by another dataset")

    @safe_slot
    def _on_poll_failed(self, reason: str) -> None:
        self.status.say("trouble", f"Not up to date: {reason}. Retrying…")

    @safe_slot
    def _on_poll_recovered(self) -> None:
        self.status.say("trouble", "")
        if self.sessions.shown is not None:
            self.stage.refresh()  # changes that happened meanwhile

    @safe_slot
    def _on_hover_text(self, text: str) -> None:
        self.status.say("pointer", text)

    @safe_slot
    def _on_noted(self, text: str) -> None:
        if text:
            self.status.say("message", f"Overview: {text}")

    def _say_waits(self) -> bool:
        """Say what is being waited for; whether anything is."""
        waits = [wait for wait in (self._opening_wait(), *self._dataset_waits()) if wait is not None]
        slow = next((wait for wait in waits if wait.is_slow), None)
        progress = (
            (self.scene.progress or self.stage.progress or self.orthogonal.progress)
            if self.stage is not None
            else ""
        )
        self.status.say("waiting", str(slow) if slow is not None else progress)
        return bool(waits)

    def _opening_wait(self) -> Wait | None:
        opening = self.sessions.asked
        if not isinstance(opening, Opening) or opening is self._failed_opening:
            return None
        if isinstance(opening, Watching):
            return None  # it may take as long as it likes
        wait = Wait(f"{short_path(opening.path)} to open", opening.since)
        if wait.is_slow:
            self.message.set_headline(f"Still opening after {wait.seconds} s")
        return wait

    def _dataset_waits(self) -> tuple[Wait | None, ...]:
        session = self.sessions.shown
        if session is None or self.stage is None:
            return ()
        return self.stage.say_wait(short_path(session.path)), self._refresher.wait_for(session)

    @safe_slot
    def _on_chosen(self, path: str) -> None:
        self.open(path, self._options)

    def _say_loaded(self, session: Session) -> None:
        name = os.path.basename(presentable(session.path).rstrip("/" + os.sep))
        restored = ", shown as it was left" if self._is_restored else ""
        self.status.say("message", f"Loaded: {name}{restored}" if name else "", presentable(session.path))
        self._say_warnings(session)

    def _say_warnings(self, session: Session) -> None:
        self.read_as.show(session)
        warnings = session.dataset.info.warnings
        self._row.warnings.show_warnings(warnings)
        if warnings:
            self._warning = warnings[-1]
            self.status.say("message", self._warning, "\n".join(warnings))
        elif self._warning and self.status.said("message") == self._warning:
            self._warning = ""  # no longer true
            self.status.say("message", "")
