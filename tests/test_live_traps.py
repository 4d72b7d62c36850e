"""What is half written, renamed, removed or begun again is shown right in the end, and never wrong before."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.event_loop import wait
from tests.live_judge import Watch
from tests.live_writers.plan import Plan
from tests.live_writers.process import WriterProcess
from tests.live_writers.registry import ROOT, WRITERS, python

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ndviewer_light.gui.viewer import LightweightViewer

pytestmark = pytest.mark.gl

TIMEOUT = 30.0
A_WHILE = 0.6
"""How long a trap stays as it is, s: the viewer looks several times."""


class Trap:
    """A trap in a process of its own, which takes a step when told."""

    def __init__(self, name: str, path: Path) -> None:
        command = [python(), "-m", "tests.live_writers.traps", name, str(path)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)
        self.state = self._said()

    def _said(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def step(self) -> str:
        """Let it take the next step; returns what holds then."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        self.state = self._said()
        return self.state

    def end(self) -> None:
        """Let it take its last steps."""
        self._process.communicate("\n" * 9, timeout=TIMEOUT)


@pytest.fixture
def traps() -> Iterator[list[Trap]]:
    begun: list[Trap] = []
    yield begun
    for trap in begun:
        trap.end()


@pytest.fixture
def watches(viewer: LightweightViewer) -> Iterator[list[Watch]]:
    assert wait(lambda: viewer.stage is not None and viewer.stage.canvas is not None, TIMEOUT)
    begun: list[Watch] = []
    yield begun
    for watch in begun:
        watch.stop()


def writes_the_rest(watch: Watch, second: WriterProcess, per_view: int) -> None:
    """Another writer goes on to the end: all eight planes are shown."""
    try:
        assert shows(watch, 8 // per_view)
        assert wait(lambda: second.ended, TIMEOUT)
        assert second.done, second.errors
    finally:
        second.stop()
    assert len(watch.sweep(TIMEOUT)) == 8


def shows(watch: Watch, n: int) -> bool:
    """Whether the first n planes are shown, each on its turn."""
    return wait(lambda: watch.follow(n), TIMEOUT)


def look_around(watch: Watch, n: int) -> None:
    """Let the viewer look at the disk for a while, on each of the first n planes and the one after them."""
    watch.sweep(A_WHILE / 4, n)
    wait(lambda: watch.follow(n + 1), A_WHILE)


GROWING = {
    "torn_array_metadata": ".ome.zarr",
    "shard_in_place": ".ome.zarr",
    "chunk_in_halves": ".ome.zarr",
    "raw_chunk_in_halves": ".ome.zarr",
    "chunk_by_renaming": ".ome.zarr",
    "image_in_halves": "",
    "png_in_halves": "",
    "image_by_renaming": "",
}


@pytest.mark.parametrize("name", GROWING)
def test_what_is_half_there_is_not_shown_until_it_is_whole(
    viewer: LightweightViewer, tmp_path: Path, traps: list[Trap], watches: list[Watch], name: str
) -> None:
    path = tmp_path / f"run{GROWING[name]}"
    trap = Trap(name, path)
    traps.append(trap)
    assert trap.state == "two"
    n = 4 if name == "shard_in_place" else 3
    watch = Watch(viewer, path, Plan(n))
    watches.append(watch)
    watch.open()
    assert shows(watch, 2)
    while trap.step() not in ("three", "four"):
        look_around(watch, 2)
    assert shows(watch, n)
    assert len(watch.sweep(TIMEOUT)) == n
    assert not watch.judge.wrong, "\n".join(map(str, watch.judge.wrong))


def test_a_store_that_is_opened_while_its_metadata_is_torn_opens_when_it_is_whole(
    viewer: LightweightViewer, tmp_path: Path, traps: list[Trap], watches: list[Watch]
) -> None:
    path = tmp_path / "run.ome.zarr"
    trap = Trap("torn_group_metadata", path)
    traps.append(trap)
    watch = Watch(viewer, path, Plan(2))
    watches.append(watch)
    watch.open()
    wait(lambda: watch.follow(1), A_WHILE)
    trap.step()
    assert shows(watch, 2)
    assert not watch.judge.wrong, "\n".join(map(str, watch.judge.wrong))


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("removed_and_made_again", ".ome.zarr"),
        ("overwritten_chunks", ".ome.zarr"),
        ("overwritten_images", ""),
    ],
)
def test_another_run_in_the_same_place_takes_over(
    viewer: LightweightViewer, tmp_path: Path, traps: list[Trap], watches: list[Watch], name: str, suffix: str
) -> None:
    path = tmp_path / f"run{suffix}"
    trap = Trap(name, path)
    traps.append(trap)
    before, after = (Watch(viewer, path, Plan(n, run=run)) for run, n in enumerate((2, 3)))
    watches += [before, after]
    before.open()
    assert shows(before, 2)
    while trap.step() != "three of another run":
        look_around(before, 2)
    assert not before.judge.wrong, "\n".join(map(str, before.judge.wrong))
    assert shows(after, 3)
    assert len(after.sweep(TIMEOUT)) == 3
    new, old = after.judge.first_seen, before.judge.last_seen
    assert not [index for index in old if old[index] > new[index]], (
        "a plane of the second run, then of the first"
    )


