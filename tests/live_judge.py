"""Shows in the widget what a writer writes, and goes through its planes: what becomes of each?"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from qtpy.QtCore import QTimer

from tests.event_loop import wait
from tests.live_eye import Judge
from tests.live_writers.process import WriterProcess

if TYPE_CHECKING:
    from pathlib import Path

    from ndviewer_light.gui.viewer import LightweightViewer
    from ndviewer_light.model import DatasetInfo
    from tests.live_eye import Wrong
    from tests.live_writers.plan import Index, Plan

_HEAD = 2  # planes written before the path is opened
_LONGEST_OPENING_S = 3.0


@dataclass
class Verdict:
    """What became of the planes of a run. Times in ms."""

    written: int = 0
    live: int = 0  # seen while the writer was at work, or soon after
    shown: int = 0  # seen once more in the end
    wrong: list[Wrong] = field(default_factory=list)
    latencies: list[float] = field(
        default_factory=list
    )  # write → paint, of those written after the first paint
    paints: int = 0
    problem: str = ""  # why the writer failed, if it did

    @property
    def is_good(self) -> bool:
        """Whether everything was shown, and nothing wrong."""
        return self.shown == self.written > 0 and not self.wrong and not self.problem

    def __str__(self) -> str:
        said = [
            f"{self.written} written, {self.live} seen live, {self.shown} in the end, {len(self.wrong)} wrong"
        ]
        return "\n".join([*said, self.problem, *map(str, self.wrong[:8])])


class Watch:
    """Shows a path in the viewer and goes through the planes of a plan, each in turn, as they appear.

    The path is watched, as by ``ndviewer-light watch``. `refresh_s`: call `refresh` so often; None leaves it
    to the viewer to notice what is new.
    """

    def __init__(
        self, viewer: LightweightViewer, path: Path, plan: Plan, refresh_s: float | None = None
    ) -> None:
        self.judge = Judge(viewer, plan.run)
        self._viewer, self._path = viewer, str(path)
        self._views: dict[tuple[int, int, int], list[Index]] = {}  # t, p, z → its planes
        for t, p, c, z in plan.indices():
            self._views.setdefault((t, p, z), []).append((t, p, c, z))
        self._refresh = QTimer()
        self._refresh.timeout.connect(self._on_refresh)
        if refresh_s is not None:
            self._refresh.start(int(refresh_s * 1e3))

    def open(self) -> None:
        """Watch the path, whether or not anything is there yet."""
        self._viewer.watch(self._path)

    def stop(self) -> None:
        """Watch no more."""
        self._refresh.stop()
        self.judge.stop()

    def _on_refresh(self) -> None:
        if self._viewer.dataset is not None:
            self._viewer.refresh()

    def follow(self, n_views: int | None = None) -> bool:
        """Go to the first view of which not all has been seen, if it exists; whether all has been seen.

        Only the first `n_views` count, if given.
        """
        seen = self.judge.first_seen
        view = next(
            (view for view, planes in self._first(n_views) if any(i not in seen for i in planes)), None
        )
        if view is not None:
            self._go_to(view)
        return view is None

    def follow_some(self) -> bool:
        """Like `follow`; whether anything has been seen."""
        self.follow()
        return bool(self.judge.first_seen)

    def _go_to(self, view: tuple[int, int, int]) -> None:
        stage, dataset = self._viewer.stage, self._viewer.dataset
        if stage is None or dataset is None or not _has(dataset.info, view):
            return
        if stage.view[:3] != view:
            stage.go_to(*view)

    def _first(self, n_views: int | None) -> list[tuple[tuple[int, int, int], list[Index]]]:
        return list(self._views.items())[:n_views]

    def sweep(self, timeout_s: float, n_views: int | None = None) -> set[Index]:
        """Go through all views once more, or the first of them; the planes that were shown."""
        shown: set[Index] = set()
        for view, planes in self._first(n_views):
            begin = time.monotonic()
            self._go_to(view)
            wait(lambda planes=planes, begin=begin: self._seen_since(begin, planes), timeout_s)
            shown |= {index for index in planes if self.judge.last_seen.get(index, 0) >= begin}
        return shown

    def _seen_since(self, begin: float, planes: list[Index]) -> bool:
        self._canvas_update()
        return all(self.judge.last_seen.get(index, 0) >= begin for index in planes)

    def _canvas_update(self) -> None:
        """Have it painted, so that what is on it is seen although nothing has changed."""
        stage = self._viewer.stage
        camera = stage.canvas.camera if stage is not None and stage.canvas is not None else None
        if camera is not None:
            camera.refresh()


def _has(info: DatasetInfo, view: tuple[int, int, int]) -> bool:
    t, p, z = view
    return t < info.n_t and p < len(info.positions) and z < info.n_z


def judge(
    viewer: LightweightViewer,
    name: str,
    path: Path,
    plan: Plan,
    *,
    early: bool = False,
    refresh_s: float | None = None,
    patience_s: float = 10.0,
    sweep_s: float = 3.0,
) -> Verdict:
    """Let a writer write `plan` to `path`, and judge what the viewer shows of it.

    After two planes the writer waits until the first is on the canvas, or for some seconds where a file shows
    nothing before it is closed; all others are written while they are looked for. `early`: the path is opened
    before anything is there, and the writer begins then. Nothing new for `patience_s` after the writer's end,
    and it is over; then each plane is shown once more, for at most `sweep_s`.
    """
    wait(lambda: viewer.stage is not None and viewer.stage.canvas is not None, 60)
    watch = Watch(viewer, path, plan, refresh_s)
    if early:
        watch.open()
    head = 0 if early else _HEAD
    writer = WriterProcess(name, path, replace(plan, pause_after=head))
    try:
        if not early:
            wait(lambda: len(writer.written) >= head or writer.ended, 60)
            watch.open()
            wait(watch.follow_some, _LONGEST_OPENING_S)
        writer.go_on()
        progress = [time.monotonic(), 0]

        def is_over() -> bool:
            seen, now = len(watch.judge.first_seen), time.monotonic()
            if seen > progress[1] or not writer.ended:
                progress[:] = [now, seen]
            return (watch.follow() and writer.ended) or now - progress[0] > patience_s

        wait(is_over, 600)
        live = dict(watch.judge.first_seen)
        shown = watch.sweep(sweep_s)
    finally:
        watch.stop()
        writer.stop()
    begin = min(live.values(), default=0.0)
    latencies = [
        max(0.0, live[index] - when) * 1e3
        for index, when in writer.written.items()
        if index in live and when > begin
    ]
    return Verdict(
        written=len(writer.written),
        live=len(live),
        shown=len(shown & writer.written.keys()),
        wrong=watch.judge.wrong,
        latencies=latencies,
        paints=watch.judge.paints,
        problem="" if writer.done else f"the writer failed:\n{writer.errors[-2000:]}",
    )
