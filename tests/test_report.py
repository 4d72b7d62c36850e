"""`Dataset.report` and `Dataset.state`: what of a dataset is there, with and without reading it."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest
import stores
from memory_source import Clock, MemorySource, memory_info, wait_until
from runs import small_run, write

from ndviewer_light import open_dataset
from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.engine.report import Gap
from ndviewer_light.errors import CorruptDataError
from ndviewer_light.model import PlaneKey, PlaneState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from range_server import RangeServer

PRESENT, ABSENT, PENDING = PlaneState.PRESENT, PlaneState.ABSENT, PlaneState.PENDING
UNREADABLE, UNKNOWN, FILLED = PlaneState.UNREADABLE, PlaneState.UNKNOWN, PlaneState.FILLED


class ListedSource(MemorySource):
    """Planes in memory, with a table of contents."""

    def are_stored(self, keys: Sequence[PlaneKey]) -> list[bool | None]:
        return [key in self.stored for key in keys]


def every_key(n_t: int = 2, n_p: int = 3, n_c: int = 2, n_z: int = 2) -> list[PlaneKey]:
    return [
        PlaneKey(t, p, c, z) for p in range(n_p) for t in range(n_t) for c in range(n_c) for z in range(n_z)
    ]


def filled(source: MemorySource, missing: Sequence[PlaneKey], keys: Sequence[PlaneKey]) -> MemorySource:
    for key in keys:
        if key not in missing:
            source.write(key, 1)
    return source


# ---- by what is stored -----------------------------------------------------------------------------


def test_a_plate_is_counted_without_reading_it(tmp_path: Path) -> None:
    stores.write_plate(tmp_path / "p.zarr", {"A/1": 2, "B/3": 1}, skip=[(1, 0, 1, 0)])
    shutil.rmtree(tmp_path / "p.zarr/A/1/1/0/c/1")
    with open_dataset(tmp_path / "p.zarr") as dataset:
        report = dataset.report()
        assert (report.expected, report.looked_at, report.limit) == (24, 24, "")
        assert report.counts == {PRESENT: 19, ABSENT: 5}
        assert not report.is_complete
        assert next(report.planes(ABSENT)) == PlaneKey(1, 0, 1, 0)
        assert report.gaps(ABSENT) == [
            Gap(0, 0, 1, 1, (1,), (0,), False),
            Gap(1, 1, 1, 1, (0, 1), (0, 1), True),
        ]
        assert report.by_position() == {
            0: {PRESENT: 7, ABSENT: 1},
            1: {PRESENT: 4, ABSENT: 4},
            2: {PRESENT: 8},
        }
        assert report.by_time() == [{PRESENT: 12}, {PRESENT: 7, ABSENT: 5}]
        assert report.state(PlaneKey(1, 1, 0, 0)) is ABSENT
        assert report.state(PlaneKey(9, 9, 9, 9)) is None
        assert dataset.report(p="B3:0").is_complete
        assert dataset.report(p=[1, 2]).expected == 16
        with pytest.raises(IndexError):
            dataset.report(p=3)


def test_wells_that_are_listed_and_not_there_are_named_until_they_are(tmp_path: Path) -> None:
    path = tmp_path / "p.zarr"
    stores.write_plate(path, {"A/1": 2, "B/3": 1}, planned=["A/2", "C/4"], sizes={"t": 1, "z": 1})
    stores.write_group(path / "C/4", {"well": {"images": []}}, 3)
    with open_dataset(path) as dataset:
        report = dataset.report()
        assert report.empty_wells == dataset.info.empty_wells == ("A2", "C4")
        assert report.present == report.expected and not report.is_complete
        assert "'A2', 'C4'" in repr(report)
        assert dataset.report(p="B3:0").empty_wells == () and dataset.report(p="B3:0").is_complete
        stores.write_group(path / "A/2", {"well": {"images": [{"path": "0"}]}}, 3)
        stores.write_image(path / "A/2/0", p=3, sizes={"t": 1, "z": 1})
        dataset.refresh()
        assert dataset.report().empty_wells == ("C4",)
        assert [position.label for position in dataset.info.positions] == ["A1:0", "A1:1", "B3:0", "A2:0"]


def test_planes_in_a_row_are_one_gap() -> None:
    missing = [PlaneKey(t, p, c, z) for t in (3, 4, 5) for p in (1, 2) for c in range(2) for z in range(2)]
    missing += [PlaneKey(0, 0, 1, 0), PlaneKey(0, 0, 1, 1)]
    keys = every_key(8)
    with Dataset(filled(ListedSource(memory_info(n_t=8)), missing, keys)) as dataset:
        report = dataset.report()
    assert report.gaps(ABSENT) == [
        Gap(0, 0, 0, 0, (1,), (0, 1), False),
        Gap(1, 2, 3, 5, (0, 1), (0, 1), True),
    ]
    assert [gap.n_planes for gap in report.gaps(ABSENT)] == [2, 24]
    assert set(report.planes(ABSENT)) == set(missing)


def test_what_is_not_stored_is_pending_while_a_host_writes() -> None:
    source = filled(ListedSource(), [PlaneKey(1, 2, 1, 1)], every_key())
    with Dataset(source, live=True) as dataset:
        assert dataset.report().counts == {PRESENT: 23, PENDING: 1}
        dataset.end()
        assert dataset.report().counts == {PRESENT: 23, ABSENT: 1}


def test_where_only_reading_tells_it_says_so() -> None:
    with Dataset(filled(MemorySource(), [PlaneKey()], every_key())) as dataset:
        assert dataset.report().counts == {UNKNOWN: 24}
        dataset.plane(0, 1, 0, 0)
        assert dataset.report().counts == {PRESENT: 1, UNKNOWN: 23}
        assert dataset.report(read=True).counts == {PRESENT: 23, ABSENT: 1}


@pytest.mark.parametrize("isolate", [False, True])
def test_a_server_is_asked_what_is_stored_without_its_pixels(
    tmp_path: Path, server: RangeServer, isolate: bool
) -> None:
    says_nothing = stores.image_attributes(squid=False)
    missing = [(0, 0, 1, 0), (1, 0, 0, 1), (1, 0, 1, 1)]
    stores.write_image(tmp_path / "a.zarr", skip=missing, attributes=says_nothing)
    url, options = server.url("a.zarr"), {"disk_cache": "no"}
    with open_dataset(url, storage_options=options, isolate=isolate) as dataset:
        seen = len(server.log())
        assert dataset.state(PlaneKey()) is PRESENT
        assert dataset.report().counts == {PRESENT: 5, FILLED: 3}
        sent = [e for e in server.log()[seen:] if "/c/" in e["path"] and e["method"] == "GET"]
        assert not [entry for entry in sent if entry["what"] in (200, 206)]
        assert dataset.state(PlaneKey(*missing[0])) is FILLED
        assert dataset.report(read=True).counts == {PRESENT: 5, FILLED: 3}


# ---- by reading ------------------------------------------------------------------------------------


def test_reading_finds_what_is_damaged_and_names_the_file(tmp_path: Path) -> None:
    run = small_run(tmp_path, layout="images")
    write(run)
    files = sorted(run.folder.rglob("*.tiff"))
    files[3].write_bytes(files[3].read_bytes()[:200])
    os.utime(files[3], (1e9, 1e9))  # nobody is writing it any more
    files[7].unlink()
    with open_dataset(run.folder) as dataset:
        assert dataset.report().counts == {PRESENT: 23, ABSENT: 1}
        said: list[tuple[int, int]] = []
        report = dataset.report(read=True, progress=lambda done, of: said.append((done, of)))
        assert report.counts == {PRESENT: 22, ABSENT: 1, UNREADABLE: 1}
        assert said == sorted(said) and said[-1] == (24, 24)
        ((key, reason),) = report.reasons.items()
        assert report.state(key) is UNREADABLE
        assert files[3].name in reason
        assert dataset.report().counts == {PRESENT: 22, ABSENT: 1, UNREADABLE: 1}  # it remembers
        assert dataset.state(key) is UNREADABLE
        dataset.refresh()
        assert dataset.report().count(UNREADABLE) == 0


def test_what_counts_as_fill_value_is_counted_as_such(tmp_path: Path) -> None:
    says_nothing = stores.image_attributes(squid=False)
    stores.write_image(tmp_path / "a.zarr", skip=[(0, 0, 0, 0)], attributes=says_nothing)
    with open_dataset(tmp_path / "a.zarr") as dataset:
        for read in (False, True):
            report = dataset.report(read=read)
            assert report.counts == {PRESENT: 7, FILLED: 1}
            assert report.is_complete
        assert dataset.state(PlaneKey()) is FILLED
        assert (dataset.plane() == 0).all()


def test_planes_of_many_tiles_are_read_tile_by_tile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from ndviewer_light.engine import regions

    monkeypatch.setattr(regions, "ONE_TILE_PIXELS", 100)
    stores.write_image(tmp_path / "a.zarr", tile=8, skip=[(1, 0, 1, 1)], preset=None)
    chunk = sorted(path for path in (tmp_path / "a.zarr/0/c/0/0/0").rglob("*") if path.is_file())[-1]
    chunk.write_bytes(b"")
    with open_dataset(tmp_path / "a.zarr") as dataset:
        report = dataset.report(read=True)
    assert report.counts[UNREADABLE] == 1
    assert sum(report.counts.values()) == 8


# ---- limits ----------------------------------------------------------------------------------------


def test_it_ends_in_time_and_says_what_it_has_not_looked_at() -> None:
    with Dataset(filled(ListedSource(), [], every_key())) as dataset:
        report = dataset.report(seconds=0)
        assert (report.expected, report.looked_at) == (24, 0)
        assert report.limit == "the time limit was reached after 0 planes"
        assert not report.is_complete


def test_of_a_dataset_too_large_it_tells_what_it_could_look_at() -> None:
    info = memory_info(n_t=100, n_p=9600, n_c=4, n_z=10)
    with Dataset(ListedSource(info)) as dataset:
        report = dataset.report(seconds=0.3)
    assert report.expected == 38_400_000
    assert 0 < report.count(ABSENT) == report.looked_at < report.expected
    assert report.limit == f"the time limit was reached after {report.looked_at:,} planes"
    assert report.gaps(ABSENT)[0].n_planes > 0


def test_it_can_be_cancelled() -> None:
    source = filled(MemorySource(), [], every_key())
    with Dataset(source) as dataset:
        report = dataset.report(read=True, cancelled=lambda: len(source.reads) >= 8)
    assert report.limit.startswith("cancelled after 8")
    assert report.counts == {PRESENT: 8}
    assert report.expected == 24


# ---- one plane -------------------------------------------------------------------------------------


def test_the_state_of_a_plane_out_of_view(tmp_path: Path) -> None:
    stores.write_image(tmp_path / "a.zarr", skip=[(1, 0, 1, 1)])
    with open_dataset(tmp_path / "a.zarr") as dataset:
        assert dataset.state(PlaneKey(0, 0, 1, 1)) is PRESENT
        assert dataset.state(PlaneKey(1, 0, 1, 1)) is ABSENT
        with pytest.raises(IndexError):
            dataset.state(PlaneKey(5))


def test_a_plane_that_was_unreadable_stays_so_until_it_is_written_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    clock.set(monkeypatch)
    source, key = filled(ListedSource(), [], every_key()), PlaneKey(1, 1, 1, 1)
    source.errors[key] = CorruptDataError("half a chunk")
    with Dataset(source, live=True) as dataset:
        dataset.planes([key], wait=None)
        assert dataset.state(key) is PENDING  # perhaps it is just being written
        clock.now += 2
        dataset.take_changes()
        dataset.planes([key], wait=None)
        dataset.planes([PlaneKey()], wait=None)
        assert dataset.state(key) is UNREADABLE
        dataset.notify(*key)
        dataset.take_changes()
        assert dataset.state(key) is PRESENT


# ---- fields of which some have fewer time points ----------------------------------------------------


def write_fields(path: Path, fields: Sequence[dict[str, int]], *, complete: bool | None = None) -> None:
    """A plate, as of long ago, with a well for each field of these sizes."""
    wells = {f"A/{i + 1}": 1 for i in range(len(fields))}
    attributes = stores.image_attributes(channels=stores.CHANNELS[:2], complete=complete)
    stores.write_plate(path, wells, attributes=attributes)
    for i, (well, sizes) in enumerate(zip(wells, fields, strict=True)):
        shutil.rmtree(path / well / "0")
        stores.write_image(path / well / "0", p=i, attributes=attributes, sizes=sizes)
    stores.make_old(path, 200)


@pytest.mark.parametrize("complete", [None, False, True])
def test_fields_of_a_run_that_ended_early_lack_time_points_by_all_that_tell(
    tmp_path: Path, complete: bool | None
) -> None:
    write_fields(tmp_path / "p.zarr", [{"t": n} for n in (3, 3, 2)], complete=complete)
    with open_dataset(tmp_path / "p.zarr") as dataset:
        report = dataset.report()
        n_of_one = len(dataset.info.channels) * dataset.info.n_z
        assert (report.expected, report.counts) == (9 * n_of_one, {PRESENT: 8 * n_of_one, ABSENT: n_of_one})
        lacking = list(report.planes(ABSENT))
        assert {(key.t, key.p) for key in lacking} == {(2, 2)}
        assert {dataset.state(key) for key in lacking} == {ABSENT}
        assert {plane.state for plane in dataset.planes(lacking, wait=None)} == {ABSENT}
        assert {plane.state for plane in dataset.thumbnails(lacking)} == {ABSENT}
        assert dataset.find(PlaneKey()) == (lacking[0], ABSENT)
        assert dataset.report(read=True).counts == report.counts


def test_images_of_other_sizes_are_not_expected_to_have_as_many_time_points(tmp_path: Path) -> None:
    write_fields(tmp_path / "p.zarr", [{"t": 2}, {"t": 1, "x": stores.WIDTH // 2}, {"t": 2}])
    with open_dataset(tmp_path / "p.zarr") as dataset:
        n_of_one = len(dataset.info.channels) * dataset.info.n_z
        report = dataset.report()
        assert (report.expected, report.is_complete) == (5 * n_of_one, True)
        assert report.state(PlaneKey(t=1, p=1)) is None
        assert dataset.find(PlaneKey()) is None


def test_what_was_there_when_all_positions_were_looked_at_is_asked_for_last() -> None:
    """Of a plate of 864 fields each press of the key took seconds: all of them were asked for again."""
    asked: list[PlaneKey] = []

    class Asked(ListedSource):
        def are_stored(self, keys: Sequence[PlaneKey]) -> list[bool | None]:
            asked.extend(keys)
            return super().are_stored(keys)

    gap, gone = PlaneKey(1, 2, 1, 0), PlaneKey(0, 1, 1, 1)
    source = filled(Asked(memory_info(n_t=2)), [gap], every_key())
    with Dataset(source, path="/a") as dataset:
        for t in (0, 1):
            wait_until(lambda t=t: (known := dataset.position_states(t)) and sum(known.there) == 12 - t)
        asked.clear()
        assert dataset.find(PlaneKey())[0] == gap
        assert set(asked) == {gap}
        source.write(gap, 1)
        del source.stored[gone]
        assert dataset.find(gap)[0] == gone
        source.write(gone, 1)
        assert dataset.find(gap) is None