@pytest.mark.parametrize("name", ["tensorstore-v3", "zarr-python-append", "tifffile-pages", "png-files"])
def test_a_writer_dies_and_one_resumes(
    viewer: LightweightViewer, tmp_path: Path, watches: list[Watch], name: str
) -> None:
    entry = WRITERS[name]
    path, plan = tmp_path / f"run{entry.suffix}", entry.plan(8)
    per_view = entry.n_c
    first = WriterProcess(name, path, plan, "--die-after", "4")
    assert wait(lambda: first.ended, TIMEOUT)
    first.stop()
    assert not first.done
    assert len(first.written) == 4
    watch = Watch(viewer, path, plan)
    watches.append(watch)
    watch.open()
    there = 4 // per_view
    assert shows(watch, there)
    look_around(watch, there)
    assert len(watch.sweep(TIMEOUT, there)) == 4
    writes_the_rest(watch, WriterProcess(name, path, plan, "--resume"), per_view)
    assert not watch.judge.wrong, "\n".join(map(str, watch.judge.wrong))


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="no file is limited here")
@pytest.mark.parametrize(
    "name",
    [
        "tensorstore-v2",
        "tensorstore-sharded",
        "tensorstore-chunk-of-t",
        "zarr-python-append",
        "zarr-python-sharded",
        "zarr-python-chunk-of-t",
        "tifffile-pages",
        "tifffile-stream",
        "tifffile-files",
        "png-files",
        "h5py-swmr",
        "squid-sharded",
    ],
)
def test_a_writer_dies_within_a_file_and_one_resumes(
    viewer: LightweightViewer, tmp_path: Path, watches: list[Watch], name: str
) -> None:
    """It leaves half of a page, an image, or a shard or chunk of several planes, under whatever name."""
    entry = WRITERS[name]
    path, plan = tmp_path / f"run{entry.suffix}", entry.plan(8)
    per_view = entry.n_c
    died_in = 5 if per_view > 1 else 6
    first = WriterProcess(name, path, plan, "--die-within", str(died_in))
    assert wait(lambda: first.ended, TIMEOUT)
    first.stop()
    assert not first.errors
    assert len(first.written) == died_in
    watch = Watch(viewer, path, plan)
    watches.append(watch)
    watch.open()
    there = died_in // per_view
    assert shows(watch, there)
    look_around(watch, there)
    assert len(watch.sweep(TIMEOUT, there)) == there * per_view
    dataset = viewer.dataset
    assert dataset is not None
    assert wait(lambda: dataset.report().present == died_in, TIMEOUT), dataset.report()
    if entry.resumes:
        writes_the_rest(watch, WriterProcess(name, path, plan, "--from", str(died_in)), per_view)
    assert not watch.judge.wrong, "\n".join(map(str, watch.judge.wrong))
